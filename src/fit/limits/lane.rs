//! A lane: the attempts at one server between two restarts of its limiter's memory; and how hard
//! the load pressed, since a limit that was never reached cannot be seen.
//!
//! Every server has a limiter of its own, so the likelihood of a limit is a product over lanes. It
//! depends on a replay through two counts only: failures `taken` for refusals (where 429 is not
//! marked) and `slips`, attempts answered against the prediction. Where 429 is marked, accepted
//! outcomes are coin flips under every law and cancel; where it is not, failures taken for
//! refusals leave the tally of the server's coin.
//!
//! When not to use it: where a clock jumped forwards, unless the gap is longer than the limiter
//! remembers; only jumps backwards show themselves and begin a new lane.

use crate::rates::{RatePrior, Tally};
use crate::runs::Start;

/// Chance that the limiter and the law disagree about one attempt, because the server's clock is
/// not the client's.
const SLIP: f64 = 1e-3;

/// Attempts of a lane that are used, the first ones; more would cost time and teach little.
const MOST_MARKED: usize = 20_000;

/// The same where 429 is not marked and every law must be replayed by itself.
const MOST_UNMARKED: usize = 2_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Success,
    Failure,
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Asked {
    /// Microseconds since the lane's first attempt, exact for windows of whole milliseconds.
    pub(crate) at_us: i64,
    /// Where 429 is not marked a refusal is a `Failure`.
    pub(crate) answer: Answer,
    /// Whether the attempt before it at this server belongs to the same request.
    pub(crate) again: bool,
    /// Its position among the attempts of its start.
    pub(crate) position: usize,
}

/// The attempts at one server, in order of time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lane {
    pub(crate) asked: Vec<Asked>,
    /// Whether 429 is marked.
    pub(crate) marked: bool,
    /// `ln` likelihood when this many failures are taken for refusals, less that with none.
    of_taken: Vec<f64>,
    /// The largest `ln` likelihood that any law could reach, less the base.
    pub(crate) most_gain: f64,
    /// `ln` likelihood of the outcomes when nothing is taken for a refusal.
    pub(crate) log_base: f64,
    /// Attempts beyond those used.
    pub(crate) left_out: usize,
}

impl Lane {
    /// The lanes of every start that have attempts, with as many attempts as inference uses.
    pub(crate) fn of_starts(
        starts: &[Start<'_>],
        servers: usize,
        marked: bool,
        prior: &RatePrior,
    ) -> Vec<Self> {
        let most = if marked { MOST_MARKED } else { MOST_UNMARKED };
        let new = |(asked, left_out)| Self { left_out, ..Self::new(asked, marked, prior) };
        let of_start = |start| Self::asked_of(start, servers, marked, most).into_iter().map(new);
        starts.iter().flat_map(of_start).collect()
    }

    /// The first attempts, at most so many, of each lane of a start, and how many were left out.
    pub(crate) fn asked_of(
        start: &Start<'_>,
        servers: usize,
        marked: bool,
        most: usize,
    ) -> Vec<(Vec<Asked>, usize)> {
        let mut done = Vec::new();
        let mut open: Vec<(Vec<Asked>, usize)> = vec![(Vec::new(), 0); servers];
        let mut first_s = 0.0;
        let mut last_s = f64::INFINITY;
        let mut position = 0;
        for stretch in &start.stretches {
            // Requests are numbered within a recording, so repeats are looked for within one.
            let mut latest = vec![None; servers];
            for attempt in *stretch {
                if attempt.at_s < last_s {
                    // The first attempt, or the clock went back: what the limiter did is unknown.
                    done.extend(open.iter_mut().map(std::mem::take));
                    first_s = attempt.at_s;
                }
                last_s = attempt.at_s;
                let server = usize::from(attempt.server);
                let answer = match (attempt.refused() && marked, attempt.failed()) {
                    (true, _) => Answer::Refused,
                    (false, true) => Answer::Failure,
                    (false, false) if attempt.refused() => Answer::Failure,
                    (false, false) => Answer::Success,
                };
                if let Some((lane, left_out)) = open.get_mut(server) {
                    let at_us = libm::round((attempt.at_s - first_s) * 1e6) as i64;
                    let again = latest[server] == Some(attempt.request);
                    latest[server] = Some(attempt.request);
                    if lane.len() < most {
                        lane.push(Asked { at_us, answer, again, position });
                    } else {
                        *left_out += 1;
                    }
                }
                position += 1;
            }
        }
        done.extend(open);
        done.retain(|(asked, _): &(Vec<Asked>, usize)| !asked.is_empty());
        done
    }

    /// A lane with all of these attempts.
    pub(crate) fn new(asked: Vec<Asked>, marked: bool, prior: &RatePrior) -> Self {
        let mut tally = Tally::default();
        for attempt in asked.iter().filter(|a| a.answer != Answer::Refused) {
            tally.record(attempt.answer == Answer::Failure);
        }
        let outcomes = prior.log_marginal(tally);
        let no_slips = |n: usize| n as f64 * libm::log1p(-SLIP);
        let of_taken = |taken: u64| {
            let rest = Tally { failures: tally.failures - taken, ..tally };
            prior.log_marginal(rest) - outcomes + no_slips(taken as usize)
        };
        let (log_base, of_taken): (f64, Vec<f64>) = if marked {
            (outcomes + no_slips(asked.len()), Vec::new())
        } else {
            (outcomes, (0..=tally.failures).map(of_taken).collect())
        };
        let most_gain = of_taken.iter().copied().fold(0.0, f64::max);
        Self { asked, marked, of_taken, most_gain, log_base, left_out: 0 }
    }

    /// `ln` likelihood of a replay, less [`Lane::log_base`].
    #[inline]
    pub(crate) fn log_likelihood(&self, counts: Counts) -> f64 {
        let slips = counts.slips as f64;
        if self.marked {
            return slips * LOG_SLIP_ODDS;
        }
        let taken = self.of_taken.get(counts.taken as usize).copied().unwrap_or(f64::NEG_INFINITY);
        taken + slips * LOG_SLIP
    }

    /// The same without any limit: then each 429 is a slip.
    pub(crate) fn log_likelihood_of_none(&self) -> f64 {
        self.log_likelihood(Counts { taken: 0, slips: self.refused() as i64 })
    }

    /// Attempts known to have been refused.
    pub(crate) fn refused(&self) -> usize {
        self.asked.iter().filter(|a| a.answer == Answer::Refused).count()
    }

    /// The largest number of attempts within half-open spans of this length.
    pub(crate) fn most_within(&self, span_us: i64) -> usize {
        let mut first = 0;
        let mut most = 0;
        for (i, attempt) in self.asked.iter().enumerate() {
            while attempt.at_us - self.asked[first].at_us >= span_us {
                first += 1;
            }
            most = most.max(i + 1 - first);
        }
        most
    }
}

/// What a replay of a law came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    /// Failures taken for refusals; always 0 where 429 is marked.
    pub(crate) taken: i64,
    /// Attempts answered against the prediction.
    pub(crate) slips: i64,
}

