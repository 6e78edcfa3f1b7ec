//! What is searched, the parameters of a strategy that the user has not fixed, and the settings
//! spread evenly over them: the default, then points of a shifted Kronecker sequence.
//!
//! Point i has the coordinates frac(shift_j + i / phi^j), where phi is the positive root of
//! x^(d+1) = x + 1: the golden ratio for d = 1 and its generalisation for more parameters. Any
//! first n points leave smaller gaps than n random ones, in every single parameter and jointly.
//! The shift is random (Cranley and Patterson), from the master seed.
//!
//! When not to use it: for a dozen parameters or more, where no number of points fills the space.
//!
//! Sources: L. Kronecker (1884) for the sequence; M. Roberts, "The unreasonable effectiveness of
//! quasirandom sequences" (2018), for these steps; R. Cranley and T. Patterson, SIAM J. Numer.
//! Anal. 13 (1976), 904-914, for the shift.

use serde::Serialize;

use crate::experiment::plan::PlanError;
use flakelab_core::domain::{Purpose, Streams};
use flakelab_core::stats::uniform01;
use flakelab_core::strategy::{Parameter, Range, SpecError, StrategySpec};

/// The stream of the shift, far from those of bootstraps.
const SHIFT_STREAM: u16 = u16::MAX;

/// One parameter that is searched.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Dimension {
    /// Its key.
    pub key: &'static str,
    /// What it means, in a line.
    pub meaning: &'static str,
    /// Where it is looked at.
    pub scale: Scale,
}

/// The values of a parameter that a search looks at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Scale {
    /// Both of them.
    Switch,
    /// Whole numbers.
    Whole {
        /// The least.
        low: u64,
        /// The most.
        high: u64,
        /// Evenly in the logarithm?
        log: bool,
    },
    /// Numbers, to three significant digits: more would not be read, nor matter.
    Number {
        /// The least.
        low: f64,
        /// The most.
        high: f64,
        /// Evenly in the logarithm?
        log: bool,
    },
}

/// The settings of one strategy among which a search chooses.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    /// The strategy with what the user fixed, defaults elsewhere.
    pub base: StrategySpec,
    /// What is searched, in the order that the strategy declares.
    pub dimensions: Vec<Dimension>,
}

/// A search that cannot be run. `Display` is the whole message.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct TuneError(pub(crate) String);

// By hand, for the message holds the help: as a source the error would be printed twice.
impl From<SpecError> for TuneError {
    fn from(error: SpecError) -> Self {
        Self(format!("{error}: {}", error.help()))
    }
}

impl From<PlanError> for TuneError {
    fn from(error: PlanError) -> Self {
        Self(error.to_string())
    }
}

impl Space {
    /// The space of a text such as `v1` or `v5:exclude_tried=false`: what stands in the text is
    /// fixed, every other parameter with a range to search is searched.
    ///
    /// # Errors
    /// No strategy, a value that it cannot have, or no parameter that is left.
    pub fn of(text: &str) -> Result<Self, TuneError> {
        let base = StrategySpec::from_text(text)?;
        let fixed: Vec<&str> = text
            .split(':')
            .skip(1)
            .filter_map(|part| part.split_once('=').map(|(key, _)| key.trim()))
            .collect();
        let free = base.entry().parameters.iter().filter(|p| !fixed.contains(&p.key));
        let dimensions: Vec<Dimension> = free.filter_map(Dimension::of).collect();
        if dimensions.is_empty() {
            let (name, fixed) = (base.name(), fixed.join(", "));
            return Err(TuneError(if fixed.is_empty() {
                format!("{name} has no parameter to search; `flakelab strategies` lists all")
            } else {
                format!("nothing is left to search: {name} has no parameter but {fixed}")
            }));
        }
        Ok(Self { base, dimensions })
    }

    /// The default setting and others, `wanted` in all and all different; every setting there is,
    /// where there are no more.
    pub(crate) fn settings(
        &self,
        wanted: usize,
        streams: &Streams,
    ) -> Result<Vec<StrategySpec>, TuneError> {
        let mut settings = vec![self.base];
        if let Some(count) = self.count().filter(|count| *count <= wanted as u64) {
            for n in 0..count {
                add(&mut settings, self.nth(n)?);
            }
            return Ok(settings);
        }
        let mut rng = streams.stream(Purpose::Analysis, SHIFT_STREAM, 0);
        let steps = steps(self.dimensions.len());
        let mut point: Vec<f64> = steps.iter().map(|_| uniform01(&mut rng)).collect();
        // Neighbouring points may round to one setting; far more points than settings are enough.
        for _ in 0..wanted.saturating_mul(64) {
            if settings.len() >= wanted {
                break;
            }
            add(&mut settings, self.at(&point)?);
            for (u, step) in point.iter_mut().zip(&steps) {
                *u += step;
                *u -= libm::floor(*u);
            }
        }
        Ok(settings)
    }

