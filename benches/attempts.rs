//! What an attempt costs: nanoseconds for each strategy, on one thread; replications per second
//! on one and two threads; and, in the same run, a naive loop that draws rand_distr Betas, so
//! that the figures can be stated as ratios.
//!
//! An iteration is one complete attempt: decision, luck, events, bookkeeping. "own world" draws
//! the world for each strategy alone, "tape ready" replays luck that was drawn before, as six
//! of the seven players of a sweep do.

#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use flakelab_core::domain::{Purpose, Streams};
use flakelab_core::strategy::StrategySpec;
use flakelab_sim::experiment::{Contender, Plan, sweep};
use flakelab_sim::play::{NoRecord, Replication};
use flakelab_sim::world::{ErrorFamily, LatencyFamily, LogNormal, Model, Scenario};
use rand_distr::{Beta, Distribution};

fn scenario() -> Scenario {
    let uniform = ErrorFamily::Uniform { low: 0.02, high: 0.75 };
    let latency = LatencyFamily::LogNormal(LogNormal { median_ms: 1.1, sigma: 0.3 }).into();
    Scenario::new(Model { latency, ..Model::of_population(10, uniform) })
}

fn contenders() -> Vec<Contender> {
    let ranked = StrategySpec::named_by("all").expect("known").into_iter().map(Contender::new);
    Contender::references().into_iter().chain(ranked).collect()
}

/// Plays whole replications until `attempts` attempts are made and returns the time that so
/// many would have taken.
fn time_attempts(contender: &Contender, attempts: u64, tape_ready: bool) -> Duration {
    let scenario = scenario();
    let streams = Streams::new(42);
    let mut made = 0;
    let mut elapsed = Duration::ZERO;
    for replication in 0.. {
        let start = Instant::now();
        let mut world = Replication::new(&scenario, &streams, replication);
        let setup = start.elapsed();
        let seat = |world: &Replication| contender.seat(world, &streams, replication);
        if tape_ready {
            world.play(seat(&world), &mut NoRecord);
        } else {
            elapsed += setup;
        }
        let start = Instant::now();
        let ledger = world.play(seat(&world), &mut NoRecord);
        elapsed += start.elapsed();
        made += black_box(ledger).attempts;
        if made >= attempts {
            break;
        }
    }
    elapsed.mul_f64(attempts as f64 / made as f64)
}

/// What one would write first: ten rand_distr Betas for each attempt, no events, no ledger.
fn time_naive(attempts: u64) -> Duration {
    let streams = Streams::new(42);
    let mut rng = streams.stream(Purpose::Strategy, 0, 0);
    let start = Instant::now();
    let mut made = 0;
    let mut successes_in_all = 0;
    while made < attempts {
        let rates: Vec<f64> = (0..10)
            .map(|_| rand_distr::Uniform::new(0.25, 0.98).expect("valid").sample(&mut rng))
            .collect();
        let (mut successes, mut failures) = ([0_u32; 10], [0_u32; 10]);
        for _ in 0..1_100.min(attempts - made) {
            let mut best = (0, -1.0);
            for server in 0..10 {
                let a = f64::from(successes[server] + 1);
                let b = f64::from(failures[server] + 1);
                let draw = Beta::new(a, b).expect("valid shapes").sample(&mut rng);
                if draw > best.1 {
                    best = (server, draw);
                }
            }
            let uniform: f64 = rand_distr::StandardUniform.sample(&mut rng);
            if uniform < rates[best.0] {
                successes[best.0] += 1;
                successes_in_all += 1;
            } else {
                failures[best.0] += 1;
            }
            made += 1;
        }
    }
    black_box(successes_in_all);
    start.elapsed()
}

fn attempts(c: &mut Criterion) {
    let mut group = c.benchmark_group("attempt");
    group.throughput(Throughput::Elements(1));
    group.bench_function("naive loop", |b| b.iter_custom(time_naive));
    for contender in contenders() {
        for (name, tape_ready) in [("own world", false), ("tape ready", true)] {
            group.bench_with_input(BenchmarkId::new(name, &contender.label), &contender, |b, c| {
                b.iter_custom(|attempts| time_attempts(c, attempts, tape_ready));
            });
        }
    }
    group.finish();
}

fn replications(c: &mut Criterion) {
    let ranked: Vec<Contender> = contenders().into_iter().filter(|c| !c.reference).collect();
    let plan = Plan::new("bench", vec![scenario()], ranked, 128, 42).expect("a valid plan");
    let mut group = c.benchmark_group("sweep of 128 replications");
    group.throughput(Throughput::Elements(128)).sample_size(10);
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        group.bench_function(format!("{threads} thread(s)"), |b| {
            b.iter(|| {
                pool.install(|| sweep(&plan, &mut (), &AtomicBool::new(false), |_| ()))
                    .expect("a sink that takes everything")
            });
        });
    }
    group.finish();
}

/// Medians of this run as a table with the ratio to the naive loop, from criterion's files.
fn print_ratios() {
    let home = std::env::var_os("CRITERION_HOME").map(PathBuf::from).unwrap_or_else(|| {
        let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        PathBuf::from(target).join("criterion")
    });
    let median_ns = |path: PathBuf| {
        let text = std::fs::read_to_string(path.join("new/estimates.json")).ok()?;
        let json: serde_json::Value = serde_json::from_str(&text).ok()?;
        json["median"]["point_estimate"].as_f64()
    };
    let Some(naive) = median_ns(home.join("attempt/naive loop")) else { return };
    println!("\nnaive loop of rand_distr Betas: {naive:.0} ns per attempt\n");
    println!("| strategy | ns per attempt, own world | naive / own | tape ready | naive / ready |");
    println!("|---|---:|---:|---:|---:|");
    for contender in contenders() {
        let of = |name: &str| median_ns(home.join("attempt").join(name).join(&contender.label));
        if let (Some(own), Some(ready)) = (of("own world"), of("tape ready")) {
            let label = &contender.label;
            let (a, b) = (naive / own, naive / ready);
            println!("| {label} | {own:.0} | {a:.1} | {ready:.0} | {b:.1} |");
        }
    }
}

fn main() {
    let mut criterion = Criterion::default()
        .measurement_time(Duration::from_secs(3))
        .warm_up_time(Duration::from_secs(1))
        .sample_size(30)
        .configure_from_args();
    attempts(&mut criterion);
    replications(&mut criterion);
    criterion.final_summary();
    print_ratios();
}
