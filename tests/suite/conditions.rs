//! Worlds with outages, slow servers, slots and spikes, played from the first arrival to the last
//! answer, with ends that are known; and the same servers behind the stand-ins' door.

use flakelab_core::domain::{Outcome, Rules, ServerId, Streams, Timestamp};
use flakelab_sim::experiment::{Contender, Plan};
use flakelab_sim::world::{
    Capacity, Conditions, Document, Instance, Luck, LuckTape, Model, Outage, OutageKind, RateLimit,
    Scenario, ServerOverride, Spike, Stations, Traffic,
};

use crate::common::{
    Run, attempts_per_server, constant_ms, drawn, drawn_and_limited, everybody, five, named,
    oracle, play, scenario, servers,
};

fn under(mut model: Model, conditions: Conditions) -> Model {
    model.conditions = conditions;
    model.validate().unwrap();
    model
}

fn outage(from_s: f64, until_s: f64, servers: Option<Vec<u16>>, kind: OutageKind) -> Conditions {
    let outages = vec![Outage { from_s, until_s, servers, kind }];
    Conditions { outages, ..Conditions::default() }
}

fn fails() -> OutageKind {
    OutageKind::Fail { latency_ms: None }
}

/// Ten servers that never fail but one, which is dark from 20 s to 30 s: attempts at it fail in
/// these ten seconds and at no other time, and the oracle makes none of them.
#[test]
fn one_server_goes_dark_and_comes_back() {
    for kind in [fails(), OutageKind::Hang, OutageKind::Refuse] {
        let dark = outage(20.0, 30.0, Some(vec![0]), kind);
        let world = scenario(under(servers(&[0.0; 3], constant_ms(1.0)), dark), 600);
        for who in everybody() {
            let Run { ledger, attempts, .. } = play(&world, &who, 42, 0);
            let mut within = 0;
            for ended in &attempts {
                let at_s = ended.attempt.sent_at.as_secs_f64();
                let dark = ended.attempt.server == ServerId(0) && (20.0..30.0).contains(&at_s);
                within += u64::from(dark);
                assert_eq!(ended.outcome != Outcome::Success, dark, "{} at {at_s}", who.label);
                if dark && kind == OutageKind::Hang {
                    let left_ms = (30.0 - at_s) * 1e3;
                    let ms = ended.latency.as_millis_f64();
                    assert!((ms - left_ms.min(1_000.0)).abs() < 1e-3, "{ms} of {left_ms}");
                }
            }
            let failed = ledger.servers.iter().map(|s| s.failures + s.timed_out).sum::<u64>();
            assert_eq!(failed, within, "{}", who.label);
            assert_eq!(within == 0, who.label == "oracle", "{}: {within}", who.label);
            let at_it: Vec<f64> = attempts
                .iter()
                .filter(|e| e.attempt.server == ServerId(0) && e.outcome == Outcome::Success)
                .map(|e| e.attempt.sent_at.as_secs_f64())
                .collect();
            if who.label == "random" {
                assert!(at_it.first() < Some(&20.0) && at_it.last() > Some(&30.0));
            }
        }
    }
}

/// 10 requests a second meet 50 that cannot be answered; with three attempts of 1 ms each, nobody
/// is left over for later. The oracle waits for the end instead.
#[test]
fn everything_fails_for_five_seconds() {
    let dark = outage(20.0, 25.0, None, fails());
    let rules = Rules { max_attempts: Some(3), ..Rules::default() };
    let world =
        Scenario { rules, ..scenario(under(servers(&[0.0; 10], constant_ms(1.0)), dark), 500) };
    for who in everybody() {
        let Run { ledger, answers, .. } = play(&world, &who, 42, 0);
        if who.label == "oracle" {
            assert_eq!((ledger.answered_ok, ledger.attempts), (500, 500));
            continue;
        }
        let failed = answers.iter().filter(|(_, a)| !a.ok).map(|(request, _)| request.0);
        assert!(failed.eq(200..250), "{}", who.label);
        assert_eq!(ledger.attempts, 450 + 3 * 50, "{}", who.label);
    }
}

