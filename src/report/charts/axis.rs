//! Axes: a range of values, round numbers in it, and where a value lies.

use super::lettering;
use super::number::{fixed, significant};
use super::scene::Type;

/// Values beyond are cut: no chart needs them, and sums of them stay finite.
const LARGEST: f64 = 1e15;

/// A range of values, its name with unit, and its ticks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    pub name: String,
    pub low: f64,
    pub high: f64,
    log: bool,
    /// Ticks are no closer than this.
    least_step: f64,
    /// The ticks of an axis of names; empty for numbers.
    names: &'static [&'static str],
}

/// A round value and how to write it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tick {
    pub value: f64,
    pub label: String,
}

/// The smallest and largest finite value.
pub(crate) fn range(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|v| v.is_finite()).fold(None, |range, v| match range {
        None => Some((v, v)),
        Some((low, high)) => Some((low.min(v), high.max(v))),
    })
}

impl Axis {
    /// A linear axis with room for these values and a little more; for no value, 0 to 1.
    pub fn linear(name: impl Into<String>, values: Option<(f64, f64)>) -> Self {
        let (low, high) = values.unwrap_or((0.0, 1.0));
        let (low, high) = (low.max(-LARGEST), high.min(LARGEST));
        let spread = high - low;
        let size = low.abs().max(high.abs());
        let room = if spread > size * 1e-9 { spread * 0.04 } else { (size * 1e-3).max(0.5) };
        Self {
            name: name.into(),
            low: low - room,
            high: high + room,
            log: false,
            least_step: 0.0,
            names: &[],
        }
    }

    /// A linear axis with exactly these ends, which must differ.
    pub fn between(name: impl Into<String>, low: f64, high: f64) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self { name: name.into(), low, high, log: false, least_step: 0.0, names: &[] }
    }

    /// An axis of counts from 0.
    pub fn counts(name: impl Into<String>, high: u64) -> Self {
        Self { least_step: 1.0, ..Self::between(name, 0.0, high as f64) }
    }

    /// An axis of names, the first at 0, the second at 1, and so on.
    pub fn names(name: impl Into<String>, names: &'static [&'static str]) -> Self {
        Self { names, ..Self::between(name, -0.5, names.len() as f64 - 0.5) }
    }

    /// A logarithmic axis with room for these positive values; for no value, 1 to 10.
    pub fn log(name: impl Into<String>, values: Option<(f64, f64)>) -> Self {
        let (low, high) = values.unwrap_or((1.0, 10.0));
        let (low, high) = (low.max(1.0 / LARGEST), high.clamp(1.0 / LARGEST, LARGEST));
        let room = libm::pow(high / low, 0.04).max(if high / low < 1.5 { 1.6 } else { 1.0 });
        Self {
            name: name.into(),
            low: low / room,
            high: high * room,
            log: true,
            least_step: 0.0,
            names: &[],
        }
    }

    /// Where a value lies between the ends, from 0 to 1; values beyond an end lie at it.
    pub fn share(&self, value: f64) -> f64 {
        let share = if self.log {
            let low = libm::log(self.low);
            (libm::log(value.max(self.low)) - low) / (libm::log(self.high) - low)
        } else {
            (value - self.low) / (self.high - self.low)
        };
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }

    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// As many ticks as fit, at most `most`, their labels side by side on `room` pixels.
    pub fn ticks_along(&self, room: f64, most: usize, font: Type) -> Vec<Tick> {
        let fits = |ticks: &Vec<Tick>| {
            let places: Vec<(f64, f64)> = ticks
                .iter()
                .map(|t| (self.share(t.value) * room, lettering::width(&t.label, font) / 2.0))
                .collect();
            places.windows(2).all(|p| p[0].0 + p[0].1 + 12.0 <= p[1].0 - p[1].1)
        };
        (2..=most).rev().map(|n| self.ticks(n)).find(fits).unwrap_or_else(|| {
            let mut ticks = self.ticks(2);
            if ticks.len() > 2 {
                ticks.drain(1..ticks.len() - 1);
            }
            ticks.truncate(if fits(&ticks) { 2 } else { 1 });
            ticks
        })
    }

    /// About `n` round values within the range.
    pub fn ticks(&self, n: usize) -> Vec<Tick> {
        if !self.names.is_empty() {
            let tick = |(i, name): (usize, &&str)| Tick { value: i as f64, label: (*name).into() };
            return self.names.iter().enumerate().map(tick).collect();
        }
        if self.log { self.log_ticks(n) } else { self.linear_ticks(n) }
    }

    fn linear_ticks(&self, n: usize) -> Vec<Tick> {
        let step = nice_step((self.high - self.low) / n.max(1) as f64).max(self.least_step);
        let decimals = (-libm::floor(libm::log10(step) + 1e-9)).clamp(0.0, 9.0) as usize;
        let first = libm::ceil(self.low / step - 1e-9);
        let last = libm::floor(self.high / step + 1e-9);
        let count = if (0.0..1e3).contains(&(last - first)) { (last - first) as u32 } else { 0 };
        (0..=count)
            .map(|i| (first + f64::from(i)) * step)
            .map(|value| Tick { value, label: fixed(value, decimals) })
            .collect()
    }

    fn log_ticks(&self, n: usize) -> Vec<Tick> {
        let low = libm::floor(libm::log10(self.low)) as i32;
        let high = libm::ceil(libm::log10(self.high)) as i32;
        let within = |digits: &[f64], every: i32| -> Vec<Tick> {
            (low..=high)
                .filter(|decade| decade.rem_euclid(every) == 0)
                .flat_map(|decade| {
                    digits.iter().map(move |d| d * libm::pow(10.0, f64::from(decade)))
                })
                .filter(|value| self.contains(*value))
                .map(|value| {
                    let label = significant(value);
                    let label = match label.split_once('.') {
                        Some(_) => label.trim_end_matches('0').trim_end_matches('.').to_owned(),
                        None => label,
                    };
                    Tick { value, label }
                })
                .collect()
        };
        const FINE: [f64; 9] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
        const MIDDLE: [f64; 6] = [1.0, 1.5, 2.0, 3.0, 5.0, 7.0];
        let sets: [(&[f64], i32); 6] = [
            (&FINE, 1),
            (&MIDDLE, 1),
            (&[1.0, 2.0, 5.0], 1),
            (&[1.0, 3.0], 1),
            (&[1.0], 1),
            (&[1.0], 3),
        ];
        let candidates = sets.map(|(digits, every)| within(digits, every));
        let best = candidates.iter().find(|ticks| (1..=n).contains(&ticks.len()));
        best.unwrap_or(&candidates[5]).clone()
    }
}

