//! Slots, queues and outages of servers against closed forms of queueing theory and against an
//! event simulation that is slow and obvious.

use std::collections::VecDeque;

use flakelab_core::domain::Outcome::{Failure, Success};
use flakelab_core::domain::{Cause, Outcome, Purpose, ServerId, Span, Streams, Timestamp};
use flakelab_core::stats::Moments;
use flakelab_core::stats::sample;
use flakelab_sim::world::{
    Capacity, Conditions, Instance, Latency, LatencyFamily, Limiter, Luck, Outage, OutageKind,
    RateLimit, ServerOverride, Stations,
};

use crate::common::z;

const ONE: ServerId = ServerId(0);

fn capacity(slots: u32, queue: Option<u32>) -> Conditions {
    let capacity = Some(Capacity { slots, queue, overload_ms: Some(0.5) });
    Conditions { capacity, ..Conditions::default() }
}

/// Servers that take 1 ms and refuse after 2 ms.
fn stations(conditions: Conditions, servers: usize, limit: RateLimit) -> Stations {
    let limits = vec![limit; servers];
    let limiters: Vec<Limiter> = limits.iter().map(|limit| limit.limiter(0.0)).collect();
    let instance = Instance { error_rates: vec![0.0; servers], limiters, conditions };
    let latency = Latency {
        success: LatencyFamily::Constant { ms: 1.0 },
        failure: Some(LatencyFamily::Constant { ms: 7.0 }),
        rate_limited_ms: Some(2.0),
    };
    Stations::new(&instance, &latency)
}

fn success(latency: Span) -> Luck {
    Luck { outcome: Outcome::Success, cause: Cause::Status, latency }
}

/// Means over batches of 10,000 attempts: waiting time in seconds, share of those who wait, share
/// of those refused. Arrivals are Poisson with `rate` a second, `service` gives seconds.
fn queue(conditions: Conditions, rate: f64, mut service: impl FnMut(f64) -> f64) -> [Moments; 3] {
    let mut rng = Streams::new(11).stream(Purpose::Traffic, 0, 0);
    let mut stations = stations(conditions, 1, RateLimit::None);
    let mut at_s = 0.0;
    let mut of: [Moments; 3] = Default::default();
    for _ in 0..150 {
        let (mut wait, mut waited, mut refused, mut accepted) = (0.0, 0.0, 0.0, 0.0);
        for _ in 0..10_000 {
            at_s += sample::exponential(&mut rng) / rate;
            let span = Span::from_millis_f64(1e3 * service(sample::exponential(&mut rng)));
            let met = stations.meet(ONE, Timestamp::from_secs_f64(at_s), || success(span));
            if met.outcome == Outcome::Failure {
                refused += 1.0;
                continue;
            }
            accepted += 1.0;
            wait += (met.latency.as_nanos() - span.as_nanos()) as f64 * 1e-9;
            waited += f64::from(u8::from(met.latency > span));
        }
        of[0].push(wait / accepted);
        of[1].push(waited / accepted);
        of[2].push(refused / 1e4);
    }
    of
}

/// Erlang's formulas for `load` = arrival rate x mean service on `slots` slots: the probability
/// that all are taken, without a queue (B) and with an endless one (C). A. K. Erlang, 1917.
fn erlang(load: f64, slots: u32) -> (f64, f64) {
    let b = (1..=slots).fold(1.0, |b, n| load * b / (f64::from(n) + load * b));
    (b, b / (1.0 - load / f64::from(slots) * (1.0 - b)))
}

