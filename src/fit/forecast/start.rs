//! What is believed of one start of the servers, and draws from it.
//!
//! The posterior predictive of the model's own generative process: one of its equally likely
//! populations, a rate from it for every server, one of its equally likely limits, a phase for
//! every server. Outcomes met at this very start sharpen it. Each population then counts by the
//! marginal likelihood of all servers' tallies, and each server's rate comes from its posterior
//! within the drawn population: by conjugacy for betas, truncated for uniforms, by component for
//! mixtures (Gelman et al., Bayesian Data Analysis, 3rd edition, 2013, section 5.3).
//!
//! Refusals are no coins: whoever chose by outcomes alone, the tallies' likelihood is that of
//! the accepted attempts. What refusals say of the limit is not used: limits stay equally likely,
//! so a prediction under a vague limit is wider than it had to be. Rates that a model draws once
//! for a master seed are drawn anew: nobody knows the seed of servers that run.
//!
//! When not to use it: where the servers may have been started anew in between; that is what
//! [`against_model`](crate::against_model) is for.

use std::borrow::Cow;

use rand::Rng;

use crate::forecast::servers::Belief;
use crate::rates::{Population, Tally};
use flakelab_core::stats::{index_below, log_sum_exp, uniform_open, uniform01};
use flakelab_sim::world::{Conditions, ErrorFamily, Instance, Model, RateLimit};

#[derive(Debug, Clone)]
pub(crate) struct BelievedStart {
    rates: Rates,
    /// Each as likely as any other.
    limits: Vec<RateLimit>,
    conditions: Conditions,
}

#[derive(Debug, Clone)]
enum Rates {
    Known(Vec<f64>),
    Drawn {
        laws: Vec<ErrorFamily>,
        /// The probability of each law and those before it.
        cumulative: Vec<f64>,
        /// One a server: what was met at this start.
        tallies: Vec<Tally>,
    },
}

impl BelievedStart {
    /// A start whose servers gave these outcomes; servers beyond the list gave none.
    pub(crate) fn given(model: &Model, tallies: &[Tally]) -> Self {
        let limits = model.rate_limit_posterior.rows();
        let limits = if limits.is_empty() { vec![model.rate_limit] } else { limits.to_vec() };
        let conditions = model.conditions.clone();
        Self { rates: Rates::given(model, tallies), limits, conditions }
    }

    /// Whether servers differ from draw to draw by more than the phases of their limiters.
    pub(crate) fn is_uncertain(&self) -> bool {
        self.limits.len() > 1 || matches!(self.rates, Rates::Drawn { .. })
    }

    /// What is believed of each server's rate by itself.
    pub(crate) fn beliefs(&self) -> Vec<Belief> {
        match &self.rates {
            Rates::Known(values) => values.iter().copied().map(Belief::known).collect(),
            Rates::Drawn { laws, cumulative, tallies } => {
                let mut last: Option<(Tally, Belief)> = None;
                let fixed = laws.iter().any(|law| matches!(law, ErrorFamily::Fixed { .. }));
                let belief = |(server, tally): (usize, &Tally)| match last {
                    // Of thousands of servers, most gave no outcome.
                    Some((same, belief)) if same == *tally && !fixed => belief,
                    _ => last.insert((*tally, belief(laws, cumulative, server, *tally))).1,
                };
                tallies.iter().enumerate().map(belief).collect()
            }
        }
    }

    /// Servers as they may be, every error rate higher by `shift` (at most 1). Words: the
    /// population, the limit, then for every server its rate and its phase.
    pub(crate) fn draw(&self, shift: f64, rng: &mut impl Rng) -> Instance {
        let which = uniform01(rng);
        let limit = self.limits.get(index_below(rng, self.limits.len()));
        let limit = limit.copied().unwrap_or(RateLimit::None);
        let law = self.rates.law(which);
        let mut error_rates = Vec::with_capacity(self.rates.servers());
        let mut limiters = Vec::with_capacity(self.rates.servers());
        let limits = self.conditions.limits(&limit, self.rates.servers());
        for (server, limit) in limits.enumerate() {
            let rate = self.rates.rate(law, server, uniform_open(rng));
            error_rates.push((rate + shift).clamp(0.0, 1.0));
            limiters.push(limit.limiter(uniform01(rng)));
        }
        Instance { error_rates, limiters, conditions: self.conditions.clone() }
    }
}

