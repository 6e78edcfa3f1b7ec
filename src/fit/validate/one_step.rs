//! One step ahead: the chance that each attempt fails, given the recorded choice of server and
//! all that happened earlier.
//!
//! Given everything before, these chances are right or wrong whoever chose the servers (Dawid,
//! "Statistical theory: the prequential approach", JRSS A 147 (1984), 278-292). Draws of the rate
//! limit, placements of the run and phases of limiters are weighted by how well they foretold the
//! run so far (Bayesian model averaging); a success proves that an attempt was accepted.
//!
//! When not to use it: to predict whole runs; there the choices are part of the prediction.

use std::collections::BTreeMap;

use crate::rates::Tally;
use crate::validate::slope::{Slope, slope};
use crate::validate::training::{Belief, CLOCK_SLIP, Membership, Rates, limiters, since_start};
use flakelab_core::domain::{Outcome, Timestamp};
use flakelab_core::stats::{Bin, Calibration, ChiSquare, Interval, Moments, log_sum_exp};
use flakelab_sim::trace::Recording;
use flakelab_sim::world::Limiter;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Predicted {
    /// The chance that each attempt that was not learned from does not succeed.
    pub(crate) failure: Vec<f64>,
    /// What is known of the run's neighbours before it, and after it.
    pub(crate) membership: [Membership; 2],
}

/// A draw of the limit, with the state of its limiters.
struct Particle {
    log_weight: f64,
    limited: bool,
    /// By server and phase.
    limiters: Vec<Vec<Limiter>>,
    placements: Vec<Placement>,
}

/// A placement of the run, with what the run has shown since.
struct Placement {
    log_weight: f64,
    with_neighbours: (bool, bool),
    /// By server and phase: `ln` weight of the phase, and the server's accepted attempts.
    servers: Vec<Vec<(f64, Tally)>>,
}

/// Predictive chances already computed; particles share most of them.
struct Predictive<'a> {
    rates: &'a Rates,
    known: BTreeMap<(usize, u64, u64), f64>,
}

impl Predictive<'_> {
    fn failure(&mut self, server: usize, tally: Tally) -> f64 {
        let alike = if matches!(self.rates, Rates::Known(_)) { server } else { 0 };
        let key = (alike, tally.failures, tally.successes);
        let rates = self.rates;
        *self.known.entry(key).or_insert_with(|| rates.predictive_failure(server, tally))
    }
}

/// Predicts every attempt of a run but the first `learned`. Draws of the limit come from these
/// already and are not weighted by them again.
pub(crate) fn predict(
    run: &Recording,
    learned: usize,
    beliefs: &[Belief],
    rates: &Rates,
) -> Predicted {
    let mut particles: Vec<Particle> = beliefs.iter().map(|b| particle(run, b)).collect();
    let mut predictive = Predictive { rates, known: BTreeMap::new() };
    let before = membership(&particles);
    let failure: Vec<f64> = run
        .attempts
        .iter()
        .enumerate()
        .map(|(number, attempt)| {
            let server = usize::from(attempt.server);
            let now = since_start(run, attempt);
            let steps: Vec<(f64, f64)> = particles
                .iter_mut()
                .map(|p| p.step(server, now, attempt.outcome, run.tells_refusals, &mut predictive))
                .collect();
            let weights = normalised(particles.iter().map(|p| p.log_weight));
            if number >= learned {
                for (particle, (_, log_likelihood)) in particles.iter_mut().zip(&steps) {
                    particle.log_weight += log_likelihood;
                }
            }
            weights.iter().zip(&steps).map(|(w, (p, _))| w * p).sum::<f64>().clamp(0.0, 1.0)
        })
        .skip(learned)
        .collect();
    Predicted { failure, membership: [before, membership(&particles)] }
}

fn particle(run: &Recording, belief: &Belief) -> Particle {
    let of_server = limiters(&belief.limit);
    let phases = of_server.len();
    let servers = run.group.servers.len();
    let placements = belief
        .hypotheses
        .iter()
        .map(|h| Placement {
            log_weight: h.log_weight,
            with_neighbours: h.with_neighbours(),
            servers: h.tallies.iter().map(|tally| vec![(0.0, *tally); phases]).collect(),
        })
        .collect();
    let limited = !belief.limit.is_none();
    Particle { log_weight: 0.0, limited, limiters: vec![of_server; servers], placements }
}

