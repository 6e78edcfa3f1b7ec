//! How unevenly load lies: the variance over servers of requests in flight.
//!
//! At a moment it is (1/n) sum x_i^2 - ((1/n) sum x_i)^2, x_i being the requests in flight at
//! server i; both sums are kept as whole numbers, so that a change costs O(1) and nothing is
//! rounded. Over a run it is the average over time, from the first attempt to the last event.

use crate::domain::Timestamp;

/// The variance of load, now and on average.
#[derive(Debug, Clone)]
pub struct Load {
    servers: u128,
    /// Requests in flight.
    sum: u128,
    /// Their squares, server by server.
    squares: u128,
    /// When the first attempt was sent.
    since: Option<Timestamp>,
    /// When the load last changed.
    changed_at: Timestamp,
    /// Integral of the variance over time up to then, in seconds.
    area_s: f64,
}

impl Load {
    pub fn new(servers: usize) -> Self {
        Self {
            servers: servers as u128,
            sum: 0,
            squares: 0,
            since: None,
            changed_at: Timestamp::ZERO,
            area_s: 0.0,
        }
    }

    /// The requests in flight at one server went from `before` to `after`.
    #[inline]
    pub fn change(&mut self, now: Timestamp, before: u32, after: u32) {
        match self.since {
            None => self.since = Some(now),
            Some(_) => self.area_s += self.variance() * now.since(self.changed_at).as_secs_f64(),
        }
        self.changed_at = self.changed_at.max(now);
        let (before, after) = (u128::from(before), u128::from(after));
        self.sum = self.sum + after - before;
        self.squares = self.squares + after * after - before * before;
    }

    /// The variance now.
    #[inline]
    pub fn variance(&self) -> f64 {
        let n = self.servers;
        (n * self.squares - self.sum * self.sum) as f64 / (n * n) as f64
    }

    /// The average over time, 0 before any time has passed.
    pub fn average(&self) -> f64 {
        let elapsed = self.changed_at.since(self.since.unwrap_or_default()).as_secs_f64();
        if elapsed > 0.0 { self.area_s / elapsed } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: f64) -> Timestamp {
        Timestamp::from_secs_f64(s)
    }

    /// Two servers: (1, 0) for 1 s, (2, 0) for 3 s, (2, 2) for 1 s: variances 1/4, 1, 0.
    #[test]
    fn averages_the_variance_over_time() {
        let mut load = Load::new(2);
        load.change(at(10.0), 0, 1);
        assert_eq!(load.variance(), 0.25);
        load.change(at(11.0), 1, 2);
        assert_eq!(load.variance(), 1.0);
        load.change(at(14.0), 0, 1);
        load.change(at(14.0), 1, 2);
        assert_eq!(load.variance(), 0.0);
        load.change(at(15.0), 2, 1);
        assert!((load.average() - (0.25 + 3.0) / 5.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_sent_is_no_variance() {
        assert_eq!(Load::new(3).average(), 0.0);
    }
}
