//! Paired differences from the best strategy with simultaneous intervals: a forest plot.
//!
//! Whose interval holds 0 is tied. The intervals are joint: all of them hold at once with 95 %.

use super::axis::{Axis, range};
use super::number::{decimals_of, fixed};
use super::page::Page;
use super::palette::{Mark, QUIET};
use super::rows::{contenders, frame};
use super::score::whiskers;
use super::{Chart, ChartError};
use crate::experiment::{Ranking, ScenarioSummary};
use crate::report::numbers::{round_up, thousands};
use crate::report::text::list;
use crate::report::verdict::{short_verdict, spread_is_known};
use crate::stats::comparison::Separation;

const ROW: f64 = 46.0;

/// The chart.
pub(super) fn chart(scenario: &ScenarioSummary) -> Result<Chart, ChartError> {
    let known = spread_is_known(scenario);
    let reading = if known {
        "Paired by replication; whiskers: joint 95 % intervals. Diamond: the best. Hollow circle: \
         tied with it. Filled mark: worse."
    } else {
        "One replication: no intervals"
    };
    let mut page = Page::new("Difference from the best strategy", scenario, reading);
    let others = || scenario.ranked().map(|(_, r)| r).filter(|r| r.rank > 1);
    let decimals = decimals_of(others().map(|r| (r.delta, r.delta_interval.width())));
    let (listed, rows) =
        contenders(scenario, |c| c.ranking.map(|ranking| written(&ranking, decimals, known)));
    let ends = others().flat_map(|r| [r.delta, r.delta_interval.low, r.delta_interval.high]);
    let name = "mean score minus that of the best (points)";
    let axis = Axis::linear(name, range(ends.chain([0.0])));
    let header = if known { "difference (joint 95 %)" } else { "difference" };
    let (plot, centres) = frame(&mut page, &rows, ROW, &[header, ""], &axis);
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
        let interval = ranking.delta_interval;
        let at = (plot.x(&axis, ranking.delta), *y);
        if known {
            let ends = [interval.low, interval.high].map(|end| plot.x(&axis, end));
            whiskers(&mut page.scene, ends, *y, ink);
        }
        if ranking.tied_with_best {
            Mark::Circle.draw_hollow(&mut page.scene, at, 7.0, ink);
        } else {
            row.look.mark.draw(&mut page.scene, at, 7.0, ink);
        }
    }
    page.finish("differences", caption(scenario))
}

/// The difference and the status.
fn written(ranking: &Ranking, decimals: usize, known: bool) -> Vec<String> {
    if ranking.rank == 1 {
        return vec!["0".to_owned(), "best".to_owned()];
    }
    let Ranking { delta, delta_interval: interval, .. } = ranking;
    let mut difference = fixed(*delta, decimals);
    if known {
        let (low, high) = (fixed(interval.low, decimals), fixed(interval.high, decimals));
        difference += &format!(" ({low} to {high})");
    }
    let status = if ranking.tied_with_best { "tied" } else { "" };
    vec![difference, status.to_owned()]
}

fn caption(scenario: &ScenarioSummary) -> String {
    let mut caption = short_verdict(scenario);
    let (mut needed, mut never) = (Vec::new(), Vec::new());
    for (contender, ranking) in scenario.ranked() {
        let name = &contender.strategy;
        match ranking.replications_to_separate {
            Some(Separation::Replications(n)) => {
                needed.push(format!("{} ({name})", thousands(round_up(n))));
            }
            Some(Separation::MoreThanMillion) => never.push(name.clone()),
            None => {}
        }
    }
    if !needed.is_empty() {
        let needed = list(&needed);
        caption += &format!(" Replications that would tell a tied one from it: about {needed}.");
    }
    if !never.is_empty() {
        let never = list(&never);
        caption += &format!(" A million replications would not separate {never} from the best.");
    }
    caption
}
