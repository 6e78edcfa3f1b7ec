//! `flakelab tune`: better parameters for one strategy, and what they gain on fresh seeds.

use anyhow::{anyhow, bail};
use clap::Args;

use crate::cli::common::{
    Bar, CommandLine, Ending, Format, OutputArguments, Stopwatch, flag, pool, print, terminal_width,
};
use crate::cli::models::ModelArguments;
use crate::cli::results::{ResultsArguments, ResultsPlace};
use crate::report;
use flakelab_core::domain::Rules;
use flakelab_sim::experiment::{Size, TuneVerdict, Tuned, Tuning, tune};
use flakelab_sim::world::Scenario;

const EXAMPLES: &str = "\
Examples:
  flakelab tune --strategy v1                                  every parameter of V1, on config 0
  flakelab tune --strategy v5:exclude_tried=false --config 1   that one fixed, the others searched
  flakelab tune --strategy v4 --requests 100 --budget 500000   for short runs, more thoroughly
  flakelab tune --strategy v3 --model my-servers.toml --max-attempts 6

Successive halving: all settings play the same seeded replications, and after each round the better
half goes on to twice as many. The one that is left meets the default on fresh seeds.";

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct TuneArguments {
    /// The strategy: a name or v1 to v5; parameters in the text are fixed, the others searched
    #[arg(long, value_name = "STRATEGY")]
    strategy: String,
    #[command(flatten)]
    source: ModelArguments,
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
    #[command(flatten)]
    results: ResultsArguments,
}

pub(crate) fn run(arguments: &TuneArguments, output: &OutputArguments) -> anyhow::Result<Ending> {
    let mut watch = Stopwatch::start();
    let tuning = tuning(arguments, output)?;
    let (pool, interrupt) = (pool(arguments.results.threads)?, flag()?);
    let mut place = ResultsPlace::open(&arguments.results, &tuning.folder(), tuning.hash())?;
    let bar = Bar::new(tuning.runs(), "runs", output.quiet);
    watch.lap("plan");
    let found = pool.install(|| {
        tune(&tuning, &interrupt, |progress| {
            let leader = progress.leader.as_ref();
            let best = leader.map(|(setting, score)| format!("best {setting} {score:.2}"));
            let left = progress.settings;
            bar.at(progress.done, format!("{left} left  {}", best.unwrap_or_default()));
        })
    });
    drop(bar);
    watch.lap("play");
    let Ok(tuned) = found else {
        let nothing = " during the search: there is nothing to show yet";
        return Ok(place.interrupted(nothing, false, output));
    };
    let done = tuned.fresh.replications;
    if place.takes(tuned.interrupted(), done) {
        let files = report::tune_files(&tuned, tuning.hash(), arguments.results.png)?;
        watch.lap("tables and chart");
        place.replace(&files, || Ok(()))?;
        watch.lap("files");
    }
    if output.verbose {
        eprintln!("time: {}", watch.text());
    }
    print(&shown(arguments, &tuned, &place, output)?)?;
    if !tuned.interrupted() {
        return Ok(Ending::Done);
    }
    let rests_on = format!(": the comparison rests on the {done} fresh seeds finished so far");
    Ok(place.interrupted(&rests_on, true, output))
}

fn tuning(arguments: &TuneArguments, output: &OutputArguments) -> anyhow::Result<Tuning> {
    if arguments.strategy.contains(',') {
        bail!(
            "`{}` names several strategies: tune one at a time",
            arguments.strategy.escape_debug()
        );
    }
    let (model, path) = arguments.source.load()?;
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

fn shown(
    arguments: &TuneArguments,
    tuned: &Tuned,
    place: &ResultsPlace,
    output: &OutputArguments,
) -> anyhow::Result<String> {
    let verdict = report::tune_verdict(tuned);
    Ok(match arguments.results.format {
        Format::Json => report::tune_json(tuned)?,
        Format::Csv => report::tune_csv(tuned)?.trim_end().to_owned(),
        Format::Md => format!("{}\n{verdict}", report::tune_markdown(tuned)),
        Format::Table => {
            let (width, style) = (terminal_width(), output.color.on_stdout());
            let written =
                place.wrote("report.md, charts/tune-search.svg, candidates.csv, tune.json");
            format!(
                "{}\n{}\n\n{written}next: {}",
                report::tune_table(tuned, width),
                style.strong(&report::folded(&verdict, "", width)),
                next_command(arguments, tuned)
            )
        }
    })
}

/// The command to run next, on seeds that neither the search nor its comparison has seen. If something was found, whether it holds up elsewhere: on all configs, or in the same model
/// beside the five. If not, how the default does beside the others.
fn next_command(arguments: &TuneArguments, tuned: &Tuned) -> String {
    let mut strategies = vec!["all".to_owned(), tuned.strategy.clone()];
    if tuned.verdict == TuneVerdict::Better {
        strategies.push(tuned.found_setting().setting.clone());
    }
    let config = arguments.source.model.is_none().then_some("all");
    CommandLine::new("sweep")
        .flag("strategy", Some(strategies.join(",")))
        .flag("model", arguments.source.model.as_ref().map(|path| path.display()))
        .flag("config", config)
        .flag("requests", arguments.requests)
        .flag("rps", arguments.rps)
        .flag("master-seed", Some(tuned.fresh.master_seed.wrapping_add(1)))
        .text()
}
