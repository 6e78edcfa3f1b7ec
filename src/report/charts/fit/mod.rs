//! Charts of a fit: what was found of the servers, and how sure it is.
//!
//! | Chart | Shows |
//! |---|---|
//! | `fit-rates` | each server's error rate: posterior, and the raw share beside it |
//! | `fit-population` | the population of rates against the servers' posteriors |
//! | `fit-limit` | how likely each refill rate is; how likely each kind of limit |
//! | `fit-latency` | quantiles of latency, fitted against observed |
//! | `fit-starts` | runs on a time line, and where servers were started anew |

mod latency;
mod limit;
mod population;
mod rates;
mod starts;

use crate::report::charts::page::{Page, config_name};
use crate::report::charts::{Chart, ChartError, lettering};

/// What the charts of one config show; everything final, nothing computed here.
#[derive(Debug, Clone, PartialEq)]
pub struct FitPicture {
    /// The config's number or the name of somebody's own servers.
    pub config: String,
    /// What it rests on: `10 runs, 1,460 attempts, 6 starts`.
    pub data: String,
    /// Servers in order of start and position.
    pub servers: Vec<ServerPicture>,
    /// Distribution functions at increasing rates.
    pub population: Vec<PopulationPoint>,
    /// What the population is, in words.
    pub population_text: String,
    /// The rate limit.
    pub limit: LimitPicture,
    /// Quantiles of latency, increasing.
    pub latency: Vec<QuantilePicture>,
    /// The fitted family of latencies in words.
    pub latency_text: String,
    /// Runs in order of time.
    pub runs: Vec<RunPicture>,
}

/// A server in one start.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerPicture {
    /// The start, from 1.
    pub start: usize,
    /// Port or address.
    pub name: String,
    /// Attempts and failures, refusals left out.
    pub attempts: u64,
    /// See `attempts`.
    pub failures: u64,
    /// Posterior mean of the error rate.
    pub mean: f64,
    /// 95 % interval of it.
    pub interval: (f64, f64),
}

/// The population at one rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PopulationPoint {
    /// The error rate.
    pub rate: f64,
    /// Share of servers at or below it by the fitted population, averaged over the posterior.
    pub fitted: f64,
    /// 95 % of the posterior's populations lie between these.
    pub band: (f64, f64),
    /// The servers' posteriors, averaged.
    pub servers: f64,
}

/// What is known of a rate limit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LimitPicture {
    /// Refills per second of a bucket of one token, with the `ln` likelihood against no limit.
    pub curve: Vec<(f64, f64)>,
    /// Kinds of limits with their probabilities, `none` among them.
    pub kinds: Vec<(String, f64)>,
    /// The conclusion in a sentence or two.
    pub conclusion: String,
}

/// A quantile of latency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantilePicture {
    /// By the fitted family, in milliseconds.
    pub fitted_ms: f64,
    /// As observed.
    pub observed_ms: f64,
    /// Where 95 % of samples of this size from the fitted family lie.
    pub band_ms: (f64, f64),
}

/// A run on the time line.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPicture {
    /// File name.
    pub name: String,
    /// Length in seconds.
    pub seconds: f64,
    /// Starts within the run: seconds into the run, number of the start from 1; the first at 0.
    pub starts: Vec<(f64, usize)>,
    /// Probability of a restart between the run before and this one.
    pub restart_before: Option<f64>,
    /// Attempts.
    pub attempts: usize,
}

/// The names of these charts.
pub(in crate::report::charts) const NAMES: [&str; 5] =
    ["fit-rates", "fit-population", "fit-limit", "fit-latency", "fit-starts"];

/// Draws all five charts, in the order of the module's table.
pub fn draw_fit(picture: &FitPicture) -> Result<Vec<Chart>, ChartError> {
    lettering::ready()?;
    [rates::chart, population::chart, limit::chart, latency::chart, starts::chart]
        .into_iter()
        .map(|chart| chart(picture))
        .collect()
}

/// A sheet for one of them.
fn page(heading: &str, picture: &FitPicture, reading: &str) -> Page {
    let config = config_name(&picture.config);
    let title = format!("{heading}: {config}, {}", picture.data);
    Page::headed(heading, title, &format!("{config} · {}", picture.data), reading)
}
