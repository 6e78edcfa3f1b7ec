//! Does the population fit? Two checks that hold however the servers were chosen, and a familiar one.
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

use std::collections::BTreeMap;

use crate::checks::history::walk;
use crate::checks::residuals::LEAST_VARIANCE;
use crate::rates::{RatePrior, Tally};
use crate::runs::Start;
use flakelab_core::domain::{Purpose, Streams};
use flakelab_core::stats::{
    Calibration, ChiSquare, chi_square_homogeneity, chi_square_sf, ks_p_value, ks_statistic,
    uniform_open,
};

/// Seed of the randomisation, a constant: a fit is a function of its traces.
const SEED: u64 = 0x600d;

/// How well a population fits the servers.
#[derive(Debug, Clone, PartialEq)]
pub struct Goodness {
    /// Servers with at least one attempt, counted anew at each start.
    pub servers: usize,
    /// Kolmogorov's distance of the servers' randomised PIT from uniform.
    pub pit_ks_distance: f64,
    /// Its p-value.
    pub pit_ks_p_value: f64,
    /// Failures against predictions, in bins of the prediction.
    pub calibration_test: ChiSquare,
    /// Mean over servers of failures / attempts: biased when servers were chosen by outcome, and
    /// compared with the population's mean to show it.
    pub raw_mean: f64,
}

/// Judges a population of error rates by the coins of each start; `refused` as for
/// [`assumptions`](crate::assumptions), `stream` tells configs apart.
pub fn goodness(
    starts: &[Start<'_>],
    refused: &[Vec<bool>],
    prior: &RatePrior,
    stream: u16,
) -> Goodness {
    let mut calibration = Calibration::default();
    // By start and server.
    let mut tallies: BTreeMap<(usize, usize), Tally> = BTreeMap::new();
    walk(starts, refused, prior, |coin, _| {
        calibration.record(coin.predicted, coin.failed);
        tallies.entry((coin.start, coin.server)).or_default().record(coin.failed);
    });
    let mut rng = Streams::new(SEED).stream(Purpose::Analysis, stream, 0);
    let (mut pit, mut raw) = (Vec::new(), Vec::new());
    for tally in tallies.values() {
        let rate = prior.posterior_quantile(*tally, uniform_open(&mut rng));
        pit.push(prior.posterior_cdf(Tally::default(), rate));
        raw.push(tally.failures as f64 / tally.attempts() as f64);
    }
    pit.sort_by(f64::total_cmp);
    let pit_ks_distance = ks_statistic(&pit);
    Goodness {
        servers: pit.len(),
        pit_ks_distance,
        pit_ks_p_value: ks_p_value(pit_ks_distance, pit.len()),
        calibration_test: calibration.test(LEAST_VARIANCE),
        raw_mean: raw.iter().sum::<f64>() / raw.len().max(1) as f64,
    }
}

// ---- Do runs share one error rate per server? Pearson's chi-square, summed over servers.
//
// Beside the Bayes factors of `starts` because everybody knows it: pooled over runs of several
// starts it is large, within a start it is near its degrees of freedom. Servers with few attempts,
// or chosen by their own outcomes, follow the distribution only roughly.

/// A chi-square of homogeneity over some runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Homogeneity {
    /// Which runs: `all runs`, `runs of 2026-01-20` or `start 3`.
    pub scope: String,
    /// Summed over servers: statistic, degrees of freedom, p-value.
    pub test: ChiSquare,
}

/// The test that every server has one error rate in all of these runs.
pub(crate) fn homogeneity(scope: String, runs: &[&[Tally]]) -> Homogeneity {
    let servers = runs.iter().map(|run| run.len()).max().unwrap_or(0);
    let (mut statistic, mut df) = (0.0, 0);
    for server in 0..servers {
        let groups: Vec<(u64, u64)> = runs
            .iter()
            .filter_map(|run| run.get(server))
            .map(|tally| (tally.successes, tally.attempts()))
            .collect();
        let test = chi_square_homogeneity(&groups);
        statistic += test.statistic;
        df += test.df;
    }
    let p_value = if df == 0 { 1.0 } else { chi_square_sf(statistic, df as f64) };
    Homogeneity { scope, test: ChiSquare { statistic, df, p_value } }
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;
    use crate::synthetic::{self, Outcomes, observed, tally};
    use flakelab_sim::trace::Observed;
    use flakelab_sim::world::ErrorFamily;

    #[test]
    fn the_statistic_is_the_sum_over_servers_that_were_tried_twice() {
        let (a, b) =
            ([tally(70, 30), tally(2, 2), tally(0, 0)], [tally(55, 45), tally(0, 0), tally(0, 0)]);
        let found = homogeneity("all runs".to_owned(), &[&a, &b]);
        let first = chi_square_homogeneity(&[(30, 100), (45, 100)]);
        assert_eq!(found.test, first);
        assert_eq!(found.test.df, 1);
    }

    fn judge(prior: &RatePrior, starts: &[Outcomes]) -> Goodness {
        let attempts: Vec<Vec<Observed>> = starts.iter().map(|start| observed(start)).collect();
        let refused: Vec<Vec<bool>> = starts.iter().map(|start| vec![false; start.len()]).collect();
        let starts: Vec<Start<'_>> =
            attempts.iter().map(|attempts| Start { stretches: vec![attempts] }).collect();
        goodness(&starts, &refused, prior, 0)
    }

    /// The number of 150 data sets, made greedily from `truth`, in which `model` is rejected at
    /// 5 %: by servers, by attempts.
    fn rejected(truth: &ErrorFamily, model: &ErrorFamily) -> (usize, usize) {
        let prior = RatePrior::of(model);
        let judged = |seed: u64| {
            let start = |k: u64| synthetic::attempts(&synthetic::rates(truth, k), 250, k);
            let starts: Vec<Outcomes> = (0..4).map(|k| start(seed * 4 + k)).collect();
            let goodness = judge(&prior, &starts);
            [goodness.pit_ks_p_value < 0.05, goodness.calibration_test.p_value < 0.05]
        };
        let judged: Vec<[bool; 2]> = (0..150).into_par_iter().map(judged).collect();
        let count = |i: usize| judged.iter().filter(|rejected| rejected[i]).count();
        (count(0), count(1))
    }

    /// Under the truth a test at 5 % rejects 7.5 of 150 on average, and with probability 0.999 at
    /// most 17 (binomial); a wrong population must be rejected much more often than that.
    #[test]
    fn the_truth_is_rejected_no_more_often_than_promised_and_errors_are_caught() {
        let truth = ErrorFamily::Uniform { low: 0.02, high: 0.75 };
        let (servers, attempts) = rejected(&truth, &truth);
        assert!(servers <= 17 && attempts <= 17, "{servers} {attempts}");
        // Swapped success and failure.
        let swapped = ErrorFamily::Uniform { low: 0.25, high: 0.98 };
        let (servers, attempts) = rejected(&truth, &swapped);
        assert!(servers > 125 && attempts > 125, "{servers} {attempts}");
        // The right mean but far too narrow: dispersion.
        let narrow = ErrorFamily::Uniform { low: 0.33, high: 0.43 };
        let (servers, attempts) = rejected(&truth, &narrow);
        assert!(servers.max(attempts) > 125, "{servers} {attempts}");
    }

    #[test]
    fn no_attempts_are_no_obstacle() {
        let goodness = judge(&RatePrior::flat(), &[Vec::new()]);
        assert_eq!((goodness.servers, goodness.calibration_test.df), (0, 0));
        assert_eq!(goodness.pit_ks_p_value, 1.0);
    }
}
