//! Runs the built program, and makes recordings for it to read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::Duration;

use flakelab_core::domain::{Purpose, Streams};
use flakelab_core::stats::uniform01;
use flakelab_sim::trace::{Config, Row};
use flakelab_sim::world::Model;

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

/// A folder of its own to run the program in, with a model in `m.toml`.
pub struct Desk {
    pub folder: tempfile::TempDir,
}

impl Desk {
    pub fn with(model: &Model) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("m.toml"), model.to_toml()).unwrap();
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn run(&self, arguments: &str) -> Output {
        flakelab(self.folder.path()).args(arguments.split_whitespace()).output().unwrap()
    }

    /// The message of a command that must fail with code 2, print nothing on stdout, and leave
    /// no results folder behind.
    pub fn mistake(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {message}");
        assert_eq!(stdout(&output), "", "{arguments}");
        assert!(!message.contains("panicked"), "{message}");
        assert!(!self.path("results").exists(), "{arguments} left a results folder");
        message
    }
}

/// Waits until something is so. A minute is beyond any load; promises of time are tested elsewhere.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if is_so() {
            return;
        }
        sleep(Duration::from_millis(10));
    }
    panic!("{what} did not come about");
}

/// A recording of `requests` requests to config 0, sent round robin until one succeeds; server
/// i fails with probability i / 12.
pub fn recorded_run(requests: u64) -> Vec<Row> {
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
                refused: None,
                start: None,
            });
            if success {
                break;
            }
        }
    }
    rows
}
