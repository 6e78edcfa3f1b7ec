//! The servers of a run (our own stand-in, somebody's program, or servers that run already), and the
//! children that are this program itself: a proxy, and a load that is sent through it.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::cli::live::folder::RunFiles;
use crate::cli::live::plan::LivePlan;
use crate::report::write_atomically;
use flakelab_core::strategy::StrategySpec;
use flakelab_live::{
    Child, Launch, LoadLog, Metrics, Schedule, Target, check_free, load, wait_until_open,
};
use flakelab_sim::world::{Model, RateLimit};

/// Limits that take longer to recover are met as the run before left them.
const LONGEST_REST_S: f64 = 10.0;

pub(crate) struct Servers {
    /// Their process; none if somebody else runs them.
    child: Option<Child>,
    /// The targets of each config, in the model's order.
    targets: Vec<Vec<Target>>,
    /// What our own stand-in servers drew, one model a config.
    truths: Vec<Model>,
}

pub(crate) fn description(plan: &LivePlan) -> String {
    match (&plan.arguments.targets, &plan.arguments.binary) {
        (Some(targets), _) => format!("servers that ran already: {targets}"),
        (None, Some(binary)) => format!("the program {}", binary.display()),
        (None, None) => "our own stand-in servers, drawn from the model".to_owned(),
    }
}

impl Servers {
    /// Starts the servers, or finds those that run; nothing is sent to them. `start` numbers the
    /// starts of a run.
    pub(crate) fn start(plan: &LivePlan, start: u64) -> anyhow::Result<Self> {
        if let Some(list) = &plan.arguments.targets {
            return Self::running(plan, list);
        }
        if let Some(binary) = &plan.arguments.binary {
            return Self::of_binary(plan, binary);
        }
        let truth = plan.folder.truth(start);
        let mut arguments = vec![
            "failingserver".to_owned(),
            "--supervised".to_owned(),
            format!("--seed={}", plan.seed_for(10 + start)),
            format!("--log={}", plan.folder.servers_log(start).display()),
            format!("--truth={}", truth.display()),
        ];
        arguments.extend(plan.arguments.port_base.map(|base| format!("--port-base={base}")));
        arguments.extend(plan.servers_flags());
        let started =
            start_own(plan, "the stand-in servers", arguments, plan.folder.log("servers"))?;
        let mut targets = Vec::new();
        let mut truths = Vec::new();
        for (position, model) in plan.models.iter().enumerate() {
            let ports = (0..model.ports.count).map(|i| model.ports.first + i);
            let target = |port| {
                let named = |(known, _): &&(Option<u16>, SocketAddr)| *known == Some(port);
                let (_, address) = started.addresses.iter().find(named).with_context(|| {
                    format!("the stand-in servers do not say where server {port} listens")
                })?;
                Ok(Target { name: address.to_string(), address: *address })
            };
            targets.push(ports.map(target).collect::<anyhow::Result<Vec<Target>>>()?);
            truths.push(Model::read(&truth.join(format!("{}.toml", plan.stem(position))))?);
        }
        Ok(Self { child: Some(started.child), targets, truths })
    }

    /// Servers that run already: as many as the models have, in their order.
    fn running(plan: &LivePlan, list: &str) -> anyhow::Result<Self> {
        let all = Target::list(list, plan.arguments.allow_remote)?;
        let wanted: usize = plan.models.iter().map(Model::servers).sum();
        if all.len() != wanted {
            bail!(
                "--targets names {} servers, and the models have {wanted}; name them in the order \
                 of the models' ports, as in 127.0.0.1:4000-4009",
                all.len()
            );
        }
        let addresses: Vec<SocketAddr> = all.iter().map(|target| target.address).collect();
        wait_until_open(&addresses, plan.start_timeout, || !plan.is_interrupted())
            .context("nothing was sent")?;
        let mut all = all.into_iter();
        let of_model = |model: &Model| all.by_ref().take(model.servers()).collect();
        let targets = plan.models.iter().map(of_model).collect();
        Ok(Self { child: None, targets, truths: Vec::new() })
    }

    /// Somebody's program, which opens the models' ports.
    fn of_binary(plan: &LivePlan, binary: &Path) -> anyhow::Result<Self> {
        let local = |port| {
            let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
            Target { name: address.to_string(), address }
        };
        let of_model = |model: &Model| -> Vec<Target> {
            (0..model.ports.count).map(|i| local(model.ports.first + i)).collect()
        };
        let targets: Vec<Vec<Target>> = plan.models.iter().map(of_model).collect();
        let addresses: Vec<SocketAddr> = targets.iter().flatten().map(|t| t.address).collect();
        check_free(&addresses)?;
        let own = std::env::current_exe().context("cannot find this program's own file")?;
        let log = plan.folder.log("servers");
        let arguments = &plan.arguments.binary_arguments;
        let mut child =
            Launch::guarded("the server program", own, binary, arguments, log).start()?;
        child.give_up_on(Arc::clone(&plan.interrupt));
        child.wait_until_ready(plan.start_timeout)?;
        child.wait_until_open(&addresses, plan.start_timeout).context("nothing was sent")?;
        Ok(Self { child: Some(child), targets, truths: Vec::new() })
    }

