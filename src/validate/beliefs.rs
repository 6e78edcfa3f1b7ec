//! What is believed of the servers before a run: one belief for each draw of the rate limit.
//!
//! A limit says which failures of the other runs were refusals, so everything else depends on it.
//!
//! When not to use it: with limits whose state outlives a run; every run begins with full buckets.

use super::membership::{Hypothesis, hypotheses};
use super::{Rates, Training};
use crate::domain::{Purpose, Streams, Timestamp};
use crate::fit::Tally;
use crate::stats::sample::uniform_open;
use crate::stats::special::log_sum_exp;
use crate::trace::{Observed, Recording};
use crate::world::{Families, Limiter, RateLimit};

/// Chance that an attempt which a limiter should have refused is accepted after all, or the other
/// way round, because the server's clock is not the client's.
pub(super) const CLOCK_SLIP: f64 = 1e-3;
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
pub(super) struct Belief {
    pub(super) limit: RateLimit,
    pub(super) hypotheses: Vec<Hypothesis>,
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
pub(super) fn same_start<'a>(
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
pub(super) fn beliefs(run: &Recording, others: &[&Recording], training: &Training) -> Vec<Belief> {
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
pub(super) fn limiters(limit: &RateLimit) -> Vec<Limiter> {
    let phases = if limit.draws_phase() { PHASES } else { 1 };
    (0..phases).map(|i| limit.limiter(i as f64 / phases as f64)).collect()
}

/// When an attempt was sent, from the beginning of its run.
pub(super) fn since_start(run: &Recording, attempt: &Observed) -> Timestamp {
    Timestamp::from_secs_f64(attempt.at_s - run.started_at_s())
}

/// The attempts of each server that a limiter accepted: known where the recorder told refusals,
/// else by replaying the limit; an unknown phase is drawn from its posterior, by numbers in
/// (0, 1). (The likeliest phase would take too many failures for refusals.)
pub(super) fn accepted(
    run: &Recording,
    limit: &RateLimit,
    rates: &Rates,
    mut word: impl FnMut() -> f64,
) -> Vec<Tally> {
    let servers = run.group.servers.len();
    let mut tallies = vec![Tally::default(); servers];
    if run.tells_refusals || limit.is_none() {
        for attempt in run.attempts.iter().filter(|a| !a.refused()) {
            if let Some(tally) = tallies.get_mut(usize::from(attempt.server)) {
                tally.record(attempt.failed());
            }
        }
        return tallies;
    }
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