/// 1, 2 or 5 times a power of ten, at least `rough`.
pub(super) fn nice_step(rough: f64) -> f64 {
    let rough = if rough.is_finite() && rough > 1e-12 { rough } else { 1e-12 };
    let power = libm::pow(10.0, libm::floor(libm::log10(rough)));
    let digit = [1.0, 2.0, 5.0].into_iter().find(|d| d * power >= rough * (1.0 - 1e-9));
    digit.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|t| t.label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_within_the_axis() {
        let axis = Axis::between("score", 968.2, 998.9);
        assert_eq!(labels(&axis.ticks(7)), ["970", "975", "980", "985", "990", "995"]);
        let axis = Axis::between("regret", -0.04, 0.31);
        assert_eq!(labels(&axis.ticks(4)), ["0.0", "0.1", "0.2", "0.3"]);
        let axis = Axis::log("ms", Some((0.9, 210.0)));
        assert_eq!(labels(&axis.ticks(8)), ["1", "2", "5", "10", "20", "50", "100", "200"]);
        assert_eq!(labels(&axis.ticks(4)), ["1", "10", "100"]);
        assert_eq!(labels(&Axis::counts("requests", 1).ticks(8)), ["0", "1"]);
    }

    #[test]
    fn strange_ranges_still_have_an_axis() {
        for range in [None, Some((5.0, 5.0)), Some((0.0, 0.0)), Some((-1e300, 1e300))] {
            let linear = Axis::linear("x", range);
            assert!(linear.low < linear.high && !linear.ticks(6).is_empty(), "{linear:?}");
            let log = Axis::log("x", range);
            assert!(log.low > 0.0 && log.low < log.high, "{log:?}");
            assert!((0.0..=1.0).contains(&log.share(-3.0)));
            assert!(log.ticks(6).len() < 20);
        }
        assert_eq!(Axis::linear("x", None).share(f64::NAN), 0.0);
        assert_eq!(range([f64::NAN, 2.0, f64::INFINITY, 1.0]), Some((1.0, 2.0)));
    }

    #[test]
    fn labels_never_touch() {
        lettering::ready().unwrap();
        let font = Type { size: 16.0, bold: false };
        let axis = Axis::counts("requests", 100_000_000);
        assert_eq!(labels(&axis.ticks_along(180.0, 8, font)), ["0", "100,000,000"]);
    }
}
