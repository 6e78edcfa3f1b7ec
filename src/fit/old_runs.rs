//! Runs: the attempts of one config in one file, in order of time, as a fit needs them.
//!
//! A trace that cannot be counted on is refused here: findings of `trace::check` that are errors,
//! and a run that was handed in twice, which would pass for twice the evidence.

use std::collections::BTreeMap;

use super::FitError;
use super::error_rates::Tally;
use crate::trace::{Config, Row, Severity, Trace, check};

/// Warnings of one file beyond these are counted, not spelled out.
const MOST_WARNINGS: usize = 3;

/// The runs of each config, in order of time.
pub(super) type Runs = BTreeMap<Config, Vec<Run>>;

/// One attempt, as far as a fit cares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Observed {
    /// Unix time in seconds.
    pub(super) at_s: f64,
    /// The server's position within its config.
    pub(super) server: usize,
    /// Whether it did not succeed.
    pub(super) failed: bool,
    /// Whether it is known to have been refused by the rate limiter.
    pub(super) known_refused: bool,
    pub(super) latency_ms: f64,
    /// Whether its request had been attempted before.
    pub(super) retry: bool,
}

/// The attempts of one config in one file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    pub(super) file: String,
    pub(super) config: Config,
    /// Which strategies chose the servers, sorted.
    pub(super) strategies: Vec<String>,
    /// Whether the recorder told 429 from other failures, in every row.
    pub(super) tells_refusals: bool,
    /// In order of time; at least one.
    pub(super) attempts: Vec<Observed>,
    /// Identifier of the first attempt, to find runs handed in twice.
    first_request: String,
}

impl Run {
    /// When the first attempt was sent, Unix time in seconds.
    pub(super) fn started_at_s(&self) -> f64 {
        self.attempts.first().map_or(0.0, |attempt| attempt.at_s)
    }

    /// Successes and failures of each server; attempts known to have been refused count as
    /// neither.
    pub(super) fn tallies(&self) -> Vec<Tally> {
        let mut tallies = vec![Tally::default(); usize::from(self.config.servers())];
        for attempt in self.attempts.iter().filter(|a| !a.known_refused) {
            tallies[attempt.server].record(attempt.failed);
        }
        tallies
    }
}

/// The runs of every config, in order of time, and warnings about the files.
pub(super) fn collect(traces: &[Trace]) -> Result<(Runs, Vec<String>), FitError> {
    if traces.is_empty() {
        return Err(FitError::NoTraces);
    }
    let mut runs = Runs::new();
    let mut warnings = Vec::new();
    for trace in traces {
        warnings.extend(sound(trace)?);
        for config in Config::ALL {
            let rows: Vec<&Row> = trace.rows.iter().filter(|row| row.config == config).collect();
            if !rows.is_empty() {
                runs.entry(config).or_default().push(run(trace, config, &rows));
            }
        }
    }
    if runs.is_empty() {
        return Err(FitError::NoTraces);
    }
    for runs in runs.values_mut() {
        runs.sort_by(|a, b| {
            a.started_at_s().total_cmp(&b.started_at_s()).then_with(|| a.file.cmp(&b.file))
        });
        for pair in runs.windows(2) {
            let same = pair[0].first_request == pair[1].first_request
                && pair[0].started_at_s() == pair[1].started_at_s();
            if same {
                let [a, b] = [0, 1].map(|i| pair[i].file.clone());
                return Err(FitError::SameRunTwice { a, b });
            }
        }
    }
    warnings.sort();
    Ok((runs, warnings))
}

fn run(trace: &Trace, config: Config, rows: &[&Row]) -> Run {
    let mut strategies: Vec<String> = rows.iter().map(|row| row.strategy.clone()).collect();
    strategies.sort();
    strategies.dedup();
    let mut attempts: Vec<Observed> = rows
        .iter()
        // `check` has refused rows whose port is of another config.
        .filter_map(|row| {
            Some(Observed {
                at_s: row.timestamp,
                server: row.server_index()?,
                failed: !row.success,
                known_refused: row.rate_limited == Some(true),
                latency_ms: row.latency_ms,
                retry: row.attempt_number > 1,
            })
        })
        .collect();
    attempts.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    Run {
        file: file_name(trace),
        config,
        strategies,
        tells_refusals: rows.iter().all(|row| row.rate_limited.is_some()),
        attempts,
        first_request: rows.first().map_or_else(String::new, |row| row.request_id.clone()),
    }
}

/// The file's name without its folder, so that results do not depend on where traces lie.
fn file_name(trace: &Trace) -> String {
    let name = trace.path.file_name().unwrap_or(trace.path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// Warnings about a trace, or the reason not to use it.
fn sound(trace: &Trace) -> Result<Vec<String>, FitError> {
    let findings = check(trace);
    let path = trace.path.display();
    if let Some(error) = findings.iter().find(|f| f.severity == Severity::Error) {
        let (path, line, problem) = (path.to_string(), error.line, error.problem.clone());
        return Err(FitError::Unsound { path, line, problem });
    }
    let name = file_name(trace);
    let mut warnings: Vec<String> = findings
        .iter()
        .take(MOST_WARNINGS)
        .map(|finding| format!("{name}:{}: {}.", finding.line, finding.problem))
        .collect();
    if findings.len() > MOST_WARNINGS {
        warnings.push(format!(
            "{name}: {} more findings of this kind.",
            findings.len() - MOST_WARNINGS
        ));
    }
    Ok(warnings)
}
