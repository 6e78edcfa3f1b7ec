//! How much attempts in flight to a server lower its chance of success.
//!
//! Servers with few slots fail when many requests are in service. The ratio of successes seen to
//! successes that beliefs expected, by the number of other attempts in flight to the same server,
//! over all servers; never above 1, and 1 where nothing else is in flight.
//!
//! Limits: capacity is taken as equal over servers. The load is that at the end of an attempt, a
//! proxy for the load that it met.

/// Loads told apart; the last stands for all higher ones.
const LEVELS: usize = 16;
/// Attempts that the belief "load does no harm" counts for.
const INERTIA: f64 = 10.0;
/// Most expected successes that a level remembers.
const MEMORY: f64 = 300.0;

/// The effect of load.
#[derive(Debug, Clone)]
pub(super) struct Load {
    seen: [f64; LEVELS],
    expected: [f64; LEVELS],
}

impl Load {
    /// Load does no harm.
    pub(super) const HARMLESS: Self = Self { seen: [0.0; LEVELS], expected: [0.0; LEVELS] };

    /// The factor on the chance of success with `others` attempts in flight to the same server.
    #[inline]
    pub(super) fn factor(&self, others: u32) -> f64 {
        if others == 0 {
            return 1.0;
        }
        let level = (others as usize).min(LEVELS - 1);
        ((self.seen[level] + INERTIA) / (self.expected[level] + INERTIA)).min(1.0)
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_attempt_at_a_time_is_never_discounted() {
        let mut load = Load::HARMLESS;
        (0..1000).for_each(|_| load.observe(0, 0.9, false));
        assert_eq!(load.factor(0), 1.0);
        assert_eq!(load.factor(5), 1.0);
    }

    #[test]
    fn the_factor_is_successes_seen_over_successes_expected() {
        let mut load = Load::HARMLESS;
        for k in 0..200 {
            load.observe(3, 0.8, k % 5 < 2);
            load.observe(99, 0.5, true);
        }
        let expected = (80.0 + 10.0) / (160.0 + 10.0);
        assert!((load.factor(3) - expected).abs() < 1e-9);
        assert_eq!(
            load.factor(40),
            1.0,
            "success beyond what was expected is no reason to pile up"
        );
        assert_eq!(load.factor(2), 1.0);
    }
}
