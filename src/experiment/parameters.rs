//! What the traces leave open about the servers, and what it does to the scores.
//!
//! Replications that share a draw of the parameters form a group; the spread of the groups'
//! true means is the spread of the true mean score over the posterior
//! ([`VarianceComponents`]). It does not shrink with more replications: only more traces
//! make it smaller. Replications do sharpen the estimate of it, which is as uncertain as any
//! estimate: a spread that cannot be told from none is not the same as none.

use serde::Serialize;

use crate::stats::Interval;
use crate::stats::variance_components::VarianceComponents;
use crate::world::{Model, REPLICATIONS_PER_DRAW};

/// The normal quantile of two-sided 95 % intervals.
const Z_95: f64 = 1.959_963_984_540_054;

/// The normal quantile of 0.95, for limits that hold with 95 % each.
const Z_95_ONE_SIDED: f64 = 1.644_853_626_951_472_7;

/// A spread between fewer draws is hardly known: the relative standard error of a variance is at
/// least sqrt(2 / draws), 28 % here.
const FEWEST_DRAWS: u64 = 25;

/// Where the parameters of the servers came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameters {
    /// Drawn from the model's posterior for every few replications.
    Drawn,
    /// Drawn from the model's posterior once, because its servers are drawn once.
    DrawnOnce,
    /// The model's point values; its posterior was not asked for.
    Off,
    /// The model's point values; it has no posterior.
    NoPosterior,
}

impl Parameters {
    /// Where a sweep gets the parameters of a model from.
    pub fn of(model: &Model, parameter_uncertainty: bool) -> Self {
        match parameter_uncertainty {
            _ if !model.has_posterior() => Self::NoPosterior,
            false => Self::Off,
            true if model.draws_parameters() => Self::Drawn,
            true => Self::DrawnOnce,
        }
    }
}

/// Standard deviation of a true mean over the posterior.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ParameterSd {
    /// The estimate; 0 where the estimated variance is negative.
    pub sd: f64,
    /// It is higher with 95 %; 0 means that it cannot be told from none.
    pub low: f64,
    /// It is lower with 95 %.
    pub high: f64,
}

/// Spread of scores between draws of the parameters, for every contender and every pair.
#[derive(Debug)]
pub(super) struct ParameterSpread {
    scores: Vec<VarianceComponents>,
    /// Of the differences of contenders i < j, row by row: (0, 1), (0, 2), ..., (1, 2), ...
    differences: Vec<VarianceComponents>,
}

impl ParameterSpread {
    pub(super) fn new(contenders: usize) -> Self {
        let pairs = contenders * contenders.saturating_sub(1) / 2;
        Self {
            scores: vec![VarianceComponents::new(REPLICATIONS_PER_DRAW); contenders],
            differences: vec![VarianceComponents::new(REPLICATIONS_PER_DRAW); pairs],
        }
    }

    /// Takes in the scores of all contenders in the next replication, from the first on.
    pub(super) fn push(&mut self, scores: &[f64]) {
        self.scores.iter_mut().zip(scores).for_each(|(sums, score)| sums.push(*score));
        let pairs =
            scores.iter().enumerate().flat_map(|(i, a)| scores[i + 1..].iter().map(move |b| a - b));
        self.differences.iter_mut().zip(pairs).for_each(|(sums, d)| sums.push(d));
    }

    /// Standard deviation of a contender's true mean score over the posterior.
    pub(super) fn score_sd(&self, i: usize) -> Option<ParameterSd> {
        sd(&self.scores[i])
    }

    /// Standard deviation of the true difference of two contenders over the posterior.
    pub(super) fn difference_sd(&self, i: usize, j: usize) -> Option<ParameterSd> {
        let (i, j) = (i.min(j), i.max(j));
        if i == j {
            let none = ParameterSd { sd: 0.0, low: 0.0, high: 0.0 };
            return self.score_sd(i).map(|_| none);
        }
        let before = i * (2 * self.scores.len() - i - 1) / 2;
        sd(&self.differences[before + j - i - 1])
    }
}

/// The standard deviation between draws; none if there are too few of them to tell.
fn sd(components: &VarianceComponents) -> Option<ParameterSd> {
    let between = components.between().filter(|_| components.groups() >= FEWEST_DRAWS)?;
    // No variance is negative: an estimate that is must not lower the upper limit.
    let (variance, error) = (between.variance.max(0.0), Z_95_ONE_SIDED * between.std_error);
    let low = (variance - error).max(0.0).sqrt();
    Some(ParameterSd { sd: variance.sqrt(), low, high: (variance + error).sqrt() })
}

/// Where the true difference lies with 95 %, given a mean difference, its Monte-Carlo standard
/// error and its standard deviation over the posterior.
pub(super) fn interval(delta: f64, std_error: f64, parameter_sd: f64) -> Interval {
    let sd = (parameter_sd * parameter_sd + std_error * std_error).sqrt();
    Interval::around(delta, Z_95 * sd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_has_a_spread_of_its_own() {
        let mut spread = ParameterSpread::new(4);
        for replication in 0..160_u64 {
            let noise = (replication % 2) as f64;
            let draw = ((replication / REPLICATIONS_PER_DRAW) % 2) as f64;
            let scores = [0.0, 1.0, 2.0, 4.0].map(|effect| effect * draw + noise);
            spread.push(&scores);
        }
        // Forty draws, half of them 0, half 1: sample variance 10 / 39 of the effect's square.
        let sd = (10.0_f64 / 39.0).sqrt();
        for (i, a) in [0.0, 1.0, 2.0, 4.0_f64].into_iter().enumerate() {
            for (j, b) in [0.0, 1.0, 2.0, 4.0_f64].into_iter().enumerate() {
                let got = spread.difference_sd(i, j).unwrap();
                assert!((got.sd - sd * (a - b).abs()).abs() < 1e-12, "{i} {j}: {got:?}");
                assert!(got.low <= got.sd && got.sd <= got.high, "{got:?}");
            }
        }
        // No draw changes the first one's score; its noise must not be taken for that.
        let first = spread.score_sd(0).unwrap();
        assert_eq!((first.sd, first.low), (0.0, 0.0));
        assert_eq!(first.high, 0.0, "all groups have the same noise");
        // The noise within groups is taken off: 1/3 within, over groups of 4.
        let expected = (16.0 * sd * sd - 1.0 / 12.0).sqrt();
        assert!((spread.score_sd(3).unwrap().sd - expected).abs() < 1e-12);
    }
}
