//! The files of a results folder, all but the rows, which are streamed while the sweep runs.

use std::collections::BTreeSet;
use std::fmt::Write;

use rayon::prelude::*;

use crate::charts;
use crate::charts::{Chart, draw_robustness, file_name, overall_file_name};
use crate::report::folder::Manifest;
use crate::report::numbers::thousands;
use crate::report::ranking::{
    assumption, heading, markdown_map, markdown_table, notes_section, parameters,
};
use crate::report::records::summary_csv;
use crate::report::text::{capital, config_name, escaped, figure};
use crate::report::verdict::verdict;
use flakelab_sim::experiment::{
    FEWEST_REPLICATIONS, Parameters, Plan, Robustness, ScenarioSummary, Summary, Swept,
};

pub const ROWS_FILE: &str = "replications.parquet";

/// Pixels of a PNG for each of the SVG.
const PNG_SCALE: u32 = 2;

/// Files of a results folder, ready to be written: names relative to it, and contents; the
/// manifest last, so that its presence says that the rest is complete.
pub type Files = Vec<(String, Vec<u8>)>;

/// Everything of a sweep but the rows: what can fail for other reasons than the disk has happened
/// when these exist. PNG beside every SVG where `png`. `lap` hears what was made: tables or charts.
pub fn sweep_files(
    plan: &Plan,
    swept: &Swept,
    png: bool,
    lap: &mut (dyn FnMut(&'static str) + Send),
) -> anyhow::Result<Files> {
    let summary = &swept.summary;
    let json = serde_json::to_string(summary)? + "\n";
    let mut files = vec![
        ("summary.csv".to_owned(), summary_csv(summary)?.into_bytes()),
        ("summary.json".to_owned(), json.into_bytes()),
    ];
    lap("tables");
    let mut taken = BTreeSet::new();
    let charts: Vec<Vec<Chart>> =
        summary.scenarios.par_iter().map(charts::draw).collect::<anyhow::Result<_>>()?;
    let mut drawn = Vec::new();
    for (scenario, charts) in summary.scenarios.iter().zip(charts) {
        drawn.push(add_charts(&mut files, &slug(&scenario.config, &mut taken), charts, png)?);
    }
    let map = Robustness::of(summary).map(|map| draw_robustness(&map).map(|chart| (map, chart)));
    let map = map.transpose()?;
    if let Some((_, chart)) = &map {
        add_chart(&mut files, |format| overall_file_name(chart.name, format), chart, png)?;
    }
    lap("charts");
    let report = report(plan, summary, &drawn, map.as_ref());
    files.push(("report.md".to_owned(), report.into_bytes()));
    let manifest = Manifest {
        parameter_uncertainty: plan.parameter_uncertainty,
        interrupted: swept.interrupted,
        ..Manifest::new(&plan.hash(), plan.master_seed, plan.replications, swept.finished())
    };
    files.push((Manifest::FILE.to_owned(), manifest.to_json().into_bytes()));
    lap("tables");
    Ok(files)
}

/// Adds a config's charts; gives them with the paths of their SVGs.
pub(crate) fn add_charts(
    files: &mut Files,
    slug: &str,
    charts: Vec<Chart>,
    png: bool,
) -> anyhow::Result<Vec<(String, Chart)>> {
    let made = |chart: Chart| {
        let mut files = Files::new();
        let path =
            add_chart(&mut files, |format| file_name(slug, chart.name, format), &chart, png)?;
        Ok((files, (path, chart)))
    };
    let made: Vec<_> = charts.into_par_iter().map(made).collect::<anyhow::Result<_>>()?;
    let add = |(of_chart, drawn)| {
        files.extend(of_chart);
        drawn
    };
    Ok(made.into_iter().map(add).collect())
}

/// Adds a chart as SVG and, where wanted, as PNG; gives the path of the SVG.
pub(crate) fn add_chart(
    files: &mut Files,
    name: impl Fn(&str) -> String,
    chart: &Chart,
    png: bool,
) -> anyhow::Result<String> {
    let path = |format| format!("charts/{}", name(format));
    files.push((path("svg"), chart.svg.clone().into_bytes()));
    if png {
        files.push((path("png"), chart.png(PNG_SCALE)?));
    }
    Ok(path("svg"))
}

/// A config's name as part of file names, different from those `taken`, which it joins.
pub(crate) fn slug(config: &str, taken: &mut BTreeSet<String>) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    // File names end somewhere; a number tells long names with one beginning apart.
    let plain: String = config.chars().map(plain).take(80).collect();
    // Chart files begin with `config-` anyway.
    let plain = plain.strip_prefix("config-").unwrap_or(&plain).to_owned();
    let mut slug = plain.clone();
    let mut number = 2;
    while !taken.insert(slug.clone()) {
        slug = format!("{plain}-{number}");
        number += 1;
    }
    slug
}

/// `report.md`: verdict, table, charts and method on one page. `charts` holds, for each scenario of
/// the summary, the charts with the paths of their files relative to the page; `map` the losses over
/// all scenarios, with their chart.
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
    for (scenario, charts) in summary.scenarios.iter().zip(charts) {
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
        for (path, chart) in charts {
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

fn pairing(scenario: &ScenarioSummary) -> Option<String> {
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
    let drawn = if summary.scenarios.iter().any(|s| s.parameters == Parameters::Drawn) {
        "- Where parameters are drawn from a posterior, means are over the posterior, and their \
         intervals are those of the simulation alone: more replications make them narrower. \
         What the traces leave open stays: `score_parameter_sd` and \
         `delta_vs_best_parameter_sd` in summary.csv are the standard deviations of a true mean \
         and of a true difference over the posterior (analysis of variance between draws). On which \
         share of the servers a lead is one, and its range on most of them, are quantiles over the \
         draws, drawn together by what luck adds to them (`lead_left_open` in summary.json).\n"
    } else {
        ""
    };
    format!(
        "\n## How to read this\n\n\
         - Score is requests answered 200 minus penalties. Intervals hold 95 %, by resampling groups \
         of replications that are independent of each other (bootstrap-t); there are none below \
         {FEWEST_REPLICATIONS} replications, where they would hold less.\n\
         - Every strategy meets the same servers, arrivals and luck in the same replication, so \
         differences are paired. Intervals of the differences hold for all pairs of strategies at \
         once; \"tied\" means that the one of the difference from the best holds 0, or that the \
         difference never varies.\n\
         - P(best) is the probability that the strategy has the highest mean score on servers like \
         these: over what luck leaves open of the means and, where parameters are drawn, over the \
         servers that the traces allow.\n\
         {drawn}\
         - All of this is about the model. It says nothing of what the model leaves out.\n\
         - Spec {}, master seed {}, {} replications asked for.\n",
        &plan.hash()[..16],
        plan.master_seed,
        thousands(plan.replications),
    )
}