/// The only server refuses connections, 0.1 ms after each attempt. Request 0 has attempts at 0, 25.1
/// and 75.2 ms, and is given up 100 ms after its arrival, in the middle of the third pause. Request 1
/// waits for its end: attempts at 175.3, 375.4 and 625.5 ms, given up at once. From then on all
/// pauses last 250 ms, and every request takes three of them.
#[test]
fn nobody_listens_anywhere() {
    let refused = outage(0.0, 1_000.0, None, OutageKind::Refuse);
    let world = scenario(under(servers(&[0.0], constant_ms(1.0)), refused), 60);
    for who in everybody().into_iter().filter(|who| who.label != "oracle") {
        let Run { ledger, answers, attempts } = play(&world, &who, 42, 0);
        let first = [0.0, 25.1, 75.2, 175.3, 375.4, 625.5];
        let then = (1..=3 * 58).map(|i| 625.5 + 250.1 * f64::from(i));
        let expected = first.into_iter().chain(then);
        let sent = attempts.iter().map(|ended| ended.attempt.sent_at.as_secs_f64() * 1e3);
        assert!(sent.zip(expected).all(|(at, due)| (at - due).abs() < 1e-6), "{}", who.label);
        assert_eq!((ledger.attempts, ledger.extra_attempts), (180, 0), "{}", who.label);
        assert_eq!((ledger.answered_error, ledger.servers[0].failures), (60, 180));
        assert_eq!(answers[0].1.latency.as_millis_f64(), 100.0);
        assert!((answers[1].1.latency.as_millis_f64() - 525.6).abs() < 1e-6);
    }
}

/// Ten servers that all refuse connections, ten requests a second: between attempts at a server
/// there is its pause at least. The planted bug, no pause: a thousand attempts a request.
#[test]
fn nobody_listens_at_ten_ports_and_attempts_are_few() {
    let refused = outage(0.0, 1_000.0, None, OutageKind::Refuse);
    let mut world = scenario(under(servers(&[0.0; 10], constant_ms(1.0)), refused), 60);
    for who in everybody().into_iter().filter(|who| who.label != "oracle") {
        let Run { ledger, attempts, .. } = play(&world, &who, 42, 0);
        let mut pauses_ms = [25.0; 10];
        let mut free_from = [0.0; 10];
        for ended in &attempts {
            let server = ended.attempt.server.index();
            let at_ms = ended.attempt.sent_at.as_secs_f64() * 1e3;
            assert!(at_ms >= free_from[server] - 1e-6, "{} at {at_ms}", who.label);
            free_from[server] = at_ms + 0.1 + pauses_ms[server];
            pauses_ms[server] = f64::min(2.0 * pauses_ms[server], 250.0);
        }
        let score = ledger.score(&world.rules).score();
        println!("{}: {} attempts, score {score}", who.label, ledger.attempts);
        assert!((180..=300).contains(&ledger.attempts), "{}: {}", who.label, ledger.attempts);
        assert_eq!(ledger.answered_error, 60);
    }
    world.rules.pause_after_refused_ms = 0.0;
    let ledger = play(&world, &Contender::new(named("v4")), 42, 0).ledger;
    assert!(ledger.attempts > 50_000, "{}", ledger.attempts);
}

/// One server of two never listens, the other never fails: who is sent to the first is answered by
/// the second within the free attempts, 0.1 ms later or, of strategies that insist, after the pause.
/// At random one request in eight would meet the first three times, were it not for pauses.
#[test]
fn one_of_two_servers_refuses_connections() {
    let refused = outage(0.0, 1_000.0, Some(vec![0]), OutageKind::Refuse);
    let world = scenario(under(servers(&[0.0; 2], constant_ms(1.0)), refused), 200);
    for who in everybody() {
        let Run { ledger, answers, .. } = play(&world, &who, 42, 0);
        // Who takes any of the two may meet the closed one three times in a row.
        let least = if who.label == "random" { 175 } else { 200 };
        assert!(
            (least..=200).contains(&ledger.answered_ok),
            "{}: {}",
            who.label,
            ledger.answered_ok
        );
        let tried = ledger.servers[0].attempts;
        assert_eq!(ledger.servers[0].failures, tried, "{}", who.label);
        assert_eq!(tried == 0, who.label == "oracle", "{}", who.label);
        // These leave the server out that has just refused.
        if ["ucb-free", "thompson", "thompson-scaled"].contains(&who.label.as_str()) {
            let latencies = answers.iter().map(|(_, answer)| answer.latency.as_millis_f64());
            assert!(latencies.clone().all(|ms| ms == 1.0 || (ms - 1.1).abs() < 1e-9));
            assert_eq!(latencies.filter(|ms| *ms > 1.0).count() as u64, tried, "{}", who.label);
        }
    }
}

#[test]
fn one_server_is_slow() {
    let slow = ServerOverride {
        servers: vec![3],
        latency_factor: Some(20.0),
        rate_limit: None,
        capacity: None,
    };
    let conditions = Conditions { overrides: vec![slow], ..Conditions::default() };
    let world = scenario(under(servers(&[0.5; 5], constant_ms(1.0)), conditions), 300);
    for who in everybody() {
        for ended in play(&world, &who, 42, 0).attempts {
            let expected = if ended.attempt.server == ServerId(3) { 20.0 } else { 1.0 };
            assert_eq!(ended.latency.as_millis_f64(), expected, "{}", who.label);
        }
    }
}

