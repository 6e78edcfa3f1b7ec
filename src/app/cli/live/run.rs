//! One strategy's run: a proxy of its own, the load, and what both saw; the path, which is measured
//! before the run and beside it; progress bar and viewer.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::{Child as Process, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::Context;

use crate::cli::common::Bar;
use crate::cli::live::folder::RunFiles;
use crate::cli::live::plan::LivePlan;
use crate::cli::live::servers::{
    Listening, PATIENCE, ProxySetup, Servers, own, send, start_own, start_proxy,
};
use flakelab_core::domain::RequestId;
use flakelab_core::strategy::{RandomSpec, StrategySpec};
use flakelab_fit::{LiveRequest, LiveRun, RequestEnd, RunMetric};
use flakelab_live::{
    AnsweredAt, Child, End, LoadLog, Sent, Step, Target, ask_to_end, measured_overhead, null_model,
};
use flakelab_sim::trace::Row;
use flakelab_sim::world::{Model, Overhead};

/// A finished run, or as much of it as there was before an interrupt.
pub(crate) struct Played {
    pub(crate) run: LiveRun,
    pub(crate) log: LoadLog,
    /// The path as it was meanwhile, where it was measured.
    pub(crate) path: Option<Overhead>,
    pub(crate) truth: Option<Model>,
    /// What went wrong with the processes, whole sentences.
    pub(crate) faults: Vec<String>,
}

/// The name of a strategy in files: `v4`, `explore-first`, `larkin-discover_limit-30`.
fn short_name(strategy: &StrategySpec) -> String {
    let text = strategy.text();
    match strategy.alias() {
        Some(alias) if text == strategy.name() => alias.to_owned(),
        _ => text.replace([':', '='], "-"),
    }
}

/// Plays the strategy at `number` against the servers of the config at `position`.
pub(crate) fn play(
    plan: &LivePlan,
    servers: &mut Servers,
    null_server: Option<&NullServer>,
    (position, number): (usize, usize),
) -> anyhow::Result<Played> {
    let strategy = plan.strategies[number];
    let config = &plan.models[position].name;
    let name = format!("{}-{}", plan.stem(position), short_name(&strategy));
    let purpose = 1000 * (position as u64 + 1) + 2 * number as u64;
    let files = plan.folder.run(&name);
    let setup = ProxySetup {
        name: &name,
        files: &files,
        strategy,
        model: plan.model_flag(position),
        targets: servers.targets(position),
        seed: plan.seed_for(purpose),
        port: plan.arguments.proxy_port,
    };
    let bar = RunBar::new(plan, plan.requests, &format!("config {config}, {}", strategy.label()));
    let proxy = start_proxy(plan, &setup)?;
    let beside = match null_server {
        Some(server) => server.beside(plan, &name, purpose + 1)?,
        None => None,
    };
    let pace = (plan.requests, plan.arguments.rps);
    let both = Barrier::new(2);
    let (sent, path) = thread::scope(|scope| {
        let beside = beside.map(|beside| {
            scope.spawn(|| {
                both.wait();
                // Half the time between two requests: it sends in the gaps of the run.
                thread::sleep(Duration::from_secs_f64(0.5 / beside.pace.1));
                beside.measure(plan, |_| ())
            })
        });
        if beside.is_some() {
            both.wait();
        }
        let sent = send(plan, &files, proxy, pace, purpose, |sent| bar.count(sent));
        // A run is worth something without its path.
        (sent, beside.and_then(|beside| beside.join().ok()?.ok()))
    });
    let sent = sent?;
    let run = LiveRun {
        strategy,
        ledger: sent.metrics.ledger(),
        no_http: sent.metrics.per_server.iter().map(|server| server.num_no_http).collect(),
        refused: sent.metrics.per_server.iter().map(|server| server.num_refused).collect(),
        rules: plan.rules,
        requests: sent.log.sent.iter().map(request).collect(),
    };
    bar.finish(&run);
    let faults = sent.fault.into_iter().chain(servers.fault()).collect();
    let path = path.filter(|path| path.requests.len() >= FEWEST);
    Ok(Played { run, log: sent.log, path, truth: servers.truth(position).cloned(), faults })
}

fn request(sent: &Sent) -> LiveRequest {
    let ms = |length: Duration| length.as_secs_f64() * 1e3;
    LiveRequest {
        due_ms: ms(sent.due),
        drift_ms: ms(sent.drift),
        latency_ms: sent.latency.map(ms),
        end: match &sent.end {
            End::Ok => RequestEnd::Ok,
            End::Error => RequestEnd::Error,
            End::Refused(status) => RequestEnd::Refused(*status),
            End::Lost(_) => RequestEnd::Lost,
        },
        attempts: sent.attempts.unwrap_or(0),
    }
}

