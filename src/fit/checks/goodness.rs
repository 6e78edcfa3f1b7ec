//! Does the population fit? Two checks that hold however the servers were chosen.
//!
//! Counts given the number of attempts are no use here: a strategy that drops bad servers makes
//! that number depend on the outcomes. What stays true is
//! - per server: a rate drawn from the posterior given its tally is, over servers, a draw from
//!   the population (the data-averaged posterior is the prior: Talts et al., arXiv:1804.06788).
//!   Sent through the population's distribution function these are randomised PIT values, and
//!   Kolmogorov-Smirnov tests their uniformity;
//! - per attempt: the predicted chance of failure given the server's past is right whoever chose
//!   it (Dawid, "Statistical theory: the prequential approach", JRSS A 147 (1984), 278-292).
//!   Failures are compared with predictions in bins of the prediction: too wide or too narrow a
//!   population shows as low bins that fail too rarely or too often.
//!
//! When not to use it: both p-values are conservative when the population was fitted to the same
//! attempts; servers with few attempts hardly move the first.

use crate::domain::{Purpose, Streams};
use crate::fit::error_rates::{Population, Tally};
use crate::stats::goodness::{ChiSquare, ks_p_value, ks_statistic};
use crate::stats::sample::uniform_open;
use crate::stats::special::chi_square_sf;

/// Bins of the predicted chance of failure, equally wide on \[0, 1\], before merging.
const BINS: usize = 10;
/// Bins are merged until the number of failures has at least this variance.
const LEAST_VARIANCE: f64 = 5.0;
/// Seed of the randomisation, a constant: a fit is a function of its traces.
const SEED: u64 = 0x600d;

/// The attempts of one start: server and whether it failed, in order of time.
pub(in crate::fit) type Outcomes = Vec<(usize, bool)>;

/// Predictions of one bin against what happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrationBin {
    /// Lowest predicted chance of failure in the bin.
    pub from: f64,
    /// Highest predicted chance of failure in the bin.
    pub to: f64,
    /// Attempts with such a prediction.
    pub attempts: u64,
    /// Failures predicted: the sum of the chances.
    pub expected_failures: f64,
    /// Failures that happened.
    pub failures: u64,
}

/// How well a population fits the servers.
#[derive(Debug, Clone, PartialEq)]
pub struct Goodness {
    /// Servers with at least one attempt, counted anew at each start.
    pub servers: usize,
    /// Kolmogorov's distance of the servers' randomised PIT from uniform.
    pub pit_ks_distance: f64,
    /// Its p-value.
    pub pit_ks_p_value: f64,
    /// Predictions against outcomes, by prediction.
    pub calibration: Vec<CalibrationBin>,
    /// Sum over bins of (failures - expected)^2 / variance, one degree of freedom a bin.
    pub calibration_test: ChiSquare,
    /// Mean over servers of failures / attempts: biased when servers were chosen by outcome, and
    /// compared with [`Population::mean`] to show it.
    pub raw_mean: f64,
}

/// Judges a population by the attempts of each start; `stream` tells configs apart.
pub(in crate::fit) fn judge(population: &Population, starts: &[Outcomes], stream: u16) -> Goodness {
    let mut rng = Streams::new(SEED).stream(Purpose::Analysis, stream, 0);
    let mut bins = [Bin::default(); BINS];
    let (mut pit, mut raw) = (Vec::new(), Vec::new());
    for outcomes in starts {
        let servers = outcomes.iter().map(|(server, _)| server + 1).max().unwrap_or(0);
        let mut tallies = vec![Tally::default(); servers];
        for (server, failed) in outcomes {
            let predicted = population.predictive_failure(tallies[*server]);
            bins[((predicted * BINS as f64) as usize).min(BINS - 1)].record(predicted, *failed);
            tallies[*server].record(*failed);
        }
        for tally in tallies.iter().filter(|t| t.attempts() > 0) {
            let rate = population.posterior_quantile(*tally, uniform_open(&mut rng));
            pit.push(population.cdf(rate));
            raw.push(tally.failures as f64 / tally.attempts() as f64);
        }
    }
    pit.sort_by(f64::total_cmp);
    let pit_ks_distance = ks_statistic(&pit);
    let bins = merged(&bins);
    let statistic: f64 = bins.iter().map(Bin::deviation).sum();
    let df = bins.len() as u64;
    let p_value = if df == 0 { 1.0 } else { chi_square_sf(statistic, df as f64) };
    Goodness {
        servers: pit.len(),
        pit_ks_distance,
        pit_ks_p_value: ks_p_value(pit_ks_distance, pit.len()),
        calibration: bins.iter().map(Bin::report).collect(),
        calibration_test: ChiSquare { statistic, df, p_value },
        raw_mean: raw.iter().sum::<f64>() / raw.len().max(1) as f64,
    }
}

