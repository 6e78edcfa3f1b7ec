//! What the path between a load generator and servers adds to latencies, as it was measured.
//!
//! A model says how long servers take. A live run adds connections, system calls and threads, on
//! this machine; they are measured against a server that is known to take a constant time, and
//! added to simulated latencies by drawing from the measured ones.
//!
//! When not to use it: to compare strategies; all of them pay the same.

/// Measured additions in milliseconds. Empty lists add nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Overhead {
    /// To the first attempt of a request, which finds sleeping threads and cold caches.
    pub first_attempt_ms: Vec<f64>,
    /// To every further attempt, the time since the outcome before it included.
    pub retry_ms: Vec<f64>,
    /// To a request beside that: from the moment it was due until the proxy sent the first attempt,
    /// and from the last outcome until the answer was read.
    pub request_ms: Vec<f64>,
}

impl Overhead {
    /// What is added to attempt `number` of a request (from 0), for a word `u` in (0, 1).
    #[must_use]
    pub fn attempt_ms(&self, number: u32, u: f64) -> f64 {
        pick(if number == 0 { &self.first_attempt_ms } else { &self.retry_ms }, u)
    }

    /// What is added to a request, for a word `u` in (0, 1).
    #[must_use]
    pub fn request_ms(&self, u: f64) -> f64 {
        pick(&self.request_ms, u)
    }
}

impl Overhead {
    /// A bootstrap sample of each list, by words in (0, 1): how else the same path might have been
    /// measured (Efron, Annals of Statistics 7 (1979), 1-26).
    #[must_use]
    pub fn resampled(&self, mut word: impl FnMut() -> f64) -> Self {
        let mut again =
            |list: &[f64]| -> Vec<f64> { list.iter().map(|_| pick(list, word())).collect() };
        Self {
            first_attempt_ms: again(&self.first_attempt_ms),
            retry_ms: again(&self.retry_ms),
            request_ms: again(&self.request_ms),
        }
    }
}

fn pick(measured: &[f64], u: f64) -> f64 {
    let last = measured.len().saturating_sub(1);
    measured.get(((u * measured.len() as f64) as usize).min(last)).copied().unwrap_or(0.0)
}
