//! A signal that knows from its own history what is usual, and when it is high.
//!
//! History is a mean and a variance, equally weighted at first and exponentially weighted once it
//! is 64 windows long. A value is compared before it is learned from. While a signal is high, and
//! of a value beyond the bound, it learns at an eighth of the rate: a disturbance does not pass for
//! usual, but a new state of affairs does in the end (after some hundred windows).

/// Windows before anything counts as high.
const WARM_UP: u32 = 8;

/// Windows of history.
const MEMORY: u32 = 64;

/// How much slower an unusual value is learned from.
const CAUTION: f64 = 8.0;

/// Windows in a row that a change takes.
const CONFIRM: u32 = 2;

/// The standard deviation is this share of the mean at least, so that a signal that was constant
/// does not take any movement for a rise.
const LEAST_RELATIVE_SD: f64 = 0.05;

/// Where a signal rises and falls, in standard deviations above its mean.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub enter: f64,
    /// At most `enter`.
    pub leave: f64,
}

/// One signal.
#[derive(Debug, Clone, Default)]
pub struct Signal {
    seen: u32,
    mean: f64,
    variance: f64,
    high: bool,
    /// Windows in a row that spoke for a change.
    streak: u32,
    /// The newest value and what it was compared with.
    last: (f64, f64, f64),
}

impl Signal {
    /// The next window's value; `least_sd` is the least noise that it is known to have.
    pub fn observe(&mut self, value: f64, least_sd: f64, bounds: Bounds) {
        let sd = self.variance.sqrt().max(least_sd).max(LEAST_RELATIVE_SD * self.mean.abs());
        self.last = (value, self.mean, sd);
        let known = self.seen >= WARM_UP;
        let above = value - self.mean;
        let beyond = known && above > bounds.enter * sd;
        let speaks_for_change = known && if self.high { above < bounds.leave * sd } else { beyond };
        self.streak = if speaks_for_change { self.streak + 1 } else { 0 };
        if self.streak >= CONFIRM {
            self.high = !self.high;
            self.streak = 0;
        }
        self.learn(value, beyond || self.high);
    }

    pub fn is_high(&self) -> bool {
        self.high
    }

    /// The newest value against the bound that it rose over.
    pub fn in_words(&self, bounds: Bounds) -> String {
        let (value, mean, sd) = self.last;
        let high_above = mean + bounds.enter * sd;
        format!("{value:.4} (usual {mean:.4}, high above {high_above:.4})")
    }

    fn learn(&mut self, value: f64, unusual: bool) {
        self.seen = self.seen.saturating_add(1);
        let rate = 1.0 / f64::from(self.seen.min(MEMORY));
        let rate = if unusual { rate / CAUTION } else { rate };
        let off = value - self.mean;
        self.mean += rate * off;
        self.variance = (1.0 - rate) * (self.variance + rate * off * off);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { enter: 3.0, leave: 1.0 };

    /// Mean and variance of the values so far, written out.
    #[test]
    fn learns_mean_and_variance_of_its_history() {
        let values = [0.2, 0.25, 0.18, 0.22, 0.3, 0.21];
        let mut signal = Signal::default();
        values.iter().for_each(|v| signal.observe(*v, 0.0, BOUNDS));
        let mean = values.iter().sum::<f64>() / 6.0;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 6.0;
        assert!((signal.mean - mean).abs() < 1e-12);
        assert!((signal.variance - variance).abs() < 1e-12);
    }

    #[test]
    fn rises_after_two_high_windows_and_falls_after_two_usual_ones() {
        let mut signal = Signal::default();
        for i in 0..20 {
            signal.observe(if i % 2 == 0 { 0.9 } else { 1.1 }, 0.0, BOUNDS);
        }
        let mut high = Vec::new();
        for value in [2.0, 1.0, 2.0, 2.0, 1.25, 1.0, 1.25, 1.0, 1.0] {
            signal.observe(value, 0.0, BOUNDS);
            high.push(signal.is_high());
        }
        assert_eq!(high, [false, false, false, true, true, true, true, true, false]);
    }

    #[test]
    fn a_constant_signal_takes_no_tremble_for_a_rise() {
        let mut signal = Signal::default();
        (0..100).for_each(|i| signal.observe(1.0 + 0.1 * f64::from(i % 2), 0.0, BOUNDS));
        assert!(!signal.is_high());
        let mut constant = Signal::default();
        (0..100).for_each(|_| constant.observe(0.09, 0.0, BOUNDS));
        (0..5).for_each(|_| constant.observe(0.1, 0.0, BOUNDS));
        assert!(!constant.is_high(), "11 % above is within 15 %");
    }

    #[test]
    fn what_lasts_becomes_usual() {
        let mut signal = Signal::default();
        (0..50).for_each(|i| signal.observe(0.1 + 0.01 * f64::from(i % 3), 0.0, BOUNDS));
        (0..10).for_each(|_| signal.observe(0.5, 0.0, BOUNDS));
        assert!(signal.is_high());
        (0..2_000).for_each(|_| signal.observe(0.5, 0.0, BOUNDS));
        assert!(!signal.is_high());
    }
}
