//! Rate limits when answers take time: the client knows when it sent an attempt and when the answer
//! came, the limiter decides somewhere in between. Do the intervals of a limit still hold it?

use flakelab_core::domain::{Outcome, Purpose, Streams, Timestamp};
use flakelab_core::stats::Interval;
use flakelab_core::stats::{exponential, index_below, standard_normal, uniform01};
use flakelab_fit::{Conclusion, LimitInference, LimitParameter, LimitPrior};
use flakelab_sim::trace::{Config, Group, Observed, Recording};
use flakelab_sim::world::{LimitKind, RateLimit};
use rand::Rng;
use rayon::prelude::*;

use crate::limits::{BEGIN_S, inferred};
use crate::study::{Finding, Study, made};

/// Traces of each kind but the first, at most.
const OTHERS: u64 = 300;

/// Medians of the time from sending to answer, in milliseconds; log-normal with sigma 0.5.
const DELAYS_MS: [f64; 5] = [0.01, 1.0, 5.0, 20.0, 50.0];

/// Where between sending and answer an attempt reaches the limiter.
#[derive(Clone, Copy)]
enum Way {
    /// Anywhere, each attempt by itself.
    Anywhere,
    /// A share of the time that is the same for all.
    Share(f64),
    /// Anywhere in half of the traces, a share in the others.
    Either,
}

impl Way {
    /// The share for an attempt of the n-th trace.
    fn share(self, n: u64, rng: &mut impl Rng) -> f64 {
        match self {
            Self::Share(share) => share,
            Self::Either if n % 2 == 1 => [0.0, 0.3, 0.5, 1.0][(n / 2) as usize % 4],
            Self::Anywhere | Self::Either => uniform01(rng),
        }
    }
}

/// The limits of a row.
#[derive(Clone, Copy)]
enum Limits {
    /// One token, 14 a second.
    OneToken,
    /// One to eight tokens, 5 to 20 a second.
    Buckets,
    /// 3 to 20 in 0.5, 1 or 2 s, fixed and sliding in turn.
    Windows,
    /// None at all.
    None,
}

impl Limits {
    fn drawn(self, n: u64, rng: &mut impl Rng) -> RateLimit {
        match self {
            Self::None => RateLimit::None,
            Self::OneToken => RateLimit::TokenBucket { per_second: 14.0, burst: 1.0 },
            Self::Buckets => {
                let per_second = 5.0 * libm::pow(4.0, uniform01(rng));
                RateLimit::TokenBucket { per_second, burst: (1 + index_below(rng, 8)) as f64 }
            }
            Self::Windows => {
                let window_s = [0.5, 1.0, 2.0][index_below(rng, 3)];
                let limit = 3 + index_below(rng, 18) as u32;
                match n % 2 {
                    0 => RateLimit::FixedWindow { limit, window_s, phase_s: None },
                    _ => RateLimit::SlidingWindow { limit, window_s },
                }
            }
        }
    }
}

/// A trace of 300 attempts at 1.5 times the limit, sent as a Poisson process, 429 marked.
fn recording(limit: &RateLimit, median_ms: f64, way: Way, n: u64, rng: &mut impl Rng) -> Recording {
    let limited = if limit.is_none() { 14.0 } else { LimitParameter::PerSecond.of(limit) };
    let per_second = 1.5 * limited;
    let mut sent_s = 0.0;
    let mut arrivals: Vec<(f64, Observed)> = (0..300)
        .map(|request| {
            sent_s += exponential(rng) / per_second;
            let latency_s = 1e-3 * median_ms * libm::exp(0.5 * standard_normal(rng));
            let observed = Observed {
                // Recorded to a microsecond.
                at_s: BEGIN_S + (sent_s * 1e6).round() * 1e-6,
                latency_ms: (1e3 * latency_s) as f32,
                request,
                attempt: 1,
                server: 0,
                outcome: Outcome::Success,
                strategy: 0,
                identifier_byte: b'a',
            };
            (sent_s + way.share(n, rng) * latency_s, observed)
        })
        .collect();
    arrivals.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut limiter = limit.limiter(uniform01(rng));
    for (arrived_s, observed) in &mut arrivals {
        if !limiter.accept(Timestamp::from_secs_f64(*arrived_s)) {
            observed.outcome = Outcome::RateLimited;
        } else if uniform01(rng) < 0.2 {
            observed.outcome = Outcome::Failure;
        }
    }
    let mut attempts: Vec<Observed> = arrivals.into_iter().map(|(_, observed)| observed).collect();
    attempts.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    let group = Group { servers: vec!["5000".to_owned()], ..Group::of_config(Config::ALL[1]) };
    Recording { tells_refusals: true, ..made(group, attempts) }
}

/// Whether the intervals of the true family hold rate and burst or limit; where there is none,
/// whether none is claimed.
fn holds(inference: &LimitInference, limit: &RateLimit) -> bool {
    if limit.is_none() {
        return inference.conclusion == Conclusion::Abstained;
    }
    let within = |interval: Interval, truth: f64| {
        (interval.low * (1.0 - 1e-9)..=interval.high * (1.0 + 1e-9)).contains(&truth)
    };
    inference.family(limit.kind()).is_some_and(|family| {
        within(family.per_second, LimitParameter::PerSecond.of(limit))
            && within(family.capacity, LimitParameter::Capacity.of(limit))
    })
}

