//! What the traces leave open: equally likely rows of parameters, and which of them a
//! replication meets.
//!
//! Replications come in groups of [`REPLICATIONS_PER_DRAW`] consecutive ones that share a draw:
//! between groups scores differ by parameters and luck, within groups by luck alone, so an
//! analysis of variance tells the two apart (`VarianceComponents`). The rows are walked
//! through in a random order, a new one for each pass: none is met twice before all were met
//! once, and whole passes meet all of them equally often. That is sampling without replacement
//! (W. G. Cochran, Sampling Techniques, 3rd edition, 1977, chapter 2); its mean over the rows is
//! never less exact than that of independent draws.
//!
//! When not to use it: for rows that are not equally likely. One that is twice as likely as
//! the others stands there twice.

use crate::world::document::Violation;
use crate::world::family::{Families, Family};
use flakelab_core::domain::{Purpose, Streams};
use flakelab_core::stats::sample;

/// Consecutive replications that share a draw of the parameters.
///
/// Four, because the spread between groups needs many groups and the spread within them is known
/// well from few replications each.
pub const REPLICATIONS_PER_DRAW: u64 = 4;

/// More rows say nothing more and would only make models slow to read.
pub(crate) const MOST_ROWS: usize = 10_000;

/// Equally likely rows of parameters; without rows, there is no posterior.
///
/// Rows of one family stand together, families in alphabetical order, as in model files: a
/// posterior that was written and read again draws the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Posterior<T> {
    rows: Vec<T>,
}

/// Which of a model's posteriors; it has random streams of its own, beside those of
/// [`Instance`](crate::world::instance::Instance), whose "server" is 0.
#[derive(Debug, Clone, Copy)]
#[repr(u16)]
pub(crate) enum Which {
    ErrorRate = 1,
    RateLimit = 2,
}

impl<T> Default for Posterior<T> {
    fn default() -> Self {
        Self { rows: Vec::new() }
    }
}

impl<T: Families> From<Vec<T>> for Posterior<T> {
    fn from(mut rows: Vec<T>) -> Self {
        rows.sort_by_key(|row| row.family().name);
        Self { rows }
    }
}

impl<T> Posterior<T> {
    /// Whether the parameters are taken for known.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows, by family.
    pub fn rows(&self) -> &[T] {
        &self.rows
    }

    /// The row of draw number `draw`; none if there are no rows.
    pub(crate) fn row(&self, which: Which, draw: u64, streams: &Streams) -> Option<&T> {
        let n = self.rows.len();
        let pass = draw.checked_div(n as u64)?;
        let position = (draw % n as u64) as usize;
        let mut rng = streams.stream(Purpose::Instance, which as u16, pass);
        // The beginning of a Fisher-Yates shuffle: later steps do not touch it.
        let mut order: Vec<usize> = (0..n).collect();
        for i in 0..=position {
            order.swap(i, i + sample::index_below(&mut rng, n - i));
        }
        self.rows.get(order[position])
    }
}

impl<T: Families> Posterior<T> {
    /// Checks every row; keys are relative to the posterior's table, as in `uniform.3.0`.
    pub(crate) fn validate(&self) -> Result<(), Violation> {
        if self.rows.len() > MOST_ROWS {
            return Err(too_many(self.rows[0].family().name, self.rows.len()));
        }
        let (mut current, mut index) = ("", 0);
        for row in &self.rows {
            let family = row.family();
            index = if family.name == current { index + 1 } else { 0 };
            current = family.name;
            row.check_row().map_err(|violation| in_row(family, index, violation))?;
        }
        Ok(())
    }
}

/// A violation of row number `index` of a family: its place in the row instead of its key.
pub(crate) fn in_row(family: &Family, index: usize, violation: Violation) -> Violation {
    let position = family.row().iter().position(|key| key.name == violation.key);
    // Of a list the place within it: `values.2`.
    let within = violation.key.rsplit('.').next().unwrap_or_default().to_owned();
    let place = position.map_or(within, |i| i.to_string());
    Violation { key: format!("{}.{index}.{place}", family.name), ..violation }
}

