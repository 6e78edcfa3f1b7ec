//! How single runs scatter: one histogram strip a strategy over a common axis, with median and
//! quartiles below it.
//!
//! Scores are counts, so bars are as wide as a whole number of them; otherwise bars that hold one
//! score more than their neighbours would show a comb that is not in the data. Long left tails
//! are cut, and what is cut is said.

use super::axis::{Axis, nice_step, range};
use super::number::{fixed, percent, points};
use super::page::{Page, SMALL};
use super::palette::{GRID, QUIET};
use super::panel::Plot;
use super::rows::{contenders, frame};
use super::scene::{Anchor, Ink, Point, Scene};
use super::score::point_outside;
use super::{Chart, ChartError};
use crate::experiment::{ContenderSummary, ScenarioSummary, ScoreCount};
use crate::report::verdict::spread_is_known;

const ROW: f64 = 76.0;
const STRIP: f64 = 42.0;
const BARS: f64 = 90.0;
/// The axis reaches down to this quantile of every ranked strategy, but no farther below its lower
/// quartile than so many interquartile ranges.
const LOW_QUANTILE: f64 = 0.025;
const LOW_REACH: f64 = 2.0;

/// A strategy with this share of its runs beyond the axis is not drawn.
const MOSTLY: f64 = 0.9;

/// The middle of a strategy's scores.
#[derive(Debug, Clone, Copy)]
struct Quartiles {
    low: f64,
    median: f64,
    high: f64,
}

/// The chart.
pub(super) fn chart(scenario: &ScenarioSummary) -> Result<Chart, ChartError> {
    let mut page = Page::new(
        "Distribution of scores over replications",
        scenario,
        "Bars: share of runs, to the height of the highest. Below: median (mark) and middle half (line).",
    );
    let known = spread_is_known(scenario);
    let (listed, rows) = contenders(scenario, |c| {
        let cell = match quartiles(&c.score_counts) {
            Some(q) if known => {
                format!("{} ({} to {})", score(q.median), score(q.low), score(q.high))
            }
            Some(q) => score(q.median),
            None => String::new(),
        };
        Some(vec![cell])
    });
    let axis = axis(scenario);
    let header = if known { "median (middle half)" } else { "score" };
    let (plot, centres) = frame(&mut page, &rows, ROW, &[header], &axis);
    let bar = bar_width(scenario, &axis);
    for ((c, row), y) in listed.iter().zip(&rows).zip(&centres) {
        let counts = &c.score_counts;
        let Some(q) = quartiles(counts) else { continue };
        let below = share_below(counts, axis.low);
        let ink = row.look.ink;
        if below >= MOSTLY {
            let value = format!("median {}, off the axis", score(q.median));
            point_outside(&mut page.scene, &plot, *y, true, &value);
            continue;
        }
        let base = y + 14.0;
        strip(&mut page.scene, &plot, &axis, counts, bar, base, ink);
        if below >= 0.0005 {
            let text = format!("{} lower", percent(below));
            let at = (plot.left + 8.0, base - STRIP - 3.0);
            page.scene.text(&text, at, Anchor::Start, SMALL, QUIET);
        }
        let box_y = base + 11.0;
        let (low, high) = (plot.x(&axis, q.low), plot.x(&axis, q.high));
        page.scene.line((low, box_y), (high.max(low + 1.0), box_y), ink, 5.0);
        let at = (plot.x(&axis, q.median), box_y);
        if axis.contains(q.median) {
            row.look.mark.draw(&mut page.scene, at, 6.5, ink);
        } else {
            arrow(&mut page.scene, at, ink);
        }
    }
    page.finish("score-distribution", caption(scenario, &axis))
}

/// In place of a median that lies beyond the left end of the axis.
fn arrow(scene: &mut Scene, tip: Point, ink: Ink) {
    scene.fill(vec![tip, (tip.0 + 13.0, tip.1 - 8.0), (tip.0 + 13.0, tip.1 + 8.0)], ink);
}

/// Scores are whole unless a penalty is not.
fn score(x: f64) -> String {
    fixed(x, if x.fract() == 0.0 { 0 } else { 1 })
}

/// The smallest score that at least this share of runs do not exceed.
fn quantile(counts: &[ScoreCount], share: f64) -> Option<f64> {
    let runs = counts.iter().fold(0_u64, |sum, c| sum.saturating_add(c.replications));
    let wanted = (share * runs as f64).max(1.0);
    let mut seen = 0_u64;
    counts.iter().find_map(|c| {
        seen = seen.saturating_add(c.replications);
        (c.score.is_finite() && seen as f64 >= wanted).then_some(c.score)
    })
}

fn quartiles(counts: &[ScoreCount]) -> Option<Quartiles> {
    Some(Quartiles {
        low: quantile(counts, 0.25)?,
        median: quantile(counts, 0.5)?,
        high: quantile(counts, 0.75)?,
    })
}

fn share_below(counts: &[ScoreCount], limit: f64) -> f64 {
    let sum = |all: bool| -> f64 {
        let counted = counts.iter().filter(|c| all || c.score < limit);
        counted.map(|c| c.replications as f64).sum()
    };
    sum(false) / sum(true).max(1.0)
}

