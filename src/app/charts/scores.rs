//! Scores of a sweep: mean scores with their 95 % intervals, differences from the best, and how
//! single runs scatter.
//!
//! The axis of mean scores belongs to the ranked strategies. A reference too far away to share it, as
//! `random` mostly is, is written at the edge with an arrow, or differences worth seeing would vanish.

use crate::charts::draw::{Anchor, Chart, GRID, Ink, Mark, Point, QUIET, Scene, TEXT};
use crate::charts::number::{decimals_of, fixed, percent, points};
use crate::charts::page::{Axis, Page, Plot, contenders, frame, nice_step, range};
use crate::report::{list, needed, short_verdict};
use flakelab_core::stats::Interval;
use flakelab_sim::experiment::{
    ContenderSummary, FEWEST_REPLICATIONS, Mean, Ranking, ScenarioSummary, ScoreCount,
};

const SCORE_ROW: f64 = 46.0;

/// In place of what whiskers are.
fn too_few() -> String {
    format!(
        "Mean over replications; too few of them for intervals, which take {FEWEST_REPLICATIONS} or more"
    )
}

pub(crate) fn score_chart(scenario: &ScenarioSummary) -> anyhow::Result<Chart> {
    let known = scenario.spread_is_known();
    let reading = if known {
        "Mean over replications; whiskers: 95 % interval of that mean alone".to_owned()
    } else {
        too_few()
    };
    let mut page = Page::new("Score of a run", scenario, &reading);
    let decimals =
        decimals_of(scenario.ranked().map(|(c, _)| (c.score.mean, 2.0 * c.score.half_width())));
    let (listed, rows) = contenders(scenario, |c| Some(vec![score_written(&c.score, decimals)]));
    let axis = Axis::linear("score of a run (points)", shared_range(scenario));
    let header = if known { "mean (95 % interval)" } else { "score" };
    let (plot, centres) = frame(&mut page, &rows, SCORE_ROW, &[header], &axis);
    let mut beyond = Vec::new();
    for ((c, row), y) in listed.iter().zip(&rows).zip(&centres) {
        let score = &c.score;
        if !score.mean.is_finite() {
            continue;
        }
        if !axis.contains(score.mean) {
            let value = format!("{}, off the axis", fixed(score.mean, decimals));
            point_outside(&mut page, &plot, *y, score.mean < axis.low, &value);
            beyond.push(format!("{} ({})", row.label, fixed(score.mean, decimals)));
            continue;
        }
        let at = (plot.x(&axis, score.mean), *y);
        row.look.mark.draw(&mut page.scene, at, 7.0, row.look.ink);
        if let Some(Interval { low, high }) = score.interval {
            let ends = [low, high].map(|end| plot.x(&axis, end));
            whiskers(&mut page.scene, ends, *y, row.look.ink);
        }
    }
    page.finish("score", score_caption(scenario, &beyond))
}