#[derive(Debug, Clone, Copy)]
struct Bin {
    from: f64,
    to: f64,
    attempts: u64,
    expected: f64,
    variance: f64,
    failures: u64,
}

impl Default for Bin {
    fn default() -> Self {
        Self { from: 1.0, to: 0.0, attempts: 0, expected: 0.0, variance: 0.0, failures: 0 }
    }
}

impl Bin {
    fn record(&mut self, predicted: f64, failed: bool) {
        let bin = Self {
            from: predicted,
            to: predicted,
            attempts: 1,
            expected: predicted,
            variance: predicted * (1.0 - predicted),
            failures: u64::from(failed),
        };
        self.absorb(&bin);
    }

    fn absorb(&mut self, other: &Self) {
        self.from = self.from.min(other.from);
        self.to = self.to.max(other.to);
        self.attempts += other.attempts;
        self.expected += other.expected;
        self.variance += other.variance;
        self.failures += other.failures;
    }

    /// Squared z of the failures; merged bins have a variance above 0.
    fn deviation(&self) -> f64 {
        let off = self.failures as f64 - self.expected;
        off * off / self.variance
    }

    fn report(&self) -> CalibrationBin {
        CalibrationBin {
            from: self.from,
            to: self.to,
            attempts: self.attempts,
            expected_failures: self.expected,
            failures: self.failures,
        }
    }
}

/// Neighbours joined until each bin has the variance that the chi-square wants; what is left over
/// at the end joins the last one.
fn merged(bins: &[Bin]) -> Vec<Bin> {
    let mut done: Vec<Bin> = Vec::new();
    let mut open = Bin::default();
    for bin in bins {
        open.absorb(bin);
        if open.variance >= LEAST_VARIANCE {
            done.push(std::mem::take(&mut open));
        }
    }
    match done.last_mut() {
        Some(last) => last.absorb(&open),
        None if open.variance > 0.0 => done.push(open),
        None => {}
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::synthetic;

    /// The number of 150 data sets, made greedily from `truth`, in which `model` is rejected at
    /// 5 %: by servers, by attempts.
    fn rejected(truth: Population, model: Population) -> (usize, usize) {
        let mut count = (0, 0);
        for seed in 0..150 {
            let starts: Vec<Outcomes> =
                (0..4).map(|k| synthetic::start(&truth, 250, seed * 4 + k)).collect();
            let goodness = judge(&model, &starts, 0);
            count.0 += usize::from(goodness.pit_ks_p_value < 0.05);
            count.1 += usize::from(goodness.calibration_test.p_value < 0.05);
        }
        count
    }

    /// Under the truth a test at 5 % rejects 7.5 of 150 on average, and with probability 0.999 at
    /// most 17 (binomial); a wrong population must be rejected much more often than that.
    #[test]
    fn the_truth_is_rejected_no_more_often_than_promised_and_errors_are_caught() {
        let truth = Population::Uniform { low: 0.02, high: 0.75 };
        let (servers, attempts) = rejected(truth, truth);
        assert!(servers <= 17 && attempts <= 17, "{servers} {attempts}");
        // Swapped success and failure.
        let swapped = Population::Uniform { low: 0.25, high: 0.98 };
        let (servers, attempts) = rejected(truth, swapped);
        assert!(servers > 125 && attempts > 125, "{servers} {attempts}");
        // The right mean but far too narrow: dispersion.
        let narrow = Population::Uniform { low: 0.33, high: 0.43 };
        let (servers, attempts) = rejected(truth, narrow);
        assert!(servers.max(attempts) > 125, "{servers} {attempts}");
    }

    #[test]
    fn no_attempts_are_no_obstacle() {
        let goodness = judge(&Population::FLAT, &[Vec::new()], 0);
        assert_eq!((goodness.servers, goodness.calibration_test.df), (0, 0));
        assert_eq!(goodness.pit_ks_p_value, 1.0);
    }
}
