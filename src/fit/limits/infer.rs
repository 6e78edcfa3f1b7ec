//! Inference of a rate limit: the evidence of every family of limits, compared, and what may be
//! claimed.
//!
//! Sequential likelihoods given the times of the attempts, averaged over proper priors, give the
//! evidence of each family; with equal prior probabilities their ratios are Bayes factors
//! (R. E. Kass and A. E. Raftery, "Bayes Factors", JASA 90 (1995), 773-795). A limit is claimed
//! when the Bayes factor of a limit against none is at least 100; its family when the family's
//! probability is at least 0.9 as well, and most attempts were answered before the next was sent.
//! A claim says so when no law here explains the attempts.
//! Without a claim the inference abstains and says what the load could not have shown.
//!
//! When not to use it: where a limiter is shared by several clients, of whom only one was recorded.

use crate::limits::buckets::{self, curve, integrate, integrate_sinusoidal};
use crate::limits::family::{Cell, LimitFamily};
use crate::limits::lane::{Answer, Counts, Lane, Pressure, SLIP, SPANS_S, averaged};
use crate::limits::prior::{LimitPrior, to_digits};
use crate::limits::windows::{fixed, sliding};
use crate::rates::RatePrior;
use crate::runs::Start;
use flakelab_core::domain::{Span, Timestamp};
use flakelab_core::stats::log_sum_exp;
use flakelab_sim::world::{Families, LimitKind, RateLimit};

/// Draws from the posterior.
const LIMIT_DRAWS: usize = 256;

/// What the attempts say of the servers' rate limit.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitInference {
    /// Every family, none first.
    pub families: Vec<LimitFamily>,
    /// `ln` of the Bayes factor of a limit, of whatever family, against none: the evidence
    /// averaged over the four families, over that of none.
    pub log_bayes_factor: f64,
    /// What may be claimed.
    pub conclusion: Conclusion,
    /// The limit to use: the one found, the best one of an open family, or the one that contradicts
    /// the fewest answers; none when abstaining.
    pub estimate: RateLimit,
    /// The evidence for the conclusion, in sentences.
    pub reason: String,
    /// Draws from the posterior over all families, evenly through it, in order of family.
    pub draws: Vec<RateLimit>,
    /// (tokens per second, `ln` likelihood less that of no limit) of buckets of one token.
    pub curve: Vec<(f64, f64)>,
    /// How hard the load pressed.
    pub pressed: Pressure,
    /// The load that would decide what is open.
    pub advice: String,
}

impl LimitInference {
    /// One family.
    pub fn family(&self, kind: LimitKind) -> Option<&LimitFamily> {
        self.families.iter().find(|family| family.kind == kind)
    }
}

