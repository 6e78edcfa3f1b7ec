//! The report of a search: the files of its folder, tables, and the verdict in words.

use crate::charts::{draw_search, overall_file_name};
use crate::report::folder::Manifest;
use crate::report::numbers::{decimals_for, fixed, interval, span, thousands};
use crate::report::records::{Record, csv_of};
use crate::report::sweep::{Files, add_chart};
use crate::report::table::Table;
use crate::report::text::{capital, config_name, escaped, figure};
use flakelab_core::stats::Interval;
use flakelab_sim::experiment::{Mean, Parameters, SettingSummary, TuneVerdict, Tuned};

/// Everything of a search with that hash. PNG beside the SVG where `png`.
pub fn tune_files(tuned: &Tuned, spec_hash: &str, png: bool) -> anyhow::Result<Files> {
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
        row.cell("rounds", setting.rounds)
            .cell("replications", setting.replications)
            .cell("score_mean", setting.score.mean.to_string())
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

/// Settings shown of those that stayed longest; candidates.csv has all.
const SHOWN: usize = 8;

/// Rounds, the settings that stayed longest, and the comparison on fresh seeds, for a terminal of
/// that width; without one nothing is continued below.
pub fn tune_table(tuned: &Tuned, width: Option<usize>) -> String {
    let parts =
        sections(tuned).map(|(heading, table)| format!("{heading}\n{}", table.on_terminal(width)));
    let notes: Vec<String> = notes(tuned).iter().map(|note| format!("\n{note}")).collect();
    format!("{}\n{}{}", heading(tuned), parts.join("\n"), notes.concat())
}

pub fn tune_markdown(tuned: &Tuned) -> String {
    let parts = sections(tuned)
        .map(|(heading, table)| format!("{}\n\n{}", escaped(&capital(&heading)), table.markdown()));
    let notes: Vec<String> =
        notes(tuned).iter().map(|note| format!("\n{}.\n", escaped(&capital(note)))).collect();
    format!("{}.\n\n{}{}", escaped(&heading(tuned)), parts.join("\n"), notes.concat())
}

fn heading(tuned: &Tuned) -> String {
    format!(
        "{} on {}: {} requests at {} per second; {} settings, {} runs in {} rounds",
        tuned.label,
        config_name(&tuned.config),
        thousands(tuned.requests),
        tuned.requests_per_second,
        thousands(tuned.settings.len() as u64),
        thousands(tuned.runs),
        tuned.rounds.len()
    )
}

fn sections(tuned: &Tuned) -> [(String, Table<()>); 3] {
    let fresh = &tuned.fresh;
    [
        ("rounds, with the best setting after each:".to_owned(), rounds(tuned)),
        (
            "the settings that stayed longest, on the seeds of the search, which flatter them:"
                .to_owned(),
            settings(tuned),
        ),
        (
            format!(
                "on {} fresh seeds (master seed {}) that the search never saw:",
                thousands(fresh.replications),
                fresh.master_seed
            ),
            compared(tuned),
        ),
    ]
}

fn rounds(tuned: &Tuned) -> Table<()> {
    Table::of((1..).zip(&tuned.rounds))
        .text("round", |(number, _)| number.to_string())
        .number("settings", |(_, r)| thousands(r.settings as u64))
        .number("replications", |(_, r)| thousands(r.replications_so_far))
        .text("best", |(_, r)| setting_text(tuned, &tuned.settings[r.leader]))
        .done()
}

fn settings(tuned: &Tuned) -> Table<()> {
    let mut shown: Vec<&SettingSummary> = tuned.ranked();
    shown.truncate(SHOWN);
    if !shown.iter().any(|s| s.is_default) {
        shown.push(&tuned.settings[0]);
    }
    let decimals = decimals_for(tuned.fresh.found.half_width());
    Table::of(shown)
        .text("setting", |s| {
            let default = if s.is_default { " (default)" } else { "" };
            format!("{}{default}", setting_text(tuned, s))
        })
        .number("rounds", |s| s.rounds.to_string())
        .number("replications", |s| thousands(s.replications))
        .number("score", |s| fixed(s.score.mean, decimals))
        .number("from found", |s| fixed(s.from_found, decimals))
        .done()
}

fn compared(tuned: &Tuned) -> Table<()> {
    let fresh = &tuned.fresh;
    let decimals = decimals_for(fresh.found.half_width());
    let gain_decimals = decimals_for(fresh.gain.half_width());
    let found = format!("found: {}", setting_text(tuned, tuned.found_setting()));
    let default = format!("default: {}", setting_text(tuned, &tuned.settings[0]));
    Table::of([
        (found, &fresh.found, decimals),
        (default, &fresh.default, decimals),
        ("gain, paired".to_owned(), &fresh.gain, gain_decimals),
    ])
    .text("setting", |(what, ..)| what.clone())
    .number("score", |(_, mean, decimals)| fixed(mean.mean, *decimals))
    .number("95 % interval", |(_, mean, decimals)| {
        mean.interval.map_or("-".to_owned(), |ends| interval(ends, *decimals))
    })
    .done()
}

fn notes(tuned: &Tuned) -> Vec<String> {
    let mut notes = Vec::new();
    if tuned.parameters == Parameters::Drawn {
        notes.push(
            "parameters of the servers are drawn from the model's posterior; intervals are those \
             of the simulation alone"
                .to_owned(),
        );
    }
    notes.extend(tuned.assumed.as_ref().map(|reason| format!("note: in this model, {reason}")));
    notes
}

/// The values of what was searched, as people write them: `discover_limit=20 exclude_tried=false`.
pub fn setting_text(tuned: &Tuned, setting: &SettingSummary) -> String {
    let values = tuned.searched.iter().filter_map(|dimension| {
        let value = setting.values.get(dimension.key)?;
        let value = value.as_float().map_or_else(|| value.to_string(), |x| x.to_string());
        Some(format!("{}={value}", dimension.key))
    });
    values.collect::<Vec<String>>().join(" ")
}

/// What to use, and how much better it is on seeds that the search never saw.
pub fn tune_verdict(tuned: &Tuned) -> String {
    let fresh = &tuned.fresh;
    let setting = setting_text(tuned, tuned.found_setting());
    let seeds = format!("on {} fresh seeds", thousands(fresh.replications));
    let decimals = decimals_for(fresh.gain.half_width());
    let gain = fixed(fresh.gain.mean.abs(), decimals);
    // Of a comparison cut short there may be no interval.
    let bounds = |ends: Option<Interval>, decimals| {
        ends.map_or(String::new(), |ends| format!(" (95 %: {})", span(ends, decimals)))
    };
    let signed = bounds(fresh.gain.interval, decimals);
    let score = |mean: &Mean| {
        let decimals = decimals_for(mean.half_width());
        let (of, range) = (thousands(tuned.requests), bounds(mean.interval, decimals));
        format!("{} of {of}{range}", fixed(mean.mean, decimals))
    };
    match tuned.verdict {
        TuneVerdict::Better => format!(
            "Found {setting}: {gain} points more than the default {seeds}{signed}, a mean score \
             of {}.",
            score(&fresh.found)
        ),
        TuneVerdict::NotBetter => format!(
            "Not better than the default: {setting}, which the search chose, gains {} points \
             {seeds}{signed}. Keep the default.",
            fixed(fresh.gain.mean, decimals)
        ),
        TuneVerdict::Worse => {
            let lost = Interval::around(-fresh.gain.mean, fresh.gain.half_width());
            format!(
                "Not better than the default: {setting}, which the search chose, loses {gain} \
                 points {seeds} (95 %: {}). Keep the default.",
                span(lost, decimals)
            )
        }
        TuneVerdict::Same => format!(
            "Not better than the default: {setting}, which the search chose, scores the same as \
             it {seeds}, every time. Keep the default."
        ),
        TuneVerdict::DefaultFound => format!(
            "Keep the default: none of the {} other settings stayed ahead of it. Its mean score \
             {seeds} is {}.",
            thousands(tuned.settings.len() as u64 - 1),
            score(&fresh.default)
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::report::folder::ResultsFolder;
    use flakelab_sim::experiment::{Size, Tuning, tune};
    use flakelab_sim::world::{Model, Scenario};

    fn tuned() -> Tuned {
        let model = Model { name: "m".to_owned(), ..Model::of_rates(&[0.1, 0.3, 0.5, 0.7]) };
        let scenario = Scenario { requests: 30, ..Scenario::new(model) };
        let size = Size { budget: 600, candidates: 8, fresh: 200 };
        let tuning = Tuning::new("v5", scenario, size, 1).unwrap();
        tune(&tuning, &AtomicBool::new(false), |_| ()).unwrap()
    }

    /// A result with this gain, all else as it was.
    fn with_gain(mean: f64, half: f64, verdict: TuneVerdict) -> Tuned {
        let mut tuned = tuned();
        tuned.fresh.gain.mean = mean;
        tuned.fresh.gain.interval = Some(Interval::around(mean, half));
        tuned.verdict = verdict;
        tuned
    }

    #[test]
    fn every_verdict_says_what_to_use() {
        for (mean, half, verdict, expected) in [
            (
                1.234,
                0.12,
                TuneVerdict::Better,
                "1.23 points more than the default on 200 fresh seeds \
            (95 %: 1.11 to 1.35)",
            ),
            (
                -0.02,
                0.12,
                TuneVerdict::NotBetter,
                "gains -0.02 points on 200 fresh seeds \
            (95 %: -0.14 to 0.10). Keep the default.",
            ),
            (
                -0.5,
                0.12,
                TuneVerdict::Worse,
                "loses 0.50 points on 200 fresh seeds \
            (95 %: 0.38 to 0.62). Keep the default.",
            ),
            (0.0, 0.0, TuneVerdict::Same, "every time. Keep the default."),
            (0.0, 0.0, TuneVerdict::DefaultFound, "none of the 7 other settings stayed ahead"),
        ] {
            let text = tune_verdict(&with_gain(mean, half, verdict));
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn tables_hold_found_default_and_gain_and_are_continued_where_they_are_too_wide() {
        let tuned = tuned();
        let text = tune_table(&tuned, None);
        assert!(text.contains("found: ") && text.contains("default: "), "{text}");
        let tables = |text: &str| text.matches("setting ").count();
        assert!(tables(&tune_table(&tuned, Some(70))) > tables(&text));
        assert!(tune_markdown(&tuned).contains("| gain, paired |"));
    }

    #[test]
    fn every_candidate_has_a_row() {
        let text = tune_csv(&tuned()).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let headers = "place,setting,found,default,initial_scale,decay,exclude_tried,rounds,\
        replications,score_mean,from_found_mean";
        assert_eq!(reader.headers().unwrap().iter().collect::<Vec<&str>>().join(","), headers);
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        let count = |column: usize| rows.iter().filter(|row| &row[column] == "true").count();
        assert_eq!((rows.len(), count(2), count(3)), (8, 1, 1));
        assert_eq!((&rows[0][0], &rows[0][2]), ("1", "true"), "the one found comes first");
    }

    #[test]
    fn what_a_killed_search_left_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let results = ResultsFolder::open(folder.path(), "aaaa", false).unwrap();
        let mut files = tune_files(&tuned(), "aaaa", false).unwrap();
        assert!(files.pop().is_some_and(|(name, _)| name == Manifest::FILE), "it comes last");
        results.write_all(&files).unwrap();
        drop(results);
        assert!(ResultsFolder::open(folder.path(), "bbbb", false).is_ok());
    }
}
