//! The rate limit: how likely each kind is, and how likely each refill rate of a bucket of one.

use super::page;
use crate::fit::ConfigFit;
use crate::report::charts::axis::{Axis, range};
use crate::report::charts::lettering::width;
use crate::report::charts::number::percent;
use crate::report::charts::page::{MARGIN, SMALL, WIDTH};
use crate::report::charts::palette::{ACCENT, QUIET, RULE, TEXT};
use crate::report::charts::panel::Panel;
use crate::report::charts::scene::Anchor;
use crate::report::charts::{Chart, ChartError};

/// Likelihoods this far below the best are not told apart.
const LOWEST: f64 = -30.0;

/// The chart.
pub(super) fn chart(fit: &ConfigFit) -> Result<Chart, ChartError> {
    let inference = &fit.rate_limit.inference;
    let conclusion = fit.rate_limit.reason.clone();
    let reading = "Above: probability of each kind of limit, all equally likely beforehand. \
                   Below: ln likelihood of a bucket of one token against no limit, by refill rate";
    let mut page = page("Rate limit", fit, reading);
    let kinds: Vec<(String, f64)> =
        inference.families.iter().map(|f| (f.kind.to_string(), f.probability)).collect();
    let labels = kinds.iter().map(|(name, _)| width(name, SMALL)).fold(60.0, f64::max);
    let (left, right) = (MARGIN + labels + 14.0, WIDTH - MARGIN - 90.0);
    for (name, probability) in &kinds {
        let (top, bottom) = (page.y + 4.0, page.y + 24.0);
        page.scene.text(name, (left - 12.0, bottom - 4.5), Anchor::End, SMALL, TEXT);
        let end = left + probability.clamp(0.0, 1.0) * (right - left);
        page.scene.rectangle((left, top), (end.max(left + 1.0), bottom), ACCENT);
        page.scene.text(
            &percent(*probability),
            (end + 8.0, bottom - 4.5),
            Anchor::Start,
            SMALL,
            TEXT,
        );
        page.y += 30.0;
    }
    page.y += 18.0;
    if inference.curve.len() < 2 {
        page.nothing("no attempt says anything of a refill rate");
        return page.finish("fit-limit", conclusion);
    }
    let best = inference.curve.iter().map(|(_, l)| *l).fold(0.0, f64::max);
    let curve: Vec<(f64, f64)> =
        inference.curve.iter().map(|(rate, l)| (*rate, l.max(best + LOWEST))).collect();
    let x = Axis::log("tokens per second (log scale)", range(curve.iter().map(|(r, _)| *r)));
    let y = range(curve.iter().map(|(_, l)| *l).chain([0.0]));
    let panel = Panel::new(&mut page, 260.0, x, Axis::linear("ln likelihood against no limit", y));
    let ends = range(curve.iter().map(|(r, _)| *r)).unwrap_or((1.0, 10.0));
    page.scene.line(panel.at(ends.0, 0.0), panel.at(ends.1, 0.0), RULE, 2.0);
    let at = panel.at(ends.1, 0.0);
    page.scene.text("no limit", (at.0 - 6.0, at.1 - 7.0), Anchor::End, SMALL, QUIET);
    panel.curve(&mut page, &curve, ACCENT, 3.0);
    page.finish("fit-limit", conclusion)
}
