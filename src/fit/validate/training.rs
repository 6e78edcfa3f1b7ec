//! What is believed of the servers before a run: from a fit of the other runs, or from a model.
//!
//! A [`Training`] holds all that predictions need of it; beliefs about one run follow from it and
//! from the runs beside it, which may have met the same start of the servers.
//!
//! When not to use it: to describe a fit to people; that is the fit's own report.

use std::collections::BTreeMap;

use crate::learn::{Learned, borrows_rates, is_config, learn};
use crate::limits::Conclusion;
use crate::rates::{ErrorRateFit, Population, RatePrior, Tally};
use crate::runs::{by_time, tallies};
use crate::starts::{Place, StartBoundary};
use flakelab_core::domain::{Purpose, Streams, Timestamp};
use flakelab_core::stats::{log_sum_exp, quantile, uniform_open};
use flakelab_sim::trace::{Group, Observed, Recording};
use flakelab_sim::world::{
    ErrorFamily, Families, Latency, LatencyFamily, Limiter, Model, RateLimit,
};

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
    pub(crate) fn restart_probability(&self, from_s: f64, to_s: f64, left_out_s: f64) -> f64 {
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
    pub(crate) fn log_marginal(&self, server: usize, tally: Tally) -> f64 {
        match self {
            Self::Drawn { prior, .. } => prior.log_marginal(tally),
            Self::Known(rates) => {
                let rate = rates.get(server).copied().unwrap_or(0.5);
                ErrorFamily::Uniform { low: rate, high: rate }.log_marginal(tally)
            }
        }
    }

    /// The chance that a server's next attempt fails.
    pub(crate) fn predictive_failure(&self, server: usize, tally: Tally) -> f64 {
        match self {
            Self::Drawn { prior, .. } => prior.predictive_failure(tally),
            Self::Known(rates) => rates.get(server).copied().unwrap_or(0.5),
        }
    }

    /// The mean error rate of a server before it is seen.
    pub(crate) fn mean(&self) -> f64 {
        match self {
            Self::Drawn { prior, .. } => prior.mean(),
            Self::Known(rates) => rates.iter().sum::<f64>() / rates.len().max(1) as f64,
        }
    }

    /// Rates of all servers of a start, given their attempts so far; `words` holds numbers in
    /// (0, 1): one for the population, then one a server. `known` keeps the posteriors of these
    /// rates from one draw to the next: a thousand replications meet few tallies.
    pub(crate) fn draw(
        &self,
        tallies: &[Tally],
        known: &mut KnownPosteriors,
        mut word: impl FnMut() -> f64,
    ) -> Vec<f64> {
        match self {
            Self::Drawn { prior, populations } => {
                let which = (word() * populations.len() as f64) as usize;
                let population = populations.get(which).unwrap_or(prior);
                let of_server = |tally: &Tally| {
                    let key = (which, tally.failures, tally.successes);
                    let posterior =
                        known.entry(key).or_insert_with(|| population.posterior(*tally));
                    population.quantile_of(posterior, *tally, word())
                };
                tallies.iter().map(of_server).collect()
            }
            Self::Known(rates) => rates.clone(),
        }
    }
}

/// Posteriors over cells of rates, by population, failures and successes.
pub(crate) type KnownPosteriors = BTreeMap<(usize, u64, u64), Vec<f64>>;

// ---- One belief for each draw of the rate limit: a limit says which failures of the other runs were
// refusals, so everything else depends on it. Every run begins with full buckets.

/// Chance that an attempt which a limiter should have refused is accepted after all, or the other
/// way round, because the server's clock is not the client's.
pub(crate) const CLOCK_SLIP: f64 = 1e-3;

/// Phases that a limiter with an unknown phase is averaged over.
const PHASES: usize = 32;

/// Beliefs that a limit with unknown phases is spread over at least: each draws a phase for every
/// server of every other run.
const BELIEFS_OF_PHASES: usize = 16;

/// Runs on either side that may share a start with the one in question: more add nothing but time.
const MOST_NEIGHBOURS: usize = 8;

/// Seed of the drawn phases, a constant: beliefs are a function of the other runs.
const SEED: u64 = 0xbe11ef;