/// The perfect server takes one attempt a second: the oracle gives it exactly the first request of
/// each second, and all others to the second best.
#[test]
fn the_best_server_is_rate_limited() {
    let limited = ServerOverride {
        servers: vec![1],
        latency_factor: None,
        rate_limit: Some(RateLimit::FixedWindow { limit: 1, window_s: 1.0, phase_s: Some(0.0) }),
        capacity: None,
    };
    let conditions = Conditions { overrides: vec![limited], ..Conditions::default() };
    let world = scenario(under(servers(&[0.5, 0.0, 0.01], constant_ms(1.0)), conditions), 1_000);
    assert!(world.model.has_rate_limit());
    let Run { ledger, attempts, .. } = play(&world, &oracle(), 42, 0);
    let counts: Vec<u64> = attempts_per_server(&ledger).map(|(_, n)| n).collect();
    assert_eq!((counts[0], counts[1]), (0, 100));
    assert_eq!((ledger.answered_ok, ledger.rate_limited()), (1_000, 0));
    assert!(
        attempts
            .iter()
            .filter(|e| e.attempt.server == ServerId(1))
            .all(|e| { e.attempt.request.0.is_multiple_of(10) })
    );
    for spec in five() {
        let ledger = play(&world, &Contender::new(spec), 42, 0).ledger;
        assert!(ledger.servers[1].rate_limited > 0, "{}", spec.name());
        assert_eq!(ledger.rate_limited(), ledger.servers[1].rate_limited, "{}", spec.name());
    }
}

fn saturated(rules: Rules) -> Scenario {
    let capacity = Some(Capacity { slots: 1, queue: None, overload_ms: None });
    let conditions = Conditions { capacity, ..Conditions::default() };
    let model = under(servers(&[0.0], constant_ms(150.0)), conditions);
    let rules = Rules { max_requests_in_service: 1_000, ..rules };
    Scenario { rules, ..scenario(model, 300) }
}

/// One slot, 150 ms of work every 100 ms: request i would be answered after 150 + 50 i ms, and i =
/// 17 is the last within the second. Retries join the queue that made them necessary, and nobody
/// is ever answered again. A server that dropped what timed out would answer far more.
#[test]
fn retries_hit_a_saturated_fleet() {
    for attempts in [1, 3] {
        let rules = Rules { max_attempts: Some(attempts), ..Rules::default() };
        for who in everybody() {
            let Run { ledger, answers, .. } = play(&saturated(rules), &who, 42, 0);
            assert_eq!(ledger.answered_ok, 18, "{}", who.label);
            assert_eq!(ledger.timed_out(), 282 * u64::from(attempts), "{}", who.label);
            for (request, answer) in answers.iter().filter(|(_, a)| a.ok) {
                let ms = answer.latency.as_millis_f64();
                assert!((ms - 150.0 - 50.0 * request.0 as f64).abs() < 1e-6, "{ms}");
            }
        }
    }
    let patient = Rules { attempt_timeout_ms: 60_000.0, ..Rules::default() };
    let ledger = play(&saturated(patient), &Contender::new(named("v4")), 42, 0).ledger;
    assert_eq!((ledger.answered_ok, ledger.attempts), (300, 300), "all that was wrong is the wait");
}

/// 80 requests a second for 5 s where 20 fit: a queue of ten overflows, and only then.
#[test]
fn one_big_spike() {
    let spike = Spike { factor: 8.0, from_s: 20.0, until_s: 25.0, poisson: false };
    let capacity = Some(Capacity { slots: 1, queue: Some(10), overload_ms: Some(1.0) });
    let conditions = Conditions { capacity, ..Conditions::default() };
    let rules = Rules { max_attempts: Some(1), max_requests_in_service: 1_000, ..Rules::default() };
    let world = Scenario {
        traffic: Traffic::Spike(spike),
        rules,
        ..scenario(under(servers(&[0.0], constant_ms(50.0)), conditions), 1_000)
    };
    let Run { ledger, answers, .. } = play(&world, &Contender::new(named("v4")), 42, 0);
    // Accepted in the spike: one at work and ten waiting at its end, and 20 a second that were
    // done: the first at 20.05 s, the last of 99 before 25 s, at 24.95 s.
    assert_eq!(ledger.answered_error, 400 - (99 + 11));
    let failed = answers.iter().filter(|(_, a)| !a.ok);
    assert!(failed.clone().all(|(request, _)| (200..600).contains(&request.0)));
    assert!(failed.clone().all(|(_, a)| a.latency.as_millis_f64() == 1.0));
}

