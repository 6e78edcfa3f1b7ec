//! What may be claimed of a rate limit, why, and which load would decide the rest.
//!
//! A limit is claimed when the Bayes factor of a limit against none is at least 100; its family
//! when the family's probability is at least 0.9 as well. A claim says so when no law here explains
//! the attempts. Without a claim the inference abstains and says what the load could not have shown.

use super::family::{LimitFamily, to_digits};
use super::lane::{Counts, Lane, log_slip_odds};
use super::pressure::{Pressure, SPANS_S};
use super::refusals::replayed;
use crate::world::{LimitKind, RateLimit};

/// A limit is claimed at this Bayes factor against none.
pub const CLAIMED: f64 = 100.0;
/// A family is claimed at this probability.
pub const NAMED: f64 = 0.9;
/// A law explains marked attempts when at most 2 and this share of them contradict it.
const MOST_CONTRADICTIONS: f64 = 0.01;

/// What may be claimed.
#[derive(Debug, Clone, PartialEq)]
pub enum Conclusion {
    /// There is a limit, of this family.
    Found {
        /// The estimate.
        limit: RateLimit,
        /// The evidence, in sentences.
        reason: String,
    },
    /// There is a limit, but several families explain it.
    FoundFamilyOpen {
        /// The estimate of the most probable family.
        best: RateLimit,
        /// The evidence, in sentences.
        reason: String,
    },
    /// Attempts are refused, but none of the laws here explains which.
    Unexplained {
        /// The estimate of the law that contradicts the fewest answers.
        best: RateLimit,
        /// The evidence, in sentences.
        reason: String,
    },
    /// Nothing may be claimed.
    Abstained {
        /// Why, in sentences.
        reason: String,
    },
}

/// The conclusion and the advice.
pub(super) fn conclude(
    families: &[LimitFamily],
    log_bayes_factor: f64,
    curve: &[(f64, f64)],
    pressed: &Pressure,
    lanes: &[Lane],
) -> (Conclusion, String) {
    let limited = || families.iter().filter(|family| family.kind != LimitKind::None);
    let best = limited().max_by(|a, b| a.log_evidence.total_cmp(&b.log_evidence));
    let Some(best) = best.filter(|_| log_bayes_factor >= libm::log(CLAIMED)) else {
        let reason = reason_to_abstain(log_bayes_factor, curve, pressed);
        return (Conclusion::Abstained { reason: with_rest(reason, pressed) }, press(pressed));
    };
    let simple = simplest(families, best);
    let limit = simple.estimate;
    let mut reason = format!(
        "A limit is e^{log_bayes_factor:.1} times as likely as none. {}.",
        probabilities(families)
    );
    if !pressed.marked {
        let taken: usize =
            lanes.iter().map(|lane| replayed(&limit, lane).iter().filter(|t| **t).count()).sum();
        reason.push_str(&format!(" {taken} failures would be refusals ({limit})."));
        let (other, repeats) = of_repeats(lanes);
        reason.push_str(&repeats_instead(log_bayes_factor, other, repeats));
    }
    let contradictions = contradictions(best, pressed);
    let explained = contradictions <= 2.0 + MOST_CONTRADICTIONS * pressed.attempts as f64;
    if !explained {
        reason.push_str(&format!(
            " But {contradictions:.0} of {} answers contradict even the best law ({limit}), so \
             none of these families explains them.",
            pressed.attempts
        ));
    }
    let reason = with_rest(reason, pressed);
    if !explained {
        (Conclusion::Unexplained { best: limit, reason }, separate(simple))
    } else if best.probability >= NAMED {
        (Conclusion::Found { limit, reason }, fix_the_rate(best))
    } else {
        (Conclusion::FoundFamilyOpen { best: limit, reason }, separate(simple))
    }
}

/// Of the families that are not worth telling from the best (a Bayes factor below 3; Kass and
/// Raftery 1995), the one with the fewest parameters.
fn simplest<'a>(families: &'a [LimitFamily], best: &'a LimitFamily) -> &'a LimitFamily {
    [LimitKind::TokenBucket, LimitKind::SlidingWindow, LimitKind::FixedWindow]
        .into_iter()
        .filter_map(|kind| families.iter().find(|family| family.kind == kind))
        .find(|family| 3.0 * family.probability >= best.probability)
        .unwrap_or(best)
}

/// Answers against the best law of a family, where 429 is marked.
fn contradictions(family: &LimitFamily, pressed: &Pressure) -> f64 {
    if !pressed.marked {
        return 0.0;
    }
    family.best_log_likelihood / log_slip_odds() + pressed.refused as f64
}

fn with_rest(mut reason: String, pressed: &Pressure) -> String {
    if pressed.left_out > 0 {
        reason.push_str(&format!(
            " Only the first attempts of each server were used; {} were left out.",
            pressed.left_out
        ));
    }
    reason
}