/// One row: how often the intervals hold the truth, and what family is named. `planted` changes
/// what was recorded.
fn row(
    (what, limits, way): (&str, Limits, Way),
    (number, median_ms): (u16, f64),
    traces: u64,
    planted: impl Fn(&mut Recording) + Sync,
) -> (f64, String, String) {
    let of_trace = |n: u64| {
        let mut rng = Streams::new(2026).stream(Purpose::Analysis, number, n);
        let limit = limits.drawn(n, &mut rng);
        let mut recording = recording(&limit, median_ms, way, n, &mut rng);
        planted(&mut recording);
        let inference = inferred(&recording, &LimitPrior::default());
        let named = match inference.conclusion {
            Conclusion::Found if inference.estimate.kind() == limit.kind() => 0,
            Conclusion::Found => 1,
            Conclusion::FoundFamilyOpen => 2,
            Conclusion::Unexplained => 3,
            Conclusion::Abstained => 4,
        };
        let width = inference
            .family(LimitKind::TokenBucket)
            .map_or(f64::NAN, |family| family.per_second.high / family.per_second.low - 1.0);
        (holds(&inference, &limit), named, width)
    };
    let found: Vec<(bool, usize, f64)> = (0..traces).into_par_iter().map(of_trace).collect();
    let held = found.iter().filter(|(holds, ..)| *holds).count() as f64 / traces as f64;
    let [right, wrong, open, unexplained, abstained] =
        [0, 1, 2, 3, 4].map(|i| found.iter().filter(|(_, named, _)| *named == i).count());
    let width = found.iter().map(|(.., width)| width).sum::<f64>() / traces as f64;
    let width = match limits {
        Limits::Windows | Limits::None => String::new(),
        Limits::OneToken | Limits::Buckets => {
            format!(", mean width of the rate {:.2} %", 100.0 * width)
        }
    };
    let measured = format!(
        "{:.1} % of {traces}{width}; family right in {right}, wrong in {wrong}, open in {open}, \
         unexplained in {unexplained}, abstained in {abstained}",
        100.0 * held
    );
    (held, format!("{what}, answers after {median_ms} ms"), measured)
}

/// The rows with this many traces each.
fn findings(traces: u64, delays_ms: &[f64]) -> Vec<Finding> {
    let kinds = [
        ("one token, 14 a second, arriving anywhere", Limits::OneToken, Way::Anywhere),
        ("one token, 14 a second, arriving at once", Limits::OneToken, Way::Share(0.0)),
        ("one token, 14 a second, arriving halfway", Limits::OneToken, Way::Share(0.5)),
        ("buckets of 1 to 8 tokens, 5 to 20 a second", Limits::Buckets, Way::Either),
        ("windows of 3 to 20 in 0.5 to 2 s", Limits::Windows, Way::Either),
    ];
    let mut findings = Vec::new();
    let mut number = 60;
    for (i, kind) in kinds.into_iter().enumerate() {
        let traces = if i == 0 { traces } else { traces.min(OTHERS) };
        for median_ms in delays_ms {
            number += 1;
            let (held, what, measured) = row(kind, (number, *median_ms), traces, |_| {});
            let least = 0.95 - 2.0 * (0.95 * 0.05 / traces as f64).sqrt();
            findings.push(Finding {
                what,
                measured,
                bound: format!("at least {:.1} %", 100.0 * least),
                held: Some(held >= least),
            });
        }
    }
    for (number, median_ms) in (95..).zip(delays_ms) {
        let none = ("no limit, 21 requests a second: none claimed", Limits::None, Way::Anywhere);
        let (held, what, measured) = row(none, (number, *median_ms), traces.min(OTHERS), |_| {});
        let (bound, held) = ("at least 99 %".to_owned(), Some(held >= 0.99));
        findings.push(Finding { what, measured, bound, held });
    }
    // Where 429 is not marked, attempts are taken to arrive when they are sent.
    let unmarked = |recording: &mut Recording| {
        recording.tells_refusals = false;
        for attempt in &mut recording.attempts {
            if attempt.outcome == Outcome::RateLimited {
                attempt.outcome = Outcome::Failure;
            }
        }
    };
    for (number, median_ms) in [(91, 1.0), (92, 20.0)] {
        let (_, what, measured) = row(kinds[0], (number, median_ms), traces.min(OTHERS), unmarked);
        let what = format!("{what}, 429 not marked");
        findings.push(Finding { what, measured, bound: String::new(), held: None });
    }
    // As if each attempt reached its server when it was sent.
    let planted = |recording: &mut Recording| {
        recording.attempts.iter_mut().for_each(|attempt| attempt.latency_ms = 0.0);
    };
    let (held, what, measured) = row(kinds[0], (90, 20.0), traces.min(OTHERS), planted);
    findings.push(Finding {
        what: format!("{what}, taken to arrive when sent (planted)"),
        measured,
        bound: "below 80 %".to_owned(),
        held: Some(held < 0.8),
    });
    findings
}

/// The study at full size.
pub fn study() -> Study {
    Study {
        title: "Rate limits when answers take time",
        method: "Traces of one server, 300 attempts sent as a Poisson process at 1.5 times the \
                 limit, 429 marked, every fifth accepted one fails. Answers take a log-normal time \
                 (sigma 0.5) with the median given; an attempt reaches the limiter anywhere in \
                 between, each by itself, or at a share of the time (0, 0.3, 0.5 or 1, in every \
                 second trace of the last two kinds), and attempts may overtake each other. Held: \
                 the 95 % intervals of rate and of burst or limit, given the true family, both \
                 hold the truth. The bound is 95 % less two standard errors."
            .to_owned(),
        findings: findings(1000, &DELAYS_MS),
    }
}

#[test]
fn intervals_of_a_limit_hold_when_answers_take_time() {
    for finding in findings(8, &[20.0]) {
        assert!(finding.held != Some(false), "{finding:?}");
    }
}