    /// Ends the servers and starts new ones.
    pub(crate) fn restart(&mut self, plan: &LivePlan, start: u64) -> anyhow::Result<()> {
        self.stop();
        *self = Self::start(plan, start)?;
        Ok(())
    }

    pub(crate) fn targets(&self, position: usize) -> &[Target] {
        self.targets.get(position).map_or(&[], Vec::as_slice)
    }

    /// What the stand-in servers of the config at `position` drew.
    pub(crate) fn truth(&self, position: usize) -> Option<&Model> {
        self.truths.get(position)
    }

    /// Waits until limiters are as they were before the last run, as every prediction takes them to
    /// be; not longer than [`LONGEST_REST_S`].
    pub(crate) fn rest(plan: &LivePlan, position: usize) {
        let model = &plan.models[position];
        let limits = model.rate_limit_posterior.rows().iter().chain([&model.rate_limit]);
        let longest = limits.map(RateLimit::recovery_s).fold(0.0, f64::max);
        let end = Duration::from_secs_f64(longest.min(LONGEST_REST_S));
        let mut rested = Duration::ZERO;
        while rested < end && !plan.is_interrupted() {
            let step = (end - rested).min(Duration::from_millis(50));
            thread::sleep(step);
            rested += step;
        }
    }

    /// What is wrong with the servers' process.
    pub(crate) fn fault(&mut self) -> Option<String> {
        let child = self.child.as_mut()?;
        (!child.is_alive())
            .then(|| format!("The servers' process ended during the run{}", child.last_messages()))
    }

    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // What cannot be stopped is ended when it is dropped.
            let _ = child.stop(PATIENCE);
        }
    }
}

/// Whether the servers are our own stand-in, which tells what it drew and keeps a log.
pub(crate) fn are_ours(plan: &LivePlan) -> bool {
    plan.arguments.targets.is_none() && plan.arguments.binary.is_none()
}

/// A child that says where it listens.
pub(crate) struct Listening {
    pub(crate) child: Child,
    /// Ports in the model, where it says them, and addresses.
    pub(crate) addresses: Vec<(Option<u16>, SocketAddr)>,
}

/// How to start this program with other arguments.
pub(crate) fn own(name: &str, arguments: Vec<String>, log: PathBuf) -> anyhow::Result<Launch> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let arguments = arguments.into_iter().map(OsString::from).collect();
    Ok(Launch { name: name.to_owned(), program, arguments, log })
}

/// Starts this program with other arguments, and waits until it listens.
pub(crate) fn start_own(
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
pub(crate) const PATIENCE: Duration = Duration::from_millis(400);

/// Requests have this long to be answered; longer than any queue of a run that is not lost.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a proxy may take to end: attempts in flight are waited for.
const PROXY_PATIENCE: Duration = Duration::from_millis(800);

/// A proxy that is to be started.
pub(crate) struct ProxySetup<'a> {
    pub(crate) name: &'a str,
    pub(crate) files: &'a RunFiles,
    pub(crate) strategy: StrategySpec,
    /// The flag that names the model, as in `--config=0`.
    pub(crate) model: String,
    /// The servers, in the model's order.
    pub(crate) targets: &'a [Target],
    pub(crate) seed: u64,
    /// Where it listens; 0: anywhere.
    pub(crate) port: u16,
}

pub(crate) fn start_proxy(plan: &LivePlan, setup: &ProxySetup) -> anyhow::Result<Listening> {
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
        format!("--session={}", plan.folder.name()),
        format!("--metrics={}", setup.files.metrics.display()),
        format!("--trace={}", setup.files.trace.display()),
        format!("--events={}", setup.files.events.display()),
    ];
    arguments.extend(plan.arguments.rules.flags());
    if plan.arguments.allow_remote {
        arguments.push("--allow-remote".to_owned());
    }
    start_own(plan, "the proxy", arguments, plan.folder.log(&format!("proxy-{}", setup.name)))
}

pub(crate) struct Loaded {
    pub(crate) log: LoadLog,
    pub(crate) metrics: Metrics,
    /// What is wrong with how the proxy ended.
    pub(crate) fault: Option<String>,
}

/// Sends so many requests, at so many per second, through a proxy, ends it, and reads its last
/// metrics.
pub(crate) fn send(
    plan: &LivePlan,
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
    plan.folder.write_requests(files, &log)?;
    let metrics = plan.folder.keep_metrics(files)?;
    Ok(Loaded { log, metrics, fault })
}
