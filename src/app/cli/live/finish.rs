//! Predictions before the runs, the verdict after them, and the files.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::{fs, panic, thread};

use anyhow::Context;

use crate::cli::common::{Bar, Ending, print, terminal_width};
use crate::cli::live::folder::MEANINGS;
use crate::cli::live::run::Played;
use crate::cli::live::servers::Servers;
use crate::cli::live::{plan::LivePlan, servers};
use crate::report::{
    LiveMade, LivePage, Manifest, Reconciliation, config_name, folded, live_compared, live_counts,
    live_files, live_table, live_verdict, thousands,
};
use flakelab_core::balancer::ServerCounts;
use flakelab_core::domain::Identifier;
use flakelab_core::strategy::StrategySpec;
use flakelab_fit::{
    Basis, Forecast, LiveRun, PredictedConfig, PredictionFile, RunMetric, ServerMetric, Setting,
    Verdict, judge, replications, resolution,
};
use flakelab_sim::world::{BETWEEN_PROCESSES_SD, Model, Overhead, Traffic};

/// One config: what was predicted, and what was played.
pub(crate) struct OfConfig {
    position: usize,
    prediction: PredictedConfig,
    forecasts: Vec<Forecast>,
    pub(crate) played: Vec<Played>,
}

/// Numbers that the verdict on one config may compare.
fn tests(plan: &LivePlan) -> usize {
    let alone = plan.arguments.restart_servers || plan.strategies.len() < 2;
    let bases = if alone { 2 } else { 3 };
    bases * plan.strategies.len() * (RunMetric::ALL.len() + ServerMetric::ALL.len())
}

/// What the predictions of one config rest on.
fn setting<'a>(
    plan: &'a LivePlan,
    position: usize,
    strategies: &'a [StrategySpec],
    overhead: Option<&'a Overhead>,
) -> Setting<'a> {
    Setting {
        strategies,
        requests: plan.requests,
        requests_per_second: plan.arguments.rps,
        traffic: Traffic::Exact,
        rules: plan.rules,
        overhead,
        path_spread: Some(BETWEEN_PROCESSES_SD),
        replications: runs_of_each(plan),
        seed: plan.seed_for(100 + position as u64),
        interrupt: Some(&plan.interrupt),
        played: Some(&plan.simulated),
    }
}

/// Simulated runs of a strategy in each prediction.
fn runs_of_each(plan: &LivePlan) -> u64 {
    plan.arguments.replications.unwrap_or_else(|| replications(tests(plan)))
}

/// How often the bar moves.
const GLANCE: Duration = Duration::from_millis(20);

/// Does work that simulates `predictions` of runs, one each of one strategy. A line says so, and a
/// bar on a terminal how far it is.
fn simulating<T: Send>(
    plan: &LivePlan,
    purpose: &str,
    predictions: usize,
    work: impl FnOnce() -> T + Send,
) -> T {
    let runs = predictions as u64 * runs_of_each(plan);
    plan.say(&format!("playing {} simulated runs for {purpose}", thousands(runs)));
    plan.simulated.store(0, Ordering::Relaxed);
    let bar = Bar::new(runs, "simulated runs", plan.output.quiet || plan.arguments.watch);
    thread::scope(|scope| {
        let work = scope.spawn(work);
        while !work.is_finished() {
            // Some hundreds more tell what runs of this length can tell.
            bar.at(plan.simulated.load(Ordering::Relaxed).min(runs), String::new());
            thread::sleep(GLANCE);
        }
        work.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked))
    })
}

/// Predicts the runs of every config from its model and, where the servers tell it, from the truth.
pub(crate) fn predict(
    plan: &LivePlan,
    servers: &Servers,
    overhead: Option<&Overhead>,
) -> Vec<OfConfig> {
    let known =
        |position: usize| servers.truth(position).filter(|_| !plan.arguments.restart_servers);
    let truths: Vec<Option<&Model>> = (0..plan.models.len()).map(known).collect();
    let of_config = |(position, (model, truth)): (usize, (&Model, &Option<&Model>))| {
        let setting = setting(plan, position, &plan.strategies, overhead);
        let mut forecasts = vec![Forecast::from_model(model, &setting)];
        forecasts.extend(truth.map(|truth| Forecast::from_true_rates(truth, &setting)));
        let now = flakelab_live::unix_seconds();
        let prediction = PredictedConfig::new(&model.name, now, &setting, &forecasts);
        OfConfig { position, prediction, forecasts, played: Vec::new() }
    };
    let bases = truths.len() + truths.iter().flatten().count();
    simulating(plan, "the prediction", bases * plan.strategies.len(), || {
        plan.models.iter().zip(&truths).enumerate().map(of_config).collect()
    })
}