/// Ten z-tests over 150 batches at 4.4 standard errors: false alarm 1e-4 in all, fixed seeds. The
/// first few attempts find an emptier server than later ones do: of 1.5 million, they do not
/// show. Service that is 3 % slower is caught.
#[test]
fn waiting_times_and_refusals_are_those_of_queueing_theory() {
    let exponential = |mean: f64| move |e: f64| mean * e;
    // M/M/3: waiting has mean C / (c mu - lambda).
    let (_, c) = erlang(2.0, 3);
    let [wait, waited, refused] = queue(capacity(3, None), 2.0, exponential(1.0));
    assert!(z(&wait, c / (3.0 - 2.0)).abs() < 4.4, "{}", z(&wait, c));
    assert!(z(&waited, c).abs() < 4.4, "{}", z(&waited, c));
    assert_eq!(refused.mean(), 0.0);
    let [slower, ..] = queue(capacity(3, None), 2.0, exponential(1.03));
    assert!(z(&slower, c).abs() > 4.4, "{}", z(&slower, c));

    // M/D/1: rho / (2 mu (1 - rho)) (Pollaczek and Khinchine); rho wait.
    let [wait, waited, _] = queue(capacity(1, None), 0.6, |_| 1.0);
    assert!(z(&wait, 0.6 / (2.0 * 0.4)).abs() < 4.4, "{}", z(&wait, 0.75));
    assert!(z(&waited, 0.6).abs() < 4.4, "{}", z(&waited, 0.6));
    let [slower, ..] = queue(capacity(1, None), 0.6, |_| 1.03);
    assert!(z(&slower, 0.75).abs() > 4.4, "{}", z(&slower, 0.75));

    // M/M/2/2: Erlang's loss, the same for any distribution of service of that mean.
    let (b, _) = erlang(1.5, 2);
    for deterministic in [false, true] {
        let service = |e: f64| if deterministic { 1.0 } else { e };
        let [wait, _, refused] = queue(capacity(2, Some(0)), 1.5, service);
        assert!(z(&refused, b).abs() < 4.4, "{}", z(&refused, b));
        assert_eq!(wait.mean(), 0.0);
    }

    // M/M/1/K with K - 1 = 4 waiting places: (1 - rho) rho^K / (1 - rho^(K + 1)).
    let rho: f64 = 0.8;
    let lost = (1.0 - rho) * rho.powi(5) / (1.0 - rho.powi(6));
    let [.., refused] = queue(capacity(1, Some(4)), 0.8, exponential(1.0));
    assert!(z(&refused, lost).abs() < 4.4, "{}", z(&refused, lost));
    let [.., refused] = queue(capacity(1, Some(5)), 0.8, exponential(1.0));
    assert!(z(&refused, lost).abs() > 4.4, "one place more is caught");
}

/// One server, moment by moment: who ends is taken out, who waits first moves up.
struct Obvious {
    slots: usize,
    queue: usize,
    /// Who is worked on, and until when.
    at_work: Vec<(usize, u64)>,
    waiting: VecDeque<(usize, u64)>,
    ended: Vec<(usize, u64)>,
}

impl Obvious {
    fn advance(&mut self, now: u64) {
        while let Some(first) = (0..self.at_work.len()).min_by_key(|i| self.at_work[*i].1) {
            if self.at_work[first].1 > now {
                break;
            }
            let done = self.at_work.remove(first);
            self.ended.push(done);
            if let Some((who, service)) = self.waiting.pop_front() {
                self.at_work.push((who, done.1 + service));
            }
        }
    }

    /// Whether there was a place.
    fn arrive(&mut self, who: usize, now: u64, service: u64) -> bool {
        self.advance(now);
        if self.at_work.len() < self.slots {
            self.at_work.push((who, now + service));
        } else if self.waiting.len() < self.queue {
            self.waiting.push_back((who, service));
        } else {
            return false;
        }
        true
    }
}

/// 600 small worlds, times on a coarse grid so that many moments coincide.
#[test]
fn every_attempt_ends_when_an_obvious_event_simulation_says() {
    let mut rng = Streams::new(12).stream(Purpose::Analysis, 0, 0);
    let mut below = |n: usize| sample::index_below(&mut rng, n);
    for world in 0..600 {
        let (slots, queue) = (1 + below(4), below(6));
        let queue_limit = if queue == 5 { None } else { Some(queue as u32) };
        let mut stations = stations(capacity(slots as u32, queue_limit), 1, RateLimit::None);
        let queue = queue_limit.map_or(usize::MAX, |queue| queue as usize);
        let (at_work, waiting, ended) = (Vec::new(), VecDeque::new(), Vec::new());
        let mut obvious = Obvious { slots, queue, at_work, waiting, ended };
        let mut now = 0;
        let mut ends: Vec<Option<u64>> = Vec::new();
        for who in 0..80 {
            now += below(3) as u64;
            let service = 1 + below(6) as u64;
            let mut asked = false;
            let met = stations.meet(ONE, Timestamp::from_nanos(now), || {
                asked = true;
                success(Span::from_nanos(service))
            });
            let accepted = obvious.arrive(who, now, service);
            assert_eq!(asked, accepted, "world {world}: luck is used up by whoever is accepted");
            let outcome = if accepted { Outcome::Success } else { Outcome::Failure };
            assert_eq!(met.outcome, outcome, "world {world}, attempt {who}");
            if !accepted {
                assert_eq!(met.latency, Span::from_millis_f64(0.5));
            }
            ends.push(accepted.then_some(now + met.latency.as_nanos()));
        }
        obvious.advance(u64::MAX);
        let mut expected = vec![None; 80];
        obvious.ended.iter().for_each(|(who, end)| expected[*who] = Some(*end));
        assert_eq!(ends, expected, "world {world}: {slots} slots, {queue_limit:?} places");
    }
}

