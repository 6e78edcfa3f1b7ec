//! What the path between a load generator and servers adds to latencies, as it was measured.
//!
//! A model says how long servers take. A live run adds connections, system calls and threads, on
//! this machine; they are measured against a server that is known to take a constant time, and
//! added to simulated latencies by drawing from the measured ones. What a request adds to its first
//! attempt and beside it is drawn together: a machine that is slow for the one is slow for the
//! other, and clocks are read between the two.
//!
//! When not to use it: to compare strategies; all of them pay the same.

use flakelab_core::domain::RequestId;
use flakelab_core::stats::{Moments, normal_quantile};

/// Two proxies side by side differ: standard deviation of the logarithm of the ratio of their
/// median additions. In eight pairs of 300 requests at 100 a second, one before a null server and
/// one before ten stand-in servers, it was 0.058 on a quiet two-core machine.
pub const BETWEEN_PROCESSES_SD: f64 = 0.06;

/// Measured additions. Empty lists add nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Overhead {
    /// One entry a measured request.
    pub requests: Vec<RequestOverhead>,
    /// To every attempt but the first of a request, the time since the outcome before it included,
    /// in milliseconds.
    pub retry_ms: Vec<f64>,
}

/// What the path added to one request, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RequestOverhead {
    /// To its first attempt.
    pub first_attempt_ms: f64,
    /// Beside its attempts: from the moment it was due until the proxy sent the first one, and from
    /// the last outcome until the answer was read.
    pub beside_ms: f64,
}

impl Overhead {
    /// One drawing for a run of so many requests: request i meets entry i. With a `spread` the
    /// lists are a sample of the path of another process, not the path itself: it then draws from a
    /// bootstrap sample of them (Efron, Annals of Statistics 7 (1979), 1-26), longer or shorter by
    /// a factor whose logarithm is normal with that standard deviation. Words are in (0, 1).
    #[must_use]
    pub fn drawn(&self, requests: u64, spread: Option<f64>, mut word: impl FnMut() -> f64) -> Self {
        let mut again = self.clone();
        if let Some(spread) = spread {
            again.requests = drawn(&self.requests, self.requests.len(), &mut word);
            again.retry_ms = drawn(&self.retry_ms, self.retry_ms.len(), &mut word);
            let scale = libm::exp(spread * normal_quantile(word()));
            again.retry_ms.iter_mut().for_each(|added| *added *= scale);
            for of in &mut again.requests {
                of.first_attempt_ms *= scale;
                of.beside_ms *= scale;
            }
        }
        again.requests = drawn(&again.requests, requests as usize, &mut word);
        again
    }

    /// What is added to attempt `number` (from 0) of a request, for a word `u` in (0, 1).
    #[inline]
    pub fn attempt_ms(&self, request: RequestId, number: u32, u: f64) -> f64 {
        match number {
            0 => self.of(request).map_or(0.0, |of| of.first_attempt_ms),
            _ => pick(&self.retry_ms, u).unwrap_or(0.0),
        }
    }

    /// What is added to a request beside its attempts.
    #[inline]
    pub fn request_ms(&self, request: RequestId) -> f64 {
        self.of(request).map_or(0.0, |of| of.beside_ms)
    }

    /// The median addition to requests of one attempt, in milliseconds; none without requests.
    pub fn median_ms(&self) -> Option<f64> {
        let mut sums: Vec<f64> =
            self.requests.iter().map(|of| of.first_attempt_ms + of.beside_ms).collect();
        sums.sort_by(f64::total_cmp);
        sums.get(sums.len() / 2).copied()
    }

    /// How much paths differ that were measured one after the other, as a spread for
    /// [`drawn`](Self::drawn): the standard deviation of their medians' logarithms, at least
    /// [`BETWEEN_PROCESSES_SD`]. On a busy machine it is several times that.
    pub fn spread<'a>(measured: impl Iterator<Item = &'a Self>) -> f64 {
        let mut moments = Moments::default();
        measured.filter_map(Self::median_ms).for_each(|ms| moments.push(libm::log(ms.max(1e-6))));
        if moments.count() < 2 {
            BETWEEN_PROCESSES_SD
        } else {
            moments.std_dev().max(BETWEEN_PROCESSES_SD)
        }
    }

    /// The largest addition to a single request or attempt.
    pub fn largest_ms(&self) -> f64 {
        let requests = self.requests.iter().map(|of| of.first_attempt_ms.max(of.beside_ms));
        requests.chain(self.retry_ms.iter().copied()).fold(0.0, f64::max)
    }

    #[inline]
    fn of(&self, request: RequestId) -> Option<&RequestOverhead> {
        let position = request.0.checked_rem(self.requests.len() as u64)?;
        self.requests.get(position as usize)
    }
}

fn drawn<T: Copy>(list: &[T], n: usize, mut word: impl FnMut() -> f64) -> Vec<T> {
    (0..n).map_while(|_| pick(list, word())).collect()
}

#[inline]
fn pick<T: Copy>(list: &[T], u: f64) -> Option<T> {
    let last = list.len().checked_sub(1)?;
    list.get(((u * list.len() as f64) as usize).min(last)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_differ_more_than_processes_do_say_by_how_much() {
        let path = |ms| Overhead {
            requests: vec![RequestOverhead { first_attempt_ms: ms, beside_ms: ms }; 3],
            retry_ms: Vec::new(),
        };
        assert_eq!(Overhead::spread([path(1.0)].iter()), BETWEEN_PROCESSES_SD);
        assert_eq!(Overhead::spread([path(1.0), path(1.01)].iter()), BETWEEN_PROCESSES_SD);
        let far = Overhead::spread([path(1.0), path(2.0)].iter());
        assert!((far - libm::log(2.0) / 2.0_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn what_a_request_adds_to_its_first_attempt_and_beside_it_stays_together() {
        let entry = |i: u32| RequestOverhead {
            first_attempt_ms: f64::from(i),
            beside_ms: 10.0 * f64::from(i),
        };
        let measured = Overhead { requests: (1..=3).map(entry).collect(), retry_ms: vec![7.0] };
        let mut words = [0.1, 0.9, 0.5, 0.4, 0.99, 0.2, 0.0, 0.7].into_iter().cycle();
        let drawn = measured.drawn(5, Some(0.06), || words.next().unwrap());
        assert_eq!(drawn.requests.len(), 5);
        for request in (0..12).map(RequestId) {
            let first = drawn.attempt_ms(request, 0, 0.5);
            assert!((drawn.request_ms(request) - 10.0 * first).abs() < 1e-9);
        }
        let retry = drawn.attempt_ms(RequestId(0), 1, 0.5);
        assert!((5.5..9.0).contains(&retry), "{retry}");
        assert_eq!(measured.largest_ms(), 30.0);
        let nothing = Overhead::default().drawn(5, Some(0.06), || 0.5);
        assert_eq!(
            (nothing.attempt_ms(RequestId(1), 0, 0.5), nothing.request_ms(RequestId(1))),
            (0.0, 0.0)
        );
    }
}
