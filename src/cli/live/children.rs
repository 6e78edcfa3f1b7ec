//! Children of a run that are this program itself: where they listen; a proxy, and a load that is
//! sent through it.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

use super::LivePlan;
use super::folder::{Folder, RunFiles};
use crate::live::Target;
use crate::live::load::{self, LoadLog, Schedule};
use crate::live::processes::{Child, Launch};
use crate::metrics::Metrics;
use crate::report::write_atomically;
use crate::strategy::StrategySpec;

/// A child that says where it listens.
pub(super) struct Listening {
    /// The process.
    pub(super) child: Child,
    /// Ports in the model, where it says them, and addresses.
    pub(super) addresses: Vec<(Option<u16>, SocketAddr)>,
}

/// How to start this program with other arguments.
pub(super) fn own(name: &str, arguments: Vec<String>, log: PathBuf) -> anyhow::Result<Launch> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let arguments = arguments.into_iter().map(OsString::from).collect();
    Ok(Launch { name: name.to_owned(), program, arguments, log })
}

/// Starts this program with other arguments, and waits until it listens.
pub(super) fn start_own(
    plan: &LivePlan,
    name: &str,
    arguments: Vec<String>,
    log: PathBuf,
) -> anyhow::Result<Listening> {
    let mut child = own(name, arguments, log)?.start()?;
    child.give_up_on(Arc::clone(&plan.interrupt));
    let lines = child.wait_until_ready(plan.start_timeout)?;
    let addresses: Option<Vec<_>> = lines.iter().map(|line| listening(line)).collect();
    match addresses {
        Some(addresses) if !addresses.is_empty() => Ok(Listening { child, addresses }),
        _ => bail!("{name} does not say where it listens: {}", lines.join("; ")),
    }
}

/// `4003 127.0.0.1:45123`, or the address alone.
fn listening(line: &str) -> Option<(Option<u16>, SocketAddr)> {
    match line.split_once(' ') {
        Some((port, address)) => Some((Some(port.parse().ok()?), address.parse().ok()?)),
        None => Some((None, line.parse().ok()?)),
    }
}

/// How long children may take to end: attempts in flight are waited for. Ctrl-C must end all of
/// it within two seconds.
pub(super) const PATIENCE: Duration = Duration::from_millis(400);

/// Requests have this long to be answered; longer than any queue of a run that is not lost.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a proxy may take to end: attempts in flight are waited for.
const PROXY_PATIENCE: Duration = Duration::from_millis(800);

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

/// Starts a proxy.
pub(super) fn start_proxy(
    plan: &LivePlan,
    folder: &Folder,
    setup: &ProxySetup,
) -> anyhow::Result<Listening> {
    let targets: Vec<String> = setup.targets.iter().map(|t| t.address.to_string()).collect();
    // With the strategy's coins, the rate and the rules, the events can be replayed.
    let replay = serde_json::json!({
        "strategy": setup.strategy,
        "seed": setup.seed,
        "requests_per_second": plan.arguments.rps,
        "rules": plan.rules,
        "servers": setup.targets.len(),
    });
    write_atomically(&setup.files.setup, replay.to_string().as_bytes())?;
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
    plan: &LivePlan,
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