/// The rate limit that the servers of these starts have in common.
///
/// `tells_refusals`: whether 429 is marked in every recording. `rates` is what is known of the
/// servers' error rates before; it matters only where 429 is not marked.
pub fn infer_limit(
    starts: &[Start<'_>],
    servers: usize,
    tells_refusals: bool,
    rates: &RatePrior,
    prior: &LimitPrior,
) -> LimitInference {
    let views = Lane::of_starts(starts, servers, tells_refusals, rates);
    let families = families(&views, prior);
    let lanes = &views[0];
    let pressed = Pressure::of(starts, lanes, tells_refusals);
    let curve_rates: Vec<f64> = (0..=60).map(|i| libm::pow(10.0, f64::from(i) * 0.05)).collect();
    let values = curve(lanes, &curve_rates);
    let curve: Vec<(f64, f64)> = curve_rates.into_iter().zip(values).collect();
    let log_bayes_factor = against_none(&families);
    let draws = draws(&families);
    let (conclusion, estimate, mut reason, advice) =
        conclude(&families, log_bayes_factor, &curve, &pressed, &views);
    if pressed.left_out > 0 {
        reason.push_str(&format!(
            " Only the first attempts of each server were used; {} were left out.",
            pressed.left_out
        ));
    }
    LimitInference {
        families,
        log_bayes_factor,
        conclusion,
        estimate,
        reason,
        draws,
        curve,
        pressed,
        advice,
    }
}

/// `ln` of the mean evidence of the families that have a limit, over that of none.
fn against_none(families: &[LimitFamily]) -> f64 {
    let factors: Vec<f64> = families
        .iter()
        .filter(|family| family.kind != LimitKind::None)
        .map(|family| family.log_bayes_factor_against_none)
        .collect();
    log_sum_exp(&factors) - libm::log(factors.len() as f64)
}

fn families(views: &[Vec<Lane>], prior: &LimitPrior) -> Vec<LimitFamily> {
    let lanes = &views[0];
    let base: f64 = lanes.iter().map(|lane| lane.log_base).sum();
    let none: f64 = lanes.iter().map(Lane::log_likelihood_of_none).sum();
    let fixed = window_cells(views, prior, 1, fixed, |limit, window_s| RateLimit::FixedWindow {
        limit,
        window_s,
        phase_s: None,
    });
    let sliding = window_cells(views, prior, 2, sliding, |limit, window_s| {
        RateLimit::SlidingWindow { limit, window_s }
    });
    let bucket = integrate(views, prior);
    let best = [&fixed, &sliding, &bucket]
        .into_iter()
        .flatten()
        .map(|cell| cell.log_likelihood)
        .fold(none, f64::max);
    let sinusoidal =
        if prior.may_swing { integrate_sinusoidal(lanes, prior, best) } else { Vec::new() };
    let nothing = vec![Cell::single(RateLimit::None, none, none)];
    let mut families: Vec<LimitFamily> = [
        (LimitKind::None, nothing),
        (LimitKind::FixedWindow, fixed),
        (LimitKind::SlidingWindow, sliding),
        (LimitKind::TokenBucket, bucket),
        (LimitKind::Sinusoidal, sinusoidal),
    ]
    .into_iter()
    .filter(|(_, cells): &(_, Vec<Cell>)| !cells.is_empty())
    .map(|(kind, cells)| LimitFamily::new(kind, cells, base, none))
    .collect();
    let top = families.iter().map(|f| f.log_evidence).fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = families.iter().map(|f| libm::exp(f.log_evidence - top)).sum();
    for family in &mut families {
        family.probability = libm::exp(family.log_evidence - top) / total;
    }
    families
}

/// The cells of a family of windows; `of_lane` gives the likelihoods of all limits of a length.
fn window_cells(
    views: &[Vec<Lane>],
    prior: &LimitPrior,
    least: u32,
    of_lane: fn(&Lane, i64, usize) -> Vec<f64>,
    limit_of: fn(u32, f64) -> RateLimit,
) -> Vec<Cell> {
    let log_capacities = prior.log_capacities(least);
    let log_windows = libm::log(prior.windows_s.len() as f64);
    let mut cells = Vec::with_capacity(log_capacities.len() * prior.windows_s.len());
    for window_s in &prior.windows_s {
        let window_us = (libm::round(window_s * 1e6) as i64).max(1);
        let of_view = |lanes: &Vec<Lane>| {
            let mut sums = vec![0.0; prior.most()];
            for lane in lanes {
                for (sum, value) in sums.iter_mut().zip(of_lane(lane, window_us, prior.most())) {
                    *sum += value;
                }
            }
            sums
        };
        let of_views: Vec<Vec<f64>> = views.iter().map(of_view).collect();
        for (i, (limit, log_prior)) in (1..).zip(&log_capacities).enumerate() {
            if *log_prior > f64::NEG_INFINITY {
                let of_views: Vec<f64> = of_views.iter().map(|sums| sums[i]).collect();
                let value = averaged(&of_views);
                let mass = log_prior - log_windows + value;
                cells.push(Cell::single(limit_of(limit, *window_s), mass, value));
            }
        }
    }
    cells
}

/// Systematic draws: at (i + 1/2) / [`LIMIT_DRAWS`] through the posterior of all families.
fn draws(families: &[LimitFamily]) -> Vec<RateLimit> {
    let weighted: Vec<(&Cell, f64)> = families
        .iter()
        .flat_map(|family| {
            let total: f64 = family.weights().sum();
            let scale = family.probability / total.max(f64::MIN_POSITIVE);
            family.cells.iter().zip(family.weights()).map(move |(cell, w)| (cell, w * scale))
        })
        .collect();
    let total: f64 = weighted.iter().map(|(_, weight)| weight).sum();
    let mut draws = Vec::with_capacity(LIMIT_DRAWS);
    let mut below = 0.0;
    for (cell, weight) in weighted {
        while draws.len() < LIMIT_DRAWS {
            let at = (draws.len() as f64 + 0.5) / LIMIT_DRAWS as f64 * total;
            if at > below + weight {
                break;
            }
            draws.push(cell.at((at - below) / weight));
        }
        below += weight;
    }
    draws
}

/// A limit is claimed at this Bayes factor against none.
const CLAIMED: f64 = 100.0;

/// A family is claimed at this probability.
const NAMED: f64 = 0.9;

/// No family is claimed where answers depend more than this on an order that nobody knows.
const MOST_OVERLAP: f64 = 0.5;

/// Answers take long when they take this share of the time in which a token is refilled.
const LONG: f64 = 0.1;

/// The same where 429 is not marked, and attempts are taken to arrive when they are sent: a rate of 14 a
/// second lay outside its interval in 37 of 100 traces whose answers took 1 ms.
const LONG_UNMARKED: f64 = 0.005;

/// A law explains marked attempts when at most 2 and this share of them contradict it.
const MOST_CONTRADICTIONS: f64 = 0.01;

/// What may be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// There is a limit, of this family.
    Found,
    /// There is a limit, but several families explain it.
    FoundFamilyOpen,
    /// Attempts are refused, but none of the laws here explains which.
    Unexplained,
    /// Nothing may be claimed.
    Abstained,
}

