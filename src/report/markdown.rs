//! `report.md`: verdict, table, charts and method on one page.

use std::fmt::Write;

use super::charts::{Chart, overall_file_name};
use super::notes::notes_section;
use super::numbers::thousands;
use super::ranking::{assumption, heading, markdown_table, parameters};
use super::robustness::markdown_map;
use super::text::{capital, config_name, escaped, figure};
use super::verdict::verdict;
use crate::experiment::{Parameters, Plan, Robustness, Summary};

/// The page. `charts` holds, for each scenario of the summary, the charts with the paths of
/// their files relative to the page; `map` the losses over all scenarios, with their chart.
pub fn report(
    plan: &Plan,
    summary: &Summary,
    charts: &[Vec<(String, Chart)>],
    map: Option<&(Robustness, Chart)>,
) -> String {
    let mut page = format!("# {}\n", escaped(&plan.name));
    // Writing to a string cannot fail.
    if let Some((map, chart)) = map {
        let path = format!("charts/{}", overall_file_name(chart.name, "svg"));
        let (title, caption) = (escaped(&chart.title), escaped(&chart.caption));
        let _ = write!(
            page,
            "\n## Robustness map\n\n{caption}\n\n{}\n![{title}]({path})\n",
            markdown_map(map)
        );
    }
    for (i, scenario) in summary.scenarios.iter().enumerate() {
        let _ = write!(
            page,
            "\n## {}\n\n**{}**\n\n{}.\n\n{}",
            escaped(&capital(&config_name(&scenario.config))),
            escaped(&verdict(scenario)),
            escaped(&heading(scenario).replace('\n', "; ")),
            markdown_table(scenario)
        );
        let _ = write!(page, "\n{}.\n", escaped(&capital(&parameters(scenario))));
        if let Some(note) = assumption(scenario) {
            let _ = write!(page, "\n{}.\n", escaped(&note));
        }
        if !scenario.oracle_is_bound {
            page += "\nThe oracle is greedy where servers refuse, fill up or go dark: it can be \
                     beaten and is no bound.\n";
        }
        if let Some(gain) = pairing(scenario) {
            page += &gain;
        }
        if let Some(section) = notes_section(scenario) {
            page += &section;
        }
        for (path, chart) in charts.get(i).into_iter().flatten() {
            page += &figure(path, &chart.title, &chart.caption);
        }
    }
    page += &method(plan, summary);
    page
}

/// Tables and verdicts alone, for pasting; with several scenarios under headings, the robustness
/// map first.
pub fn brief(summary: &Summary) -> String {
    let several = summary.scenarios.len() > 1;
    let mut parts = Vec::new();
    if let Some(map) = Robustness::of(summary) {
        parts.push(format!("## Robustness map\n\n{}", markdown_map(&map).trim_end()));
    }
    for scenario in &summary.scenarios {
        let table = markdown_table(scenario);
        let verdict = escaped(&verdict(scenario));
        let table_and_verdict = format!("{table}\n{verdict}");
        parts.push(if several {
            let run = escaped(&heading(scenario).replace('\n', "; "));
            let title = escaped(&capital(&config_name(&scenario.config)));
            format!("## {title}\n\n{run}.\n\n{table_and_verdict}")
        } else {
            table_and_verdict
        });
    }
    parts.join("\n\n")
}

/// What pairing was worth.
fn pairing(scenario: &crate::experiment::ScenarioSummary) -> Option<String> {
    let gains: Vec<f64> =
        scenario.ranked().filter_map(|(_, r)| r.pairing_gain).filter(|g| g.is_finite()).collect();
    let low = gains.iter().copied().reduce(f64::min)?;
    let high = gains.iter().copied().reduce(f64::max)?;
    Some(format!(
        "\nPairing by replication divides the variance of the differences from the best by \
         {low:.1} to {high:.1}.\n"
    ))
}

fn method(plan: &Plan, summary: &Summary) -> String {
    let approximated = summary.scenarios.iter().any(|s| s.p_best_is_normal_approximation);
    let p_best = if approximated {
        "the probability that the strategy has the highest mean, by the normal approximation of \
         the paired means (more than 100,000 replications)"
    } else {
        "the share of 2,000 bootstrap resamples of the replications, pairing kept, in which the \
         strategy has the highest mean"
    };
    let drawn = if summary.scenarios.iter().any(|s| s.parameters == Parameters::Drawn) {
        "- Where parameters are drawn from a posterior, means are over the posterior, and their \
         intervals are those of the simulation alone: more replications make them narrower. \
         What the traces leave open stays: `score_parameter_sd` and \
         `delta_vs_best_parameter_sd` in summary.csv are the standard deviations of a true mean \
         and of a true difference over the posterior (analysis of variance between draws).\n"
    } else {
        ""
    };
    format!(
        "\n## How to read this\n\n\
         - Score is requests answered 200 minus penalties. Intervals hold 95 %.\n\
         - Every strategy meets the same servers, arrivals and luck in the same replication, so \
         differences are paired. Intervals of the differences from the best hold simultaneously \
         (multiple comparisons with the best, Bonferroni); \"tied\" means that such an interval \
         holds 0 or that the differences have no spread.\n\
         - P(best) is {p_best}.\n\
         {drawn}\
         - All of this is about the model. It says nothing of what the model leaves out.\n\
         - Spec {}, master seed {}, {} replications asked for.\n",
        &plan.hash()[..16],
        plan.master_seed,
        thousands(plan.replications),
    )
}