impl Counts {
    /// Counts an attempt that the law would have refused (`by` = 1), or no longer would (-1).
    /// Where 429 is marked, every refused attempt must first be counted as a slip.
    #[inline]
    pub(crate) fn refuse(&mut self, answer: Answer, by: i64, marked: bool) {
        match (answer, marked) {
            (Answer::Success, _) | (Answer::Failure, true) => self.slips += by,
            (Answer::Failure, false) => self.taken += by,
            (Answer::Refused, _) => self.slips -= by,
        }
    }
}

/// `ln` of [`SLIP`].
const LOG_SLIP: f64 = -6.907_755_278_982_137;

/// `ln` of the odds of a slip, ln(0.001) - ln(0.999): what one costs where 429 is marked.
pub(crate) const LOG_SLIP_ODDS: f64 = -6.906_754_778_648_554;

/// Spans in which attempts at one server are counted, in seconds.
pub(crate) const SPANS_S: [f64; 4] = [0.01, 0.1, 1.0, 10.0];

/// How hard the load pressed the servers.
#[derive(Debug, Clone, PartialEq)]
pub struct Pressure {
    /// The largest number of attempts at one server within 10 ms, 100 ms, 1 s and 10 s.
    pub most_within: [usize; 4],
    /// Attempts known to have been refused.
    pub refused: usize,
    /// Whether the recorder told them.
    pub marked: bool,
    /// Attempts that were used.
    pub attempts: usize,
    /// Attempts that were not: those beyond the first 20,000 (2,000 where 429 is not marked) of a
    /// server.
    pub left_out: usize,
}

impl Pressure {
    pub(crate) fn of(lanes: &[Lane], marked: bool) -> Self {
        let most = |span_s: f64| {
            let span_us = (span_s * 1e6) as i64;
            lanes.iter().map(|lane| lane.most_within(span_us)).max().unwrap_or(0)
        };
        Self {
            most_within: SPANS_S.map(most),
            refused: lanes.iter().map(Lane::refused).sum(),
            marked,
            attempts: lanes.iter().map(|lane| lane.asked.len()).sum(),
            left_out: lanes.iter().map(|lane| lane.left_out).sum(),
        }
    }

    /// In words, for a reason.
    pub(crate) fn words(&self) -> String {
        let [a, b, c, d] = self.most_within;
        format!(
            "no server got more than {a} attempts within 10 ms, {b} within 100 ms, {c} within 1 s \
             and {d} within 10 s"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_a_slip_is_that_of_its_odds() {
        assert!((LOG_SLIP_ODDS - libm::log(SLIP / (1.0 - SLIP))).abs() < 1e-12);
        assert_eq!(LOG_SLIP, libm::log(SLIP));
    }

    #[test]
    fn taking_a_failure_for_a_refusal_removes_it_from_the_coin() {
        let asked = |answer, i| Asked { at_us: i, answer, again: false, position: 0 };
        let attempts =
            vec![asked(Answer::Success, 0), asked(Answer::Failure, 1), asked(Answer::Failure, 2)];
        let lane = Lane::new(attempts, false, &RatePrior::flat());
        // Flat: 1 success and 2 failures have 1/12, 1 success and 1 failure 1/6.
        let gain = lane.log_likelihood(Counts { taken: 1, slips: 0 });
        assert!((gain - libm::log(2.0)).abs() < 2e-3, "{gain}");
        assert_eq!(lane.log_likelihood_of_none(), 0.0);
        assert_eq!(lane.most_within(2), 2);
    }
}
