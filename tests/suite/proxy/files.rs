//! What the proxy writes: metrics, trace and events log tell the same story as its servers.

use flakelab_core::balancer::Command;
use flakelab_core::domain::{Fleet, Rules};
use flakelab_core::strategy::StrategySpec;
use flakelab_live::Target;
use flakelab_live::{Metrics, ServerMetrics};
use flakelab_live::{Settings, Step, balancer};
use flakelab_sim::trace::{ReadOptions, Recording};

use super::program::{Running, Written, load, targets};
use super::servers::{Manner, Server};

/// Servers of which the i-th fails every (i + 2)-th request, one refuses and one hangs.
fn flaky() -> Vec<Server> {
    let manner = |i: u64| match i {
        8 => Manner::Refuses429,
        9 => Manner::Hangs,
        _ => Manner::Answers { failing_every: 2 + i },
    };
    (0..10).map(|i| Server::start(manner(i))).collect()
}

/// The proxy's own three accounts and the servers' agree, port by port.
pub fn reconcile(written: &Written, servers: &[Server]) {
    let (metrics, trace) = (&written.metrics, written.rows());
    assert!(metrics.ended);
    assert_eq!(metrics.total_requests, metrics.total_success + metrics.total_failure);
    for (i, (server, own)) in metrics.per_server.iter().zip(servers).enumerate() {
        assert_eq!(server.port, 4000 + i as u16);
        let rows: Vec<_> = trace.iter().filter(|row| row.server_port == server.port).collect();
        let count = |wanted: &dyn Fn(&flakelab_sim::trace::Row) -> bool| {
            rows.iter().filter(|row| wanted(row)).count() as u64
        };
        assert_eq!(own.requests(), server.num_requests, "server {i}: its own count, metrics");
        assert_eq!(rows.len() as u64, server.num_requests, "server {i}: trace, metrics");
        assert_eq!(count(&|row| row.success), server.num_success);
        assert_eq!(count(&|row| row.rate_limited == Some(true)), server.num_rate_limited);
    }
    let rows = &trace;
    let count = |wanted: &dyn Fn(&flakelab_sim::trace::Row) -> bool| {
        rows.iter().filter(|row| wanted(row)).count() as u64
    };
    assert_eq!(count(&|row| row.request_complete), metrics.total_requests);
    assert_eq!(count(&|row| row.request_success), metrics.total_success);
    assert_eq!(count(&|row| row.attempt_number > 1), metrics.total_retries);
    assert_eq!(count(&|row| row.attempt_number > 3) as f64, metrics.total_penalty);
}

/// How many of a server's attempts ended like this.
pub fn outcomes(server: &ServerMetrics, outcome: &str) -> u64 {
    match outcome {
        "success" => server.num_success,
        "failure" => server.num_failure - server.num_timed_out,
        "rate_limited" => server.num_rate_limited,
        _ => server.num_timed_out,
    }
}

pub fn settings(strategy: &str, seed: u64, max_requests_in_service: usize) -> Settings {
    let rules = Rules { max_requests_in_service, attempt_timeout_ms: 100.0, ..Rules::default() };
    Settings {
        strategy: StrategySpec::from_name(strategy).unwrap(),
        seed,
        rules,
        requests_per_second: 10.0,
        fleet: Fleet::uniform(10),
        config: "0".to_owned(),
        ports: (4000..4010).collect(),
        targets: Target::list("127.0.0.1:4000-4009", false).unwrap(),
        session: None,
    }
}

/// The first step at which a fresh balancer asks for something else than was recorded.
pub fn first_difference(steps: &[Step], settings: &Settings) -> Option<usize> {
    let mut balancer = balancer(settings);
    steps.iter().position(|step| {
        let mut commands: Vec<Command> = Vec::new();
        balancer.handle(step.at, step.event, &mut commands);
        commands != step.commands
    })
}

#[test]
fn recorded_events_replayed_give_the_same_decisions_one_by_one() {
    for in_service in [1, 8] {
        for strategy in ["v1", "v2", "v3", "v4", "v5"] {
            let servers = flaky();
            let most = in_service.to_string();
            let arguments = ["--strategy", strategy, "--seed", "7", "--max-in-service", &most];
            let proxy = Running::start(
                &targets(&servers),
                &[arguments.as_slice(), &["--attempt-timeout-ms", "100"]].concat(),
            );
            let answers = load(proxy.address, 100, 2 * in_service);
            assert_eq!((answers.ok + answers.error, answers.sent), (100, 100));
            let written = proxy.end();
            reconcile(&written, &servers);
            let steps = written.steps();
            let sent = steps.iter().flat_map(|s| &s.commands);
            let sent = sent.filter(|c| matches!(c, Command::Send(_))).count() as u64;
            assert_eq!(sent, written.metrics.total_attempts);
            assert_eq!(first_difference(&steps, &settings(strategy, 7, in_service)), None);
            // The planted bug: other coins.
            if strategy == "v4" {
                assert!(first_difference(&steps, &settings(strategy, 8, in_service)).is_some());
            }
        }
    }
}

#[test]
fn the_metrics_file_always_parses_and_its_last_state_is_that_of_the_trace() {
    let servers = flaky();
    let arguments = ["--strategy", "v5", "--max-in-service", "4", "--attempt-timeout-ms", "50"];
    let proxy = Running::start(
        &targets(&servers),
        &[arguments.as_slice(), &["--session", "a session"]].concat(),
    );
    let path = proxy.path("metrics.json");
    let address = proxy.address;
    let loading = std::thread::spawn(move || load(address, 400, 8));
    let (mut reads, mut seen) = (0_u64, Vec::new());
    while !loading.is_finished() {
        // It is there after the first state.
        if path.exists() {
            let metrics = Metrics::read(&path).unwrap();
            reads += 1;
            if seen.last() != Some(&metrics.total_requests) {
                seen.push(metrics.total_requests);
            }
        }
    }
    let answers = loading.join().unwrap();
    let written = proxy.end();
    assert!(reads > 0 && seen.is_sorted());
    reconcile(&written, &servers);
    let Metrics { total_requests, total_success, latencies, events, .. } = &written.metrics;
    assert_eq!((*total_requests, *total_success), (400, answers.ok));
    assert_eq!((latencies.len(), events.len()), (400, 20));
    assert!(written.metrics.per_server.iter().all(|server| server.belief.is_some()));
}

#[test]
fn a_trace_is_a_recording_that_a_fit_takes() {
    let servers = flaky();
    let proxy = Running::start(&targets(&servers), &["--strategy", "v4", "--session", "night"]);
    load(proxy.address, 30, 1);
    let written = proxy.end();
    reconcile(&written, &servers);
    let path = written.folder.path().join("trace.csv");
    let recording = Recording::read(&path, &ReadOptions::default()).unwrap().remove(0);
    assert_eq!(recording.strategies, ["v4"]);
    assert!(recording.tells_refusals && recording.tells_latency);
    assert!(recording.warnings.is_empty(), "{:?}", recording.warnings);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.lines().nth(1).unwrap().starts_with("night,T1,1,1,"), "{text}");
}