/// Draws of the rate limit that are looked at.
const MOST_LIMITS: usize = 64;

/// One draw of the rate limit and what follows from it.
#[derive(Debug, Clone)]
pub(crate) struct Belief {
    pub(crate) limit: RateLimit,
    pub(crate) hypotheses: Vec<Hypothesis>,
}

/// The runs of the same group that may share a start with a run, in order of time, and its
/// position among them.
fn neighbours<'a>(run: &Recording, others: &[&'a Recording]) -> (Vec<&'a Recording>, usize) {
    let mut others: Vec<&Recording> =
        others.iter().copied().filter(|other| other.group == run.group).collect();
    others.sort_by(|a, b| a.started_at_s().total_cmp(&b.started_at_s()));
    let split = others.partition_point(|other| other.started_at_s() < run.started_at_s());
    let first = split.saturating_sub(MOST_NEIGHBOURS);
    (others[first..others.len().min(split + MOST_NEIGHBOURS)].to_vec(), split - first)
}

/// The runs that more probably than not met the same start as a run, by beliefs about it that
/// came from the same `others`.
pub(crate) fn same_start<'a>(
    run: &Recording,
    others: &[&'a Recording],
    beliefs: &[Belief],
) -> Vec<&'a Recording> {
    let (others, position) = neighbours(run, others);
    let shares = |enough: &dyn Fn(&Hypothesis) -> bool| {
        let of_belief = |belief: &Belief| -> f64 {
            let meant = belief.hypotheses.iter().filter(|h| enough(h));
            meant.map(|h| libm::exp(h.log_weight)).sum()
        };
        beliefs.iter().map(of_belief).sum::<f64>() > 0.5 * beliefs.len() as f64
    };
    let met_it = |i: &usize| {
        if *i < position {
            shares(&|h| h.sharing.0 >= position - i)
        } else {
            shares(&|h| h.sharing.1 > i - position)
        }
    };
    (0..others.len()).filter(met_it).map(|i| others[i]).collect()
}

/// The beliefs about a run, given the other runs of its group; each is as likely as any other.
///
/// Of the run itself only its time, group and number of servers are used.
pub(crate) fn beliefs(run: &Recording, others: &[&Recording], training: &Training) -> Vec<Belief> {
    let began = run.started_at_s();
    let (others, position) = neighbours(run, others);
    let mut times: Vec<f64> = others.iter().map(|other| other.started_at_s()).collect();
    times.insert(position, began);
    let restarts: Vec<f64> = times
        .windows(2)
        .map(|pair| training.restart_probability(pair[0], pair[1], began))
        .collect();
    let servers = run.group.servers.len();
    let limits: Vec<&RateLimit> = training.limits.iter().take(MOST_LIMITS).collect();
    let copies = if limits.iter().any(|limit| limit.draws_phase()) {
        BELIEFS_OF_PHASES.div_ceil(limits.len())
    } else {
        1
    };
    let streams = Streams::new(SEED);
    let mut known: Vec<(Vec<Vec<Tally>>, Vec<Hypothesis>)> = Vec::new();
    limits
        .iter()
        .flat_map(|limit| std::iter::repeat_n(*limit, copies))
        .zip(0..)
        .map(|(limit, number)| {
            let mut rng = streams.stream(Purpose::Analysis, 0, number);
            let mut word = || uniform_open(&mut rng);
            let tallies: Vec<Vec<Tally>> = others
                .iter()
                .map(|other| accepted(other, limit, &training.rates, &mut word))
                .collect();
            // Neighbouring limits take the same attempts for refusals.
            let hypotheses = match known.iter().find(|(same, _)| *same == tallies) {
                Some((_, hypotheses)) => hypotheses.clone(),
                None => {
                    let found = hypotheses(&tallies, position, &restarts, &training.rates, servers);
                    known.push((tallies, found.clone()));
                    found
                }
            };
            Belief { limit: *limit, hypotheses }
        })
        .collect()
}

/// The limiters of one server: one for each phase that it may have.
pub(crate) fn limiters(limit: &RateLimit) -> Vec<Limiter> {
    let phases = if limit.draws_phase() { PHASES } else { 1 };
    (0..phases).map(|i| limit.limiter(i as f64 / phases as f64)).collect()
}