/// More rows than a posterior may have.
pub(crate) fn too_many(family: &str, rows: usize) -> Violation {
    Violation::new(family, format!("{rows} rows are too many"), "at most 10,000 rows in all")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::error_rate::ErrorFamily;
    use crate::world::limiter::RateLimit;

    fn populations(n: u32) -> Posterior<ErrorFamily> {
        let row = |i| ErrorFamily::Uniform { low: 0.0, high: f64::from(i + 1) / f64::from(n) };
        (0..n).map(row).collect::<Vec<ErrorFamily>>().into()
    }

    #[test]
    fn every_pass_meets_every_row_once_in_an_order_of_its_own() {
        let (posterior, streams) = (populations(7), Streams::new(1));
        let pass = |number: u64, which| -> Vec<usize> {
            let draws = 7 * number..7 * (number + 1);
            let rows = draws.map(|draw| posterior.row(which, draw, &streams).unwrap());
            rows.map(|row| posterior.rows().iter().position(|r| r == row).unwrap()).collect()
        };
        let passes: Vec<Vec<usize>> = (0..4).map(|n| pass(n, Which::ErrorRate)).collect();
        for (n, order) in passes.iter().enumerate() {
            let mut met = order.clone();
            met.sort_unstable();
            assert_eq!(met, (0..7).collect::<Vec<usize>>());
            assert!(passes[n + 1..].iter().all(|other| other != order), "{passes:?}");
        }
        assert_ne!(pass(0, Which::RateLimit), passes[0], "the lists are shuffled independently");
    }

    /// 6,000 first draws of 6 rows: chi-square with 5 degrees of freedom below 25.7 (false alarm
    /// 1e-4), fixed seeds. Counts that favour one row by 18 % are caught.
    #[test]
    fn each_row_comes_first_equally_often() {
        let posterior = populations(6);
        let mut counts = [0_u32; 6];
        for seed in 0..6_000 {
            let row = posterior.row(Which::ErrorRate, 0, &Streams::new(seed)).unwrap();
            counts[posterior.rows().iter().position(|r| r == row).unwrap()] += 1;
        }
        let chi_square = |counts: [u32; 6]| -> f64 {
            counts.iter().map(|n| (f64::from(*n) - 1e3) * (f64::from(*n) - 1e3) / 1e3).sum()
        };
        assert!(chi_square(counts) < 25.7, "{counts:?}");
        assert!(chi_square([1100, 980, 980, 980, 980, 980]) < 25.7);
        assert!(chi_square([1180, 964, 964, 964, 964, 964]) > 25.7, "a planted bias is caught");
    }

    #[test]
    fn rows_of_a_family_stand_together_whatever_order_they_came_in() {
        let bucket = RateLimit::TokenBucket { per_second: 5.0, burst: 1.0 };
        let window = RateLimit::FixedWindow { limit: 3, window_s: 1.0, phase_s: None };
        let posterior: Posterior<RateLimit> = vec![bucket, RateLimit::None, window, bucket].into();
        assert_eq!(posterior.rows(), [window, RateLimit::None, bucket, bucket]);
    }

    #[test]
    fn what_a_file_cannot_say_is_refused() {
        let fixed: Posterior<_> = vec![ErrorFamily::Fixed { values: vec![0.1, 1.5] }].into();
        assert_eq!(fixed.validate().unwrap_err().key, "fixed.0.1");
        let limit = RateLimit::FixedWindow { limit: 3, window_s: 1.0, phase_s: Some(0.5) };
        let phase: Posterior<_> = vec![RateLimit::None, limit].into();
        assert_eq!(phase.validate().unwrap_err().key, "fixed_window.0.phase");
        let many: Posterior<_> = vec![RateLimit::None; MOST_ROWS + 1].into();
        assert_eq!(many.validate().unwrap_err().key, "none");
    }
}