impl Particle {
    /// Predicts an attempt, then takes in how it ended: the chance of no success, and `ln` of the
    /// chance of what happened.
    fn step(
        &mut self,
        server: usize,
        now: Timestamp,
        outcome: Outcome,
        tells_refusals: bool,
        predictive: &mut Predictive<'_>,
    ) -> (f64, f64) {
        let refused: Vec<bool> =
            self.limiters[server].iter_mut().map(|limiter| !limiter.accept(now)).collect();
        let weights = normalised(self.placements.iter().map(|p| p.log_weight));
        let mut no_success = 0.0;
        let mut log_likelihoods = Vec::with_capacity(weights.len());
        for (placement, weight) in self.placements.iter_mut().zip(&weights) {
            let phases = &mut placement.servers[server];
            let phase_weights = normalised(phases.iter().map(|(w, _)| *w));
            let mut likelihood = 0.0;
            for (((log_weight, tally), refused), share) in
                phases.iter_mut().zip(&refused).zip(&phase_weights)
            {
                let error = predictive.failure(server, *tally);
                let refusal = match (self.limited, refused) {
                    (false, _) => 0.0,
                    (true, true) => 1.0 - CLOCK_SLIP,
                    (true, false) if tells_refusals => CLOCK_SLIP,
                    // Where refusals are not told, a slip of this kind looks like an error.
                    (true, false) => 0.0,
                };
                no_success += weight * share * (refusal + (1.0 - refusal) * error);
                let accepted = 1.0 - refusal;
                let of_outcome = match outcome {
                    Outcome::Success => accepted * (1.0 - error),
                    Outcome::RateLimited => refusal.max(CLOCK_SLIP * CLOCK_SLIP),
                    Outcome::Failure | Outcome::TimedOut if tells_refusals => accepted * error,
                    Outcome::Failure | Outcome::TimedOut => refusal + accepted * error,
                };
                likelihood += share * of_outcome;
                *log_weight += libm::log(of_outcome.max(f64::MIN_POSITIVE));
                let failed = outcome != Outcome::Success;
                let was_refused =
                    outcome == Outcome::RateLimited || failed && *refused && !tells_refusals;
                if !was_refused {
                    tally.record(failed);
                }
            }
            log_likelihoods.push(libm::log(likelihood.max(f64::MIN_POSITIVE)));
        }
        let before: Vec<f64> = weights.iter().map(|w| libm::log(*w)).collect();
        let joint: Vec<f64> = before.iter().zip(&log_likelihoods).map(|(w, l)| w + l).collect();
        for (placement, log_weight) in self.placements.iter_mut().zip(&joint) {
            placement.log_weight = *log_weight;
        }
        (no_success, log_sum_exp(&joint))
    }
}

/// Probabilities from their logarithms, up to a constant.
fn normalised(log_weights: impl Iterator<Item = f64>) -> Vec<f64> {
    let log_weights: Vec<f64> = log_weights.collect();
    let total = log_sum_exp(&log_weights);
    log_weights.into_iter().map(|w| libm::exp(w - total)).collect()
}

fn membership(particles: &[Particle]) -> Membership {
    let mut found = Membership::default();
    let of_particles = normalised(particles.iter().map(|p| p.log_weight));
    for (particle, weight) in particles.iter().zip(of_particles) {
        let of_placements = normalised(particle.placements.iter().map(|p| p.log_weight));
        for (placement, share) in particle.placements.iter().zip(of_placements) {
            found.add(placement.with_neighbours, weight * share);
        }
    }
    found
}

