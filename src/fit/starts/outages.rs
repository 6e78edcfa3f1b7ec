//! Outages of all servers: stretches of a recording in which every server fails, nearly always, while
//! error rates stay what they were.
//!
//! A restart draws new rates and cannot but take such a stretch for ten servers of rate 0.98. An
//! outage says nothing of rates. The two compete by evidence. With Z the probability of outcomes,
//! averaged over rates and over all ways to cut the recording into starts, the Bayes factor for an
//! outage in a stretch of n attempts against none, whatever restarts there are, is
//!
//! ```text
//! prior(stretch) x 0.99^failures x 0.01^successes x Z(all other attempts) / Z(all attempts)
//! ```
//!
//! where the first attempt of an outage is as likely to be any of the recording's N and its length
//! has a probability of about 1 / (n ln N) (Jeffreys' prior of a scale, cut at N). Without an outage
//! that factor, summed over all stretches, is 1 on average, so by Markov's inequality it exceeds
//! the inverse of [`ODDS`] in at most one of a hundred recordings, however servers were chosen.
//! Servers that come back with other rates are no difficulty: Z finds a restart there too.
//!
//! The stretch is the one that adds most to the `ln` likelihood if each server is thought to fail
//! as often as in the whole recording; failures by chance next to an outage go with it. Outages of
//! a recording are found one after another.
//!
//! A strategy may ask hardly any server but one during an outage. If data cannot tell an outage of that
//! server from one of all, 20 to 1, the stretch is one of that server, perhaps of all: about error
//! rates it says as little. The server must answer later on, or it may have gone bad for good.
//!
//! Source of Z: Barry and Hartigan, Ann. Statist. 20 (1992), 260-279; of the factor: Kass and
//! Raftery, JASA 90 (1995), 773-795.
//!
//! When not to use it: where a rate limit hides among failures, since servers that all refuse look
//! the same; when a single server is down while others answer; and for recordings that are one outage
//! from end to end, which has no rates to compare with.

use std::borrow::Cow;
use std::ops::Range;

use crate::rates::Tally;
use crate::runs::tallies;
use crate::starts::OutageSpan;
use flakelab_core::domain::Outcome;
use flakelab_sim::trace::{Observed, Recording};

/// Of the attempts in an outage this share succeeds all the same.
const SUCCEEDS: f64 = 0.01;

/// The odds of an outage in a recording, before the data.
const ODDS: f64 = 0.01;

/// `ln` of the Bayes factor, 20 to 1, that tells an outage of all servers from one of a single
/// server.
const TELLS: f64 = 3.0;

/// Finds the outages; `evidence` is `ln` Z of a recording.
pub(crate) fn outages_by(
    recordings: &[&Recording],
    servers: usize,
    evidence: impl Fn(&Recording) -> f64,
) -> Vec<OutageSpan> {
    let mut found: Vec<OutageSpan> = Vec::new();
    for (index, recording) in recordings.iter().enumerate() {
        let first = found.len();
        // Without the outages found so far, and its evidence.
        let mut left = Cow::Borrowed(*recording);
        let mut of_left = None;
        while let Some(dark) = darkest(&left, &found[first..], servers) {
            let without = |one: Option<u8>| {
                let mut rest = left.clone().into_owned();
                silence(&mut rest, &dark.attempts, one);
                rest
            };
            let rest = without(None);
            let of_rest = evidence(&rest);
            let of_all = dark.log_likelihood(&left, None) + of_rest;
            let log_bayes_factor =
                dark.log_prior + of_all - of_left.unwrap_or_else(|| evidence(&left));
            if log_bayes_factor < -libm::log(ODDS) {
                break;
            }
            let one = dark.most_failures(&left);
            let of_one = || dark.log_likelihood(&left, Some(one)) + evidence(&without(Some(one)));
            let all_or_one = if servers > 1 { of_all - of_one() } else { f64::INFINITY };
            let perhaps_one = all_or_one < TELLS;
            if perhaps_one && (all_or_one <= -TELLS || !dark.comes_back(&left, one)) {
                break;
            }
            let known = perhaps_one.then_some(one);
            found.push(dark.span(index, recording, known, log_bayes_factor));
            (left, of_left) = (Cow::Owned(rest), Some(of_rest));
        }
        found[first..].sort_by_key(|outage| outage.attempts.start);
    }
    found
}

/// The recordings with the attempts of outages marked as refused, which says nothing of error
/// rates; none if there are no outages.
pub(crate) fn silenced(recordings: &[&Recording], outages: &[OutageSpan]) -> Vec<Recording> {
    if outages.is_empty() {
        return Vec::new();
    }
    let mut silent: Vec<Recording> = recordings.iter().map(|r| (*r).clone()).collect();
    for outage in outages {
        silence(&mut silent[outage.recording], &outage.attempts, None);
    }
    silent
}

