//! One strategy's run: a proxy of its own, the load, and what both saw.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use anyhow::Context;

use super::Plan;
use super::children::{Listening, start_own};
use super::folder::{Folder, RunFiles};
use super::path::{Path, says_too_little};
use super::progress::RunBar;
use super::servers::Servers;
use crate::live::Target;
use crate::live::load::{self, End, LoadLog, Schedule};
use crate::metrics::Metrics;
use crate::strategy::StrategySpec;
use crate::validate::forecast::{LiveRequest, LiveRun, RequestEnd};
use crate::world::{Model, Overhead};

/// Requests have this long to be answered; longer than any queue of a run that is not lost.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a proxy may take to end: attempts in flight are waited for.
const PROXY_PATIENCE: Duration = Duration::from_millis(800);

/// A finished run, or as much of it as there was before an interrupt.
pub(super) struct Played {
    /// What was seen.
    pub(super) run: LiveRun,
    /// The load generator's log.
    pub(super) log: LoadLog,
    /// The path as it was meanwhile, where it was measured.
    pub(super) path: Option<Overhead>,
    /// What the stand-in servers were.
    pub(super) truth: Option<Model>,
    /// What went wrong with the processes, whole sentences.
    pub(super) faults: Vec<String>,
}

/// A proxy that is to be started.
pub(super) struct ProxySetup<'a> {
    /// Its name in logs.
    pub(super) name: &'a str,
    /// Its files.
    pub(super) files: &'a RunFiles,
    /// The strategy.
    pub(super) strategy: StrategySpec,
    /// The flag that names the model, as in `--config=0`.
    pub(super) model: String,
    /// The servers, in the model's order.
    pub(super) targets: &'a [Target],
    /// The seed of the strategy's coins.
    pub(super) seed: u64,
    /// Where it listens; 0: anywhere.
    pub(super) port: u16,
}

/// The name of a strategy in files: `v4`, `explore-first`, `larkin-discover_limit-30`.
pub(super) fn short_name(strategy: &StrategySpec) -> String {
    let text = strategy.text();
    match strategy.alias() {
        Some(alias) if text == strategy.name() => alias.to_owned(),
        _ => text.replace([':', '='], "-"),
    }
}

/// Starts a proxy.
pub(super) fn start_proxy(
    plan: &Plan,
    folder: &Folder,
    setup: &ProxySetup,
) -> anyhow::Result<Listening> {
    let targets: Vec<String> = setup.targets.iter().map(|t| t.address.to_string()).collect();
    // With the strategy's coins, the rate and the rules, the events can be replayed.
    folder.write_setup(setup, plan)?;
    let mut arguments = vec![
        "proxy".to_owned(),
        "--supervised".to_owned(),
        "--force".to_owned(),
        format!("--strategy={}", setup.strategy.text()),
        setup.model.clone(),
        format!("--targets={}", targets.join(",")),
        format!("--port={}", setup.port),
        format!("--rps={}", plan.arguments.rps),
        format!("--seed={}", setup.seed),
        format!("--session={}", folder.name()),
        format!("--metrics={}", setup.files.metrics.display()),
        format!("--trace={}", setup.files.trace.display()),
        format!("--events={}", setup.files.events.display()),
    ];
    arguments.extend(plan.arguments.rules.flags());
    if plan.arguments.allow_remote {
        arguments.push("--allow-remote".to_owned());
    }
    start_own(plan, "the proxy", arguments, folder.log(&format!("proxy-{}", setup.name)))
}

/// Plays the strategy at `number` against the servers of the config at `position`.
pub(super) fn play(
    plan: &Plan,
    folder: &Folder,
    servers: &mut Servers,
    path: Option<&Path>,
    (position, number): (usize, usize),
) -> anyhow::Result<Played> {
    let strategy = plan.strategies[number];
    let config = &plan.models[position].name;
    let name = format!("{}-{}", plan.stem(position), short_name(&strategy));
    let purpose = 1000 * (position as u64 + 1) + 2 * number as u64;
    let files = folder.run(&name);
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
    let proxy = start_proxy(plan, folder, &setup)?;
    let beside = match path {
        Some(path) => path.beside(plan, folder, &name, purpose + 1)?,
        None => None,
    };
    let pace = (plan.requests, plan.arguments.rps);
    let both = Barrier::new(2);
    let (sent, path) = thread::scope(|scope| {
        let beside = beside.map(|beside| {
            scope.spawn(|| {
                both.wait();
                thread::sleep(beside.half_a_period());
                beside.measure(plan, folder, |_| ())
            })
        });
        if beside.is_some() {
            both.wait();
        }
        let sent = send(plan, folder, &files, proxy, pace, purpose, |sent| bar.count(sent));
        // A run is worth something without its path.
        (sent, beside.and_then(|beside| beside.join().ok()?.ok()))
    });
    let sent = sent?;
    let run = LiveRun {
        strategy,
        ledger: sent.metrics.ledger(),
        rules: plan.rules,
        requests: sent.log.sent.iter().map(request).collect(),
    };
    bar.finish(&run);
    let faults = sent.fault.into_iter().chain(servers.fault()).collect();
    let path = path.filter(|path| !says_too_little(path));
    Ok(Played { run, log: sent.log, path, truth: servers.truth(position).cloned(), faults })
}

/// What came of a load.
pub(super) struct Loaded {
    /// The load generator's log.
    pub(super) log: LoadLog,
    /// The proxy's last metrics.
    pub(super) metrics: Metrics,
    /// What is wrong with how the proxy ended.
    pub(super) fault: Option<String>,
}

/// Sends so many requests, at so many per second, through a proxy, ends it, and reads its last
/// metrics.
pub(super) fn send(
    plan: &Plan,
    folder: &Folder,
    files: &RunFiles,
    mut proxy: Listening,
    (requests, requests_per_second): (u64, f64),
    purpose: u64,
    on_end: impl FnMut(&load::Sent),
) -> anyhow::Result<Loaded> {
    let target = proxy.addresses.first().context("the proxy says no address")?.1;
    let schedule = Schedule {
        requests,
        requests_per_second,
        timeout: ANSWER_TIMEOUT,
        seed: plan.seed,
        replication: purpose,
        ..Schedule::new(target)
    };
    let log = load::run(&schedule, &plan.interrupt, on_end)?;
    let status = proxy.child.stop(PROXY_PATIENCE).context("the proxy cannot be stopped")?;
    let fault = (!status.success()).then(|| {
        let said = proxy.child.last_messages();
        format!("The proxy did not end well ({status}), so its counts may not be complete{said}")
    });
    folder.write_requests(files, &log)?;
    let metrics = folder.keep_metrics(files)?;
    Ok(Loaded { log, metrics, fault })
}

fn request(sent: &load::Sent) -> LiveRequest {
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
