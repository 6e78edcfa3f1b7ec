//! Recordings for the tests of this module: one attempt a request, ten a second.

use std::path::PathBuf;

use flakelab_core::domain::Outcome;
use flakelab_sim::trace::{Config, Group, Observed, Recording};

/// A recording of these servers, tried in turn, and whether they failed.
pub(crate) fn recording(outcomes: &[(u8, bool)]) -> Recording {
    let attempt = |(i, &(server, failed)): (usize, &(u8, bool))| Observed {
        at_s: 1_000.0 + 0.1 * i as f64,
        latency_ms: 1.0,
        request: i as u32,
        attempt: 1,
        server,
        outcome: if failed { Outcome::Failure } else { Outcome::Success },
        strategy: 0,
        identifier_byte: b'a',
    };
    let number = Config::ALL[0];
    Recording {
        path: PathBuf::from("made.csv"),
        group: Group::of_config(number),
        strategies: vec!["made".to_owned()],
        tells_refusals: true,
        tells_latency: true,
        attempts: outcomes.iter().enumerate().map(attempt).collect(),
        declared_starts: Vec::new(),
        clock_jumps: Vec::new(),
        warnings: Vec::new(),
        first_identifier: String::new(),
    }
}