/// When an attempt was sent, from the beginning of its run.
pub(crate) fn since_start(run: &Recording, attempt: &Observed) -> Timestamp {
    Timestamp::from_secs_f64(attempt.at_s - run.started_at_s())
}

/// The attempts of each server that a limiter accepted: known where the recorder told refusals,
/// else by replaying the limit; an unknown phase is drawn from its posterior, by numbers in
/// (0, 1). (The likeliest phase would take too many failures for refusals.)
fn accepted(
    run: &Recording,
    limit: &RateLimit,
    rates: &Rates,
    mut word: impl FnMut() -> f64,
) -> Vec<Tally> {
    let servers = run.group.servers.len();
    if run.tells_refusals || limit.is_none() {
        return tallies(&run.attempts, servers);
    }
    let mut tallies = vec![Tally::default(); servers];
    for (server, tally) in tallies.iter_mut().enumerate() {
        let replayed: Vec<(f64, Tally)> = limiters(limit)
            .into_iter()
            .map(|limiter| replay(run, limiter, server, rates))
            .collect();
        let total = log_sum_exp(&replayed.iter().map(|(value, _)| *value).collect::<Vec<f64>>());
        let mut left = word();
        for (value, candidate) in replayed {
            left -= libm::exp(value - total);
            *tally = candidate;
            if left <= 0.0 {
                break;
            }
        }
    }
    tallies
}

/// `ln` likelihood of a server's attempts with this limiter, and those that it accepted.
fn replay(run: &Recording, mut limiter: Limiter, server: usize, rates: &Rates) -> (f64, Tally) {
    let (mut tally, mut slips) = (Tally::default(), 0.0);
    for attempt in run.attempts.iter().filter(|a| usize::from(a.server) == server) {
        let refused = !limiter.accept(since_start(run, attempt));
        if !refused || !attempt.failed() {
            tally.record(attempt.failed());
            slips += f64::from(u8::from(refused));
        }
    }
    (rates.log_marginal(server, tally) + slips * libm::log(CLOCK_SLIP), tally)
}

/// Draws of the population, and at most so many of the limit.
const DRAWS: usize = 64;

/// Learns from `others`, among which the recording to be predicted must not be, for the servers of
/// `group`.
pub fn learned_training(others: &[&Recording], group: &Group) -> Training {
    let config_0 = of_group(others, |own| is_config(own, 0));
    let own = of_group(others, |other| other.name == group.name);
    let of_config_0 = learn(&config_0, None);
    let borrowed = of_config_0.as_ref().map(|learned| &learned.rates);
    let is_config_0 = is_config(group, 0);
    let of_group = if is_config_0 {
        of_config_0.clone()
    } else {
        learn(&own, borrowed.filter(|_| borrows_rates(&own)))
    };
    let mut gaps =
        of_config_0.as_ref().map_or_else(Vec::new, |learned| gaps_between(&config_0, learned));
    if !is_config_0 && let Some(learned) = &of_group {
        gaps.extend(gaps_between(&own, learned));
    }
    let rates = match (&of_group, borrowed) {
        (Some(learned), _) => drawn(&learned.rates),
        (None, Some(rates)) => drawn(rates),
        (None, None) => Rates::Drawn { prior: RatePrior::flat(), populations: Vec::new() },
    };
    let limits = match of_group.as_ref().map(|learned| &learned.limit) {
        Some(limit) if limit.conclusion != Conclusion::Abstained => thinned(&limit.draws),
        _ => vec![RateLimit::None],
    };
    Training { rates, limits, latency: latency(others), gaps }
}

/// The recordings of the groups that are meant, in order of time.
fn of_group<'a>(others: &[&'a Recording], meant: impl Fn(&Group) -> bool) -> Vec<&'a Recording> {
    let mut runs: Vec<&Recording> =
        others.iter().copied().filter(|other| meant(&other.group)).collect();
    runs.sort_by(|a, b| by_time(a, b));
    runs
}