/// The conclusion, the limit to use, the reason and the advice.
fn conclude(
    families: &[LimitFamily],
    log_bayes_factor: f64,
    curve: &[(f64, f64)],
    pressed: &Pressure,
    views: &[Vec<Lane>],
) -> (Conclusion, RateLimit, String, String) {
    let limited = || families.iter().filter(|family| family.kind != LimitKind::None);
    let best = limited().max_by(|a, b| a.log_evidence.total_cmp(&b.log_evidence));
    let Some(best) = best.filter(|_| log_bayes_factor >= libm::log(CLAIMED)) else {
        let reason = reason_to_abstain(log_bayes_factor, curve, pressed);
        return (Conclusion::Abstained, RateLimit::None, reason, press(pressed));
    };
    let simple = simplest(families, best);
    let limit = simple.estimate;
    let mut reason = format!(
        "A limit is e^{log_bayes_factor:.1} times as likely as none. {}.",
        probabilities(families)
    );
    if !pressed.marked {
        let lanes = &views[0];
        let taken: usize =
            lanes.iter().map(|lane| replayed(&limit, lane).iter().filter(|t| **t).count()).sum();
        reason.push_str(&format!(" {taken} failures would be refusals ({limit})."));
        reason.push_str(&repeats_instead(log_bayes_factor, lanes));
    }
    let (contradictions, explainable) = contradictions(best, views);
    let explained = contradictions <= explainable;
    if !explained {
        reason.push_str(&format!(
            " But {contradictions:.0} of {} answers contradict even the best law ({limit}), so \
             none of these families explains them.",
            pressed.attempts
        ));
    }
    let overlaps = pressed.overlap > MOST_OVERLAP;
    if overlaps {
        reason.push_str(
            " But most attempts were sent before the one before was answered, and in which order \
             they arrived is not known: too little to name the family.",
        );
    }
    let (conclusion, advice) = if !explained {
        (Conclusion::Unexplained, separate(simple))
    } else if best.probability >= NAMED && !overlaps {
        (Conclusion::Found, fix_the_rate(best, pressed))
    } else {
        (Conclusion::FoundFamilyOpen, separate(simple))
    };
    (conclusion, limit, reason, advice)
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

/// Answers against the best law of a family, where 429 is marked, and how many may be: more where
/// answers overlap and the law has no filter for delays.
fn contradictions(family: &LimitFamily, views: &[Vec<Lane>]) -> (f64, f64) {
    let lanes = &views[0];
    if !lanes.iter().all(|lane| lane.marked) {
        return (0.0, 0.0);
    }
    let best = family.cells.iter().max_by(|a, b| a.log_likelihood.total_cmp(&b.log_likelihood));
    if let Some(RateLimit::TokenBucket { per_second, burst }) = best.map(|cell| cell.at(0.5)) {
        let attempts: usize = lanes.iter().map(|lane| lane.asked.len()).sum();
        let explainable = 2.0 + MOST_CONTRADICTIONS * attempts as f64;
        return (buckets::contradictions(views, per_second, burst), explainable);
    }
    let best = best.map_or(0.0, |cell| cell.log_likelihood);
    let [mut explained, mut odds, mut explainable, mut attempts] = [0.0, 0.0, 2.0, 0.0];
    for lane in lanes {
        let n = lane.asked.len() as f64;
        let [slipped, kept] = lane.log_slip;
        explained += n * kept;
        odds += n * (slipped - kept);
        explainable += n * (MOST_CONTRADICTIONS + lane.slip - SLIP);
        attempts += n;
    }
    ((best - explained) / (odds / attempts), explainable)
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

/// What speaks for refused identifiers instead of a limit, where 429 is not marked: each server
/// fails every repeat of a request that it has just failed, and there is no limit.
fn repeats_instead(log_bayes_factor: f64, lanes: &[Lane]) -> String {
    let mut repeats = 0;
    let of_lane = |lane: &Lane| {
        let mut counts = Counts::default();
        for asked in lane.asked.iter().filter(|asked| asked.again) {
            repeats += 1;
            counts.refuse(asked.answer, 1, false);
        }
        lane.log_likelihood(counts)
    };
    // `ln` of its Bayes factor against none.
    let other: f64 = lanes.iter().map(of_lane).sum();
    if repeats == 0 || other < log_bayes_factor - libm::log(CLAIMED) {
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
fn fix_the_rate(best: &LimitFamily, pressed: &Pressure) -> String {
    let range = best.per_second;
    let token_ms = 1e3 / best.estimate.per_second();
    let long = if pressed.marked { LONG } else { LONG_UNMARKED };
    if 1e3 * pressed.answered_after_s > long * token_ms {
        let mut advice = format!(
            "To narrow the rate (now {:.3} to {:.3} a second): answers took {:.3} ms, a token is \
             refilled in {token_ms:.3} ms, and when in between an attempt reached its server is \
             not known. Record nearer to the server, or at the server.",
            range.low,
            range.high,
            1e3 * pressed.answered_after_s,
        );
        if !pressed.marked {
            advice.push_str(
                " As 429 is not marked, attempts are taken to arrive when they are sent: the rate \
                 may lie outside.",
            );
        }
        return advice;
    }
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

// ---- Which failures a limit explains as refusals, so that they leave the servers' tallies: the most
// likely reading under one estimate.
//
// Where 429 is marked, those attempts and no others. Where it is not, the limit is replayed, with
// the phase that is most likely for each server, and a failure that it would have refused is
// taken for a refusal.

/// Phases that are tried.
const PHASES: usize = 64;

/// For each attempt of a start, in order of time, whether it is taken for a refusal.
pub(crate) fn taken_for_refusals(
    limit: &RateLimit,
    start: &Start<'_>,
    servers: usize,
) -> Vec<bool> {
    let mut taken: Vec<bool> = start.attempts().map(|attempt| attempt.refused()).collect();
    if limit.is_none() || taken.contains(&true) {
        return taken;
    }
    let flat = RatePrior::flat();
    for (asked, _) in Lane::asked_of(start, servers, false, usize::MAX, [0.0; 2]) {
        let lane = Lane::new(asked, false, &flat);
        for (asked, refused) in lane.asked.iter().zip(replayed(limit, &lane)) {
            taken[asked.position] = refused;
        }
    }
    taken
}

/// The same for the attempts of a lane in which 429 is not marked.
fn replayed(limit: &RateLimit, lane: &Lane) -> Vec<bool> {
    let phases = if limit.draws_phase() { PHASES } else { 1 };
    let mut best = (f64::NEG_INFINITY, Vec::new());
    for phase in 0..phases {
        let (value, taken) = replay(limit, lane, phase as f64 / phases as f64);
        if value > best.0 {
            best = (value, taken);
        }
    }
    best.1
}

fn replay(limit: &RateLimit, lane: &Lane, phase: f64) -> (f64, Vec<bool>) {
    let mut limiter = limit.limiter(phase);
    let mut counts = Counts::default();
    let taken = lane
        .asked
        .iter()
        .map(|asked| {
            let now = Timestamp::ZERO + Span::from_nanos(asked.at_us.unsigned_abs() * 1000);
            let refused = !limiter.accept(now);
            if refused {
                counts.refuse(asked.answer, 1, false);
            }
            refused && asked.answer == Answer::Failure
        })
        .collect();
    (lane.log_likelihood(counts), taken)
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::limits::buckets::{self, misfits, pauses_s};
    use crate::limits::lane::{Asked, LOG_SLIP_ODDS};
    use crate::synthetic::ATTEMPT;
    use flakelab_core::domain::{Outcome, Purpose, Streams};
    use flakelab_core::stats::{index_below, uniform01};
    use flakelab_sim::trace::Observed;
    use flakelab_sim::world::Limiter;

    fn rng(n: u64) -> impl Rng {
        Streams::new(23).stream(Purpose::Analysis, 0, n)
    }

    /// Attempts at uneven times with any answers at all, so that laws are contradicted too.
    fn anything(marked: bool, n: u64) -> Lane {
        let mut rng = rng(n);
        let mut at_us = 0;
        let answers = [Answer::Success, Answer::Failure, Answer::Refused];
        let asked = (0..60).map(|position| {
            at_us += index_below(&mut rng, 150_000) as i64 + 1;
            let answer = answers[index_below(&mut rng, if marked { 3 } else { 2 })];
            Asked { at_us, span_us: 0, answer, again: false, position }
        });
        Lane::new(asked.collect(), marked, &RatePrior::flat())
    }

    /// The counts of a law by definition: ask, compare, correct the limiter where it was wrong.
    fn by_definition(lane: &Lane, limit: &RateLimit, phase: f64) -> Counts {
        let mut limiter = limit.limiter(phase);
        let mut counts = Counts::default();
        for asked in &lane.asked {
            let now = Timestamp::from_nanos(asked.at_us as u64 * 1000);
            let before = limiter.clone();
            let free = limiter.accept(now);
            match (free, asked.answer) {
                (true, Answer::Refused) => {
                    counts.slips += 1;
                    // It used nothing after all, but time went by.
                    match (&mut limiter, before) {
                        (Limiter::SlidingWindow { accepted, .. }, _) => {
                            accepted.pop_back();
                        }
                        (Limiter::FixedWindow { used, .. }, _) => *used -= 1,
                        (Limiter::Bucket { tokens, .. }, _) => *tokens += 1.0,
                        (Limiter::None, _) => {}
                    }
                }
                (true, _) | (false, Answer::Refused) => {}
                (false, Answer::Failure) if !lane.marked => counts.taken += 1,
                (false, _) => {
                    counts.slips += 1;
                    match &mut limiter {
                        Limiter::SlidingWindow { accepted, .. } => accepted.push_back(now),
                        Limiter::FixedWindow { used, .. } => *used += 1,
                        // A debt where 429 is marked, an empty bucket where it is not.
                        Limiter::Bucket { tokens, .. } if lane.marked => *tokens -= 1.0,
                        Limiter::Bucket { tokens, .. } => *tokens = 0.0,
                        Limiter::None => {}
                    }
                }
            }
        }
        counts
    }

    #[test]
    fn every_limit_of_a_fixed_window_agrees_with_the_definition_over_all_phases() {
        for (marked, n) in [(true, 1), (true, 2), (false, 3), (false, 4)] {
            let lane = anything(marked, n);
            for window_s in [0.05, 0.5, 2.0, 60.0] {
                let fast = fixed(&lane, (window_s * 1e6) as i64, 8);
                for (limit, fast) in (1..).zip(fast) {
                    // Between breakpoints nothing changes: the middles of the pieces, with weights.
                    let mut edges: Vec<f64> = lane
                        .asked
                        .iter()
                        .map(|a| (a.at_us as f64 * 1e-6).rem_euclid(window_s) / window_s)
                        .chain([0.0, 1.0])
                        .collect();
                    edges.sort_by(f64::total_cmp);
                    let limit = RateLimit::FixedWindow { limit, window_s, phase_s: None };
                    let values: Vec<f64> = edges
                        .windows(2)
                        .filter(|e| e[1] - e[0] > 1e-8)
                        .map(|e| {
                            let counts = by_definition(&lane, &limit, 0.5 * (e[0] + e[1]));
                            lane.log_likelihood(counts) + libm::log(e[1] - e[0])
                        })
                        .collect();
                    let slow = log_sum_exp(&values);
                    assert!((fast - slow).abs() < 1e-6, "{limit}, {marked}: {fast} {slow}");
                }
            }
        }
    }

    #[test]
    fn every_limit_of_a_sliding_window_agrees_with_the_definition() {
        for (marked, n) in [(true, 5), (false, 6), (false, 7)] {
            let lane = anything(marked, n);
            for window_s in [0.05, 0.5, 2.0, 60.0] {
                let fast = sliding(&lane, (window_s * 1e6) as i64, 12);
                for (limit, fast) in (1..).zip(fast) {
                    let law = RateLimit::SlidingWindow { limit, window_s };
                    if marked && limit < 12 {
                        // The definition forgets more than `limit` attempts; a slip must not.
                        continue;
                    }
                    let slow = lane.log_likelihood(by_definition(&lane, &law, 0.0));
                    assert!((fast - slow).abs() < 1e-9, "{law}, {marked}: {fast} {slow}");
                }
            }
        }
    }

    #[test]
    fn every_burst_of_a_bucket_agrees_with_the_definition() {
        for (marked, n) in [(true, 8), (true, 9), (false, 10)] {
            let lane = anything(marked, n);
            let lanes = [lane];
            for per_second in [0.7, 4.0, 11.0, 60.0] {
                let misfits = misfits(&lanes, per_second, 5);
                for burst in 1..=5 {
                    let law = RateLimit::TokenBucket { per_second, burst: burst as f64 };
                    let slow = by_definition(&lanes[0], &law, 0.0);
                    let fast = if marked {
                        let slips = misfits.accepted[burst - 1] + misfits.refused[burst - 1];
                        Counts { taken: 0, slips: slips as i64 }
                    } else {
                        let pauses = pauses_s(&lanes[0]);
                        let refill = |pause_s: &f64, _| pause_s * per_second;
                        let bursts = [burst as f64];
                        buckets::replay(&lanes[0], &pauses, refill, &bursts, &[i64::MAX])[0]
                    };
                    assert_eq!(fast, slow, "{law}");
                }
            }
        }
    }

    /// Attempts at one server against a limit, at uneven times.
    fn pressed(limit: &RateLimit, per_second: f64, count: usize, marked: bool, n: u64) -> Lane {
        let mut rng = rng(n);
        let mut limiter = limit.limiter(uniform01(&mut rng));
        let mut at_us = 0;
        let asked = (0..count).map(|position| {
            at_us += (2.0 * uniform01(&mut rng) / per_second * 1e6) as i64 + 1;
            let accepted = limiter.accept(Timestamp::from_nanos(at_us as u64 * 1000));
            let success = uniform01(&mut rng) >= 0.3;
            let answer = match (accepted, success) {
                (true, true) => Answer::Success,
                (false, _) if marked => Answer::Refused,
                _ => Answer::Failure,
            };
            Asked { at_us, span_us: 0, answer, again: false, position }
        });
        Lane::new(asked.collect(), marked, &RatePrior::flat())
    }

    fn best_bucket(lane: Lane) -> Cell {
        let cells = integrate(&[vec![lane]], &LimitPrior::default());
        cells.into_iter().max_by(|a, b| a.log_mass.total_cmp(&b.log_mass)).unwrap()
    }

    #[test]
    fn failures_that_a_limit_explains_are_taken_for_refusals_in_order_of_time() {
        let observed =
            |at_s: f64, server, outcome| Observed { at_s: 1e9 + at_s, server, outcome, ..ATTEMPT };
        let (ok, failed) = (Outcome::Success, Outcome::Failure);
        // One token a second: within a second after an acceptance failures are refusals.
        let early = [observed(0.0, 0, ok), observed(0.1, 1, failed), observed(0.5, 0, failed)];
        let late = [observed(0.6, 1, failed), observed(5.0, 0, failed)];
        let start = Start { stretches: vec![&early, &late] };
        let limit = RateLimit::TokenBucket { per_second: 1.0, burst: 1.0 };
        let expected = vec![false, false, true, true, false];
        assert_eq!(taken_for_refusals(&limit, &start, 2), expected);
        assert_eq!(taken_for_refusals(&RateLimit::None, &start, 2), vec![false; 5]);
        // Marked ones are known; nothing is guessed beside them.
        let marked = [observed(0.0, 0, ok), observed(0.5, 0, Outcome::RateLimited), early[2]];
        let start = Start { stretches: vec![&marked] };
        assert_eq!(taken_for_refusals(&limit, &start, 2), vec![false, true, false]);
    }

    #[test]
    fn a_clock_that_goes_back_begins_a_new_lane() {
        let at = |at_s: f64| Observed { at_s, latency_ms: 0.0, ..ATTEMPT };
        let (first, second, third) = ([at(10.0), at(11.0)], [at(12.0)], [at(3.0), at(4.0)]);
        let start = Start { stretches: vec![&first, &second, &third] };
        let lanes = &Lane::of_starts(&[start], 1, true, &RatePrior::flat())[0];
        let times: Vec<Vec<i64>> =
            lanes.iter().map(|lane| lane.asked.iter().map(|a| a.at_us).collect()).collect();
        assert_eq!(times, [vec![0, 1_000_000, 2_000_000], vec![0, 1_000_000]]);
    }

    /// Where 429 is marked, the peak is a millionth wide.
    #[test]
    fn a_bucket_is_found_marked_or_not() {
        let limit = RateLimit::TokenBucket { per_second: 7.3, burst: 5.0 };
        let best = best_bucket(pressed(&limit, 11.0, 1000, false, 12));
        assert!(best.limit.capacity() == 5.0 && best.log_likelihood > 50.0, "{best:?}");
        assert!((best.limit.per_second() - 7.3).abs() < 0.01, "{best:?}");
        let best = best_bucket(pressed(&limit, 11.0, 1500, true, 11));
        assert!(best.limit.capacity() == 5.0 && best.log_likelihood > -2.0, "{best:?}");
        let [low, high] = [0.0, 1.0].map(|share| best.at(share).per_second());
        assert!((low - 7.3).abs() < 0.01 && high / low < 1.0 + 1e-3, "{low} {high}");
        assert!(best.log_mass > 4.0 * LOG_SLIP_ODDS);
    }
}