impl Rates {
    fn given(model: &Model, seen: &[Tally]) -> Self {
        let rows = model.error_rate.posterior.rows();
        if let (ErrorFamily::Fixed { values }, []) = (&model.error_rate.family, rows) {
            return Self::Known(values.clone());
        }
        let families =
            if rows.is_empty() { std::slice::from_ref(&model.error_rate.family) } else { rows };
        let laws = families.to_vec();
        let tallies: Vec<Tally> =
            (0..model.servers()).map(|i| seen.get(i).copied().unwrap_or_default()).collect();
        let log_likelihood = |law: &ErrorFamily| {
            let of_server = |(i, tally): (usize, &Tally)| of_server(law, i).log_marginal(*tally);
            tallies.iter().enumerate().map(of_server).sum()
        };
        let log_weights: Vec<f64> = laws.iter().map(log_likelihood).collect();
        let total = log_sum_exp(&log_weights);
        // No law may be able to explain what was seen (a rate of 0 and a failure): all count then.
        let weight = |log: &f64| if total.is_finite() { libm::exp(log - total) } else { 1.0 };
        let mut sum = 0.0;
        let mut cumulative: Vec<f64> = Vec::with_capacity(laws.len());
        for log in &log_weights {
            sum += weight(log);
            cumulative.push(sum);
        }
        cumulative.iter_mut().for_each(|below| *below /= sum);
        Self::Drawn { laws, cumulative, tallies }
    }

    fn servers(&self) -> usize {
        match self {
            Self::Known(values) => values.len(),
            Self::Drawn { tallies, .. } => tallies.len(),
        }
    }

    /// The law of one start, chosen by a word in \[0, 1).
    fn law(&self, word: f64) -> &ErrorFamily {
        match self {
            Self::Known(_) => &ErrorFamily::FLAT,
            Self::Drawn { laws, cumulative, .. } => {
                let row = cumulative.partition_point(|below| *below <= word);
                laws.get(row).or(laws.last()).unwrap_or(&ErrorFamily::FLAT)
            }
        }
    }

    /// A server's rate under the law, by a word in (0, 1).
    fn rate(&self, law: &ErrorFamily, server: usize, word: f64) -> f64 {
        match self {
            Self::Known(values) => values.get(server).copied().unwrap_or(1.0),
            Self::Drawn { tallies, .. } => {
                let tally = tallies.get(server).copied().unwrap_or_default();
                rate(&of_server(law, server), tally, word)
            }
        }
    }
}

/// The law of one server: of fixed rates, its own.
fn of_server(law: &ErrorFamily, server: usize) -> Cow<'_, ErrorFamily> {
    match law {
        ErrorFamily::Fixed { values } => {
            let rate = values.get(server).copied().unwrap_or(1.0);
            Cow::Owned(ErrorFamily::Uniform { low: rate, high: rate })
        }
        _ => Cow::Borrowed(law),
    }
}

/// What these laws, each with its share, say of a server with this tally: the first two moments of its
/// rate are ratios of marginal likelihoods with one and two failures more.
fn belief(laws: &[ErrorFamily], cumulative: &[f64], server: usize, tally: Tally) -> Belief {
    let mut moments = [0.0; 2];
    let mut below = 0.0;
    for (law, to) in laws.iter().zip(cumulative) {
        let law = of_server(law, server);
        let (weight, now) = (to - below, law.log_marginal(tally));
        below = *to;
        for (more, moment) in (1..).zip(&mut moments) {
            let with = Tally { failures: tally.failures + more, ..tally };
            let ratio = libm::exp(law.log_marginal(with) - now);
            // What a law cannot explain tells nothing of the rate.
            *moment += weight * if ratio.is_finite() { ratio } else { 0.5 };
        }
    }
    Belief::of_moments(moments[0].clamp(0.0, 1.0), moments[1])
}

