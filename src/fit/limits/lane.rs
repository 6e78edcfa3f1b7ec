//! A lane: the attempts at one server between two restarts of its limiter's memory; and how hard
//! the load pressed, since a limit that was never reached cannot be seen.
//!
//! Every server has a limiter of its own, so the likelihood of a limit is a product over lanes. It
//! depends on a replay through two counts only: failures `taken` for refusals (where 429 is not
//! marked) and `slips`, attempts answered against the prediction. Where 429 is marked, accepted
//! outcomes are coin flips under every law and cancel; where it is not, failures taken for
//! refusals leave the tally of the server's coin.
//!
//! Where 429 is marked, an attempt arrives at its server somewhere between sending and answer:
//! lanes are looked at in several views of where ([`VIEWS`]), and the likelihood is the mean over
//! them. Where it is not marked, attempts are taken to arrive when they are sent.
//!
//! When not to use it: where a clock jumped forwards, unless the gap is longer than the limiter
//! remembers; only jumps backwards show themselves and begin a new lane.

use crate::rates::{RatePrior, Tally};
use crate::runs::Start;
use flakelab_core::stats::{Moments, log_sum_exp};

/// Chance that the limiter and the law disagree about one attempt, because the server's clock is
/// not the client's.
pub(crate) const SLIP: f64 = 1e-3;

/// What laws without a filter for delays add to that for each attempt whose span overlaps others:
/// a tenth, since only those at the edge of a window are answered otherwise.
const SLIP_OF_OVERLAP: f64 = 0.1;

/// Attempts of a lane that are used, the first ones; more would cost time and teach little.
const MOST_MARKED: usize = 20_000;

/// The same where answers take time, or where 429 is not marked and every law must be replayed by
/// itself.
const MOST_REPLAYED: usize = 2_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Success,
    Failure,
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Asked {
    /// Microseconds since the lane's first attempt was sent, exact for windows of whole
    /// milliseconds: the middle of the span in which it arrived.
    pub(crate) at_us: i64,
    /// How long that span is.
    pub(crate) span_us: i64,
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
    /// Of each attempt 1 / (1 + number of others whose spans overlap its own).
    pub(crate) weights: Vec<f64>,
    /// Chance that a limiter and a law without a filter for delays disagree about an attempt.
    pub(crate) slip: f64,
    /// `ln` of that chance, and of the contrary.
    pub(crate) log_slip: [f64; 2],
}

/// Where between sending (0) and answer (1) attempts reach their servers, as a share of the time
/// between, and how probable that is beforehand: anywhere; or with little spread early, since the
/// servers take the time, in the middle, or late, since the way there does.
pub(crate) const VIEWS: [([f64; 2], f64); 4] =
    [([0.0, 1.0], 0.91), ([0.0, 0.25], 0.03), ([0.375, 0.625], 0.03), ([0.75, 1.0], 0.03)];

/// `ln` of the mean likelihood over the views, of which there may be only one.
pub(crate) fn averaged(of_views: &[f64]) -> f64 {
    match of_views {
        [one] => *one,
        _ => {
            let weighted = of_views.iter().zip(VIEWS).map(|(value, (_, p))| value + libm::log(p));
            log_sum_exp(&weighted.collect::<Vec<f64>>())
        }
    }
}