    /// How many settings there are; none if numbers are searched.
    fn count(&self) -> Option<u64> {
        self.dimensions
            .iter()
            .try_fold(1_u64, |count, dimension| Some(count.saturating_mul(dimension.count()?)))
    }

    /// The setting at a point of the unit cube.
    fn at(&self, point: &[f64]) -> Result<StrategySpec, TuneError> {
        self.with(self.dimensions.iter().zip(point).map(|(d, u)| (d.key, d.value(*u))))
    }

    /// The n-th of finitely many settings.
    fn nth(&self, n: u64) -> Result<StrategySpec, TuneError> {
        let mut left = n;
        self.with(self.dimensions.iter().map(|d| {
            let count = d.count().unwrap_or(1);
            let value = d.nth(left % count);
            left /= count;
            (d.key, value)
        }))
    }

    fn with(
        &self,
        values: impl Iterator<Item = (&'static str, toml::Value)>,
    ) -> Result<StrategySpec, TuneError> {
        let mut table = self.base.to_table();
        table.retain(|key, _| self.base.entry().parameters.iter().any(|p| p.key == key));
        table.extend(values.map(|(key, value)| (key.to_owned(), value)));
        Ok(StrategySpec::from_table(self.base.name(), &table)?)
    }
}

impl Dimension {
    /// None for a parameter without a range to search.
    fn of(parameter: &Parameter) -> Option<Self> {
        let is_log = |low: f64, high: f64| low > 0.0 && high >= 10.0 * low;
        let scale = match parameter.range {
            Range::Switch => Scale::Switch,
            Range::Whole { searched, .. } => {
                let (low, high) = searched?;
                Scale::Whole { low, high, log: is_log(low as f64, high as f64) }
            }
            Range::Number { searched, .. } => {
                let (low, high) = searched?;
                Scale::Number { low, high, log: is_log(low, high) }
            }
        };
        Some(Self { key: parameter.key, meaning: parameter.meaning, scale })
    }

    /// How many values it has; none for numbers.
    fn count(&self) -> Option<u64> {
        match self.scale {
            Scale::Switch => Some(2),
            Scale::Whole { low, high, .. } => Some((high - low).saturating_add(1)),
            Scale::Number { .. } => None,
        }
    }

    /// The n-th value of a switch or whole number.
    fn nth(&self, n: u64) -> toml::Value {
        match self.scale {
            Scale::Switch => (n == 1).into(),
            Scale::Whole { low, .. } => whole(low + n),
            Scale::Number { low, .. } => low.into(),
        }
    }