fn probabilities(families: &[LimitFamily]) -> String {
    let mut sorted: Vec<&LimitFamily> = families.iter().collect();
    sorted.sort_by(|a, b| b.log_evidence.total_cmp(&a.log_evidence));
    let words: Vec<String> = sorted
        .iter()
        .filter(|family| family.probability >= 0.005)
        .map(|family| format!("{} {:.0} %", family.kind, 100.0 * family.probability))
        .collect();
    format!("Probabilities of the families: {}", words.join(", "))
}

fn reason_to_abstain(log_bayes_factor: f64, curve: &[(f64, f64)], pressed: &Pressure) -> String {
    let found = match (pressed.marked, pressed.refused) {
        (true, 0) => "No attempt was answered with 429".to_owned(),
        (true, n) => format!(
            "Only {n} of {} attempts were answered with 429, too few to claim a limit",
            pressed.attempts
        ),
        (false, _) => format!(
            "429 is not marked, and failures alone say too little: the Bayes factor of a limit \
             against none is e^{log_bayes_factor:.1}, a claim needs {CLAIMED:.0}"
        ),
    };
    let mut reason = format!("{found}; {}. A limit above that cannot be seen.", pressed.words());
    let excluded = curve.iter().take_while(|(_, value)| *value < -libm::log(CLAIMED)).last();
    if let Some((rate, _)) = excluded {
        reason.push_str(&format!(
            " A bucket of one token refilled {} times a second or slower is excluded.",
            to_digits(*rate, 3)
        ));
    }
    reason
}

/// `ln` of the Bayes factor of another cause against none: a server fails every repeat of a
/// request that it has just failed, and there is no limit. And how many repeats there were.
fn of_repeats(lanes: &[Lane]) -> (f64, usize) {
    let mut repeats = 0;
    let of_lane = |lane: &Lane| {
        let mut counts = Counts::default();
        for asked in lane.asked.iter().filter(|asked| asked.again) {
            repeats += 1;
            counts.refuse(asked.answer, 1, false);
        }
        lane.log_likelihood(counts)
    };
    (lanes.iter().map(of_lane).sum(), repeats)
}

/// What speaks for refused identifiers instead of a limit, where 429 is not marked.
fn repeats_instead(log_bayes_factor: f64, other: f64, repeats: usize) -> String {
    let margin = libm::log(CLAIMED);
    if repeats == 0 || other < log_bayes_factor - margin {
        return String::new();
    }
    format!(
        " But servers that fail every repeat of a request they have just failed, {repeats} \
         repeats here, would explain it too (e^{other:.1} times as likely as no limit and no such \
         rule): a limit on quick repeats and a rule about identifiers cannot be told apart."
    )
}

/// The load that presses at all.
fn press(pressed: &Pressure) -> String {
    let burst = 4 * pressed.most_within[1].max(5);
    let seconds = SPANS_S[2];
    format!(
        "To press: send one server a burst of {burst} attempts within 0.1 s, then {burst} a second \
         for {:.0} s, then pause for 60 s, each request with an identifier of its own; mark 429. \
         Double it until refusals come. A limit that lets {burst} through within {seconds:.0} s \
         does not matter at the recorded load.",
        10.0 * seconds
    )
}

/// The load that tells families apart.
fn separate(best: &LimitFamily) -> String {
    let capacity = best.estimate.capacity().clamp(1.0, 1e6);
    let rate = best.estimate.per_second().clamp(1e-3, 1e6);
    let refill_s = capacity / rate;
    let burst = libm::ceil(2.0 * capacity);
    format!(
        "To tell families apart, at one server, each request with an identifier of its own, 429 \
         marked: {burst:.0} attempts at once, {burst:.0} again after {:.3} s and after {:.3} s \
         more; then {:.1} a second for {:.1} s; pause for {:.1} s; five times. After half the \
         refill time a bucket accepts half a burst, a sliding window nothing, a fixed window \
         all or nothing.",
        0.5 * refill_s,
        refill_s,
        1.5 * rate,
        10.0 * refill_s,
        2.0 * refill_s,
    )
}

/// The load that narrows the rate.
fn fix_the_rate(best: &LimitFamily) -> String {
    let range = best.per_second;
    if range.high <= 1.02 * range.low {
        return "Nothing: the rate is known to 2 %.".to_owned();
    }
    let rate = best.estimate.per_second().clamp(1e-3, 1e6);
    format!(
        "To narrow the rate (now {:.3} to {:.3} a second): send one server {:.1} attempts a second \
         without a pause for {:.1} s, so that accepted attempts count the refill.",
        range.low,
        range.high,
        1.5 * range.high.min(3.0 * rate),
        100.0 / rate
    )
}