/// Marks the attempts of a stretch as refused: all, or those at one server.
fn silence(recording: &mut Recording, attempts: &Range<usize>, one: Option<u8>) {
    let meant = |attempt: &&mut Observed| one.is_none_or(|one| attempt.server == one);
    for attempt in recording.attempts[attempts.clone()].iter_mut().filter(meant) {
        attempt.outcome = Outcome::RateLimited;
    }
}

/// A stretch that may be an outage.
struct Dark {
    attempts: Range<usize>,
    /// `ln` of its probability among all stretches.
    log_prior: f64,
}

/// The stretch that gains most from being an outage, each server failing as often as in the whole
/// recording otherwise; none if no outage could be found in it.
fn darkest(recording: &Recording, found: &[OutageSpan], servers: usize) -> Option<Dark> {
    let attempts = &recording.attempts;
    let tallies = of_servers(attempts);
    let all = tallies.iter().map(|tally| tally.attempts()).sum::<u64>() as f64;
    let gain = |attempt: &Observed| {
        let tally = tallies[usize::from(attempt.server)];
        let share = (tally.failures as f64 + 1.0) / (tally.attempts() as f64 + 2.0);
        let silent = attempt.refused() || usize::from(attempt.server) >= servers;
        match (silent, attempt.failed()) {
            (true, _) => 0.0,
            (false, true) => libm::log((1.0 - SUCCEEDS) / share),
            (false, false) => libm::log(SUCCEEDS / (1.0 - share)),
        }
    };
    // The best sum that ends here and where it began, and the best so far.
    let (mut sum, mut from) = (0.0, 0);
    let mut best = (0.0, 0..0);
    for (at, attempt) in attempts.iter().enumerate() {
        let dark = found.iter().any(|outage| outage.attempts.contains(&at));
        if sum <= 0.0 || dark || recording.clock_jumps.contains(&at) {
            (sum, from) = (0.0, at);
        }
        sum += if dark { 0.0 } else { gain(attempt) };
        if sum > best.0 {
            best = (sum, from..at + 1);
        }
    }
    let (gained, stretch) = best;
    let inside = attempts[stretch.clone()].iter().filter(|a| !a.refused()).count() as f64;
    if inside == 0.0 || inside >= all {
        return None;
    }
    let log_prior = -libm::log(all * inside * (1.0 + libm::log(all)));
    // What is gained is less than the evidence where the outage itself makes up much of a
    // server's failures.
    let worth_it = 2.0 * gained + log_prior + libm::log(ODDS) > 0.0;
    worth_it.then_some(Dark { attempts: stretch, log_prior })
}

fn of_servers(attempts: &[Observed]) -> Vec<Tally> {
    tallies(attempts, usize::from(u8::MAX) + 1)
}

impl Dark {
    /// `ln` likelihood of its attempts, or of those at one server, in an outage.
    fn log_likelihood(&self, recording: &Recording, one: Option<u8>) -> f64 {
        let of = |tally: &Tally| {
            tally.failures as f64 * libm::log1p(-SUCCEEDS)
                + tally.successes as f64 * libm::log(SUCCEEDS)
        };
        let tallies = of_servers(&recording.attempts[self.attempts.clone()]);
        match one {
            Some(one) => of(&tallies[usize::from(one)]),
            None => tallies.iter().map(of).sum(),
        }
    }

    /// The server that failed most often in it.
    fn most_failures(&self, recording: &Recording) -> u8 {
        let tallies = of_servers(&recording.attempts[self.attempts.clone()]);
        (0..=u8::MAX).max_by_key(|server| tallies[usize::from(*server)].failures).unwrap_or(0)
    }

    /// Whether a server answers after it.
    fn comes_back(&self, recording: &Recording, server: u8) -> bool {
        let after = &recording.attempts[self.attempts.end..];
        after.iter().any(|attempt| attempt.server == server && attempt.outcome == Outcome::Success)
    }

    fn span(
        &self,
        index: usize,
        recording: &Recording,
        perhaps_only: Option<u8>,
        log_bayes_factor: f64,
    ) -> OutageSpan {
        let attempts = &recording.attempts;
        let inside = attempts[self.attempts.clone()].iter().filter(|attempt| !attempt.refused());
        let after = self.attempts.end.min(attempts.len() - 1);
        OutageSpan {
            recording: index,
            perhaps_only: perhaps_only.map(usize::from),
            attempts: self.attempts.clone(),
            accepted: inside.clone().count(),
            failures: inside.filter(|attempt| attempt.failed()).count(),
            from_s: attempts[self.attempts.start].at_s - attempts[0].at_s,
            until_s: attempts[after].at_s - attempts[0].at_s,
            log_bayes_factor,
        }
    }
}
