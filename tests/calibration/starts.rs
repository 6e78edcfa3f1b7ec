//! Starts inside a file: false alarms, power, location, and calibration of the time of change.
//!
//! Ten servers, error rates from Beta(2, 2), all redrawn together at a start; one attempt a
//! request, servers in turn or chosen by Thompson's rule.

use std::path::PathBuf;

use flakelab::domain::{Outcome, Purpose, Streams};
use flakelab::fit::{FileSearch, Place, Population, RatePrior, Starts, find_starts};
use flakelab::stats::sample::{beta, uniform01};
use flakelab::trace::{Config, Group, Observed, Recording};
use rand::Rng;
use rayon::prelude::*;

use crate::study::{Finding, Study, must_be_rejected, uniformity};

const SERVERS: usize = 10;
const TRUTH: Population = Population::Beta { alpha: 2.0, beta: 2.0 };

/// Who chose the servers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Choice {
    InTurn,
    Thompson,
}

impl Choice {
    const ALL: [Self; 2] = [Self::InTurn, Self::Thompson];

    const fn name(self) -> &'static str {
        match self {
            Self::InTurn => "round robin",
            Self::Thompson => "Thompson",
        }
    }
}

/// A recording of starts that serve so many requests each. The strategy is not told of restarts.
fn recording(requests: &[usize], choice: Choice, design: u16, seed: u64) -> Recording {
    let mut rng = Streams::new(4_021).stream(Purpose::Analysis, design, seed);
    let mut tallies = [[1.0_f64; 2]; SERVERS];
    let mut attempts = Vec::with_capacity(requests.iter().sum());
    for count in requests {
        let rates: Vec<f64> = (0..SERVERS).map(|_| beta(&mut rng, 2.0, 2.0)).collect();
        for _ in 0..*count {
            let request = attempts.len();
            let server = match choice {
                Choice::InTurn => request % SERVERS,
                Choice::Thompson => thompson(&tallies, &mut rng),
            };
            let failed = uniform01(&mut rng) < rates[server];
            tallies[server][usize::from(failed)] += 1.0;
            attempts.push(Observed {
                at_s: 1.7e9 + 0.1 * request as f64,
                latency_ms: 1.0,
                request: request as u32,
                attempt: 1,
                server: server as u8,
                outcome: if failed { Outcome::Failure } else { Outcome::Success },
                strategy: 0,
                identifier_byte: b'a',
            });
        }
    }
    Recording {
        path: PathBuf::from("made.csv"),
        group: Group::of_config(Config::ALL[0]),
        strategies: vec!["made".to_owned()],
        tells_refusals: true,
        attempts,
        declared_starts: Vec::new(),
        clock_jumps: Vec::new(),
        warnings: Vec::new(),
        first_identifier: String::new(),
    }
}

fn thompson(tallies: &[[f64; 2]; SERVERS], rng: &mut impl Rng) -> usize {
    let draws: Vec<f64> = tallies.iter().map(|[s, f]| beta(rng, *s, *f)).collect();
    (0..SERVERS).fold(0, |best, i| if draws[i] > draws[best] { i } else { best })
}

fn search(made: &Recording, prior: &RatePrior) -> Starts {
    find_starts(&[made], SERVERS, prior)
}

/// The searches of many made recordings, in order.
fn searches<T: Send>(
    requests: &[usize],
    choice: Choice,
    design: u16,
    count: u64,
    of: impl Fn(Starts) -> T + Sync,
) -> Vec<T> {
    let prior = RatePrior::of(&TRUTH);
    (0..count)
        .into_par_iter()
        .map(|seed| of(search(&recording(requests, choice, design, seed), &prior)))
        .collect()
}

#[test]
#[ignore]
fn explore() {
    for (i, n) in [100, 300, 1_000, 3_000].into_iter().enumerate() {
        for choice in Choice::ALL {
            let t = std::time::Instant::now();
            let mut bf = searches(&[n], choice, (i * 2 + choice as usize) as u16, 1_000, |s| {
                s.searches[0].log_bayes_factor.exp()
            });
            bf.sort_by(f64::total_cmp);
            let mean: f64 = bf.iter().sum::<f64>() / bf.len() as f64;
            let q: Vec<f64> = [0.5, 0.9, 0.98, 0.99, 0.995, 0.998]
                .iter()
                .map(|q| bf[(q * 1000.0) as usize])
                .collect();
            let above: Vec<usize> = [5., 10., 15., 20., 30., 50., 100., 200.]
                .iter()
                .map(|t| bf.iter().filter(|b| **b > *t).count())
                .collect();
            println!(
                "null {n} {}: mean {mean:.3} q {q:.3?} max {:.1} above {above:?} {:?}",
                choice.name(),
                bf[999],
                t.elapsed()
            );
        }
    }
    for choice in Choice::ALL {
        for k in [5, 10, 15, 40] {
            let t = std::time::Instant::now();
            let bf = searches(&[3_000, 10 * k], choice, 20 + k as u16, 1_000, |s| {
                s.searches[0].log_bayes_factor.exp()
            });
            let above: Vec<usize> = [5., 10., 15., 20., 30., 50., 100., 200.]
                .iter()
                .map(|t| bf.iter().filter(|b| **b > *t).count())
                .collect();
            println!("power {k} {}: above {above:?} {:?}", choice.name(), t.elapsed());
        }
    }
}
