//! The six charts of a scenario, as SVG and, where wanted, PNG.
//!
//! | Chart | What it shows |
//! |---|---|
//! | `score` | mean scores with 95 % intervals |
//! | `oracle-regret` | what learning costs, request by request |
//! | `score-distribution` | how much single runs scatter |
//! | `differences` | who can be told from the best, and by how much |
//! | `attempt-share` | which servers the attempts went to |
//! | `latency` | request latency quantiles |
//!
//! Over all scenarios, `robustness`: who is never far behind. Beside them the charts of a fit, the
//! picture of a search. (The page of a run that is going on is drawn by the viewer, `watch`.)
//!
//! Every chart is laid out once as a list of shapes and painted by plotters' backends
//! with a font that the program carries; nothing depends on the system's fonts, the clock or a
//! locale. Each strategy has the same colour, mark and dash pattern in all charts, and none of
//! them means anything by colour alone.

mod attempt_share;
pub(crate) mod axis;
mod differences;
pub mod fit;
mod latency;
pub(crate) mod lettering;
pub mod live;
pub(crate) mod number;
mod oracle_regret;
pub(crate) mod page;
mod paint;
pub(crate) mod palette;
pub(crate) mod panel;
mod robustness;
pub(crate) mod rows;
#[cfg(test)]
mod sample;
pub(crate) mod scene;
mod score;
mod score_distribution;
mod search;
mod share_scale;
#[cfg(test)]
pub(crate) mod tests;

pub use robustness::{draw_robustness, loss_cell};
pub use search::draw_search;

use crate::experiment::ScenarioSummary;

/// A finished chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Stem of its file name, for example `score`.
    pub name: &'static str,
    /// What it shows, of which config, how many requests and replications.
    pub title: String,
    /// What to see in it, computed from the data; also drawn below the plot.
    pub caption: String,
    /// The SVG document.
    pub svg: String,
    scene: scene::Scene,
}

/// A chart that could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// The font that the program carries cannot be read, which is a bug.
    #[error("the built-in font cannot be used")]
    Font,
    /// A backend failed.
    #[error("a chart cannot be drawn: {0}")]
    Draw(String),
    /// Hundreds of strategies, as pixels.
    #[error("a PNG of {width} x {height} pixels is too large; use the SVG")]
    TooLarge {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// PNG is encoded in a temporary file.
    #[error("a temporary file for a PNG cannot be used: {0}")]
    TemporaryFile(#[from] std::io::Error),
}

impl Chart {
    /// The chart as the bytes of a PNG file, `scale` pixels for each of the SVG's (2 looks good
    /// on every screen; beyond 8 counts as 8).
    pub fn png(&self, scale: u32) -> Result<Vec<u8>, ChartError> {
        paint::png(&self.scene, scale)
    }
}

/// The six charts' names, in the order of the module's table.
const NAMES: [&str; 6] =
    ["score", "oracle-regret", "score-distribution", "differences", "attempt-share", "latency"];

/// The name of a chart's file; `format` is `svg` or `png`.
pub fn file_name(scenario: &str, chart: &str, format: &str) -> String {
    format!("config-{scenario}-{chart}.{format}")
}

/// The name of the file of a chart that shows all scenarios.
pub fn overall_file_name(chart: &str, format: &str) -> String {
    format!("{chart}.{format}")
}

/// Whether a file's name is one that [`file_name`] or [`overall_file_name`] gives, or that of a
/// search.
pub fn is_chart_file(name: &str) -> bool {
    let stem = name.strip_suffix(".svg").or(name.strip_suffix(".png"));
    if stem.is_some_and(|stem| [robustness::NAME, search::NAME].contains(&stem)) {
        return true;
    }
    stem.and_then(|stem| stem.strip_prefix("config-")).is_some_and(|rest| {
        NAMES
            .iter()
            .chain(&fit::NAMES)
            .chain(&live::NAMES)
            .any(|chart| rest.ends_with(&format!("-{chart}")))
    })
}

/// Draws all six charts, in the order of the module's table.
pub fn draw(scenario: &ScenarioSummary) -> Result<Vec<Chart>, ChartError> {
    lettering::ready()?;
    [
        score::chart,
        oracle_regret::chart,
        score_distribution::chart,
        differences::chart,
        attempt_share::chart,
        latency::chart,
    ]
    .into_iter()
    .map(|chart| chart(scenario))
    .collect()
}
