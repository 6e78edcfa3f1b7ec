//! Charts, as SVG and, where wanted, PNG: six of each scenario, which results/README.md lists, and
//! `robustness` over all of them: who is never far behind. Beside them the charts of a fit and of a
//! live run, and the picture of a search. (The page of a run that is going on is drawn by the viewer,
//! `watch`.)
//!
//! Every chart is laid out once as a list of shapes and painted by plotters' backends
//! with a font that the program carries; nothing depends on the system's fonts, the clock or a
//! locale. Each strategy has the same colour, mark and dash pattern in all charts, and none of
//! them means anything by colour alone.

mod draw;
mod fit;
mod live;
mod maps;
mod number;
mod page;
mod paths;
mod predicted;
#[cfg(test)]
mod sample;
mod scores;

use crate::report::LivePage;
use flakelab_sim::experiment::ScenarioSummary;

pub use self::draw::Chart;
use self::draw::drawn;
pub(crate) use self::draw::{
    ACCENT, Anchor, GRID, Look, Mark, QUIET, RULE, TEXT, Type, WHITE, fitted, palette_colour,
    ready, width,
};
pub use self::fit::{draw_fit, fit_data};
pub use self::maps::{draw_robustness, draw_search, loss_cell};
pub use self::number::{decimals_for, fixed, percent, points, significant};
pub(crate) use self::page::{Axis, MARGIN, NamedRow, Page, Panel, SMALL, WIDTH, frame, range};
#[cfg(test)]
pub(crate) use self::sample::assert_well_formed;

/// The names of the six charts of a scenario, in their order.
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
    let of_config = |rest: &str| {
        let mut charts = NAMES.iter().chain(&fit::NAMES).chain(&LIVE_NAMES);
        charts.any(|chart| rest.ends_with(&format!("-{chart}")))
    };
    stem.is_some_and(|stem| {
        [maps::ROBUSTNESS, maps::SEARCH].contains(&stem)
            || stem.strip_prefix("config-").is_some_and(of_config)
    })
}

/// Draws the six charts of a scenario, in that order.
pub fn draw(scenario: &ScenarioSummary) -> anyhow::Result<Vec<Chart>> {
    let charts = [
        scores::score_chart,
        paths::oracle_regret_chart,
        scores::score_distribution_chart,
        scores::differences_chart,
        maps::attempt_share_chart,
        paths::latency_chart,
    ];
    drawn(charts, scenario)
}

const LIVE_NAMES: [&str; 5] =
    ["live-predicted", "live-lost", "live-servers", "live-latency", "live-drift"];

