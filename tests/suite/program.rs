//! Runs the built program, and makes recordings for it to read.

use std::path::Path;
use std::process::{Command, Output};

use flakelab::domain::{Purpose, Streams};
use flakelab::stats::sample::uniform01;
use flakelab::trace::{Config, Row, Trace};

/// The program, about to run in `folder`, whatever the environment says of colours.
pub fn flakelab(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flakelab"));
    command.current_dir(folder).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A recording of `requests` requests to config 0, sent round robin until one succeeds; server
/// i fails with probability i / 12.
pub fn recorded_run(requests: u64) -> Trace {
    let mut rng = Streams::new(9).stream(Purpose::Analysis, 0, 0);
    let mut rows = Vec::new();
    for request in 1..=requests {
        for attempt in 1.. {
            let server = (rows.len() % 10) as u16;
            let success = uniform01(&mut rng) >= f64::from(server) / 12.0;
            rows.push(Row {
                session_id: None,
                config: Config::ALL[0],
                request_number: request,
                attempt_number: attempt,
                request_id: format!("request{request:017}"),
                strategy: "round-robin".to_owned(),
                timestamp: 1.8e9 + 0.1 * request as f64 + 0.002 * f64::from(attempt),
                server_port: 4000 + server,
                success,
                latency_ms: 1.0 + uniform01(&mut rng),
                request_complete: success,
                request_success: success,
                rate_limited: None,
                start: None,
            });
            if success {
                break;
            }
        }
    }
    Trace::new("recorded", rows)
}