/// The limiter comes first and takes a token for an attempt that then finds no place; luck comes
/// last.
#[test]
fn limiter_then_capacity_then_luck() {
    let limit = RateLimit::TokenBucket { per_second: 0.001, burst: 3.0 };
    let mut stations = stations(capacity(1, Some(0)), 1, limit);
    let mut lucks = 0;
    let met: Vec<Luck> = [0, 1, 10_000_000, 20_000_000]
        .map(|at| {
            stations.meet(ONE, Timestamp::from_nanos(at), || {
                lucks += 1;
                success(Span::from_millis_f64(5.0))
            })
        })
        .into();
    let expected = [
        (Outcome::Success, 5.0),
        (Outcome::Failure, 0.5),
        (Outcome::Success, 5.0),
        (Outcome::RateLimited, 2.0),
    ];
    let met: Vec<_> = met.iter().map(|luck| (luck.outcome, luck.latency.as_millis_f64())).collect();
    assert_eq!(met, expected);
    assert_eq!(lucks, 2);
}

/// A dark server answers as the outage says, and uses luck up all the same; a hanging one keeps its
/// slots until the outage is over.
#[test]
fn outages_fail_or_hang_and_use_luck_up() {
    let outage = |from_s, until_s, servers: &[u16], kind| Outage {
        from_s,
        until_s,
        servers: Some(servers.to_vec()),
        kind,
    };
    let fail = |latency_ms| OutageKind::Fail { latency_ms };
    let conditions = Conditions {
        outages: vec![
            outage(1.0, 2.0, &[0], fail(Some(0.25))),
            outage(1.0, 2.0, &[1], fail(None)),
            outage(1.0, 2.0, &[2], OutageKind::Hang),
        ],
        overrides: vec![ServerOverride {
            servers: vec![0, 2],
            latency_factor: Some(10.0),
            rate_limit: None,
            capacity: Some(Capacity { slots: 1, queue: None, overload_ms: None }),
        }],
        ..Conditions::default()
    };
    let mut stations = stations(conditions, 3, RateLimit::None);
    let mut met = |server, at_s: f64| {
        let mut asked = false;
        let at = Timestamp::from_secs_f64(at_s);
        let luck = stations.meet(ServerId(server), at, || {
            asked = true;
            success(Span::from_millis_f64(1.0))
        });
        assert!(asked);
        (luck.outcome, luck.latency.as_millis_f64())
    };
    assert_eq!(
        (met(0, 0.9), met(1, 0.9), met(2, 0.995)),
        ((Success, 10.0), (Success, 1.0), (Success, 10.0))
    );
    assert_eq!((met(0, 1.0), met(1, 1.0)), ((Failure, 0.25), (Failure, 7.0)));
    // It has begun before and ends at 1.005 s; those after it hang until the end, one after the
    // other, and whoever comes then finds the slot free.
    assert_eq!((met(2, 1.0), met(2, 1.5)), ((Failure, 1_000.0), (Failure, 500.0)));
    assert_eq!(
        (met(0, 2.0), met(1, 2.0), met(2, 2.0)),
        ((Success, 10.0), (Success, 1.0), (Success, 10.0))
    );
    assert_eq!(met(2, 2.002), (Success, 18.0));
}

/// Where nobody listens, an attempt costs the server nothing: no token, no slot, no luck. The outage
/// that the file lists first decides where two overlap.
#[test]
fn a_refused_connection_reaches_no_server() {
    let outage = |from_s, until_s, kind| Outage { from_s, until_s, servers: None, kind };
    let conditions = Conditions {
        outages: vec![
            outage(1.0, 2.0, OutageKind::Refuse),
            outage(1.5, 2.5, OutageKind::Fail { latency_ms: Some(0.25) }),
            outage(2.4, 3.0, OutageKind::Refuse),
        ],
        ..capacity(1, Some(0))
    };
    let limit = RateLimit::TokenBucket { per_second: 0.001, burst: 2.0 };
    let mut stations = stations(conditions, 1, limit);
    let mut lucks = 0;
    let mut met = |at_s: f64| {
        let met = stations.meet(ONE, Timestamp::from_secs_f64(at_s), || {
            lucks += 1;
            success(Span::from_millis_f64(5.0))
        });
        (met.outcome, met.cause, met.latency.as_nanos())
    };
    for i in 0..100 {
        assert_eq!(met(1.0 + 0.009 * f64::from(i)), (Failure, Cause::Refused, 100_000));
    }
    assert_eq!(met(2.0), (Failure, Cause::Status, 250_000));
    assert_eq!(met(2.45), (Failure, Cause::Status, 250_000));
    assert_eq!(met(2.5), (Failure, Cause::Refused, 100_000));
    assert_eq!(met(3.0).0, Outcome::RateLimited, "two tokens, taken by the two that were let in");
    assert_eq!(lucks, 2);
}