// ---- One-step predictions against outcomes: calibration in bins, scores, and simpler rivals.
//
// A prediction p of a failure is calibrated when such attempts fail in a share p of cases; it is
// sharp when it says more than the overall rate. The logarithmic and the Brier score reward both
// and cannot be gamed (Gneiting and Raftery, JASA 102 (2007), 359-378).
//
// The curve and the scores are of the predictions from all other runs. The test is not: runs of
// one start that predict each other leave residuals that depend on one another, and their sum has
// not the variance of a sum of coins. (Six made runs of one start that satisfy the model: p below
// 0.05 in 24 % of 1,000 data sets, below 0.01 in 12 %; each run predicted alone, 32 % and 18 %.)
// Predicted from earlier runs only, every residual has mean 0 given all before it: the residuals
// are martingale differences, uncorrelated, and their variances add (Dawid, "Statistical theory:
// the prequential approach", JRSS A 147 (1984), 278-292; Seillier-Moiseiwitsch and Dawid, JASA 88
// (1993), 355-359). There p was below 0.05 in 8 %, below 0.01 in 2 %: the chi-square distribution
// is an approximation.
//
// Only the evidence of the run's own start is confined in this way. Population, limits and the
// share of restarts still come from all other runs, later ones too, and are taken for given. A
// wrong share costs: restarts believed in half of the gaps where there were none, 13 % and 5 %.

/// Neighbouring bins are merged for the test until the number of failures has this variance.
const LEAST_VARIANCE: f64 = 3.0;

/// Predictions are moved this far from 0 and 1 before their logarithm is taken.
const LEAST_CHANCE: f64 = 1e-6;

/// Probability of the intervals.
const CONFIDENCE: f64 = 0.95;

/// Mean scores of one way to predict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scores {
    /// Mean of -ln of the chance given to what happened, in nats an attempt; less is better.
    pub log_score: f64,
    /// Mean squared error of the chance of failure; less is better.
    pub brier: f64,
}

/// How much better the model's log score is than a rival's, per attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Mean over attempts: above 0, the model is better.
    pub mean: f64,
    /// 95 % interval, attempts taken as independent.
    pub over_attempts: Interval,
    /// 95 % interval of the mean over runs, runs taken as independent; `None` for one run.
    pub over_runs: Option<Interval>,
}

/// A simpler way to predict. Raw rates are (failures + 1) / (attempts + 2) of the same server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rival {
    /// The same with rates drawn anew at the half, when the second half is predicted.
    NewRates,
    /// Raw rates in this run so far.
    ThisRun,
    /// Raw rates in this run so far and in the other runs that more probably than not met the
    /// same start, as judged before this run's outcomes.
    SameStart,
    /// Raw rates in this run so far and in the other runs of the group on the same day.
    SameDay,
    /// One rate for all servers: that of the group's other runs, or the model's mean.
    OneRate,
}

/// A rival, and the model compared with it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AgainstRival {
    /// Who.
    pub rival: Rival,
    /// Its scores.
    pub scores: Scores,
    /// The model against it.
    pub difference: Difference,
}

/// All one-step predictions against outcomes.
#[derive(Debug, Clone, PartialEq)]
pub struct OneStep {
    /// Attempts.
    pub attempts: u64,
    /// Failures, refusals included.
    pub failures: u64,
    /// Calibration curve; bins without attempts are there too.
    pub bins: Vec<Bin>,
    /// Sum of squared z over merged bins, each run predicted with only the earlier runs of its
    /// group as evidence of its start.
    pub test: ChiSquare,
    /// Its p-value, adjusted by Holm over all tests of a validation.
    pub adjusted_p_value: f64,
    /// Whether servers differ as much as predicted, by the same predictions; `None` where the runs do
    /// not tell.
    pub slope: Option<Slope>,
    /// Scores of the model.
    pub model: Scores,
    /// Scores of the predictions that are tested.
    pub tested: Scores,
    /// Simpler ways to predict.
    pub rivals: Vec<AgainstRival>,
}

impl OneStep {
    /// p-value of the model against one rival: how much less probable what happened is by the model,
    /// at most 1. If the model is right it is below x with a probability of at most x, whoever chose
    /// the servers, since the ratio has mean 1 (Vovk and Wang, "E-values: calibration, combination and
    /// applications", Ann. Statist. 49 (2021), 1736-1754).
    pub fn p_value_against(&self, against: &AgainstRival) -> f64 {
        libm::exp(against.difference.mean * self.attempts as f64).min(1.0)
    }
}

/// Predictions of one run by the model and its rivals, with what happened.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Judged {
    pub(crate) failed: Vec<bool>,
    /// By the model, with all the evidence of the run's start that the validation allows.
    pub(crate) model: Vec<f64>,
    /// By the model, with only the group's earlier runs as evidence of the start.
    pub(crate) tested: Vec<f64>,
    /// The same rivals in every run.
    pub(crate) rivals: Vec<(Rival, Vec<f64>)>,
}