fn score_caption(scenario: &ScenarioSummary, beyond: &[String]) -> String {
    let mut caption = short_verdict(scenario);
    let best = scenario.ranked().next().map(|(c, _)| c);
    let has_oracle = scenario.references().any(|c| c.strategy == "oracle");
    if let Some(best) = best.filter(|_| has_oracle) {
        let short = best.oracle_regret.mean;
        let decimals = decimals_of([(short, 2.0 * best.oracle_regret.half_width())].into_iter());
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

fn score_written(score: &Mean, decimals: usize) -> String {
    let ends = score.interval.filter(|_| score.mean.is_finite());
    fixed(score.mean, decimals) + &ends_written(ends, decimals)
}

/// ` (1.2 to 3.4)`, if there is an interval.
fn ends_written(ends: Option<Interval>, decimals: usize) -> String {
    ends.map_or(String::new(), |Interval { low, high }| {
        format!(" ({} to {})", fixed(low, decimals), fixed(high, decimals))
    })
}

/// A mean and the ends of its interval, if it has one.
fn reach(mean: f64, half_width: f64) -> [f64; 3] {
    [mean, mean - half_width, mean + half_width]
}

/// The range of the ranked strategies, and of the references that are no farther away than the
/// ranked ones are from each other.
fn shared_range(scenario: &ScenarioSummary) -> Option<(f64, f64)> {
    let ends = |c: &ContenderSummary| reach(c.score.mean, c.score.half_width());
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
fn whiskers(scene: &mut Scene, ends: [f64; 2], y: f64, ink: Ink) {
    scene.line((ends[0], y), (ends[1], y), ink, 4.0);
    for end in ends {
        scene.line((end, y - 13.0), (end, y + 13.0), ink, 2.5);
    }
}

/// An arrow at the edge of the plot, with a value that lies beyond.
fn point_outside(page: &mut Page, plot: &Plot, y: f64, below: bool, value: &str) {
    let (tip, inwards, anchor) =
        if below { (plot.left, 1.0, Anchor::Start) } else { (plot.right, -1.0, Anchor::End) };
    page.scene.line((tip + 10.0 * inwards, y), (tip + 28.0 * inwards, y), TEXT, 3.0);
    arrow_head(&mut page.scene, (tip, y), inwards, TEXT);
    page.text(value, (tip + 36.0 * inwards, y + 5.5), anchor);
}

fn arrow_head(scene: &mut Scene, tip: Point, inwards: f64, ink: Ink) {
    let base = tip.0 + 13.0 * inwards;
    scene.fill(vec![tip, (base, tip.1 - 8.0), (base, tip.1 + 8.0)], ink);
}

// ---- Paired differences from the best strategy with simultaneous intervals: a forest plot.
//
// Whose interval holds 0 is tied. The intervals are joint: all of them hold at once with 95 %.

const DIFFERENCES_ROW: f64 = 46.0;

pub(crate) fn differences_chart(scenario: &ScenarioSummary) -> anyhow::Result<Chart> {
    let known = scenario.spread_is_known();
    let reading = if known {
        "Paired by replication; whiskers: joint 95 % intervals. Diamond: the best. Hollow circle: \
         tied with it. Filled mark: worse."
            .to_owned()
    } else {
        too_few()
    };
    let mut page = Page::new("Difference from the best strategy", scenario, &reading);
    let others = || scenario.ranked().map(|(_, r)| r).filter(|r| r.rank > 1);
    let decimals = decimals_of(others().map(|r| (r.delta, 2.0 * r.delta_half_width())));
    let (listed, rows) =
        contenders(scenario, |c| c.ranking.map(|ranking| differences_written(&ranking, decimals)));
    let ends = others().flat_map(|r| reach(r.delta, r.delta_half_width()));
    let name = "mean score minus that of the best (points)";
    let axis = Axis::linear(name, range(ends.chain([0.0])));
    let header = if known { "difference (joint 95 %)" } else { "difference" };
    let (plot, centres) = frame(&mut page, &rows, DIFFERENCES_ROW, &[header, ""], &axis);
    let zero = plot.x(&axis, 0.0);
    page.scene.line((zero, plot.top), (zero, plot.bottom), QUIET, 2.5);
    for ((c, row), y) in listed.iter().zip(&rows).zip(&centres) {
        let Some(ranking) = c.ranking else { continue };
        let ink = row.look.ink;
        if ranking.rank == 1 {
            Mark::Diamond.draw(&mut page.scene, (zero, *y), 8.0, ink);
            continue;
        }
        if !ranking.delta.is_finite() {
            continue;
        }
        let at = (plot.x(&axis, ranking.delta), *y);
        if let Some(Interval { low, high }) = ranking.delta_interval {
            let ends = [low, high].map(|end| plot.x(&axis, end));
            whiskers(&mut page.scene, ends, *y, ink);
        }
        if known && ranking.tied_with_best {
            Mark::Circle.draw_hollow(&mut page.scene, at, 7.0, ink);
        } else {
            row.look.mark.draw(&mut page.scene, at, 7.0, ink);
        }
    }
    page.finish("differences", differences_caption(scenario))
}

/// The difference and the status.
fn differences_written(ranking: &Ranking, decimals: usize) -> Vec<String> {
    let known = ranking.delta_interval.is_some();
    if ranking.rank == 1 {
        let status = if known { "best" } else { "highest" };
        return vec!["0".to_owned(), status.to_owned()];
    }
    let difference =
        fixed(ranking.delta, decimals) + &ends_written(ranking.delta_interval, decimals);
    let status = if known && ranking.tied_with_best { "tied" } else { "" };
    vec![difference, status.to_owned()]
}

fn differences_caption(scenario: &ScenarioSummary) -> String {
    let mut caption = short_verdict(scenario);
    let (mut telling, mut never) = (Vec::new(), Vec::new());
    for (contender, ranking) in scenario.ranked() {
        let name = &contender.strategy;
        match ranking.replications_to_separate.map(|separation| needed(&separation)) {
            Some(Some(needed)) => telling.push(format!("{needed} ({name})")),
            Some(None) => never.push(name.clone()),
            None => {}
        }
    }
    if !telling.is_empty() {
        let telling = telling.join("; ");
        caption += &format!(" Fresh replications to tell a tied one from it: about {telling}.");
    }
    if !never.is_empty() {
        let never = list(&never);
        caption += &format!(" A million replications would not separate {never} from the best.");
    }
    caption
}

// ---- How single runs scatter: one histogram strip a strategy over a common axis, with median and
// quartiles below it.
//
// Scores are counts, so bars are as wide as a whole number of them; otherwise bars that hold one
// score more than their neighbours would show a comb that is not in the data. Long left tails
// are cut, and what is cut is said.

const SCORE_DISTRIBUTION_ROW: f64 = 76.0;
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

pub(crate) fn score_distribution_chart(scenario: &ScenarioSummary) -> anyhow::Result<Chart> {
    let mut page = Page::new(
        "Distribution of scores over replications",
        scenario,
        "Bars: share of runs, to the height of the highest. Below: median (mark) and middle half (line).",
    );
    let known = scenario.replications > 1;
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
    let (plot, centres) = frame(&mut page, &rows, SCORE_DISTRIBUTION_ROW, &[header], &axis);
    let bar = bar_width(scenario, &axis);
    for ((c, row), y) in listed.iter().zip(&rows).zip(&centres) {
        let counts = &c.score_counts;
        let Some(q) = quartiles(counts) else { continue };
        let below = share_below(counts, axis.low);
        let ink = row.look.ink;
        if below >= MOSTLY {
            let value = format!("median {}, off the axis", score(q.median));
            point_outside(&mut page, &plot, *y, true, &value);
            continue;
        }
        let base = y + 14.0;
        strip(&mut page.scene, &plot, &axis, counts, bar, base, ink);
        if below >= 0.0005 {
            let text = format!("{} lower", percent(below));
            let at = (plot.left + 8.0, base - STRIP - 3.0);
            page.quiet(&text, at, Anchor::Start);
        }
        let box_y = base + 11.0;
        let (low, high) = (plot.x(&axis, q.low), plot.x(&axis, q.high));
        page.scene.line((low, box_y), (high.max(low + 1.0), box_y), ink, 5.0);
        let at = (plot.x(&axis, q.median), box_y);
        if axis.contains(q.median) {
            row.look.mark.draw(&mut page.scene, at, 6.5, ink);
        } else {
            // In place of a median that lies beyond the left end of the axis.
            arrow_head(&mut page.scene, at, 1.0, ink);
        }
    }
    page.finish("score-distribution", score_distribution_caption(scenario, &axis))
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

fn score_distribution_caption(scenario: &ScenarioSummary, axis: &Axis) -> String {
    let mut ranked = scenario.ranked();
    let best = ranked.next().and_then(|(c, _)| Some((c, quartiles(&c.score_counts)?)));
    let Some((best, q)) = best else { return "No strategy was ranked.".to_owned() };
    if scenario.replications < 2 {
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