impl Lane {
    /// The lanes of every start that have attempts, with as many attempts as inference uses, in
    /// each of [`VIEWS`]; in one only where no time went by between sending and answer, or where
    /// 429 is not marked: times are then those of sending.
    pub(crate) fn of_starts(
        starts: &[Start<'_>],
        servers: usize,
        marked: bool,
        prior: &RatePrior,
    ) -> Vec<Vec<Self>> {
        let new = |(asked, left_out)| Self { left_out, ..Self::new(asked, marked, prior) };
        let seen = |span: [f64; 2], most: usize| -> Vec<Self> {
            let of_start = |start| Self::asked_of(start, servers, marked, most, span);
            starts.iter().flat_map(of_start).map(new).collect()
        };
        if !marked {
            return vec![seen([0.0; 2], MOST_REPLAYED)];
        }
        let anywhere = seen(VIEWS[0].0, MOST_MARKED);
        if anywhere.iter().all(|lane| lane.longest_s() == 0.0) {
            return vec![anywhere];
        }
        VIEWS.iter().map(|(span, _)| seen(*span, MOST_REPLAYED)).collect()
    }

    /// The first attempts, at most so many, of each lane of a start in order of arrival, and how
    /// many were left out. `span`: where between sending and answer they arrived.
    pub(crate) fn asked_of(
        start: &Start<'_>,
        servers: usize,
        marked: bool,
        most: usize,
        span: [f64; 2],
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
                    let time_us = f64::from(attempt.latency_ms) * 1e3;
                    let sent_us = (attempt.at_s - first_s) * 1e6;
                    let at_us = libm::round(sent_us + 0.5 * (span[0] + span[1]) * time_us) as i64;
                    let span_us = libm::round((span[1] - span[0]) * time_us) as i64;
                    let again = latest[server] == Some(attempt.request);
                    latest[server] = Some(attempt.request);
                    if lane.len() < most {
                        lane.push(Asked { at_us, span_us, answer, again, position });
                    } else {
                        *left_out += 1;
                    }
                }
                position += 1;
            }
        }
        done.extend(open);
        done.retain(|(asked, _): &(Vec<Asked>, usize)| !asked.is_empty());
        done.iter_mut().for_each(|(asked, _)| asked.sort_by_key(|attempt| attempt.at_us));
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
        let of_taken: Vec<f64> =
            if marked { Vec::new() } else { (0..=tally.failures).map(of_taken).collect() };
        let most_gain = of_taken.iter().copied().fold(0.0, f64::max);
        let weights = weights(&asked);
        let overlapping = 1.0 - weights.iter().sum::<f64>() / weights.len().max(1) as f64;
        let slip = SLIP + SLIP_OF_OVERLAP * overlapping;
        let log_slip = [libm::log(slip), libm::log1p(-slip)];
        let (log_base, left_out) = (outcomes, 0);
        Self { asked, marked, of_taken, most_gain, log_base, left_out, weights, slip, log_slip }
    }

    /// The longest span in which an attempt may have arrived, in seconds.
    pub(crate) fn longest_s(&self) -> f64 {
        let longest = self.asked.iter().map(|attempt| attempt.span_us).max();
        longest.unwrap_or(0) as f64 * 1e-6
    }

    /// `ln` likelihood of a replay, less [`Lane::log_base`].
    #[inline]
    pub(crate) fn log_likelihood(&self, counts: Counts) -> f64 {
        let slips = counts.slips as f64;
        if self.marked {
            let [slipped, kept] = self.log_slip;
            return slips * slipped + (self.asked.len() as f64 - slips) * kept;
        }
        let taken = self.of_taken.get(counts.taken as usize).copied().unwrap_or(f64::NEG_INFINITY);
        taken + slips * LOG_SLIP
    }

    /// The same without any limit: then each 429 is a slip, and no delay makes one.
    pub(crate) fn log_likelihood_of_none(&self) -> f64 {
        if !self.marked {
            return self.log_likelihood(Counts::default());
        }
        let refused = self.refused() as f64;
        refused * LOG_SLIP + (self.asked.len() as f64 - refused) * libm::log1p(-SLIP)
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

/// Of each attempt 1 / (1 + number of others whose spans overlap its own).
fn weights(asked: &[Asked]) -> Vec<f64> {
    let twice = |ends: &dyn Fn(&Asked) -> i64| -> Vec<i64> {
        let mut ends: Vec<i64> = asked.iter().map(ends).collect();
        ends.sort_unstable();
        ends
    };
    // In halves of a microsecond.
    let begins = |attempt: &Asked| 2 * attempt.at_us - attempt.span_us;
    let ends = |attempt: &Asked| 2 * attempt.at_us + attempt.span_us;
    let (all_begins, all_ends) = (twice(&begins), twice(&ends));
    let weight = |attempt: &Asked| {
        let begun = all_begins.partition_point(|begin| *begin < ends(attempt));
        let ended = all_ends.partition_point(|end| *end <= begins(attempt));
        // Without a span it overlaps nothing, not even itself.
        1.0 / begun.saturating_sub(ended).max(1) as f64
    };
    asked.iter().map(weight).collect()
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
    /// Attempts that were not: those beyond the first 20,000 of a server (2,000 where answers
    /// take time or 429 is not marked).
    pub left_out: usize,
    /// How far answers depend on the order of attempts that overlap: the mean over attempts of
    /// m / (1 + m) where m others were under way to the same server; 0 where 429 is not marked.
    pub overlap: f64,
    /// Mean time from sending to answer in seconds; 0 where it was not recorded.
    pub answered_after_s: f64,
}

impl Pressure {
    pub(crate) fn of(starts: &[Start<'_>], lanes: &[Lane], marked: bool) -> Self {
        let most = |span_s: f64| {
            let span_us = (span_s * 1e6) as i64;
            lanes.iter().map(|lane| lane.most_within(span_us)).max().unwrap_or(0)
        };
        let attempts: usize = lanes.iter().map(|lane| lane.asked.len()).sum();
        let weights: f64 = lanes.iter().flat_map(|lane| &lane.weights).sum();
        let mut latency = Moments::default();
        let sent = starts.iter().flat_map(Start::attempts);
        sent.for_each(|attempt| latency.push(f64::from(attempt.latency_ms) * 1e-3));
        Self {
            most_within: SPANS_S.map(most),
            refused: lanes.iter().map(Lane::refused).sum(),
            marked,
            attempts,
            left_out: lanes.iter().map(|lane| lane.left_out).sum(),
            overlap: 1.0 - weights / attempts.max(1) as f64,
            answered_after_s: latency.mean(),
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
    fn an_attempt_that_overlaps_two_others_counts_a_third() {
        let asked = |at_us, span_us| Asked {
            at_us,
            span_us,
            answer: Answer::Success,
            again: false,
            position: 0,
        };
        // From 0 to 10, 8 to 12, 11 to 21, 21 to 31 and a moment.
        let all = [asked(5, 10), asked(10, 4), asked(16, 10), asked(26, 10), asked(90, 0)];
        assert_eq!(weights(&all), [0.5, 1.0 / 3.0, 0.5, 1.0, 1.0]);
    }

    #[test]
    fn taking_a_failure_for_a_refusal_removes_it_from_the_coin() {
        let asked = |answer, i| Asked { at_us: i, span_us: 0, answer, again: false, position: 0 };
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
