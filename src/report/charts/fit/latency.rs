//! Quantiles of latency, fitted against observed, both on logarithmic axes.

use super::page;
use crate::fit::{ConfigFit, QqPoint};
use crate::report::charts::axis::{Axis, range};
use crate::report::charts::palette::{ACCENT, Mark, RULE, TEXT};
use crate::report::charts::panel::Panel;
use crate::report::charts::{Chart, ChartError};

/// The chart.
pub(super) fn chart(fit: &ConfigFit) -> Result<Chart, ChartError> {
    let reading = "A dot on the line: the fitted family has that quantile as observed. Band: where \
                   95 % of samples of this size would lie";
    let mut page = page("Latency of attempts", fit, reading);
    let positive = |ms: &f64| ms.is_finite() && *ms > 0.0;
    let success = fit.latency.as_ref().map(|latency| &latency.success);
    let caption =
        success.map_or(String::new(), |of| format!("Fitted: {}. {}", of.family(), of.misses()));
    let pairs: Vec<&QqPoint> = success
        .iter()
        .flat_map(|of| &of.qq)
        .filter(|q| positive(&q.fitted_ms) && positive(&q.observed_ms))
        .collect();
    let ends = range(pairs.iter().flat_map(|q| [q.fitted_ms, q.observed_ms]));
    let (Some(ends), true) = (ends, pairs.len() > 1) else {
        page.nothing("too few attempts");
        return page.finish("fit-latency", caption);
    };
    let panel = Panel::new(
        &mut page,
        420.0,
        Axis::log("fitted quantile (ms, log scale)", Some(ends)),
        Axis::log("observed quantile (ms, log scale)", Some(ends)),
    );
    let band: Vec<(f64, (f64, f64))> = pairs
        .iter()
        .filter(|q| positive(&q.band_ms.low) && positive(&q.band_ms.high))
        .map(|q| (q.fitted_ms, (q.band_ms.low, q.band_ms.high)))
        .collect();
    panel.band(&mut page, &band, ACCENT.faint(0.2));
    page.scene.line(panel.at(ends.0, ends.0), panel.at(ends.1, ends.1), RULE, 2.0);
    for pair in pairs {
        let at = panel.at(pair.fitted_ms, pair.observed_ms);
        Mark::Circle.draw_plain(&mut page.scene, at, 2.6, TEXT);
    }
    page.finish("fit-latency", caption)
}
