//! `flakelab tune`: better parameters for one strategy, and what they gain on fresh seeds.

mod next;

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use clap::{Args, ValueEnum};

use self::next::next_command;
use super::pool::pool;
use super::progress::Bar;
use super::{Ending, OutputArguments, interrupt, models, print};
use crate::domain::Rules;
use crate::experiment::ModelSource;
use crate::experiment::tune::{Size, Tuned, Tuning, tune};
use crate::report::{self, ResultsFolder, TuneFiles};
use crate::world::Scenario;

const EXAMPLES: &str = "\
Examples:
  flakelab tune --strategy v1                                  every parameter of V1, on config 0
  flakelab tune --strategy v5:exclude_tried=false --config 1   that one fixed, the others searched
  flakelab tune --strategy v4 --requests 100 --budget 500000   for short runs, more thoroughly
  flakelab tune --strategy v3 --model my-servers.toml --max-attempts 6

Successive halving: all settings play the same seeded replications, and after each round the better
half goes on to twice as many. The one that is left meets the default on fresh seeds.";

/// Flags of `tune`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(super) struct TuneArguments {
    /// The strategy: a name or v1 to v5; parameters in the text are fixed, the others searched
    #[arg(long, value_name = "STRATEGY")]
    strategy: String,
    /// Config: 0, 1 or 2 [default: 0]
    #[arg(long, value_name = "CONFIG", conflicts_with = "model")]
    config: Option<String>,
    /// Model file, instead of a config
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Requests in a run [default: 1000]
    #[arg(long, value_name = "N")]
    requests: Option<u64>,
    /// Requests per second [default: 10]
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    rps: Option<f64>,
    /// Most attempts of a request [default: no limit]
    #[arg(long, value_name = "N")]
    max_attempts: Option<u32>,
    /// Runs that the search may play: settings times replications
    #[arg(long, value_name = "RUNS", default_value_t = Size::default().budget)]
    budget: u64,
    /// Settings in the first round, the default among them
    #[arg(long, value_name = "N", default_value_t = Size::default().candidates)]
    candidates: usize,
    /// Replications of the comparison with the default on fresh seeds
    #[arg(long, value_name = "N", default_value_t = Size::default().fresh)]
    fresh: u64,
    /// Master seed of the search; the comparison has the next one
    #[arg(long, value_name = "S", default_value_t = 42)]
    master_seed: u64,
    /// Threads; results do not depend on it [default: all cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Results folder [default: results/tune-<strategy>-<spec hash>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write into the results folder whatever it holds
    #[arg(long)]
    force: bool,
    /// The chart as PNG too
    #[arg(long)]
    png: bool,
    /// What to print on stdout: table, json (tune.json), csv (candidates.csv) or md (Markdown)
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t, hide_possible_values = true)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    #[default]
    Table,
    Json,
    Csv,
    Md,
}

/// Runs the subcommand.
pub(super) fn run(arguments: &TuneArguments, output: &OutputArguments) -> anyhow::Result<Ending> {
    let tuning = tuning(arguments, output)?;
    let path =
        arguments.out.clone().unwrap_or_else(|| PathBuf::from("results").join(tuning.folder()));
    let pool = pool(arguments.threads)?;
    let interrupt = interrupt::flag()?;
    let folder = ResultsFolder::open(&path, tuning.hash(), arguments.force)?;
    let tuned_and_written = (|| {
        let bar = Bar::of(tuning.runs(), "runs", output.quiet);
        let found = pool.install(|| {
            tune(&tuning, &interrupt, |progress| {
                let leader = progress.leader.as_ref();
                let best = leader.map(|(setting, score)| format!("best {setting} {score:.2}"));
                let left = progress.settings;
                bar.at(progress.done, format!("{left} left  {}", best.unwrap_or_default()));
            })
        });
        drop(bar);
        let Ok(tuned) = found else { return anyhow::Ok(None) };
        // An interrupted comparison does not replace one that came further.
        let keep =
            tuned.interrupted() && folder.holds_as_much(tuning.hash(), tuned.fresh.replications);
        if !keep {
            let files = TuneFiles::render(&tuned, tuning.hash(), arguments.png)?;
            folder.begin()?;
            files.write(&folder)?;
        }
        Ok(Some((tuned, keep)))
    })();
    if !matches!(tuned_and_written, Ok(Some((_, false)))) {
        folder.remove_if_unused();
    }
    let Some((tuned, kept)) = tuned_and_written? else {
        if !output.quiet {
            eprintln!("interrupted during the search: there is nothing to show yet");
        }
        return Ok(Ending::Interrupted);
    };
    let written = (!kept).then_some(folder.path());
    print(&shown(arguments, &tuned, written, output)?)?;
    if !tuned.interrupted() {
        return Ok(Ending::Done);
    }
    if !output.quiet {
        let done = tuned.fresh.replications;
        eprintln!("interrupted: the comparison rests on the {done} fresh seeds finished so far");
        if kept {
            let path = folder.path().display();
            eprintln!("the results of an earlier run in {path} rest on more and are as they were");
        }
    }
    Ok(Ending::Interrupted)
}

/// The search that the flags describe.
fn tuning(arguments: &TuneArguments, output: &OutputArguments) -> anyhow::Result<Tuning> {
    if arguments.strategy.contains(',') {
        bail!(
            "`{}` names several strategies: tune one at a time",
            arguments.strategy.escape_debug()
        );
    }
    let source = match (&arguments.model, &arguments.config) {
        (Some(path), _) => ModelSource::File(path.clone()),
        (None, None) => ModelSource::Config(0),
        (None, Some(config)) => match models::configs(config)?.as_slice() {
            [one] => one.clone(),
            _ => bail!("`--config {config}` names several configs: tune on one at a time"),
        },
    };
    let (model, path) = models::load(&source)?;
    if output.verbose {
        eprintln!("model {} from {}", model.name, path.display());
    }
    let mut scenario = Scenario::new(model);
    scenario.requests = arguments.requests.unwrap_or(scenario.requests);
    scenario.requests_per_second = arguments.rps.unwrap_or(scenario.requests_per_second);
    scenario.rules = Rules { max_attempts: arguments.max_attempts, ..scenario.rules };
    let TuneArguments { budget, candidates, fresh, .. } = *arguments;
    let size = Size { budget, candidates, fresh };
    Tuning::new(&arguments.strategy, scenario, size, arguments.master_seed).map_err(|e| anyhow!(e))
}

/// What goes to stdout.
fn shown(
    arguments: &TuneArguments,
    tuned: &Tuned,
    written: Option<&Path>,
    output: &OutputArguments,
) -> anyhow::Result<String> {
    let verdict = report::tune_verdict(tuned);
    Ok(match arguments.format {
        Format::Json => report::tune_json(tuned)?,
        Format::Csv => report::tune_csv(tuned)?.trim_end().to_owned(),
        Format::Md => format!("{}\n{verdict}", report::tune_markdown(tuned)),
        Format::Table => {
            let width = terminal_size::terminal_size_of(std::io::stdout());
            let width = width.map(|(width, _)| usize::from(width.0));
            let style = output.color.on_stdout();
            let written = written.map_or_else(String::new, |path| {
                let files = "report.md, charts/tune-search.svg, candidates.csv, tune.json";
                format!("wrote {} ({files})\n", path.display())
            });
            format!(
                "{}\n{}\n\n{written}next: {}",
                report::tune_table(tuned, width),
                style.strong(&report::folded(&verdict, width)),
                next_command(arguments, tuned)
            )
        }
    })
}
