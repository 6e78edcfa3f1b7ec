//! What a fit found, for those who print it: everything that a report wants, nothing formatted.

use super::checks::{Goodness, Homogeneity};
use super::error_rates::FamilyFit;
use super::latency::LatencyFits;
use super::limits::LimitEvidence;
use super::starts::Boundary;
use crate::trace::Config;
use crate::world::{Model, RateLimit, Violation};

/// The outcome of a fit.
#[derive(Debug, Clone, PartialEq)]
pub struct FitReport {
    /// One for each config that the traces hold, in order.
    pub configs: Vec<ConfigFit>,
    /// What is odd about the traces themselves, as sentences; each config has its own besides.
    pub warnings: Vec<String>,
}

/// One config, fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigFit {
    /// Which one.
    pub config: Config,
    /// The model, ready to be written; its provenance says in short what stands here.
    pub model: Model,
    /// The runs in order of time.
    pub runs: Vec<RunSummary>,
    /// The gaps between neighbouring runs, one fewer than runs.
    pub boundaries: Vec<Boundary>,
    /// Chi-squares: over all runs, over the runs of each day, within each start of several runs.
    pub homogeneity: Vec<Homogeneity>,
    /// The population of error rates.
    pub population: PopulationFit,
    /// Goodness of the population for this config's own servers.
    pub goodness: Goodness,
    /// Latencies.
    pub latency: LatencyFits,
    /// The rate limit.
    pub rate_limit: LimitFit,
    /// What to keep in mind about this config, as sentences.
    pub warnings: Vec<String>,
}

/// One run of a config.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSummary {
    /// The file, without its folder.
    pub file: String,
    /// The strategies that chose the servers.
    pub strategies: Vec<String>,
    /// When the first attempt was sent, Unix time in seconds.
    pub started_at_s: f64,
    /// Which start of the servers it met, from 1.
    pub start: usize,
    /// Attempts.
    pub attempts: usize,
    /// Attempts that did not succeed.
    pub failures: usize,
    /// Failures that count as refusals: recorded as such, or by the rate limit assumed.
    pub taken_for_refusals: usize,
}

/// The population of error rates of a config.
#[derive(Debug, Clone, PartialEq)]
pub struct PopulationFit {
    /// The config whose runs it was fitted to.
    pub fitted_on: Config,
    /// Every family, best evidence first; the first one is in the model.
    pub families: Vec<FamilyFit>,
    /// `ln` of the Bayes factor of the first family against the second.
    pub log_bayes_factor: f64,
    /// Rounds of starts and population until neither changed.
    pub rounds: usize,
    /// Whether they ended before the limit of rounds.
    pub settled: bool,
}

/// The rate limit of a config.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitFit {
    /// What the model says.
    pub limit: RateLimit,
    /// Whether it is an assumption rather than known.
    pub assumed: bool,
    /// Why this one.
    pub reason: String,
    /// What the attempts say of it; for config 0, of the limit assumed for config 1.
    pub evidence: LimitEvidence,
}

/// Traces that no model can be fitted to.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// There is nothing to fit.
    #[error("no attempts to fit a model to; give at least one trace file with attempts")]
    NoTraces,
    /// A trace whose counts would be wrong.
    #[error("{path}:{line}: {problem}; mend the file or leave it out")]
    Unsound {
        /// The file.
        path: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// The same run was given twice and would count as twice the evidence.
    #[error("{a} and {b} hold the same run; leave one of them out")]
    SameRunTwice {
        /// One file.
        a: String,
        /// The other.
        b: String,
    },
    /// All attempts of a config were refused, so nothing is known of its errors or latencies.
    #[error("config {config}: the rate limiter refused every attempt; nothing is left to fit")]
    OnlyRefusals {
        /// The config.
        config: Config,
    },
    /// The fitted values are out of the model's ranges.
    #[error("config {config}: fitted {}: {}; expected {}", violation.key, violation.problem, violation.expected)]
    OutOfRange {
        /// The config.
        config: Config,
        /// The value in question.
        violation: Violation,
    },
}