fn gaps_between(runs: &[&Recording], learned: &Learned) -> Vec<Gap> {
    let between = |boundary: &StartBoundary| match boundary.place {
        Place::Between { before, after } => Some(Gap {
            from_s: runs[before].started_at_s(),
            to_s: runs[after].started_at_s(),
            restart_probability: boundary.probability,
        }),
        Place::Inside { .. } => None,
    };
    learned.starts.boundaries.iter().filter_map(between).collect()
}

fn drawn(rates: &ErrorRateFit) -> Rates {
    Rates::Drawn {
        prior: rates.prior(),
        populations: rates.draws(DRAWS).iter().map(RatePrior::of).collect(),
    }
}

/// Every n-th draw: draws stand evenly through the posterior, in order of family.
fn thinned(draws: &[RateLimit]) -> Vec<RateLimit> {
    let every = draws.len().div_ceil(DRAWS).max(1);
    draws.iter().skip(every / 2).step_by(every).copied().collect()
}

/// Only the pace of retries hangs on it, so the median will do.
fn latency(others: &[&Recording]) -> Latency {
    let mut ms: Vec<f64> = others
        .iter()
        .flat_map(|run| run.attempts.iter().map(|attempt| f64::from(attempt.latency_ms)))
        .collect();
    ms.sort_by(f64::total_cmp);
    let median = if ms.is_empty() { 1.0 } else { quantile(&ms, 0.5).max(0.001) };
    LatencyFamily::Constant { ms: median }.into()
}

// ---- Which runs met the same start of the servers as the one left out?
//
// All ways to cut the runs of a group, in order of time, into starts are averaged over: a
// restart between neighbours has a prior probability each, a start's likelihood is the product
// over servers of the likelihood of all its attempts (Barry and Hartigan, "Product partition
// models for change point problems", Ann. Statist. 20 (1992), 260-279). The run in question
// stands in its place with no attempts at all, so its outcomes cannot be seen. Restarts within a run
// are not looked for.

/// Hypotheses less probable than this (`ln`, against the best) are dropped.
const NEGLIGIBLE: f64 = -14.0;

/// One way to place the run: the neighbours that met the same start.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hypothesis {
    /// `ln` of its probability.
    pub(crate) log_weight: f64,
    /// Attempts of the neighbours that met the same start, one a server.
    pub(crate) tallies: Vec<Tally>,
    /// How many they are: nearest runs before it, nearest runs after it.
    sharing: (usize, usize),
}

impl Hypothesis {
    /// Whether the run before, and the run after, met the same start.
    pub(crate) fn with_neighbours(&self) -> (bool, bool) {
        (self.sharing.0 > 0, self.sharing.1 > 0)
    }
}

/// How probable each relation of a run to its neighbours is; the four sum to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Membership {
    /// A start that no other run met.
    pub fresh: f64,
    /// The start of the run before, but not that of the run after.
    pub previous: f64,
    /// The start of the run after, but not that of the run before.
    pub next: f64,
    /// The start of both.
    pub both: f64,
}

impl Membership {
    pub(crate) fn add(&mut self, with_neighbours: (bool, bool), probability: f64) {
        match with_neighbours {
            (false, false) => self.fresh += probability,
            (true, false) => self.previous += probability,
            (false, true) => self.next += probability,
            (true, true) => self.both += probability,
        }
    }
}

