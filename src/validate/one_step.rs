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

use super::beliefs::{Belief, CLOCK_SLIP, limiters, since_start};
use super::{Membership, Rates};
use crate::domain::Outcome;
use crate::fit::Tally;
use crate::stats::special::log_sum_exp;
use crate::trace::Recording;
use crate::world::Limiter;

/// Predictions of one run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Predicted {
    /// The chance that each attempt does not succeed.
    pub(super) failure: Vec<f64>,
    /// What is known of the run's neighbours before it, and after it.
    pub(super) membership: [Membership; 2],
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

/// Predicts every attempt of a run.
pub(super) fn predict(run: &Recording, beliefs: &[Belief], rates: &Rates) -> Predicted {
    let mut particles: Vec<Particle> = beliefs.iter().map(|b| particle(run, b)).collect();
    let mut predictive = Predictive { rates, known: BTreeMap::new() };
    let before = membership(&particles);
    let failure = run
        .attempts
        .iter()
        .map(|attempt| {
            let server = usize::from(attempt.server);
            let now = since_start(run, attempt);
            let steps: Vec<(f64, f64)> = particles
                .iter_mut()
                .map(|p| p.step(server, now, attempt.outcome, run.tells_refusals, &mut predictive))
                .collect();
            let weights = normalised(particles.iter().map(|p| p.log_weight));
            for (particle, (_, log_likelihood)) in particles.iter_mut().zip(&steps) {
                particle.log_weight += log_likelihood;
            }
            weights.iter().zip(&steps).map(|(w, (p, _))| w * p).sum::<f64>().clamp(0.0, 1.0)
        })
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
        now: crate::domain::Timestamp,
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