impl OfConfig {
    /// Predicts the run of one strategy from the truth of the start that it will meet.
    pub(crate) fn predict_start(
        &mut self,
        plan: &LivePlan,
        servers: &Servers,
        number: usize,
        overhead: Option<&Overhead>,
    ) {
        let Some(truth) = servers.truth(self.position) else { return };
        let strategy = std::slice::from_ref(&plan.strategies[number]);
        let setting = setting(plan, self.position, strategy, overhead);
        let purpose = format!("the prediction of {}", plan.strategies[number].label());
        let forecast = simulating(plan, &purpose, 1, || Forecast::from_true_rates(truth, &setting));
        self.prediction.runs.extend(forecast.runs());
        self.forecasts.push(forecast);
    }

    fn runs(&self) -> Vec<LiveRun> {
        self.played.iter().map(|played| played.run.clone()).collect()
    }

    /// Whether runs of other strategies met the same start.
    fn has_others(&self, plan: &LivePlan) -> bool {
        !plan.arguments.restart_servers && self.played.len() > 1
    }

    /// What is known only after the runs, and the verdict.
    fn judged(&mut self, plan: &LivePlan, overhead: Option<&Overhead>) -> Verdict {
        let over_its_path = |played: &&Played| played.path.is_some() && played.truth.is_some();
        let others = if self.has_others(plan) { self.played.len() } else { 0 };
        let predictions = others + self.played.iter().filter(over_its_path).count();
        let purpose = format!("the verdict on {}", config_name(&self.prediction.config));
        simulating(plan, &purpose, predictions, || {
            self.predict_by_others(plan, overhead);
            self.predict_over_the_path_of_each_run(plan, overhead);
            // For the report; what was predicted before is in its file.
            self.prediction.runs = self.forecasts.iter().flat_map(Forecast::runs).collect();
            self.verdict(plan, overhead)
        })
    }

    /// Adds the prediction by the other strategies' runs, which is known only now.
    fn predict_by_others(&mut self, plan: &LivePlan, overhead: Option<&Overhead>) {
        if !self.has_others(plan) {
            return;
        }
        let runs = self.runs();
        let others = LiveRun::tallies_of_others(&runs);
        let setting = setting(plan, self.position, &plan.strategies, overhead);
        let model = &plan.models[self.position];
        self.forecasts.push(Forecast::given_other_runs(model, &setting, &others));
    }

    /// Predicts latencies again from the true rates, over the path as it was during each run.
    fn predict_over_the_path_of_each_run(&mut self, plan: &LivePlan, before: Option<&Overhead>) {
        let paths = || self.played.iter().filter_map(|played| played.path.as_ref());
        let largest_stall_ms = paths().map(Overhead::largest_ms).fold(0.0, f64::max);
        let spread = Overhead::spread(paths().chain(before));
        for played in &self.played {
            let (Some(path), Some(truth)) = (&played.path, &played.truth) else { continue };
            let strategy = std::slice::from_ref(&played.run.strategy);
            let setting = setting(plan, self.position, strategy, Some(path));
            let setting = Setting { path_spread: Some(spread), ..setting };
            let during = Forecast::from_true_rates(truth, &setting);
            let forecasts = std::mem::take(&mut self.forecasts).into_iter();
            let known = |forecast: Forecast| match forecast.basis {
                Basis::TrueRates => forecast.with_latencies_of(&during, largest_stall_ms),
                _ => forecast,
            };
            self.forecasts = forecasts.map(known).collect();
        }
    }

