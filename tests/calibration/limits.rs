//! Rate limits: is the family named right, does the inference abstain where nothing was pressed,
//! and are the posteriors of a limiter's parameters calibrated?

use flakelab_core::domain::{Outcome, Purpose, Span, Streams, Timestamp};
use flakelab_core::stats::Interval;
use flakelab_core::stats::randomised_pit;
use flakelab_core::stats::{exponential, index_below, uniform01};
use flakelab_fit::{
    Conclusion, LimitInference, LimitParameter, LimitPrior, RatePrior, Start, infer_limit,
};
use flakelab_sim::trace::{Config, Group, Observed, Recording};
use flakelab_sim::world::{LimitKind, Limiter, RateLimit};
use rand::Rng;
use rayon::prelude::*;

use crate::study::{Finding, Study, made, must_be_rejected, uniformity};

/// Any day; traces carry Unix time.
pub const BEGIN_S: f64 = 1_768_998_000.0;

/// How requests reach the one server of a trace.
#[derive(Clone, Copy, PartialEq)]
enum Arrivals {
    /// Evenly spaced, each moved by up to half a gap either way.
    Jittered,
    /// A Poisson process.
    Poisson,
    /// Requests at even times; what fails is tried again here 1 to 5 ms later, up to 3 times.
    Retried,
}

/// The load of a trace.
#[derive(Clone, Copy)]
struct Load {
    per_second: f64,
    seconds: f64,
    arrivals: Arrivals,
    marked: bool,
}

/// A trace of one server with an error rate drawn from 0.05 to 0.7; the limiter and the recorder
/// disagree about an attempt with the probability that the likelihood states.
fn recording(limit: &RateLimit, load: Load, slips: bool, rng: &mut impl Rng) -> Recording {
    let mut limiter = limit.limiter(uniform01(rng));
    let error_rate = 0.05 + 0.65 * uniform01(rng);
    let mut attempts: Vec<Observed> = Vec::new();
    let gap = 1.0 / load.per_second;
    let mut at = 0.0;
    for request in 0_u32.. {
        at = match load.arrivals {
            Arrivals::Jittered => (f64::from(request) + 0.5 + uniform01(rng)) * gap,
            Arrivals::Poisson => at + exponential(rng) * gap,
            Arrivals::Retried => f64::from(request + 1) * gap,
        };
        if at > load.seconds {
            break;
        }
        let tries = if load.arrivals == Arrivals::Retried { 3 } else { 1 };
        let mut now = at;
        for attempt in 1..=tries {
            // What the limiter sees is what the file holds.
            let at_s = BEGIN_S + (now * 1e6).round() * 1e-6;
            let nanos = ((at_s - BEGIN_S) * 1e6).round() as u64 * 1000;
            let accepted = asked(
                &mut limiter,
                Timestamp::ZERO + Span::from_nanos(nanos),
                slips && uniform01(rng) < 1e-3,
            );
            let outcome = match (accepted, uniform01(rng) < error_rate) {
                (true, false) => Outcome::Success,
                (false, _) if load.marked => Outcome::RateLimited,
                _ => Outcome::Failure,
            };
            attempts.push(Observed {
                at_s,
                latency_ms: 1.0,
                request,
                attempt,
                server: 0,
                outcome,
                strategy: 0,
                identifier_byte: b'a',
            });
            if outcome == Outcome::Success {
                break;
            }
            now += 0.001 + 0.004 * uniform01(rng);
        }
    }
    let group = Group { servers: vec!["5000".to_owned()], ..Group::of_config(Config::ALL[1]) };
    Recording { tells_refusals: load.marked, ..made(group, attempts) }
}

/// The limiter's answer, or its contrary when it slips; it counts what was answered.
fn asked(limiter: &mut Limiter, now: Timestamp, slip: bool) -> bool {
    let accepted = limiter.accept(now);
    if !slip {
        return accepted;
    }
    let by = if accepted { -1.0 } else { 1.0 };
    match limiter {
        Limiter::None => return true,
        Limiter::FixedWindow { used, .. } => *used = used.saturating_add_signed(by as i32),
        Limiter::SlidingWindow { accepted: times, .. } if accepted => drop(times.pop_back()),
        Limiter::SlidingWindow { accepted: times, .. } => times.push_back(now),
        Limiter::Bucket { tokens, .. } => *tokens -= by,
    }
    !accepted
}

