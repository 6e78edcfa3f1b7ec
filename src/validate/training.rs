//! What a fit of the other runs hands over: all that predictions need of it.
//!
//! When not to use it: to describe a fit to people; that is the fit's own report.

use crate::fit::{RatePrior, Tally};
use crate::world::{ErrorFamily, Latency, Model, RateLimit};

/// Gaps nearer in time than this to the one in question tell how often restarts happen there:
/// whoever records in one sitting treats the servers alike.
const SITTING_S: f64 = 3600.0;

/// What is known of servers before a run: learned from other runs, or taken from a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// Error rates.
    pub rates: Rates,
    /// Draws from what is known of the rate limit, each as likely as any other; at least one
    /// (`RateLimit::None` where there is no limit).
    pub limits: Vec<RateLimit>,
    /// Latency of attempts.
    pub latency: Latency,
    /// The gaps between neighbouring runs of each group, with the probability of a restart in
    /// each. They tell how probable a restart beside the run in question is.
    pub gaps: Vec<Gap>,
}

/// What is known of error rates.
#[derive(Debug, Clone, PartialEq)]
pub enum Rates {
    /// Drawn anew for each start of the servers.
    Drawn {
        /// A server's rate before it is seen, averaged over what is known of the population.
        prior: RatePrior,
        /// Draws from what is known of the population, each as likely as any other. The servers
        /// of one start share a population, which an average forgets. Empty: `prior` alone.
        populations: Vec<RatePrior>,
    },
    /// Known, one a server, the same at every start.
    Known(Vec<f64>),
}

/// The time between two neighbouring runs of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gap {
    /// When the earlier run began: Unix time in seconds.
    pub from_s: f64,
    /// When the later run began.
    pub to_s: f64,
    /// Probability that the servers were started anew between them.
    pub restart_probability: f64,
}

impl Training {
    /// A model as it stands: nothing is learned from recordings.
    #[must_use]
    pub fn of_model(model: &Model) -> Self {
        let rows = model.error_rate.posterior.rows();
        let families =
            if rows.is_empty() { std::slice::from_ref(&model.error_rate.family) } else { rows };
        let rates = match &model.error_rate.family {
            ErrorFamily::Uniform { low, high } if low == high && rows.is_empty() => {
                Rates::Known(vec![*low; model.servers()])
            }
            ErrorFamily::Fixed { values } => Rates::Known(values.clone()),
            _ => {
                let weighted: Vec<(ErrorFamily, f64)> =
                    families.iter().map(|family| (family.clone(), 1.0)).collect();
                Rates::Drawn {
                    prior: RatePrior::average(&weighted),
                    populations: families.iter().map(RatePrior::of).collect(),
                }
            }
        };
        let limits = model.rate_limit_posterior.rows();
        let limits = if limits.is_empty() { vec![model.rate_limit] } else { limits.to_vec() };
        Self { rates, limits, latency: model.latency.clone(), gaps: Vec::new() }
    }

    /// Probability that the servers were started anew between runs that began at these times,
    /// by Laplace's rule among the gaps within an hour of them; a gap longer than that is
    /// compared with the other long ones. A gap that `left_out_s` lies in is left out.
    pub(super) fn restart_probability(&self, from_s: f64, to_s: f64, left_out_s: f64) -> f64 {
        let long = |from: f64, to: f64| to - from > SITTING_S;
        let near = |gap: &&Gap| {
            !(gap.from_s < left_out_s && left_out_s < gap.to_s)
                && long(gap.from_s, gap.to_s) == long(from_s, to_s)
                && (long(from_s, to_s)
                    || gap.from_s < to_s + SITTING_S && gap.to_s > from_s - SITTING_S)
        };
        let (mut gaps, mut restarts) = (0.0, 0.0);
        for gap in self.gaps.iter().filter(near) {
            gaps += 1.0;
            restarts += gap.restart_probability;
        }
        (restarts + 1.0) / (gaps + 2.0)
    }
}

impl Rates {
    /// `ln` likelihood of a server's attempts since its start.
    pub(super) fn log_marginal(&self, server: usize, tally: Tally) -> f64 {
        match self {
            Self::Drawn { prior, .. } => prior.log_marginal(tally),
            Self::Known(rates) => {
                // 0 ln 0 = 0.
                let term = |n: u64, p: f64| if n == 0 { 0.0 } else { n as f64 * libm::log(p) };
                let rate = rates.get(server).copied().unwrap_or(0.5);
                term(tally.failures, rate) + term(tally.successes, 1.0 - rate)
            }
        }
    }

    /// The chance that a server's next attempt fails.
    pub(super) fn predictive_failure(&self, server: usize, tally: Tally) -> f64 {
        match self {
            Self::Drawn { prior, .. } => prior.predictive_failure(tally),
            Self::Known(rates) => rates.get(server).copied().unwrap_or(0.5),
        }
    }

    /// The mean error rate of a server before it is seen.
    pub(super) fn mean(&self) -> f64 {
        match self {
            Self::Drawn { prior, .. } => prior.mean(),
            Self::Known(rates) => rates.iter().sum::<f64>() / rates.len().max(1) as f64,
        }
    }

    /// Rates of all servers of a start, given their attempts so far; `words` holds numbers in
    /// (0, 1): one for the population, then one a server.
    pub(super) fn draw(&self, tallies: &[Tally], mut word: impl FnMut() -> f64) -> Vec<f64> {
        match self {
            Self::Drawn { prior, populations } => {
                let which = (word() * populations.len() as f64) as usize;
                let population = populations.get(which).unwrap_or(prior);
                tallies.iter().map(|tally| population.posterior_quantile(*tally, word())).collect()
            }
            Self::Known(rates) => rates.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_as_probable_as_in_the_same_sitting() {
        let gap = |from_s: f64, restart_probability| Gap {
            from_s,
            to_s: from_s + 15.0,
            restart_probability,
        };
        let training = Training {
            rates: Rates::Known(vec![0.5]),
            limits: vec![RateLimit::None],
            latency: crate::world::LatencyFamily::Constant { ms: 1.0 }.into(),
            gaps: vec![gap(0.0, 1.0), gap(15.0, 1.0), gap(90_000.0, 0.0), gap(90_015.0, 0.0)],
        };
        assert_eq!(training.restart_probability(30.0, 45.0, 45.0), 0.75);
        assert_eq!(training.restart_probability(90_030.0, 90_045.0, 90_045.0), 0.25);
        assert_eq!(training.restart_probability(30.0, 90_000.0, 31.0), 0.5, "no other long gap");
        assert_eq!(
            training.restart_probability(0.0, 7.0, 7.0),
            2.0 / 3.0,
            "without the one around"
        );
    }
}
