//! What a fit found, for those who print it: everything that a report wants, nothing formatted.

use crate::checks::{AssumptionTest, Goodness, Homogeneity};
use crate::latency::LatencyAnalysis;
use crate::limits::LimitInference;
use crate::rates::{ErrorRateFit, RatePrior, ServerRate};
use crate::starts::Starts;
use crate::these::ObservedTraffic;
use flakelab_sim::trace::Group;
use flakelab_sim::world::{Model, RateLimit};

/// The outcome of a fit.
#[derive(Debug, Clone, PartialEq)]
pub struct FitReport {
    /// One for each group of servers that the recordings hold: configs in order, then others.
    pub configs: Vec<ConfigFit>,
    /// What is odd about the files themselves, as sentences; each config has its own besides.
    pub warnings: Vec<String>,
}

/// One group of servers, fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigFit {
    /// Which servers.
    pub group: Group,
    /// The traffic that they met, of a model of these very servers; none of a fleet.
    pub traffic: Option<ObservedTraffic>,
    /// The model, ready to be written; its provenance says in short what stands here.
    pub model: Model,
    /// The runs in order of time; positions in `starts` are positions here.
    pub runs: Vec<RunSummary>,
    /// When the servers were started anew, and the evidence.
    pub starts: Starts,
    /// Whether starts, rates and limit settled on each other before the limit of rounds.
    pub settled: bool,
    /// Chi-squares: over all runs, over the runs of each day, within each start of several runs.
    pub homogeneity: Vec<Homogeneity>,
    /// The population of error rates.
    pub rates: ErrorRateFit,
    /// The population averaged over what is known of it.
    pub prior: RatePrior,
    /// The name of the group whose recordings the population was fitted to.
    pub rates_fitted_on: String,
    /// Every server in every start.
    pub servers: Vec<ServerSummary>,
    /// Goodness of the population for this group's own servers.
    pub goodness: Goodness,
    /// The assumptions of the simulator, tested.
    pub assumptions: Vec<AssumptionTest>,
    /// Latencies; `None` where the recordings do not tell them.
    pub latency: Option<LatencyAnalysis>,
    /// The rate limit.
    pub rate_limit: LimitFit,
    /// What to keep in mind about this group, as sentences.
    pub warnings: Vec<String>,
}

/// One run of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSummary {
    /// The file, without its folder.
    pub file: String,
    /// The strategies that chose the servers.
    pub strategies: Vec<String>,
    /// Seconds from the first attempt to the last.
    pub seconds: f64,
    /// Starts that it met: seconds into the run, and the start's number from 1. The first at 0.
    pub starts: Vec<(f64, usize)>,
    /// Attempts.
    pub attempts: usize,
    /// Attempts that did not succeed, refusals included.
    pub failures: usize,
    /// Attempts that were refused, as recorded or as the rate limit found explains them.
    pub refusals: usize,
}

/// One server in one start.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerSummary {
    /// The start, from 1.
    pub start: usize,
    /// The server's position in the group.
    pub server: usize,
    /// Its attempts, refusals left out, and what they leave of its error rate.
    pub rate: ServerRate,
}

/// The rate limit of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitFit {
    /// What the model says.
    pub limit: RateLimit,
    /// Whether that is an assumption rather than found or known.
    pub assumed: bool,
    /// Why this one.
    pub reason: String,
    /// What the attempts say.
    pub inference: LimitInference,
}