/// Every table of conditions at once.
fn eventful() -> Model {
    let text = "\n[capacity]\nslots = 2\nqueue = 3\noverload_ms = 0.25\n\
        [[server]]\nservers = [3]\nlatency_factor = 20.0\n\
        [[server]]\nservers = [4]\nrate_limit = { kind = \"none\" }\ncapacity = { slots = 1 }\n\
        [[outage]]\nfrom_s = 0.5\nuntil_s = 1.5\nservers = [2, 3]\nkind = \"hang\"\n\
        [[outage]]\nfrom_s = 2.0\nuntil_s = 2.5\nkind = \"fail\"\n\
        [[outage]]\nfrom_s = 1.0\nuntil_s = 1.2\nservers = [5]\nkind = \"refuse\"\n";
    let text = drawn_and_limited().to_toml() + text;
    Model::parse("eventful", &Document::from_text("eventful.toml", text)).unwrap()
}

/// The k-th accepted attempt has the k-th luck of the tape whatever the conditions: where they do
/// not replace it, it is found again.
#[test]
fn conditions_move_no_luck() {
    let streams = Streams::new(7);
    let plain = Instance::draw(&drawn(), &streams, 3);
    let model = eventful();
    let instance = Instance::draw(&model, &streams, 3);
    assert_eq!(plain.error_rates, instance.error_rates);
    let mut tape = LuckTape::new(&plain, &model.latency, &streams, 3);
    let mut stations = Stations::new(&instance, &model.latency);
    let mut seen = [0; 10];
    let (mut dark, mut as_they_were) = (0, 0);
    for i in 0..3_000_u32 {
        let server = ServerId((i * 7 % 10) as u16);
        let k = seen[server.index()];
        let luck = tape.luck(server, k);
        let at = Timestamp::from_secs_f64(f64::from(i) * 0.001);
        let met = stations.meet(server, at, || {
            seen[server.index()] += 1;
            luck
        });
        let accepted = seen[server.index()] > k;
        if accepted && met.outcome != luck.outcome {
            assert_eq!((met.outcome, luck.outcome), (Outcome::Failure, Outcome::Success));
            dark += 1;
        } else if accepted && met == luck {
            as_they_were += 1;
        }
    }
    assert!(dark > 20 && as_they_were > 50, "{dark}, {as_they_were}");
}

/// Conditions and spikes are part of what results depend on; their absence is what it was.
#[test]
fn the_hash_of_a_plan_tells_conditions_and_spikes_apart() {
    let spike =
        |factor| Traffic::Spike(Spike { factor, from_s: 1.0, until_s: 2.0, poisson: false });
    let mut worlds = vec![scenario(drawn(), 10)];
    for factor in [2.0, 3.0] {
        worlds.push(Scenario { traffic: spike(factor), ..scenario(drawn(), 10) });
    }
    for until_s in [5.0, 6.0] {
        let dark = outage(1.0, until_s, None, fails());
        worlds.push(scenario(under(drawn(), dark), 10));
    }
    worlds.push(scenario(eventful(), 10));
    let hash = |world: &Scenario| {
        let ranked = vec![Contender::new(named("v1"))];
        Plan::new("hash", vec![world.clone()], ranked, 1, 1).unwrap().hash()
    };
    let hashes: Vec<String> = worlds.iter().map(hash).collect();
    for (i, a) in hashes.iter().enumerate() {
        assert!(hashes[i + 1..].iter().all(|b| a != b), "{i}");
    }
}

mod stand_ins {
    use flakelab_live::Servers;

    use super::*;

    /// The same moments, the same servers: what the stand-ins give is what the simulator gives.
    #[test]
    fn the_stand_in_servers_are_under_the_same_conditions() {
        let model = eventful();
        let streams = Streams::new(7);
        let instance = Instance::draw(&model, &streams, 3);
        let mut tape = LuckTape::new(&instance, &model.latency, &streams, 3);
        let mut stations = Stations::new(&instance, &model.latency);
        let mut servers = Servers::draw(&model, 7, 3);
        assert_eq!(servers.truth().conditions, model.conditions);
        let mut seen = [0; 10];
        let mut met: Vec<Luck> = Vec::new();
        for i in 0..5_000_u32 {
            let server = ServerId((i * i % 11 % 10) as u16);
            let at = Timestamp::from_secs_f64(f64::from(i) * 0.001);
            let simulated = stations.meet(server, at, || {
                seen[server.index()] += 1;
                tape.luck(server, seen[server.index()] - 1)
            });
            assert_eq!(servers.meet(4000 + server.0, at), Some(simulated), "{i}");
            met.push(simulated);
        }
        for outcome in [Outcome::Success, Outcome::Failure, Outcome::RateLimited] {
            assert!(met.iter().any(|luck| luck.outcome == outcome));
        }
    }
}