    /// The value at `u` in \[0, 1).
    fn value(&self, u: f64) -> toml::Value {
        match self.scale {
            Scale::Switch => (u >= 0.5).into(),
            Scale::Whole { low, high, log } => {
                // Every value owns a piece of [low, high + 1).
                let x = between(low as f64, high as f64 + 1.0, log, u);
                whole((libm::floor(x) as u64).clamp(low, high))
            }
            Scale::Number { low, high, log } => {
                rounded(between(low, high, log, u)).clamp(low, high).into()
            }
        }
    }
}

fn between(low: f64, high: f64, log: bool, u: f64) -> f64 {
    if log { low * libm::pow(high / low, u) } else { low + u * (high - low) }
}

fn whole(n: u64) -> toml::Value {
    i64::try_from(n).unwrap_or(i64::MAX).into()
}

/// Three significant decimal digits. Through text, which rounds exactly as people do.
fn rounded(x: f64) -> f64 {
    format!("{x:.2e}").parse().unwrap_or(x)
}

fn add(settings: &mut Vec<StrategySpec>, spec: StrategySpec) {
    if !settings.contains(&spec) {
        settings.push(spec);
    }
}

/// 1 / phi, 1 / phi^2, ...
fn steps(dimensions: usize) -> Vec<f64> {
    let mut phi = 2.0_f64;
    // A contraction with a factor of at most 1/2: far more than enough.
    for _ in 0..64 {
        phi = libm::pow(1.0 + phi, 1.0 / (dimensions as f64 + 1.0));
    }
    (1..=dimensions).map(|j| libm::pow(phi, -(j as f64))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(low: f64, high: f64) -> Dimension {
        let range = Range::number(0.0, 1e9, (low, high));
        Dimension::of(&Parameter { key: "x", meaning: "x", range }).unwrap()
    }

    #[test]
    fn what_stands_in_the_text_is_fixed() {
        let keys = |text: &str| -> Vec<&str> {
            Space::of(text).unwrap().dimensions.iter().map(|d| d.key).collect()
        };
        assert_eq!(keys("v5"), ["initial_scale", "decay", "exclude_tried"]);
        assert_eq!(keys("v5:exclude_tried=false: decay =1"), ["initial_scale"]);
        let error = Space::of("v1:discover_limit=3:exclude_tried=true").unwrap_err().to_string();
        assert!(error.ends_with("larkin has no parameter but discover_limit, exclude_tried"));
    }

    #[test]
    fn wide_positive_ranges_are_searched_by_ratio_and_others_by_difference() {
        assert_eq!(number(0.01, 100.0).value(0.5).as_float(), Some(1.0));
        assert_eq!(number(0.0, 4.0).value(0.5).as_float(), Some(2.0));
        assert_eq!(number(1.0, 9.9).scale, Scale::Number { low: 1.0, high: 9.9, log: false });
        assert_eq!(number(1.0, 10.0).scale, Scale::Number { low: 1.0, high: 10.0, log: true });
        assert_eq!(number(0.0, 1.0).value(0.123_456).as_float(), Some(0.123));
        assert_eq!(number(0.999_9, 2.0).value(0.0).as_float(), Some(1.0));
        assert_eq!(number(1.004, 2.0).value(0.0).as_float(), Some(1.004), "never below the range");
    }

    /// Each of the six whole numbers gets a sixth of the unit interval, the ends too.
    #[test]
    fn whole_numbers_have_equal_shares() {
        let range = Range::whole(0, 9, (2, 7));
        let dimension = Dimension::of(&Parameter { key: "x", meaning: "x", range }).unwrap();
        let mut counts = [0; 10];
        for i in 0..600 {
            let value = dimension.value((f64::from(i) + 0.5) / 600.0);
            counts[value.as_integer().unwrap() as usize] += 1;
        }
        assert_eq!(counts, [0, 0, 100, 100, 100, 100, 100, 100, 0, 0]);
    }

    #[test]
    fn finite_spaces_are_counted_and_listed() {
        let space = Space::of("v1").unwrap();
        assert_eq!(space.count(), Some(401 * 2));
        let all: Vec<String> = (0..802).map(|n| space.nth(n).unwrap().text()).collect();
        let different: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!(different.len(), 802);
        assert_eq!(Space::of("v5").unwrap().count(), None);
    }

    #[test]
    fn the_steps_are_powers_of_the_golden_ratio_and_of_the_plastic_number() {
        assert!((steps(1)[0] - 0.618_033_988_749_894_8).abs() < 1e-12);
        let two = steps(2);
        assert!((two[0] - 0.754_877_666_246_693).abs() < 1e-12, "1 / 1.324717957...");
        assert!((two[1] - two[0] * two[0]).abs() < 1e-12);
    }

    /// Of 64 points some must fall into each of 32 cells; 64 random ones leave 32 e^-2 = 4 empty.
    #[test]
    fn every_stretch_of_a_range_is_looked_at() {
        let space = Space::of("v5:decay=0.5:exclude_tried=true").unwrap();
        for seed in 0..20 {
            let settings = space.settings(65, &Streams::new(seed)).unwrap();
            assert_eq!((settings.len(), settings[0]), (65, space.base));
            let mut cells = [0; 32];
            for spec in &settings[1..] {
                let value = spec.to_table()["initial_scale"].as_float().unwrap();
                let share = libm::log(value / 0.1) / libm::log(160.0);
                cells[((share * 32.0) as usize).min(31)] += 1;
            }
            assert!(cells.iter().all(|n| *n > 0), "{cells:?}");
        }
    }

    #[test]
    fn small_spaces_are_searched_whole_and_the_default_comes_first() {
        let space = Space::of("v2").unwrap();
        let texts: Vec<String> =
            space.settings(64, &Streams::new(1)).unwrap().iter().map(|s| s.text()).collect();
        assert_eq!(texts, ["ucb1", "ucb1:exclude_tried=true"]);
    }
}
