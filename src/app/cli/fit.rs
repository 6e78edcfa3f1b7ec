//! `flakelab fit`: models from recorded traces, and how far to believe them.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use crate::cli::common::{Ending, OutputArguments, print, terminal_width};
use crate::report::{fit_page, fit_report, write_atomically};
use flakelab_fit::logs::{self, LogFormat, Logs};
use flakelab_fit::{FitReport, ObservedTraffic, Subject, fit_as, reproduce};
use flakelab_sim::trace::{ColumnMap, ReadOptions, Recording, SuccessRule};

const EXAMPLES: &str = "\
Examples:
  flakelab fit traces/*.csv                 report and charts; no model is written
  flakelab fit traces/*.csv --out models    and write models/config-0.toml, ...
  flakelab fit access.log.gz --name api     a log of nginx, HAProxy, Envoy, ALB or k6
  flakelab fit access.csv --name api --map port=upstream,success=status,timestamp=time,latency_s=rt

A trace is a CSV file with one row an attempt; models/README.md lists its columns, and what other
programs must log.";

/// How recordings are read: flags that `fit` and `validate` share.
#[derive(Debug, Args)]
pub(crate) struct ReadArguments {
    /// Trace files, one a run; packed with gzip or not; `-` for standard input
    #[arg(required = true, value_name = "TRACE")]
    traces: Vec<PathBuf>,
    /// Columns under other names, ours=theirs: port=upstream,success=status
    #[arg(long, value_name = "LIST")]
    map: Option<ColumnMap>,
    /// These are servers of your own, whatever their ports: what to call them
    #[arg(long, value_name = "NAME", value_parser = group_name)]
    name: Option<String>,
    /// What wrote the files: csv, nginx, haproxy, envoy, alb or k6; else the first lines tell
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// Which HTTP statuses are successes [default: status<500]
    #[arg(long, value_name = "RULE")]
    success_when: Option<SuccessRule>,
    /// When rows of CSV take the time of an attempt
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    timestamps: Timestamps,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Timestamps {
    /// When it was sent
    #[default]
    Start,
    /// When it was answered
    End,
}

impl ReadArguments {
    /// Reads them; what is odd about them is told unless `quiet`.
    pub(crate) fn read(&self, quiet: bool) -> anyhow::Result<Vec<Recording>> {
        let options = ReadOptions {
            columns: self.map.clone().unwrap_or_default(),
            group: self.name.clone(),
            success_when: self.success_when.clone().unwrap_or_default(),
            dated_at_end: self.timestamps == Timestamps::End,
        };
        let Logs { recordings, read_as } = logs::read(&self.traces, self.log_format, &options)?;
        if !quiet {
            for sentence in read_as {
                eprintln!("{sentence}");
            }
            let mut warnings: Vec<&String> = recordings.iter().flat_map(|r| &r.warnings).collect();
            warnings.dedup();
            for warning in warnings {
                eprintln!("warning: {warning}");
            }
        }
        Ok(recordings)
    }
}

/// A name that can stand in tables and file names.
fn group_name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match text {
        "" | "0" | "1" | "2" => Err("0, 1 and 2 are the configs; choose another name".to_owned()),
        _ if text.len() <= 60 && text.chars().all(plain) && !text.starts_with(['.', '-']) => {
            Ok(text.to_owned())
        }
        _ => Err("at most 60 letters, digits, dots, dashes or underscores".to_owned()),
    }
}

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct FitArguments {
    #[command(flatten)]
    input: ReadArguments,
    /// A model of these very servers, which met one start [default with --name and one start]
    #[arg(long, conflicts_with = "fleet")]
    these: bool,
    /// A model of servers like these, drawn anew in every replication
    #[arg(long)]
    fleet: bool,
    /// Folder for the fitted models, and for scenarios in a folder of that name below; without it
    /// none is written
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Folder for the report with its charts
    #[arg(long, value_name = "DIR", default_value = "results/fit")]
    report: PathBuf,
}

/// The folder of scenarios, below that of models.
const SCENARIOS: &str = "scenarios";

/// How a report begins that may be replaced.
const PAGE_BEGINS: &str = "# Fit\n";

pub(crate) fn run(arguments: &FitArguments, output: &OutputArguments) -> anyhow::Result<Ending> {
    must_be_replaceable(&arguments.report)?;
    for folder in [Some(&arguments.report), arguments.out.as_ref()].into_iter().flatten() {
        if folder.exists() && !folder.is_dir() {
            bail!("{} is a file; name a folder", folder.display());
        }
    }
    let recordings = arguments.input.read(output.quiet)?;
    let subject = match (arguments.these, arguments.fleet) {
        (true, _) => Some(Subject::These),
        (_, true) => Some(Subject::Fleet),
        _ => None,
    };
    let mut report = fit_as(&recordings, subject)?;
    // Told already, while reading.
    report.warnings.clear();
    // Files first: a reader of stdout that goes away, as `head` does, must not cost them.
    let reproduced = reproduce(&report, &recordings);
    let page = fit_page(&report, &reproduced)?;
    make(&arguments.report.join("charts"))?;
    for (name, bytes) in page {
        write_atomically(&arguments.report.join(name), &bytes)?;
    }
    let (written, scenario) = match &arguments.out {
        Some(folder) => write_models(folder, &report)?,
        None => (Vec::new(), None),
    };
    print(&fit_report(&report, &reproduced, terminal_width()))?;
    print(&format!("\nwrote {} (report.md, charts/*.svg)", arguments.report.display()))?;
    match &written[..] {
        [] => print("next: add --out models to write the models that sweep reads")?,
        [first, ..] => {
            print(&format!("wrote {}", written.join(", ")))?;
            let what = match scenario {
                Some(scenario) => format!("--scenario {scenario} --strategy mesh,all"),
                None => format!("--model {first} --strategy all"),
            };
            print(&format!("next: cargo run -- sweep {what} --seeds 1000"))?;
        }
    }
    let whether = match &recordings[..] {
        [_] => "the second half is as the first foretells",
        _ => "each is as the others foretell",
    };
    print(&format!(
        "check: cargo run -- validate, on the same recordings, says whether {whether}"
    ))?;
    Ok(Ending::Done)
}

fn must_be_replaceable(folder: &Path) -> anyhow::Result<()> {
    let page = folder.join("report.md");
    let foreign = match std::fs::read_to_string(&page) {
        Ok(text) => !text.starts_with(PAGE_BEGINS),
        Err(_) => std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()),
    };
    if foreign {
        bail!(
            "{} holds something else than a report of fit; choose another folder with --report",
            folder.display()
        );
    }
    Ok(())
}

/// The files that were written, and the first scenario among them.
fn write_models(
    folder: &Path,
    report: &FitReport,
) -> anyhow::Result<(Vec<String>, Option<String>)> {
    make(folder)?;
    let (mut written, mut first) = (Vec::new(), None);
    for config in &report.configs {
        let path = folder.join(format!("{}.toml", config.model.name));
        write_atomically(&path, config.model.to_toml().as_bytes())?;
        let model = path.display().to_string();
        written.push(model.clone());
        let of = |traffic: &ObservedTraffic| traffic.scenario(&config.model.name, &model);
        if let Some(text) = config.traffic.as_ref().and_then(of) {
            let path = folder.join(SCENARIOS).join(format!("{}.toml", config.model.name));
            make(&folder.join(SCENARIOS))?;
            write_atomically(&path, text.as_bytes())?;
            written.push(path.display().to_string());
            first.get_or_insert_with(|| path.display().to_string());
        }
    }
    Ok((written, first))
}

fn make(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))
}
