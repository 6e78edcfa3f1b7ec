//! How much attempts in flight to a server lower its chance of success.
//!
//! Servers with few slots fail when many requests are in service. The ratio of successes seen to
//! successes that beliefs expected, by the number of other attempts in flight to the same server,
//! over all servers; never above 1, 1 where nothing else is in flight, and never higher under more
//! load than under less: what was well under a load is well under every smaller one.
//!
//! Limits: capacity is taken as equal over servers. The load is that at the end of an attempt, a
//! proxy for the load that it met. Where load does no harm, learning that costs some attempts at
//! servers that are not the best.

/// Loads told apart; the last stands for all higher ones.
const LEVELS: usize = 16;
/// Expected successes that the first belief counts for.
const INERTIA: f64 = 3.0;
/// Most expected successes that a level remembers.
const MEMORY: f64 = 300.0;

/// The factor before anything was seen. Until the first answers are back nothing tells what a
/// server can take; half of what it takes alone with four others in flight keeps requests from
/// piling up at the best one meanwhile.
fn at_first(others: usize) -> f64 {
    4.0 / (4.0 + others as f64)
}

/// The effect of load.
#[derive(Debug, Clone)]
pub(super) struct Crowding {
    seen: [f64; LEVELS],
    expected: [f64; LEVELS],
    factor: [f64; LEVELS],
}

impl Crowding {
    /// Nothing seen.
    pub(super) fn unknown() -> Self {
        let zeros = [0.0; LEVELS];
        Self { seen: zeros, expected: zeros, factor: std::array::from_fn(at_first) }
    }

    /// The factor on the chance of success with `others` attempts in flight to the same server.
    #[inline]
    pub(super) fn factor(&self, others: u32) -> f64 {
        self.factor[(others as usize).min(LEVELS - 1)]
    }

    /// Takes in an outcome of a server with success rate `rate`.
    pub(super) fn observe(&mut self, others: u32, rate: f64, success: bool) {
        if others == 0 {
            return;
        }
        let level = (others as usize).min(LEVELS - 1);
        self.seen[level] += f64::from(u8::from(success));
        self.expected[level] += rate;
        if self.expected[level] > MEMORY {
            let keep = MEMORY / self.expected[level];
            self.seen[level] *= keep;
            self.expected[level] *= keep;
        }
        let mut above = 0.0_f64;
        for level in (1..LEVELS).rev() {
            let seen = self.seen[level] + INERTIA * at_first(level);
            above = above.max(seen / (self.expected[level] + INERTIA)).min(1.0);
            self.factor[level] = above;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_attempt_at_a_time_is_never_discounted() {
        let mut load = Crowding::unknown();
        (0..1000).for_each(|_| load.observe(0, 0.9, false));
        assert_eq!(load.factor(0), 1.0);
        assert_eq!(load.factor(4), 0.5, "nothing was seen of load");
    }

    #[test]
    fn the_factor_is_successes_seen_over_successes_expected() {
        let mut load = Crowding::unknown();
        for k in 0..200 {
            load.observe(15, 0.8, k % 5 < 2);
        }
        let expected = (80.0 + 3.0 * 4.0 / 19.0) / (160.0 + 3.0);
        assert!((load.factor(15) - expected).abs() < 1e-9);
        assert_eq!(load.factor(99), load.factor(15));
    }

    #[test]
    fn what_goes_well_under_a_load_goes_well_under_less_and_says_nothing_of_more() {
        let mut load = Crowding::unknown();
        (0..100).for_each(|_| load.observe(6, 0.5, true));
        assert_eq!(load.factor(6), 1.0, "more successes than expected are no reason to pile up");
        assert_eq!(load.factor(2), 1.0);
        assert!((load.factor(7) - 4.0 / 11.0).abs() < 1e-12);
        (0..100).for_each(|_| load.observe(2, 0.5, false));
        assert_eq!(load.factor(2), 1.0);
    }
}