/// `-ln` of the chance given to what happened.
fn log_score(chance: f64, failed: bool) -> f64 {
    let chance = chance.clamp(LEAST_CHANCE, 1.0 - LEAST_CHANCE);
    -libm::log(if failed { chance } else { 1.0 - chance })
}

/// Compares all runs' predictions with their outcomes.
pub(crate) fn judge(runs: &[&Judged]) -> OneStep {
    let Calibration { bins } = curve(runs, |run| &run.model);
    let test = curve(runs, |run| &run.tested).test(LEAST_VARIANCE);
    let rivals = runs.first().map_or(&[][..], |run| &run.rivals).iter().enumerate();
    let against = |(i, (rival, _)): (usize, &(Rival, Vec<f64>))| AgainstRival {
        rival: *rival,
        scores: scores(runs, |run| &run.rivals[i].1),
        difference: difference(runs, |run| &run.rivals[i].1),
    };
    OneStep {
        attempts: bins.iter().map(|bin| bin.attempts).sum(),
        failures: bins.iter().map(|bin| bin.observed).sum(),
        bins,
        test,
        adjusted_p_value: test.p_value,
        slope: slope(runs.iter().map(|run| (run.tested.as_slice(), run.failed.as_slice()))),
        model: scores(runs, |run| &run.model),
        tested: scores(runs, |run| &run.tested),
        rivals: rivals.map(against).collect(),
    }
}

fn curve(runs: &[&Judged], of: impl Fn(&Judged) -> &Vec<f64>) -> Calibration {
    let mut curve = Calibration::default();
    for run in runs {
        for (chance, failed) in of(run).iter().zip(&run.failed) {
            curve.record(*chance, *failed);
        }
    }
    curve
}

fn scores(runs: &[&Judged], of: impl Fn(&Judged) -> &Vec<f64>) -> Scores {
    let (mut logs, mut squares) = (Moments::default(), Moments::default());
    for run in runs {
        for (chance, failed) in of(run).iter().zip(&run.failed) {
            logs.push(log_score(*chance, *failed));
            let off = chance - f64::from(u8::from(*failed));
            squares.push(off * off);
        }
    }
    Scores { log_score: logs.mean(), brier: squares.mean() }
}

fn difference(runs: &[&Judged], rival: impl Fn(&Judged) -> &Vec<f64>) -> Difference {
    let (mut of_attempts, mut of_runs) = (Moments::default(), Moments::default());
    for run in runs {
        let mut of_run = Moments::default();
        for ((chance, other), failed) in run.model.iter().zip(rival(run)).zip(&run.failed) {
            of_run.push(log_score(*other, *failed) - log_score(*chance, *failed));
        }
        of_attempts.merge(&of_run);
        if of_run.count() > 0 {
            of_runs.push(of_run.mean());
        }
    }
    Difference {
        mean: of_attempts.mean(),
        over_attempts: of_attempts.mean_interval(CONFIDENCE),
        over_runs: (of_runs.count() > 1).then(|| of_runs.mean_interval(CONFIDENCE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fair_coin_costs_ln_two_and_a_certain_error_stays_finite() {
        assert!((log_score(0.5, true) - 2.0_f64.ln()).abs() < 1e-15);
        assert!(log_score(0.0, true) < 14.0);
    }

    #[test]
    fn bins_count_what_was_expected_and_what_came() {
        let run = Judged {
            failed: vec![true, false, true, true],
            model: vec![0.25, 0.25, 0.95, 1.0],
            tested: vec![0.75; 4],
            rivals: vec![(Rival::OneRate, vec![0.5; 4])],
        };
        let found = judge(&[&run]);
        assert_eq!((found.attempts, found.failures), (4, 3));
        assert_eq!((found.bins[2].attempts, found.bins[2].observed), (2, 1));
        assert!((found.bins[2].z() - 0.5 / 0.375_f64.sqrt()).abs() < 1e-12);
        assert_eq!(found.bins[9].attempts, 2, "certainty belongs to the last bin");
        let difference = found.rivals[0].difference;
        assert!(difference.mean > 0.0 && difference.over_runs.is_none());
        assert_eq!(found.test.statistic, 0.0, "three of four, as the tested predictions say");
    }
}