/// Requests that the path is measured with before the run, at least and at most.
const REQUESTS: (f64, f64) = (40.0, 400.0);

/// A measurement beside a run must not be a load of its own.
const MOST_PER_SECOND: f64 = 200.0;

const MOST_BESIDE_A_RUN: u64 = 2000;

/// A median of fewer requests says too little of the path.
const FEWEST: usize = 20;

/// A null server, which takes a known time, and the model of it. Against it the path from load
/// generator to server is measured: before the run, so that latencies can be predicted, and beside
/// every strategy's run, because a shared machine is not the same a minute later.
///
/// Each measurement has a proxy of its own, as each strategy has, and the load of the run up to
/// [`MOST_PER_SECOND`].
pub(crate) struct NullServer {
    target: Target,
    model: PathBuf,
    process: Child,
}

impl NullServer {
    /// Starts it; it is there as long as its process runs.
    pub(crate) fn start(plan: &LivePlan) -> anyhow::Result<Self> {
        let arguments = ["failingserver", "--null", "--port-base=0", "--supervised"];
        let arguments = arguments.map(str::to_owned).to_vec();
        let server = start_own(plan, "the null server", arguments, plan.folder.log("null-server"))?;
        let address = server.addresses.first().context("the null server says no address")?.1;
        let target = Target { name: address.to_string(), address };
        let model = plan.folder.write_model("null.toml", &null_model())?;
        Ok(Self { target, model, process: server.child })
    }

    pub(crate) fn stop(&mut self) {
        // What cannot be stopped is ended when it is dropped.
        let _ = self.process.stop(PATIENCE);
    }

    pub(crate) fn before(&self, plan: &LivePlan) -> anyhow::Result<Overhead> {
        let rate = plan.arguments.rps.min(MOST_PER_SECOND);
        let requests = (plan.arguments.path_seconds * rate).clamp(REQUESTS.0, REQUESTS.1) as u64;
        let bar = RunBar::new(plan, requests, "measuring the path");
        let ready = self.open(plan, "before", (requests, rate), 1)?;
        let measured = ready.measure(plan, |sent| bar.count(sent))?;
        drop(bar);
        Ok(measured)
    }

    /// Makes ready to measure the path while a run lasts. None where the path of the run would not be
    /// that of the measurement: several requests in service, or more a second than it may have.
    pub(crate) fn beside(
        &self,
        plan: &LivePlan,
        name: &str,
        purpose: u64,
    ) -> anyhow::Result<Option<Measurement>> {
        let rate = plan.arguments.rps;
        if rate > MOST_PER_SECOND || plan.rules.max_requests_in_service > 1 {
            return Ok(None);
        }
        let requests = plan.requests.min(MOST_BESIDE_A_RUN);
        let rate = rate * requests as f64 / plan.requests as f64;
        self.open(plan, name, (requests, rate), purpose).map(Some)
    }

    fn open(
        &self,
        plan: &LivePlan,
        name: &str,
        pace: (u64, f64),
        purpose: u64,
    ) -> anyhow::Result<Measurement> {
        let files = plan.folder.measurement(name);
        let setup = ProxySetup {
            name: &format!("path-{name}"),
            files: &files,
            strategy: StrategySpec::Random(RandomSpec::default()),
            model: format!("--model={}", self.model.display()),
            targets: std::slice::from_ref(&self.target),
            seed: plan.seed_for(purpose),
            port: 0,
        };
        let proxy = start_proxy(plan, &setup)?;
        Ok(Measurement { files, proxy, pace, purpose })
    }
}

/// A measurement that is ready: its proxy listens.
pub(crate) struct Measurement {
    files: RunFiles,
    proxy: Listening,
    pace: (u64, f64),
    purpose: u64,
}

impl Measurement {
    fn measure(self, plan: &LivePlan, on_end: impl FnMut(&Sent)) -> anyhow::Result<Overhead> {
        let Self { files, proxy, pace, purpose } = self;
        let sent = send(plan, &files, proxy, pace, purpose, on_end)?;
        let ids: BTreeMap<String, RequestId> = Row::read(&files.trace)?
            .into_iter()
            .map(|row| (row.request_id, RequestId(row.request_number.saturating_sub(1))))
            .collect();
        let events = File::open(&files.events)
            .with_context(|| format!("cannot read {}", files.events.display()))?;
        let steps = Step::read(events)?;
        let ms = |length: Duration| length.as_secs_f64() * 1e3;
        let answered = |sent: &Sent| {
            let at = AnsweredAt { due_ms: ms(sent.due), latency_ms: ms(sent.latency?) };
            Some((*ids.get(sent.identifier.as_str())?, at))
        };
        let answered: BTreeMap<RequestId, AnsweredAt> =
            sent.log.sent.iter().filter_map(answered).collect();
        let known_ms = null_model().latency.rate_limited().as_millis_f64();
        Ok(measured_overhead(&steps, &answered, known_ms))
    }
}

