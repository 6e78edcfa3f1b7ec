//! The files of a search's results folder.

use super::table::tune_markdown;
use super::verdict::tune_verdict;
use crate::experiment::tune::Tuned;
use crate::report::charts::{draw_search, overall_file_name};
use crate::report::manifest::Manifest;
use crate::report::records::{Record, csv_of};
use crate::report::results::{Files, ResultsError, add_chart};
use crate::report::text::{escaped, figure};

/// Everything of a search with that hash. PNG beside the SVG where `png`.
///
/// # Errors
/// When the chart cannot be drawn or a file's content not be made.
pub fn tune_files(tuned: &Tuned, spec_hash: &str, png: bool) -> Result<Files, ResultsError> {
    let chart = draw_search(tuned, &tune_verdict(tuned))?;
    let mut files = vec![
        ("tune.json".to_owned(), (tune_json(tuned)? + "\n").into_bytes()),
        ("candidates.csv".to_owned(), tune_csv(tuned)?.into_bytes()),
    ];
    let svg = add_chart(&mut files, |format| overall_file_name(chart.name, format), &chart, png)?;
    let page = format!(
        "# Better parameters for {}\n\n**{}**\n\n{}{}{}",
        escaped(&tuned.label),
        escaped(&tune_verdict(tuned)),
        tune_markdown(tuned),
        figure(&svg, &chart.title, &chart.caption),
        method(tuned, spec_hash)
    );
    files.push(("report.md".to_owned(), page.into_bytes()));
    let (asked, finished) = (tuned.fresh.asked, tuned.fresh.replications);
    let manifest = Manifest {
        interrupted: tuned.interrupted(),
        ..Manifest::new(spec_hash, tuned.master_seed, asked, finished)
    };
    files.push((Manifest::FILE.to_owned(), manifest.to_json().into_bytes()));
    Ok(files)
}

/// `tune.json`, without the line end.
pub fn tune_json(tuned: &Tuned) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(tuned)
}

/// `candidates.csv`: every setting, those that stayed longest first.
pub fn tune_csv(tuned: &Tuned) -> Result<String, csv::Error> {
    let found = &tuned.found_setting().setting;
    csv_of((1_u64..).zip(tuned.ranked()).map(|(place, setting)| {
        let mut row = Record::default()
            .cell("place", place)
            .cell("setting", setting.setting.as_str())
            .cell("found", setting.setting == *found)
            .cell("default", setting.is_default);
        for dimension in &tuned.searched {
            let value = setting.values.get(dimension.key).map(toml::Value::to_string);
            row = row.cell(dimension.key, value.unwrap_or_default());
        }
        let interval = setting.score.interval;
        row.cell("rounds", setting.rounds)
            .cell("replications", setting.replications)
            .cell("score_mean", setting.score.mean.to_string())
            .cell("score_ci_low", interval.low.to_string())
            .cell("score_ci_high", interval.high.to_string())
            .cell("from_found_mean", setting.from_found.to_string())
    }))
}

fn method(tuned: &Tuned, spec_hash: &str) -> String {
    let pairing = tuned.fresh.pairing_gain.map_or_else(String::new, |ratio| {
        format!("- Pairing by replication divides the variance of the gain by {ratio:.1}.\n")
    });
    format!(
        "\n## How to read this\n\n\
         - Score is requests answered 200 minus penalties, per run.\n\
         - The search is successive halving: in each round all settings play the same \
         replications, and the better half goes on to twice as many. Means are over all \
         replications that a setting played.\n\
         - The setting found was chosen for a high mean on the seeds of the search, so that mean \
         flatters it. The comparison with the default uses seeds that the search never saw; its \
         interval is that of one pair fixed beforehand, 95 %, free of the selection.\n\
         {pairing}\
         - All of this is about the model, this number of requests and these rules. Other servers \
         or a longer run may want other values.\n\
         - Spec {}, master seed {} for the search and {} for the comparison.\n",
        spec_hash.get(..16).unwrap_or(spec_hash),
        tuned.master_seed,
        tuned.fresh.master_seed
    )
}