fn rng(study: u16, n: u64) -> impl Rng {
    Streams::new(2026).stream(Purpose::Analysis, study, n)
}

fn pick<T: Copy>(from: &[T], rng: &mut impl Rng) -> T {
    from[index_below(rng, from.len())]
}

fn whole(low: u32, high: u32, rng: &mut impl Rng) -> u32 {
    low + index_below(rng, (high - low + 1) as usize) as u32
}

const FAMILIES: [LimitKind; 3] =
    [LimitKind::FixedWindow, LimitKind::SlidingWindow, LimitKind::TokenBucket];

/// A limit of a family, its attempts per second, and how long ten windows of it last.
fn drawn(kind: LimitKind, rng: &mut impl Rng) -> (RateLimit, f64, f64) {
    let window_s = pick(&[0.5, 1.0, 2.0], rng);
    let limit = whole(3, 20, rng);
    let per_second = f64::from(limit) / window_s;
    match kind {
        LimitKind::FixedWindow => {
            let limit = RateLimit::FixedWindow { limit, window_s, phase_s: None };
            (limit, per_second, 10.0 * window_s)
        }
        LimitKind::SlidingWindow => {
            (RateLimit::SlidingWindow { limit, window_s }, per_second, 10.0 * window_s)
        }
        _ => {
            // Any rate, not only round ones: one burst refills in 0.5 to 2 s.
            let burst = f64::from(whole(3, 10, rng));
            let refill_s = 0.5 * libm::pow(4.0, uniform01(rng));
            let per_second = burst / refill_s;
            (RateLimit::TokenBucket { per_second, burst }, per_second, 10.0 * refill_s)
        }
    }
}

pub fn inferred(recording: &Recording, prior: &LimitPrior) -> LimitInference {
    let start = Start { stretches: vec![&recording.attempts] };
    infer_limit(&[start], 1, recording.tells_refusals, &RatePrior::flat(), prior)
}

/// What a trace was taken for: a family, open, or nothing.
fn verdict(inference: &LimitInference) -> usize {
    match inference.conclusion {
        Conclusion::Found => match inference.estimate {
            RateLimit::FixedWindow { .. } => 0,
            RateLimit::SlidingWindow { .. } => 1,
            RateLimit::TokenBucket { .. } => 2,
            _ => 3,
        },
        Conclusion::FoundFamilyOpen | Conclusion::Unexplained => 4,
        Conclusion::Abstained => 5,
    }
}

/// Verdicts on traces of each family at 1.5 times its limit, ten windows long.
fn named(marked: bool, traces: u64) -> [[u32; 6]; 3] {
    let mut table = [[0; 6]; 3];
    for (row, kind) in table.iter_mut().zip(FAMILIES) {
        let verdicts: Vec<usize> = (0..traces)
            .into_par_iter()
            .map(|n| {
                let mut rng = rng(kind as u16, n);
                let (limit, per_second, seconds) = drawn(kind, &mut rng);
                let arrivals =
                    [Arrivals::Jittered, Arrivals::Poisson, Arrivals::Retried][n as usize % 3];
                let load = Load { per_second: 1.5 * per_second, seconds, arrivals, marked };
                let recording = recording(&limit, load, false, &mut rng);
                verdict(&inferred(&recording, &LimitPrior::default()))
            })
            .collect();
        verdicts.into_iter().for_each(|verdict| row[verdict] += 1);
    }
    table
}

fn naming(marked: bool, traces: u64) -> Vec<Finding> {
    let findings = |(i, row): (usize, [u32; 6])| {
        let [fixed, sliding, bucket, sinusoidal, open, abstained] = row;
        Finding {
            what: format!(
                "{} named at 1.5 times the limit, 429 {}",
                FAMILIES[i],
                if marked { "marked" } else { "not marked" }
            ),
            measured: format!(
                "{:.1} % of {traces} (fixed window {fixed}, sliding window {sliding}, token \
                 bucket {bucket}, sinusoidal {sinusoidal}, family open {open}, abstained \
                 {abstained})",
                100.0 * f64::from(row[i]) / traces as f64
            ),
            bound: if marked { "at least 95 %".to_owned() } else { String::new() },
            held: marked.then_some(f64::from(row[i]) >= 0.95 * traces as f64),
        }
    };
    named(marked, traces).into_iter().enumerate().map(findings).collect()
}

