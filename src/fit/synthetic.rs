//! Data for the tests of this crate: with known parameters, servers chosen by what they did; and the
//! recordings of real servers.

use std::io::Write;
use std::path::PathBuf;

use crate::rates::{Population, Tally};
use flakelab_core::domain::{Outcome, Purpose, Streams};
use flakelab_core::stats::{index_below, normal_quantile, uniform_open, uniform01};
use flakelab_sim::trace::{Config, Group, Observed, ReadOptions, Recording};
use flakelab_sim::world::ErrorFamily;

/// The attempts of one start: server and whether it failed, in order of time.
pub(crate) type Outcomes = Vec<(usize, bool)>;

/// Two kinds of servers, three in ten of the worse kind.
pub(crate) const MIXTURE: ErrorFamily = ErrorFamily::BetaMixture {
    weight: 0.3,
    alpha: 1.2,
    beta: 9.0,
    second_alpha: 20.0,
    second_beta: 7.0,
};

pub(crate) const fn tally(failures: u64, successes: u64) -> Tally {
    Tally { failures, successes }
}

/// Servers of a start.
const SERVERS: usize = 10;

/// The error rates of one start.
pub(crate) fn rates(population: &ErrorFamily, seed: u64) -> Vec<f64> {
    let mut rng = Streams::new(71).stream(Purpose::Instance, 0, seed);
    let nothing = Tally::default();
    (0..SERVERS).map(|_| population.posterior_quantile(nothing, uniform_open(&mut rng))).collect()
}

/// Attempts at servers with these error rates, greedily (three in four) or by a normal
/// approximation of Thompson's rule, after a first attempt at a random server.
pub(crate) fn attempts(rates: &[f64], count: usize, seed: u64) -> Outcomes {
    let mut rng = Streams::new(72).stream(Purpose::Strategy, 0, seed);
    let mut tallies = vec![Tally::default(); rates.len()];
    let mut outcomes = Vec::with_capacity(count);
    for i in 0..count {
        let greedy = uniform01(&mut rng) < 0.75;
        let scores: Vec<f64> = tallies
            .iter()
            .map(|t| {
                let (s, f) = (t.successes as f64 + 1.0, t.failures as f64 + 1.0);
                let (n, mean) = (s + f, s / (s + f));
                // A normal draw with the moments of Beta(s, f): these data sets must not change
                // when a sampler of `stats` does.
                let sd = (mean * (1.0 - mean) / (n + 1.0)).sqrt();
                if greedy { mean } else { mean + sd * normal_quantile(uniform_open(&mut rng)) }
            })
            .collect();
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let server = match i {
            0 => index_below(&mut rng, rates.len()),
            _ => scores.iter().position(|score| *score == best).unwrap_or(0),
        };
        let failed = uniform01(&mut rng) < rates[server];
        tallies[server].record(failed);
        outcomes.push((server, failed));
    }
    outcomes
}

/// An attempt of which nothing matters; tests change what does.
pub(crate) const ATTEMPT: Observed = Observed {
    at_s: 0.0,
    latency_ms: 1.0,
    request: 0,
    attempt: 1,
    server: 0,
    outcome: Outcome::Success,
    strategy: 0,
    identifier_byte: b'a',
};

/// Outcomes as attempts of a recording: one a request, ten a second.
pub(crate) fn observed(outcomes: &[(usize, bool)]) -> Vec<Observed> {
    let observed = |(request, (server, failed)): (u32, &(usize, bool))| Observed {
        at_s: f64::from(request) * 0.1,
        request,
        server: *server as u8,
        outcome: if *failed { Outcome::Failure } else { Outcome::Success },
        ..ATTEMPT
    };
    (0..).zip(outcomes).map(observed).collect()
}

/// A recording of config 0 with these attempts, of which everything was told.
pub(crate) fn recording(attempts: Vec<Observed>) -> Recording {
    Recording {
        path: PathBuf::from("made.csv"),
        group: Group::of_config(Config::ALL[0]),
        strategies: vec!["made".to_owned()],
        tells_refusals: true,
        tells_latency: true,
        attempts,
        declared_starts: Vec::new(),
        clock_jumps: Vec::new(),
        warnings: Vec::new(),
        first_identifier: String::new(),
    }
}

/// The recordings of real servers, in order of their files' names; none where the environment does
/// not say where they are.
pub(crate) fn real_recordings() -> Option<Vec<Recording>> {
    let Some(folder) = std::env::var_os("FLAKELAB_TRACES") else {
        // Straight to stderr: the test runner shows what `println!` writes only on failure.
        let line = b"skipped: FLAKELAB_TRACES does not name the folder with the real recordings\n";
        let _ = std::io::stderr().write_all(line);
        return None;
    };
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "csv"));
    paths.sort();
    Some(Recording::read_all(&paths, &ReadOptions::default()).unwrap())
}

/// A run of a config with these outcomes: one attempt a request, ten a second, latency around 1 ms.
pub(crate) fn run(config: Config, outcomes: &Outcomes, number: u64) -> Recording {
    let mut rng = Streams::new(73).stream(Purpose::World, u16::from(config.number()), number);
    let mut attempts = observed(outcomes);
    for attempt in &mut attempts {
        attempt.at_s += 1_768_900_000.0 + number as f64 * 100.0;
        attempt.latency_ms = (0.5 + uniform01(&mut rng)) as f32;
    }
    Recording {
        path: PathBuf::from(format!("made/run-{number}.csv")),
        group: Group::of_config(config),
        strategies: vec!["v4".to_owned()],
        tells_refusals: false,
        first_identifier: format!("{number:024}"),
        ..recording(attempts)
    }
}
