//! The metrics file, what a running proxy says about itself; results/README.md lists its keys.
//!
//! The proxy replaces the file whole, many times a second; the viewer and `live` read it, each in
//! a process of its own. Times are Unix seconds, latencies milliseconds. New keys may be added;
//! readers ignore those that they do not know and take the default for those that are missing.
//!
//! When not to use it: to analyse a run; that is what the trace is for.

use std::path::Path;

use serde::{Deserialize, Serialize};

use flakelab_core::balancer::{Ledger, ServerCounts};

/// The latencies of so many last requests are kept.
pub const LATENCIES_KEPT: usize = 1000;

/// So many last events are kept.
pub const EVENTS_KEPT: usize = 20;

/// The newest state of a proxy.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Metrics {
    /// Requests that arrived.
    pub total_requests: u64,
    /// Requests answered 200.
    pub total_success: u64,
    /// Requests answered 500.
    pub total_failure: u64,
    /// Attempts beyond the first of their request.
    pub total_retries: u64,
    /// Attempts refused with 429.
    pub total_rate_limited: u64,
    /// Points lost to attempts beyond the free ones.
    pub total_penalty: f64,
    /// Requests answered so far, but not with 200.
    pub global_regret: f64,
    /// Score so far: requests answered 200 minus penalties.
    pub best_guess_score: f64,
    /// Median latency of the last requests, from arrival at the proxy to its answer.
    pub latency_p50: f64,
    /// Their 99th percentile.
    pub latency_p99: f64,
    /// The latencies of the last `LATENCIES_KEPT` requests, oldest first.
    pub latencies: Vec<f64>,
    /// In order of the model's servers.
    pub per_server: Vec<ServerMetrics>,
    /// When this was written.
    pub last_update: f64,

    /// The strategy's label, as in tables.
    pub strategy: String,
    /// The config, or the model's name.
    pub config: String,
    /// What the strategy's coins and the order in which it sees the servers are drawn from.
    pub seed: u64,
    /// When the proxy began to listen.
    pub started: f64,
    /// Attempts sent.
    pub total_attempts: u64,
    /// Attempts beyond the free ones.
    pub total_extra_attempts: u64,
    /// Attempts without an answer in time.
    pub total_timed_out: u64,
    /// Requests that wait to be served.
    pub waiting: usize,
    /// Requests in service.
    pub in_service: usize,
    /// Whether the proxy has ended; this is then its last state.
    pub ended: bool,
    /// The last `EVENTS_KEPT` answers, oldest first.
    pub events: Vec<RecentEvent>,
    /// Load and health, where the strategy watches them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh: Option<MeshMetrics>,
}

/// What a strategy that watches load and health tells.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MeshMetrics {
    /// Attempts sent to each server, in order of the model's servers.
    pub selections: Vec<u64>,
    /// Servers left out of decisions because of their health, summed over decisions.
    pub filtered_by_health: u64,
    /// Variance over servers of the attempts in flight, averaged over time.
    pub load_variance: f64,
    /// How often the strategy went from one way of choosing to another.
    pub num_switches: u64,
    /// The last `SWITCHES_SHOWN` of those kept, oldest first.
    pub switches: Vec<SwitchMetrics>,
}

/// So many switches are shown.
pub const SWITCHES_SHOWN: usize = 20;

/// A switch from one way of choosing to another.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SwitchMetrics {
    pub at: f64,
    pub from: String,
    pub to: String,
    pub reason: String,
}

/// What is known of one server.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerMetrics {
    /// Its port in the model, wherever it really listens.
    pub port: u16,
    /// Attempts sent to it.
    pub num_requests: u64,
    /// Attempts that succeeded.
    pub num_success: u64,
    /// Attempts that failed, those without an answer in time among them.
    pub num_failure: u64,
    /// Attempts refused with 429.
    pub num_rate_limited: u64,
    /// Attempts without an answer in time.
    pub num_timed_out: u64,
    /// Attempts that failed without an answer that is HTTP.
    pub num_no_http: u64,
    /// Attempts whose connection was refused, because nobody listened.
    pub num_refused: u64,
    /// `num_success / num_requests`; 0 before the first attempt.
    pub success_rate: f64,
    /// Mean latency of its finished attempts; 0 before the first.
    pub avg_latency_ms: f64,
    /// The success rate that the strategy would bet on; none if it has no such belief.
    pub belief: Option<f64>,
}

/// A request that was answered.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RecentEvent {
    /// When.
    pub at: f64,
    /// The request's number, from 1.
    pub request: u64,
    /// Whether it was answered 200.
    pub ok: bool,
    /// The ports it was sent to, in order, with the outcomes (`success`, `failure`,
    /// `rate_limited`, `timed_out`).
    pub attempts: Vec<(u16, String)>,
    /// From arrival to answer.
    pub latency_ms: f64,
}

/// A metrics file that cannot be used now. It may be there again a moment later.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// It cannot be read.
    #[error("cannot read {0}")]
    Read(String, #[source] std::io::Error),
    /// It does not hold metrics, or not all of them.
    #[error("{0}:{line}:{c}: no metrics of a proxy: {1}", line = .1.line(), c = .1.column())]
    Form(String, #[source] serde_json::Error),
}

impl Metrics {
    /// Reads a metrics file.
    pub fn read(path: &Path) -> Result<Self, MetricsError> {
        let shown = || path.display().to_string();
        let text = std::fs::read(path).map_err(|error| MetricsError::Read(shown(), error))?;
        serde_json::from_slice(&text).map_err(|error| MetricsError::Form(shown(), error))
    }

    /// The counts, as the balancer's ledger has them.
    pub fn ledger(&self) -> Ledger {
        let servers = self.per_server.iter().map(|s| ServerCounts {
            attempts: s.num_requests,
            successes: s.num_success,
            failures: s.num_failure - s.num_timed_out.min(s.num_failure),
            rate_limited: s.num_rate_limited,
            timed_out: s.num_timed_out,
        });
        Ledger {
            arrived: self.total_requests,
            answered_ok: self.total_success,
            answered_error: self.total_failure,
            attempts: self.total_attempts,
            retries: self.total_retries,
            extra_attempts: self.total_extra_attempts,
            servers: servers.collect(),
        }
    }
}