/// Windows of a length that the prior does not have: how often a wrong family is named.
fn odd_windows(traces: u64) -> Finding {
    let wrong: Vec<[bool; 2]> = (0..traces)
        .into_par_iter()
        .map(|n| {
            let mut rng = rng(30, n);
            let (limit, window_s) = (whole(3, 20, &mut rng), pick(&[0.7, 1.3, 1.5], &mut rng));
            let (limit, right) = match n % 2 {
                0 => (RateLimit::FixedWindow { limit, window_s, phase_s: None }, 0),
                _ => (RateLimit::SlidingWindow { limit, window_s }, 1),
            };
            let load = Load {
                per_second: 1.5 * LimitParameter::PerSecond.of(&limit),
                seconds: 10.0 * window_s,
                arrivals: Arrivals::Jittered,
                marked: true,
            };
            let recording = recording(&limit, load, false, &mut rng);
            let verdict = verdict(&inferred(&recording, &LimitPrior::default()));
            [verdict < 4 && verdict != right, verdict == 4]
        })
        .collect();
    let share = |i: usize| 100.0 * wrong.iter().filter(|w| w[i]).count() as f64 / traces as f64;
    Finding {
        what: "a wrong family named when the window is 0.7, 1.3 or 1.5 s, 429 marked".to_owned(),
        measured: format!("{:.1} % of {traces}; family open {:.1} %", share(0), share(1)),
        bound: String::new(),
        held: None,
    }
}

/// Abstentions on traces with no limit, and with one at 4 times the load (1 in 4).
fn abstention(marked: bool, traces: u64) -> Finding {
    let abstained: Vec<bool> = (0..traces)
        .into_par_iter()
        .map(|n| {
            let mut rng = rng(20 + u16::from(marked), n);
            let (limit, per_second, seconds) = drawn(FAMILIES[n as usize % 3], &mut rng);
            let limit = if n % 2 == 0 { RateLimit::None } else { limit };
            let share = if limit.is_none() { 1.5 } else { 0.25 };
            let arrivals = if n % 4 < 2 { Arrivals::Jittered } else { Arrivals::Retried };
            // Retries come at once, so with them even a low load may press: none there.
            let limit = if arrivals == Arrivals::Retried { RateLimit::None } else { limit };
            let load = Load { per_second: share * per_second, seconds, arrivals, marked };
            let recording = recording(&limit, load, false, &mut rng);
            verdict(&inferred(&recording, &LimitPrior::default())) == 5
        })
        .collect();
    let count = abstained.iter().filter(|a| **a).count();
    Finding {
        what: format!(
            "abstained on traces without a limit (3 in 4) or at a quarter of it, 429 {}",
            if marked { "marked" } else { "not marked" }
        ),
        measured: format!("{:.1} % of {traces}", 100.0 * count as f64 / traces as f64),
        bound: "at least 99 %".to_owned(),
        held: Some(count as f64 >= 0.99 * traces as f64),
    }
}

/// The prior of calibration: what a small trace can speak about.
fn small_prior() -> LimitPrior {
    LimitPrior {
        windows_s: vec![0.5, 1.0, 2.0],
        capacity: [3, 20],
        per_second: Interval { low: 2.0, high: 20.0 },
        may_swing: true,
    }
}

/// A limit of a family from [`small_prior`].
fn from_prior(kind: LimitKind, rng: &mut impl Rng) -> RateLimit {
    let prior = small_prior();
    let [low, high] = prior.capacity;
    let weights: f64 = (low..=high).map(|x| 1.0 / f64::from(x)).sum();
    let mut rest = uniform01(rng) * weights;
    let mut capacity = low;
    while capacity < high && rest >= 1.0 / f64::from(capacity) {
        rest -= 1.0 / f64::from(capacity);
        capacity += 1;
    }
    let window_s = pick(&prior.windows_s, rng);
    let range = prior.per_second;
    let per_second = range.low * libm::pow(range.high / range.low, uniform01(rng));
    match kind {
        LimitKind::FixedWindow => {
            RateLimit::FixedWindow { limit: capacity, window_s, phase_s: None }
        }
        LimitKind::SlidingWindow => RateLimit::SlidingWindow { limit: capacity, window_s },
        _ => RateLimit::TokenBucket { per_second, burst: f64::from(capacity) },
    }
}