/// Draws the five charts of a live run, in that order.
pub fn draw_live(of: &LivePage) -> anyhow::Result<Vec<Chart>> {
    let charts = [
        predicted::predicted_chart,
        live::lost_chart,
        live::servers_chart,
        predicted::latency_chart,
        live::drift_chart,
    ];
    drawn(charts, of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flakelab_core::stats::Interval;
    use flakelab_sim::experiment::ContenderSummary;

    fn chart(scenario: &ScenarioSummary, name: &str) -> Chart {
        draw(scenario).unwrap().into_iter().find(|c| c.name == name).unwrap()
    }

    #[test]
    fn every_chart_says_what_was_run_and_names_every_strategy() {
        let scenario = sample::scenario();
        let charts = draw(&scenario).unwrap();
        assert!(charts.iter().map(|chart| chart.name).eq(NAMES));
        for chart in &charts {
            assert_well_formed(&chart.svg);
            assert!(chart.title.ends_with(": config 0, 1,000 requests per run, 30 replications"));
            assert!(chart.svg.contains(&format!("<title>{}</title>", chart.title)));
            assert!(chart.svg.contains(&format!("<desc>{}</desc>", chart.caption)));
            for line in ["V1 larkin", "V2 ucb1", "V4 thompson"] {
                assert!(
                    chart.svg.contains(&format!(">\n{line}\n<")),
                    "{} lacks {line}",
                    chart.name
                );
            }
        }
    }

    #[test]
    fn a_strategy_looks_the_same_wherever_it_ranks() {
        let mut scenario = sample::scenario();
        let before = draw::looks(&scenario.contenders);
        scenario.contenders.reverse();
        let after = draw::looks(&scenario.contenders);
        assert_eq!(before, after.into_iter().rev().collect::<Vec<_>>());
    }

    #[test]
    fn labels_from_users_cannot_break_the_document() {
        let mut scenario = sample::scenario();
        scenario.config = "<b>&\"\u{1}".to_owned();
        scenario.contenders[0].strategy = "<&>\"'\n\u{0} ]]>".to_owned();
        for chart in draw(&scenario).unwrap() {
            assert_well_formed(&chart.svg);
            assert!(chart.svg.contains("&lt;&amp;&gt;"), "{}", chart.name);
            assert!(!chart.svg.contains(['\u{0}', '\u{1}']));
        }
    }

    #[test]
    fn strange_data_still_draw() {
        let with = |change: &dyn Fn(&mut ScenarioSummary)| {
            let mut scenario = sample::scenario();
            change(&mut scenario);
            scenario
        };
        let each = |change: &dyn Fn(&mut ContenderSummary)| {
            with(&|s| s.contenders.iter_mut().for_each(change))
        };
        let extreme = |x: f64| {
            each(&|c| {
                let ends = Interval { low: x, high: x };
                (c.score.mean, c.score.interval) = (x, Some(ends));
                (c.oracle_regret.mean, c.oracle_regret.interval) = (x, Some(ends));
                c.oracle_regret_curve
                    .iter_mut()
                    .for_each(|p| (p.mean, p.interval) = (x, Some(ends)));
                c.score_counts.iter_mut().for_each(|s| s.score = x);
                c.attempt_share_by_rank.iter_mut().for_each(|s| *s = x);
                [c.latency_p50_ms, c.latency_p90_ms, c.latency_p99_ms, c.latency_p999_ms] = [x; 4];
                if let Some(r) = &mut c.ranking {
                    (r.delta, r.delta_interval) = (x, Some(ends));
                }
            })
        };
        let many = with(&|s| {
            let template = s.contenders[0].clone();
            for i in 0..60 {
                let mut copy = template.clone();
                copy.strategy = format!("a very long name indeed, number {i} {}", "x".repeat(i));
                s.contenders.push(copy);
            }
        });
        let cases = [
            with(&|s| s.contenders.clear()),
            with(&|s| s.contenders.retain(|c| c.ranking.is_none())),
            with(&|s| s.contenders.truncate(1)),
            with(&|s| s.contenders.retain(|c| c.ranking.is_some())),
            with(&|s| (s.requests, s.replications, s.requests_per_second) = (0, 0, f64::NAN)),
            with(&|s| s.replications = 1),
            with(&|s| (s.has_rate_limit, s.oracle_is_bound) = (true, false)),
            each(&|c| {
                c.score_counts.clear();
                c.oracle_regret_curve.clear();
                c.attempt_share_by_rank.clear();
            }),
            each(&|c| c.attempt_share_by_rank = vec![1.0 / 128.0; 128]),
            each(&|c| c.score_counts.iter_mut().for_each(|s| s.replications = u64::MAX)),
            each(&|c| c.strategy.clear()),
            extreme(f64::NAN),
            extreme(f64::INFINITY),
            extreme(0.0),
            extreme(-1e300),
            extreme(1e300),
            many,
        ];
        for (i, case) in cases.iter().enumerate() {
            for chart in draw(case).unwrap_or_else(|e| panic!("case {i}: {e}")) {
                assert_well_formed(&chart.svg);
                assert!(!chart.svg.contains("NaN") && !chart.svg.contains("inf "), "case {i}");
            }
        }
    }

    #[test]
    fn png_has_the_size_that_was_asked_for() {
        let chart = chart(&sample::scenario(), "differences");
        let bytes = chart.png(2).unwrap();
        assert_eq!(&bytes[1..4], b"PNG");
        assert_eq!(bytes[16..20], 2000_u32.to_be_bytes());
        assert_eq!(bytes, chart.png(2).unwrap());
    }

    #[test]
    fn charts_have_the_names_by_which_their_files_are_known() {
        assert!(is_chart_file(&file_name("30-requests", "latency", "png")));
        assert!(!is_chart_file("mine.svg") && !is_chart_file("config-0-holiday.svg"));
    }
}
