//! Mean scores with their 95 % intervals: dots and whiskers.
//!
//! The axis belongs to the ranked strategies. A reference too far away to share it, as `random`
//! mostly is, is written at the edge with an arrow, or differences worth seeing would vanish.

use super::axis::{Axis, range};
use super::number::{decimals_of, fixed};
use super::page::{Page, SMALL};
use super::palette::TEXT;
use super::panel::Plot;
use super::rows::{contenders, frame};
use super::scene::{Anchor, Ink, Scene};
use super::{Chart, ChartError};
use crate::experiment::{ContenderSummary, Mean, ScenarioSummary};
use crate::report::text::list;
use crate::report::verdict::{short_verdict, spread_is_known};

const ROW: f64 = 46.0;

/// The chart.
pub(super) fn chart(scenario: &ScenarioSummary) -> Result<Chart, ChartError> {
    let known = spread_is_known(scenario);
    let reading = if known {
        "Mean over replications; whiskers: 95 % interval of that mean alone"
    } else {
        "One replication: no intervals"
    };
    let mut page = Page::new("Score of a run", scenario, reading);
    let decimals =
        decimals_of(scenario.ranked().map(|(c, _)| (c.score.mean, c.score.interval.width())));
    let (listed, rows) = contenders(scenario, |c| Some(vec![written(&c.score, decimals, known)]));
    let axis = Axis::linear("score of a run (points)", shared_range(scenario));
    let header = if known { "mean (95 % interval)" } else { "score" };
    let (plot, centres) = frame(&mut page, &rows, ROW, &[header], &axis);
    let mut beyond = Vec::new();
    for ((c, row), y) in listed.iter().zip(&rows).zip(&centres) {
        let score = &c.score;
        if !score.mean.is_finite() {
            continue;
        }
        if !axis.contains(score.mean) {
            let value = format!("{}, off the axis", fixed(score.mean, decimals));
            point_outside(&mut page.scene, &plot, *y, score.mean < axis.low, &value);
            beyond.push(format!("{} ({})", row.label, fixed(score.mean, decimals)));
            continue;
        }
        let at = (plot.x(&axis, score.mean), *y);
        row.look.mark.draw(&mut page.scene, at, 7.0, row.look.ink);
        if known {
            let ends = [score.interval.low, score.interval.high].map(|end| plot.x(&axis, end));
            whiskers(&mut page.scene, ends, *y, row.look.ink);
        }
    }
    page.finish("score", caption(scenario, &beyond))
}

fn caption(scenario: &ScenarioSummary, beyond: &[String]) -> String {
    let mut caption = short_verdict(scenario);
    let best = scenario.ranked().next().map(|(c, _)| c);
    let has_oracle = scenario.references().any(|c| c.strategy == "oracle");
    if let Some(best) = best.filter(|_| has_oracle) {
        let short = best.oracle_regret.mean;
        let decimals = decimals_of([(short, best.oracle_regret.interval.width())].into_iter());
        let (gap, side) =
            (fixed(short.abs(), decimals), if short < 0.0 { "above" } else { "below" });
        caption += &format!(
            " The leader is {gap} points {side} the {}, which knows the true error rates.",
            if scenario.oracle_is_bound { "oracle" } else { "greedy oracle" },
        );
    }
    if let Some(best) = best {
        for reference in scenario.references().filter(|c| c.strategy != "oracle") {
            if reference.score.mean > best.score.mean {
                caption += &format!(" Even {} scores more.", reference.strategy);
            }
        }
    }
    if !beyond.is_empty() {
        caption += &format!(" Off the axis: {}.", list(beyond));
    }
    caption
}

fn written(score: &Mean, decimals: usize, known: bool) -> String {
    let mean = fixed(score.mean, decimals);
    if !known || !score.mean.is_finite() {
        return mean;
    }
    let Mean { interval, .. } = score;
    format!("{mean} ({} to {})", fixed(interval.low, decimals), fixed(interval.high, decimals))
}

/// The range of the ranked strategies, and of the references that are no farther away than the
/// ranked ones are from each other.
fn shared_range(scenario: &ScenarioSummary) -> Option<(f64, f64)> {
    let ends = |c: &ContenderSummary| [c.score.mean, c.score.interval.low, c.score.interval.high];
    let ranked = range(scenario.ranked().flat_map(|(c, _)| ends(c)));
    let Some((mut low, mut high)) = ranked else {
        return range(scenario.references().flat_map(ends));
    };
    // A strategy alone has nothing to be told from: its distance to the references is the story.
    let alone = scenario.ranked().count() == 1;
    let reach = if alone { f64::INFINITY } else { (high - low).max(0.5) };
    for reference in scenario.references() {
        let Some((l, h)) = range(ends(reference)) else { continue };
        if ranked.is_some_and(|(low, high)| low - l <= reach && h - high <= reach) {
            (low, high) = (low.min(l), high.max(h));
        }
    }
    Some((low, high))
}

/// An interval: a line and its ends. Over the mark, so that the ends of one narrower than the mark
/// still stick out.
pub(super) fn whiskers(scene: &mut Scene, ends: [f64; 2], y: f64, ink: Ink) {
    scene.line((ends[0], y), (ends[1], y), ink, 4.0);
    for end in ends {
        scene.line((end, y - 13.0), (end, y + 13.0), ink, 2.5);
    }
}

/// An arrow at the edge of the plot, with a value that lies beyond.
pub(super) fn point_outside(scene: &mut Scene, plot: &Plot, y: f64, below: bool, value: &str) {
    let (tip, inwards, anchor) =
        if below { (plot.left, 1.0, Anchor::Start) } else { (plot.right, -1.0, Anchor::End) };
    let head = vec![(tip, y), (tip + 13.0 * inwards, y - 8.0), (tip + 13.0 * inwards, y + 8.0)];
    scene.line((tip + 10.0 * inwards, y), (tip + 28.0 * inwards, y), TEXT, 3.0);
    scene.fill(head, TEXT);
    scene.text(value, (tip + 36.0 * inwards, y + 5.5), anchor, SMALL, TEXT);
}