    fn verdict(&self, plan: &LivePlan, overhead: Option<&Overhead>) -> Verdict {
        let seed = plan.seed_for(200 + self.position as u64);
        let config = &self.prediction.config;
        let mut verdict = judge(config, &self.runs(), &self.forecasts, seed);
        let setting = setting(plan, self.position, &plan.strategies, overhead);
        verdict.resolution = resolution(&self.forecasts, &setting);
        verdict
    }
}

pub(crate) fn write_prediction(plan: &LivePlan, configs: &[OfConfig]) -> anyhow::Result<()> {
    let configs = configs.iter().map(|of| of.prediction.clone()).collect();
    let file = PredictionFile::new(configs);
    let json = serde_json::to_vec_pretty(&file).context("cannot write the prediction")?;
    plan.folder.write_prediction(&json)
}

/// Judges what was played, writes every file and prints what was found.
pub(crate) fn finish(
    plan: &LivePlan,
    overhead: Option<&Overhead>,
    mut configs: Vec<OfConfig>,
) -> anyhow::Result<Option<Ending>> {
    let mut verdicts: Vec<Option<Verdict>> = Vec::new();
    for of in &mut configs {
        let whole = of.played.iter().all(|played| !played.log.stopped && played.faults.is_empty());
        let complete = whole && of.played.len() == plan.strategies.len();
        let judged = complete && !plan.is_interrupted();
        let verdict = judged.then(|| of.judged(plan, overhead));
        // An interrupt cuts simulations short; what they gave is worth nothing.
        verdicts.push(verdict.filter(|_| !plan.is_interrupted()));
    }
    let interrupted = plan.is_interrupted();
    let logs = ServerLogs::read(plan);
    let played = configs.iter().zip(verdicts).filter(|(of, _)| !of.played.is_empty());
    let pages: Vec<LivePage> = played
        .map(|(of, verdict)| LivePage {
            servers: server_names(&plan.models[of.position]),
            runs: of.runs(),
            prediction: of.prediction.clone(),
            verdict,
            interrupted,
            reconciliation: reconcile(plan, of, logs.as_ref()),
            notes: notes(plan, of),
        })
        .collect();
    if pages.is_empty() {
        return Ok(None);
    }
    let whole =
        |of: &OfConfig| of.played.iter().filter(|played| !played.log.stopped).count() as u64;
    let finished = configs.iter().map(whole).sum();
    let made = made(plan, finished, interrupted);
    let files = live_files(&pages, &made, plan.arguments.png)?;
    let text = shown(plan, &pages, None);
    plan.folder.write_results(&files, &text)?;
    print(&shown(plan, &pages, terminal_width()))?;
    let agree = agree(&pages);
    let held = pages.iter().filter_map(|page| page.verdict.as_ref()).all(|verdict| verdict.held);
    Ok(Some(match (interrupted, held && agree) {
        (true, _) => Ending::Interrupted,
        (false, true) => Ending::Done,
        (false, false) => Ending::DidNotHold,
    }))
}

/// What is printed, and kept as `report.txt`.
fn shown(plan: &LivePlan, pages: &[LivePage], width: Option<usize>) -> String {
    let mut parts = Vec::new();
    for page in pages {
        parts.push(live_table(page, width));
        parts.push(live_compared(page, width));
        parts.push(folded(&live_verdict(page), "", width));
        parts.push(folded(&live_counts(page), "", width));
        parts.extend(page.notes.iter().map(|note| folded(note, "", width)));
    }
    let path = plan.folder.path().display();
    parts.push(format!(
        "wrote {path} (report.md, prediction.json, charts/*.svg, traces/*.csv, summary.csv)\n\
         look again: cat {}\n\
         next: cargo run -- fit {path}/traces/*.csv",
        plan.folder.path().join("report.txt").display(),
    ));
    if !agree(pages) {
        parts.push("exit code 1, because counts that should be the same are not".to_owned());
    }
    if plan.is_interrupted() {
        parts.push("interrupted: these results are partial, and nothing was judged".to_owned());
    }
    parts.join("\n\n")
}

fn agree(pages: &[LivePage]) -> bool {
    pages.iter().flat_map(|page| &page.reconciliation).all(Reconciliation::agrees)
}