/// All hypotheses about a run that stands at `position` among `others`, in order of time.
///
/// `restarts` holds the prior probability of a restart in each gap of the whole row, the run
/// included: as many as there are others.
fn hypotheses(
    others: &[Vec<Tally>],
    position: usize,
    restarts: &[f64],
    rates: &Rates,
    servers: usize,
) -> Vec<Hypothesis> {
    let fresh = |log_weight| Hypothesis {
        log_weight,
        tallies: vec![Tally::default(); servers],
        sharing: (0, 0),
    };
    if others.is_empty() || matches!(rates, Rates::Known(_)) {
        return vec![fresh(0.0)];
    }
    let mut row: Vec<Option<&Vec<Tally>>> = others.iter().map(Some).collect();
    row.insert(position, None);
    let n = row.len();
    let restart = |gap: usize| libm::log(restarts.get(gap).copied().unwrap_or(0.5));
    let stay = |gap: usize| libm::log1p(-restarts.get(gap).copied().unwrap_or(0.5));
    // Start i..j: its pooled attempts, and `ln` of its likelihood with no restart inside.
    let mut starts: Vec<Vec<(Vec<Tally>, f64)>> = Vec::with_capacity(n);
    for first in 0..n {
        let (mut pooled, mut inside) = (vec![Tally::default(); servers], 0.0);
        let mut from_first = Vec::with_capacity(n - first);
        for (i, run) in row.iter().enumerate().skip(first) {
            if i > first {
                inside += stay(i - 1);
            }
            if let Some(run) = run {
                pooled.iter_mut().zip(run.iter()).for_each(|(sum, tally)| sum.add(*tally));
            }
            let likelihood: f64 =
                pooled.iter().enumerate().map(|(s, tally)| rates.log_marginal(s, *tally)).sum();
            from_first.push((pooled.clone(), inside + likelihood));
        }
        starts.push(from_first);
    }
    let of = |i: usize, j: usize| starts[i][j - i - 1].1 + if i > 0 { restart(i - 1) } else { 0.0 };
    let (mut forward, mut backward) = (vec![0.0; n + 1], vec![0.0; n + 1]);
    for j in 1..=n {
        let terms: Vec<f64> = (0..j).map(|i| forward[i] + of(i, j)).collect();
        forward[j] = log_sum_exp(&terms);
    }
    for i in (0..n).rev() {
        let terms: Vec<f64> = (i + 1..=n).map(|j| of(i, j) + backward[j]).collect();
        backward[i] = log_sum_exp(&terms);
    }
    let mut found = Vec::new();
    for i in 0..=position {
        for j in position + 1..=n {
            found.push(Hypothesis {
                log_weight: forward[i] + of(i, j) + backward[j],
                tallies: starts[i][j - i - 1].0.clone(),
                sharing: (position - i, j - position - 1),
            });
        }
    }
    let best = found.iter().map(|h| h.log_weight).fold(f64::NEG_INFINITY, f64::max);
    found.retain(|h| h.log_weight - best >= NEGLIGIBLE);
    let total = log_sum_exp(&found.iter().map(|h| h.log_weight).collect::<Vec<f64>>());
    if !total.is_finite() {
        return vec![fresh(0.0)];
    }
    found.iter_mut().for_each(|h| h.log_weight -= total);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::tally;

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
            latency: LatencyFamily::Constant { ms: 1.0 }.into(),
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

    fn flat() -> Rates {
        Rates::Drawn { prior: RatePrior::flat(), populations: Vec::new() }
    }

    fn run(counts: &[(u64, u64)]) -> Vec<Tally> {
        counts.iter().map(|&(failures, successes)| tally(failures, successes)).collect()
    }

    #[test]
    fn a_run_between_two_of_one_start_met_it_too_and_between_two_starts_it_met_neither_surely() {
        let (a, b) = (run(&[(1, 60), (40, 10)]), run(&[(45, 15), (2, 50)]));
        let weight = |others: &[Vec<Tally>], with: (bool, bool)| -> f64 {
            hypotheses(others, 1, &[0.2, 0.2], &flat(), 2)
                .iter()
                .filter(|h| h.with_neighbours() == with)
                .map(|h| h.log_weight.exp())
                .sum()
        };
        assert!(weight(&[a.clone(), a.clone()], (true, true)) > 0.99);
        let apart = [a, b];
        assert!(weight(&apart, (true, true)) < 1e-6);
        // One restart on either side: 0.16 each; two of them: 0.04.
        assert!((weight(&apart, (true, false)) - 0.16 / 0.36).abs() < 1e-6);
        assert!((weight(&apart, (false, false)) - 0.04 / 0.36).abs() < 1e-6);
    }

    #[test]
    fn known_rates_need_no_neighbours() {
        let found = hypotheses(&[run(&[(3, 9)])], 0, &[0.3], &Rates::Known(vec![0.2]), 1);
        assert_eq!((found.len(), found[0].tallies[0].attempts()), (1, 0));
    }
}
