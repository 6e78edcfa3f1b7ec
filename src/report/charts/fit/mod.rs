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

use crate::fit::ConfigFit;
use crate::report::charts::page::Page;
use crate::report::charts::{Chart, ChartError, lettering};
use crate::report::numbers::counted;
use crate::report::numbers::thousands;

/// The names of these charts.
pub(in crate::report::charts) const NAMES: [&str; 5] =
    ["fit-rates", "fit-population", "fit-limit", "fit-latency", "fit-starts"];

/// Draws all five charts, in the order of the module's table.
pub fn draw_fit(fit: &ConfigFit) -> Result<Vec<Chart>, ChartError> {
    lettering::ready()?;
    [rates::chart, population::chart, limit::chart, latency::chart, starts::chart]
        .into_iter()
        .map(|chart| chart(fit))
        .collect()
}

/// What a fit rests on: `10 runs, 1,416 attempts, 6 starts of the servers`.
pub fn fit_data(fit: &ConfigFit) -> String {
    let attempts: usize = fit.runs.iter().map(|run| run.attempts).sum();
    format!(
        "{}, {} attempts, {} of the servers",
        counted(fit.runs.len() as u64, "run"),
        thousands(attempts as u64),
        counted(fit.starts.starts.len() as u64, "start")
    )
}

/// A sheet for one of them.
fn page(heading: &str, fit: &ConfigFit, reading: &str) -> Page {
    Page::of_config(heading, &fit.group.name, &fit_data(fit), reading)
}
