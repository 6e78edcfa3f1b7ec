//! The files of a search's results folder.

use std::fmt::Write;

use super::table::tune_markdown;
use super::verdict::tune_verdict;
use crate::experiment::tune::Tuned;
use crate::report::charts::draw_search;
use crate::report::files::WriteError;
use crate::report::folder::ResultsFolder;
use crate::report::manifest::Manifest;
use crate::report::results::{PNG_SCALE, ResultsError};
use crate::report::table::escaped;

/// Everything, ready to be written.
#[derive(Debug)]
pub struct TuneFiles {
    /// Names relative to the folder, and contents; the manifest last.
    files: Vec<(String, Vec<u8>)>,
}

impl TuneFiles {
    /// Draws the chart and fills the pages of a search with that hash.
    pub fn render(tuned: &Tuned, spec_hash: &str, png: bool) -> Result<Self, ResultsError> {
        let chart = draw_search(tuned, &tune_verdict(tuned))?;
        let svg = format!("charts/{}.svg", chart.name);
        let mut files = vec![
            ("tune.json".to_owned(), (tune_json(tuned)? + "\n").into_bytes()),
            ("candidates.csv".to_owned(), tune_csv(tuned)?.into_bytes()),
            (svg.clone(), chart.svg.clone().into_bytes()),
        ];
        if png {
            files.push((format!("charts/{}.png", chart.name), chart.png(PNG_SCALE)?));
        }
        let mut page = format!(
            "# Better parameters for {}\n\n**{}**\n\n{}",
            escaped(&tuned.label),
            escaped(&tune_verdict(tuned)),
            tune_markdown(tuned)
        );
        let (title, caption) = (escaped(&chart.title), escaped(&chart.caption));
        // Writing to a string cannot fail.
        let _ = write!(page, "\n![{title}]({svg})\n\n{caption}\n{}", method(tuned, spec_hash));
        files.push(("report.md".to_owned(), page.into_bytes()));
        files.push((Manifest::FILE.to_owned(), manifest(tuned, spec_hash).to_json().into_bytes()));
        Ok(Self { files })
    }

    /// Writes the files; the manifest last, so that its presence says that the rest is complete.
    pub fn write(&self, folder: &ResultsFolder) -> Result<(), WriteError> {
        folder.write_all(&self.files)
    }
}

/// `tune.json`, without the line end.
pub fn tune_json(tuned: &Tuned) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(tuned)
}

/// `candidates.csv`: every setting, those that stayed longest first.
pub fn tune_csv(tuned: &Tuned) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let keys = tuned.searched.iter().map(|dimension| dimension.key);
    let before = ["place", "setting", "found", "default"].into_iter();
    let after = [
        "rounds",
        "replications",
        "score_mean",
        "score_ci_low",
        "score_ci_high",
        "from_found_mean",
    ];
    writer.write_record(before.chain(keys.clone()).chain(after))?;
    let found = &tuned.found_setting().setting;
    for (i, setting) in tuned.ranked().into_iter().enumerate() {
        let mut record = vec![
            (i + 1).to_string(),
            setting.setting.clone(),
            (setting.setting == *found).to_string(),
            setting.is_default.to_string(),
        ];
        let value = |key| setting.values.get(key).map_or_else(String::new, toml::Value::to_string);
        record.extend(keys.clone().map(value));
        record.extend([setting.rounds.to_string(), setting.replications.to_string()]);
        let interval = setting.score.interval;
        let numbers = [setting.score.mean, interval.low, interval.high, setting.from_found];
        record.extend(numbers.map(|x| x.to_string()));
        writer.write_record(record)?;
    }
    let bytes = writer.into_inner().map_err(|e| csv::Error::from(e.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
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

fn manifest(tuned: &Tuned, spec_hash: &str) -> Manifest {
    Manifest {
        // Where the program lies is nobody's business; what it was told is.
        argv: std::iter::once("flakelab".to_owned()).chain(std::env::args().skip(1)).collect(),
        spec_hash: spec_hash.to_owned(),
        master_seed: tuned.master_seed,
        parameter_uncertainty: true,
        replications: tuned.fresh.asked,
        finished: tuned.fresh.replications,
        interrupted: tuned.interrupted(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        git_hash: env!("FLAKELAB_GIT_HASH").to_owned(),
        live: false,
    }
}