/// One bar a strategy, on a terminal only; a finished one leaves a line.
pub(crate) struct RunBar {
    bar: Bar,
    label: String,
    ok: Cell<u64>,
    others: Cell<u64>,
    /// Off a terminal a line is said at the end.
    say: bool,
}

impl RunBar {
    pub(crate) fn new(plan: &LivePlan, requests: u64, label: &str) -> Self {
        let hidden = plan.output.quiet || plan.arguments.watch;
        // No name of a strategy holds braces, which a template would read as its own.
        let template = format!("{label:32} {{bar:20}} {{human_pos}}/{{human_len}}  {{msg}}");
        let bar = Bar::like(&template, requests, hidden);
        let label = label.to_owned();
        let say = !hidden;
        Self { bar, label, ok: Cell::new(0), others: Cell::new(0), say }
    }

    pub(crate) fn count(&self, sent: &Sent) {
        let counter = if sent.end == End::Ok { &self.ok } else { &self.others };
        counter.set(counter.get() + 1);
        self.bar.one_more(match self.others.get() {
            0 => format!("{} answered 200", self.ok.get()),
            others => format!("{} answered 200, {others} not", self.ok.get()),
        });
    }

    pub(crate) fn finish(self, run: &LiveRun) {
        drop(self.bar);
        if self.say {
            let value = |metric| run.value(metric);
            eprintln!(
                "{:32} score {:.0} of {}, {:.0} attempts, p50 {:.1} ms",
                self.label,
                value(RunMetric::Score),
                run.requests.len(),
                value(RunMetric::Attempts),
                value(RunMetric::LatencyP50),
            );
        }
    }
}

/// How often the viewer on the terminal is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// The viewer of a run, a process of its own: on this terminal, or drawing a chart beside it.
pub(crate) enum Viewer {
    /// Draws `live.svg` again and again.
    Chart(Child),
    /// Has the terminal; the flag says that it is being ended.
    Screen(Arc<Mutex<Process>>, Arc<AtomicBool>),
}

impl Viewer {
    pub(crate) fn start(plan: &LivePlan) -> anyhow::Result<Self> {
        // Off a terminal there is no screen to show.
        let screen = plan.arguments.watch && std::io::stdout().is_terminal();
        if screen { Self::screen(plan) } else { Self::chart(plan) }
    }

    fn chart(plan: &LivePlan) -> anyhow::Result<Self> {
        let arguments = vec![
            "watch".to_owned(),
            "--supervised".to_owned(),
            format!("--svg={}", plan.folder.path().join("live.svg").display()),
            plan.folder.metrics().display().to_string(),
        ];
        Ok(Self::Chart(own("the viewer", arguments, plan.folder.log("viewer"))?.start()?))
    }

    /// A viewer that has the terminal takes Ctrl-C as a key and ends with 130; the run then ends.
    fn screen(plan: &LivePlan) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let process = Command::new(program)
            .arg("watch")
            .arg(format!("--with-parent={}", std::process::id()))
            .arg(plan.folder.metrics())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the viewer")?;
        let (process, ending) = (Arc::new(Mutex::new(process)), Arc::new(AtomicBool::new(false)));
        let (watched, is_ended) = (Arc::clone(&process), Arc::clone(&ending));
        let interrupt = Arc::clone(&plan.interrupt);
        let quiet = plan.output.quiet;
        let look = move || {
            loop {
                thread::sleep(GLANCE);
                let Ok(mut process) = watched.lock() else { return };
                match process.try_wait() {
                    Ok(None) => {}
                    Ok(Some(status)) => {
                        if is_ended.load(Ordering::Relaxed) {
                            // Asked to end, it says the same as after Ctrl-C.
                        } else if status.code() == Some(130) {
                            interrupt.store(true, Ordering::Relaxed);
                        } else if !quiet {
                            eprintln!("the viewer is closed; the run goes on");
                        }
                        return;
                    }
                    Err(_) => return,
                }
            }
        };
        thread::Builder::new().name("viewer".to_owned()).spawn(look)?;
        Ok(Self::Screen(process, ending))
    }

    /// Ends it; the terminal is as it was.
    pub(crate) fn stop(self) {
        match self {
            Self::Chart(mut child) => {
                // What cannot be stopped is ended when it is dropped.
                let _ = child.stop(PATIENCE);
            }
            Self::Screen(process, ending) => {
                ending.store(true, Ordering::Relaxed);
                let Ok(mut process) = process.lock() else { return };
                ask_to_end(&process);
                let _ = process.wait();
            }
        }
    }
}