/// Ranks of a parameter in its posterior, the family given; `planted` changes what was recorded.
fn ranks(
    kind: LimitKind,
    parameter: LimitParameter,
    data_sets: u64,
    planted: impl Fn(&mut Recording) + Sync,
    fitted: LimitKind,
) -> Vec<f64> {
    (0..data_sets)
        .into_par_iter()
        .map(|n| {
            let mut rng = rng(40 + kind as u16, n);
            let limit = from_prior(kind, &mut rng);
            let load =
                Load { per_second: 8.0, seconds: 4.0, arrivals: Arrivals::Poisson, marked: true };
            let mut recording = recording(&limit, load, true, &mut rng);
            planted(&mut recording);
            if recording.attempts.is_empty() {
                return uniform01(&mut rng);
            }
            let inference = inferred(&recording, &small_prior());
            let truth = parameter.of(&limit);
            let [below, at] =
                inference.family(fitted).map_or([0.0, 1.0], |f| f.cdf(parameter, truth));
            randomised_pit(below, at, uniform01(&mut rng))
        })
        .collect()
}

/// An off-by-one window: the last accepted attempt before each refusal is recorded as refused.
fn one_too_few(recording: &mut Recording) {
    for i in 1..recording.attempts.len() {
        let refused = |i: usize| recording.attempts[i].outcome == Outcome::RateLimited;
        if refused(i) && !refused(i - 1) {
            recording.attempts[i - 1].outcome = Outcome::RateLimited;
        }
    }
}

/// Names, abstentions and calibration with this many traces of each kind.
fn findings(traces: u64, unpressed: u64, data_sets: u64) -> Vec<Finding> {
    let mut findings = naming(true, traces);
    findings.extend([abstention(true, unpressed), abstention(false, unpressed)]);
    findings.extend(naming(false, traces));
    findings.push(odd_windows(traces));
    let right = |kind, parameter| ranks(kind, parameter, data_sets, |_| {}, kind);
    let parameters = [
        (LimitKind::FixedWindow, LimitParameter::Capacity, "limit of a fixed window"),
        (LimitKind::FixedWindow, LimitParameter::WindowS, "length of a fixed window"),
        (LimitKind::SlidingWindow, LimitParameter::Capacity, "limit of a sliding window"),
        (LimitKind::TokenBucket, LimitParameter::PerSecond, "rate of a token bucket"),
        (LimitKind::TokenBucket, LimitParameter::Capacity, "burst of a token bucket"),
    ]
    .map(|(kind, parameter, what)| (format!("rank of the {what}"), right(kind, parameter)));
    findings.extend(uniformity(&parameters));
    let (fixed, bucket) = (LimitKind::FixedWindow, LimitKind::TokenBucket);
    let off_by_one = ranks(fixed, LimitParameter::Capacity, data_sets, one_too_few, fixed);
    findings.push(must_be_rejected("windows one attempt too short", &off_by_one));
    let wrong_law = ranks(fixed, LimitParameter::PerSecond, data_sets, |_| {}, bucket);
    findings.push(must_be_rejected("a fixed window fitted as a token bucket", &wrong_law));
    findings
}

const METHOD: &str = "Traces of one server with an error rate from 0.05 to 0.7. Names: fixed and \
    sliding windows with limits 3 to 20 in 0.5, 1 or 2 s, token buckets with bursts 3 to 10 that \
    refill in 0.5 to 2 s; load of 1.5 times the limit for ten windows (a bucket's window is its \
    refill time); a third each of jittered arrivals, Poisson arrivals, and requests retried at \
    once. Named means found with probability 0.9 and a Bayes factor of 100 against none. Ranks: \
    8 attempts a second for 4 s against limits drawn from the prior (limits and bursts 3 to 20, \
    windows 0.5, 1 or 2 s, rates 2 to 20 a second), the family given, randomised where discrete.";

/// The study at full size.
pub fn study() -> Study {
    Study { title: "Rate limits", method: METHOD.to_owned(), findings: findings(300, 1000, 1000) }
}

#[test]
fn limits_are_named_and_their_parameters_calibrated() {
    for finding in findings(8, 16, 60) {
        // A control with a tenth of the data need not be rejected as clearly.
        assert!(finding.held != Some(false) || finding.what.contains("planted"), "{finding:?}");
    }
}