/// A server's rate given its tally, by inversion of a word in (0, 1). For a mixture the word chooses
/// the component, and what is left of it the rate, as when servers are started.
fn rate(law: &ErrorFamily, tally: Tally, word: f64) -> f64 {
    match law {
        ErrorFamily::BetaMixture { .. } => {
            let [(_, first), (_, second)] = law.parts();
            let weight = law.second_share(tally);
            if word < weight {
                second.posterior_quantile(tally, word / weight)
            } else {
                first.posterior_quantile(tally, (word - weight) / (1.0 - weight))
            }
        }
        ErrorFamily::Uniform { low, high } if tally.attempts() == 0 => low + (high - low) * word,
        population => population.posterior_quantile(tally, word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::testing::model;
    use crate::synthetic::tally;
    use flakelab_core::domain::{Purpose, Streams};
    use flakelab_core::stats::{ks_p_value, ks_statistic};

    const MIXTURE: ErrorFamily = ErrorFamily::BetaMixture {
        weight: 0.3,
        alpha: 0.6,
        beta: 9.0,
        second_alpha: 20.0,
        second_beta: 7.0,
    };

    /// Rates of server 0 in 2,000 draws, as their places in the posterior that they should have.
    fn places(start: &BelievedStart, cdf: impl Fn(f64) -> f64) -> f64 {
        let streams = Streams::new(4);
        let rate = |r| start.draw(0.0, &mut streams.stream(Purpose::Instance, 0, r)).error_rates[0];
        let mut places: Vec<f64> = (0..2_000).map(|r| cdf(rate(r))).collect();
        places.sort_by(f64::total_cmp);
        ks_p_value(ks_statistic(&places), places.len())
    }

    /// Kolmogorov-Smirnov at level 1e-4 a family, fixed seed; the rates of an unseen start, which
    /// ignore the tally, must be caught.
    #[test]
    fn rates_of_every_family_follow_their_posterior() {
        let families = [
            ErrorFamily::Uniform { low: 0.05, high: 0.6 },
            ErrorFamily::Beta { alpha: 0.7, beta: 2.0 },
            MIXTURE,
        ];
        for family in families {
            let model = model(family.clone(), Vec::new());
            for seen in [tally(0, 0), tally(0, 3), tally(7, 4), tally(40, 160)] {
                let cdf = |rate| family.posterior_cdf(seen, rate);
                let start = BelievedStart::given(&model, &[seen]);
                assert!(places(&start, cdf) > 1e-4, "{family:?} {seen:?}");
                if seen.attempts() > 0 {
                    assert!(
                        places(&BelievedStart::given(&model, &[]), cdf) < 1e-4,
                        "{family:?} {seen:?}"
                    );
                }
            }
        }
    }

    /// Two populations whose likelihoods are 1 / 11 and 0.2^10 / ... are worked out by hand: ten
    /// failures at one server are 1 / 11 under flat rates, 2^-10 under rates of one half.
    #[test]
    fn populations_count_by_their_likelihood() {
        let half = ErrorFamily::Uniform { low: 0.5, high: 0.5 };
        let flat = ErrorFamily::Beta { alpha: 1.0, beta: 1.0 };
        let model = model(flat.clone(), vec![flat, half]);
        let start = BelievedStart::given(&model, &[tally(10, 0)]);
        let Rates::Drawn { cumulative, .. } = &start.rates else { panic!() };
        let expected = (1.0 / 11.0) / (1.0 / 11.0 + 1.0 / 1024.0);
        assert!((cumulative[0] - expected).abs() < 1e-9, "{cumulative:?}");
        assert!((cumulative[1] - 1.0).abs() < 1e-12);
        let streams = Streams::new(1);
        let drawn = |r| start.draw(0.0, &mut streams.stream(Purpose::Instance, 0, r)).error_rates;
        let halves = (0..4_000).filter(|r| drawn(*r)[1] == 0.5).count();
        // 4,000 draws at 0.0106: 42.5 expected, standard deviation 6.5; 4.5 of them (7e-6).
        assert!((14..=71).contains(&halves), "{halves}");
    }

    #[test]
    fn what_no_population_explains_leaves_all_of_them() {
        let never = ErrorFamily::Uniform { low: 0.0, high: 0.0 };
        let start = BelievedStart::given(&model(never, Vec::new()), &[tally(3, 1)]);
        let mut rng = Streams::new(1).stream(Purpose::Instance, 0, 0);
        assert_eq!(start.draw(0.25, &mut rng).error_rates, [0.25; 4]);
    }

    #[test]
    fn a_shift_moves_every_rate_and_stops_at_one() {
        let known = model(ErrorFamily::Fixed { values: vec![0.0, 0.5, 0.97, 1.0] }, Vec::new());
        let mut rng = Streams::new(1).stream(Purpose::Instance, 0, 0);
        let rates = BelievedStart::given(&known, &[]).draw(0.05, &mut rng).error_rates;
        assert_eq!(rates, [0.05, 0.55, 1.0, 1.0]);
    }
}
