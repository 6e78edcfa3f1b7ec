//! What the proxy costs, printed and not asserted: `cargo test --test suite speed -- --ignored
//! --nocapture`.

use std::time::{Duration, Instant};

use flakelab_live::{Client, Target};

use super::program::{Running, identifiers, load, targets};
use super::servers::Server;

#[test]
#[ignore = "a measurement"]
fn overhead_against_calling_the_server_directly() {
    let servers = Server::ten_good();
    let proxy = Running::start(&targets(&servers), &["--strategy", "v4"]);
    let target = |address: String| Target::list(&address, false).unwrap().remove(0);
    let direct = target(servers[0].address.to_string());
    let through = target(proxy.address.to_string());
    let client = Client::new(Duration::from_secs(1)).unwrap();
    let (mut plain, mut proxied) = (Vec::new(), Vec::new());
    for id in identifiers(2000) {
        plain.push(client.attempt(&direct, id.as_str()).2);
        proxied.push(client.attempt(&through, id.as_str()).2);
    }
    for (name, times) in [("direct", &mut plain), ("through the proxy", &mut proxied)] {
        times.sort();
        println!("{name}: p50 {:?}, p99 {:?}", times[1000], times[1980]);
    }
    println!(
        "overhead: p50 {:?}, p99 {:?}",
        proxied[1000] - plain[1000],
        proxied[1980] - plain[1980]
    );
    let rows = proxy.end().rows();
    let mut own: Vec<f64> = rows.iter().map(|row| row.latency_ms).collect();
    own.sort_by(f64::total_cmp);
    println!("attempts of the proxy: p50 {} ms, p99 {} ms", own[1000], own[1980]);
}

#[test]
#[ignore = "a measurement"]
fn requests_per_second_as_fast_as_they_go() {
    for in_service in ["1", "8", "64"] {
        let servers = Server::ten_good();
        let proxy = Running::start(
            &targets(&servers),
            &["--strategy", "v4", "--max-in-service", in_service, "--rps", "4000"],
        );
        let begin = Instant::now();
        let answers = load(proxy.address, 10_000, 64);
        let rate = answers.sent as f64 / begin.elapsed().as_secs_f64();
        let metrics = proxy.end().metrics;
        println!("{in_service} in service: {rate:.0} requests/s, p99 {} ms", metrics.latency_p99);
        assert_eq!(answers.lost, 0);
    }
}

#[test]
#[ignore = "a measurement"]
fn attempts_per_second_of_one_client_and_of_one_for_each_thread() {
    for shared in [true, false] {
        let server = Server::start(super::servers::Manner::Answers { failing_every: 0 });
        let target = Target::list(&server.address.to_string(), false).unwrap().remove(0);
        let client = Client::new(Duration::from_secs(1)).unwrap();
        let begin = Instant::now();
        let threads: Vec<_> = (0..32)
            .map(|_| {
                let own = if shared {
                    client.clone()
                } else {
                    Client::new(Duration::from_secs(1)).unwrap()
                };
                let target = target.clone();
                std::thread::spawn(move || {
                    let ids = identifiers(400);
                    ids.iter().filter(|id| own.attempt(&target, id.as_str()).0.is_success()).count()
                })
            })
            .collect();
        let ok: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        let rate = 12_800.0 / begin.elapsed().as_secs_f64();
        println!("one client shared: {shared}: {rate:.0} attempts/s, {ok} of 12800 succeeded");
    }
}