fn server_names(model: &Model) -> Vec<String> {
    (0..model.ports.count).map(|i| (model.ports.first + i).to_string()).collect()
}

fn reconcile(plan: &LivePlan, of: &OfConfig, logs: Option<&ServerLogs>) -> Vec<Reconciliation> {
    let model = &plan.models[of.position];
    let reconciliation = |played: &Played| {
        let counts =
            logs.map(|logs| logs.counts(played.log.sent.iter().map(|sent| sent.identifier), model));
        Reconciliation::new(&played.run, counts.as_deref())
    };
    of.played.iter().map(reconciliation).collect()
}

fn notes(plan: &LivePlan, of: &OfConfig) -> Vec<String> {
    let mut notes: Vec<String> =
        of.played.iter().flat_map(|played| played.faults.iter().cloned()).collect();
    if !servers::are_ours(plan) {
        notes.push(
            "The model's latencies were measured by another client on another machine, and nobody \
             knows what that client added to them: they are shown, not judged."
                .to_owned(),
        );
    }
    let model = &plan.models[of.position];
    if let Some(reason) = model.assumed() {
        notes.push(format!("The model of config {} assumes: {reason}", model.name));
    }
    let enough = replications(tests(plan));
    if of.prediction.replications < enough {
        notes.push(format!(
            "{} simulated runs cannot reject at 1 % what lies beyond them all: {} numbers are \
             compared, which takes {enough}.",
            of.prediction.replications,
            tests(plan)
        ));
    }
    notes
}

fn made(plan: &LivePlan, finished: u64, interrupted: bool) -> LiveMade {
    let mut other_files: Vec<(String, String)> =
        MEANINGS.iter().map(|(name, what)| ((*name).to_owned(), (*what).to_owned())).collect();
    other_files.retain(|(name, _)| plan.folder.path().join(name).exists());
    let planned = (plan.strategies.len() * plan.models.len()) as u64;
    let manifest = Manifest::new(plan.folder.spec_hash(), plan.seed, planned, finished);
    LiveMade {
        name: plan.folder.name(),
        manifest: Manifest { interrupted, live: true, ..manifest },
        servers: servers::description(plan),
        other_files,
    }
}

/// What the stand-in servers met by their own log, over all starts of a run, by identifier.
pub(crate) struct ServerLogs {
    met: BTreeMap<String, Vec<(u16, String)>>,
}

impl ServerLogs {
    /// Reads the logs; none if the servers are not ours and keep none that we know. A process that
    /// was killed leaves half a line, which is left out.
    pub(crate) fn read(plan: &LivePlan) -> Option<Self> {
        if !servers::are_ours(plan) {
            return None;
        }
        let mut met: BTreeMap<String, Vec<(u16, String)>> = BTreeMap::new();
        let logs =
            (0..).map(|start| plan.folder.servers_log(start)).take_while(|path| path.exists());
        for path in logs {
            let mut text = fs::read(&path).unwrap_or_default();
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            text.truncate(whole);
            for record in csv::Reader::from_reader(text.as_slice()).records().flatten() {
                let port = record.get(1).and_then(|port| port.parse().ok());
                if let (Some(port), Some(id), Some(outcome)) = (port, record.get(2), record.get(3))
                {
                    met.entry(id.to_owned()).or_default().push((port, outcome.to_owned()));
                }
            }
        }
        Some(Self { met })
    }

    /// What the servers of a model met of these identifiers.
    pub(crate) fn counts(
        &self,
        identifiers: impl Iterator<Item = Identifier>,
        model: &Model,
    ) -> Vec<ServerCounts> {
        let mut counts = vec![ServerCounts::default(); model.servers()];
        for (port, outcome) in identifiers.filter_map(|id| self.met.get(id.as_str())).flatten() {
            let index = port.checked_sub(model.ports.first).map(usize::from);
            let Some(server) = index.and_then(|i| counts.get_mut(i)) else { continue };
            server.attempts += 1;
            match outcome.as_str() {
                "success" => server.successes += 1,
                "rate_limited" => server.rate_limited += 1,
                _ => server.failures += 1,
            }
        }
        counts
    }
}