/// The axis holds the ranked strategies but for their long left tails, and the references that do
/// not stretch it too much.
fn axis(scenario: &ScenarioSummary) -> Axis {
    let ends = |c: &ContenderSummary| {
        let counts = &c.score_counts;
        let q = quartiles(counts)?;
        let reach = q.low - LOW_REACH * (q.high - q.low).max(2.0);
        quantile(counts, LOW_QUANTILE).map(|low| low.max(reach)).zip(quantile(counts, 1.0))
    };
    let both = |(low, high): (f64, f64)| [low, high];
    let mut values = range(scenario.ranked().filter_map(|(c, _)| ends(c)).flat_map(both));
    for reference in scenario.references() {
        let Some((low, high)) = ends(reference) else { continue };
        values = Some(match values {
            Some((l, h)) if (h.max(high) - l.min(low)) <= 1.7 * (h - l).max(10.0) => {
                (l.min(low), h.max(high))
            }
            Some(range) => range,
            None => (low, high),
        });
    }
    // Room for half a bar of one score at each end.
    let values = values.map(|(low, high)| (low - 0.5, high + 0.5));
    Axis::linear("score of a run (points)", values)
}

/// Values of a bar: about as many bars as read well, and a whole number of scores each.
fn bar_width(scenario: &ScenarioSummary, axis: &Axis) -> f64 {
    let width = nice_step((axis.high - axis.low) / BARS);
    let whole = |c: &ContenderSummary| c.score_counts.iter().all(|s| s.score.fract() == 0.0);
    if scenario.contenders.iter().all(whole) { width.max(1.0).round() } else { width }
}

/// The histogram as a filled outline above `base`.
fn strip(
    scene: &mut Scene,
    plot: &Plot,
    axis: &Axis,
    counts: &[ScoreCount],
    bar: f64,
    base: f64,
    ink: Ink,
) {
    scene.line((plot.left, base), (plot.right, base), GRID, 1.5);
    // A bar of one score is centred on it; wider ones end with the score that names them, so
    // that none reaches beyond the highest possible score.
    let shift = if bar <= 1.0 { bar / 2.0 } else { 0.0 };
    let mut bars: Vec<(f64, f64)> = Vec::new();
    for count in counts.iter().filter(|c| axis.contains(c.score)) {
        let start = (libm::ceil((count.score - shift) / bar) - 1.0) * bar + shift;
        match bars.last_mut() {
            Some((last, runs)) if *last == start => *runs += count.replications as f64,
            _ => bars.push((start, count.replications as f64)),
        }
    }
    let highest = bars.iter().map(|(_, runs)| *runs).fold(1.0, f64::max);
    for group in bars.chunk_by(|a, b| b.0 - a.0 < bar * 1.5) {
        let mut outline: Vec<Point> = Vec::new();
        for (start, runs) in group {
            let height = (STRIP * runs / highest).max(1.0);
            for end in [*start, start + bar] {
                outline.push((plot.x(axis, end), base - height));
            }
        }
        let (Some(first), Some(last)) = (outline.first(), outline.last()) else { continue };
        let (start, end) = ((first.0, base), (last.0, base));
        outline.insert(0, start);
        outline.push(end);
        scene.fill(outline.clone(), ink.faint(0.35));
        scene.stroke(outline, ink, 2.0);
    }
}

fn caption(scenario: &ScenarioSummary, axis: &Axis) -> String {
    let mut ranked = scenario.ranked();
    let best = ranked.next().and_then(|(c, _)| Some((c, quartiles(&c.score_counts)?)));
    let Some((best, q)) = best else { return "No strategy was ranked.".to_owned() };
    if !spread_is_known(scenario) {
        return "One replication has no distribution: run more.".to_owned();
    }
    let (low, high) = (score(q.low), score(q.high));
    let mut caption = if low == high {
        format!("At least half of the runs of {} score {low}.", best.strategy)
    } else {
        format!("Half of the runs of {} score {low} to {high}.", best.strategy)
    };
    if let Some((second, ranking)) = ranked.next() {
        let (spread, lead) = (q.high - q.low, -ranking.delta);
        if spread > lead {
            caption += &format!(
                " That spread of {} is more than its mean lead over {} ({}): one run of each \
                 cannot rank them.",
                points(spread, usize::from(spread.fract() != 0.0)),
                second.strategy,
                fixed(lead, 2)
            );
        }
    }
    let below = scenario.ranked().map(|(c, _)| share_below(&c.score_counts, axis.low));
    let most = below.fold(0.0, f64::max);
    if most >= 0.0005 {
        let start = fixed(libm::ceil(axis.low), 0);
        caption += &format!(
            " The axis starts at {start}; up to {} of a strategy's runs lie below.",
            percent(most)
        );
    }
    caption
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(f64, u64)]) -> Vec<ScoreCount> {
        pairs.iter().map(|(score, n)| ScoreCount { score: *score, replications: *n }).collect()
    }

    #[test]
    fn quantiles_of_counts_are_those_of_the_runs() {
        let counts = counts(&[(1.0, 1), (2.0, 2), (7.0, 1)]);
        let q = quartiles(&counts).unwrap();
        assert_eq!((q.low, q.median, q.high), (1.0, 2.0, 2.0));
        assert_eq!(quantile(&counts, 1.0), Some(7.0));
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(share_below(&counts, 2.0), 0.25);
        assert_eq!(share_below(&[], 2.0), 0.0);
    }
}
