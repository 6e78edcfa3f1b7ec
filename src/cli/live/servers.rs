//! The servers of a run: our own stand-in, somebody's program, or servers that run already.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use super::LivePlan;
use super::children::{PATIENCE, start_own};
use super::folder::Folder;
use crate::live::Target;
use crate::live::processes::{Child, Launch, check_free, wait_until_open};
use crate::world::{Model, RateLimit};

/// Limits that take longer to recover are met as the run before left them.
const LONGEST_REST_S: f64 = 10.0;

/// The running servers.
pub(super) struct Servers {
    /// Their process; none if somebody else runs them.
    child: Option<Child>,
    /// The targets of each config, in the model's order.
    targets: Vec<Vec<Target>>,
    /// What our own stand-in servers drew, one model a config.
    truths: Vec<Model>,
}

/// Who the servers are, as reports say it.
pub(super) fn description(plan: &LivePlan) -> String {
    match (&plan.arguments.targets, &plan.arguments.binary) {
        (Some(targets), _) => format!("servers that ran already: {targets}"),
        (None, Some(binary)) => format!("the program {}", binary.display()),
        (None, None) => "our own stand-in servers, drawn from the model".to_owned(),
    }
}

impl Servers {
    /// Starts the servers, or finds those that run; nothing is sent to them. `start` numbers the
    /// starts of a run.
    pub(super) fn start(plan: &LivePlan, folder: &Folder, start: u64) -> anyhow::Result<Self> {
        if let Some(list) = &plan.arguments.targets {
            return Self::running(plan, list);
        }
        if let Some(binary) = &plan.arguments.binary {
            return Self::of_binary(plan, folder, binary);
        }
        let truth = folder.truth(start);
        let mut arguments = vec![
            "failingserver".to_owned(),
            "--supervised".to_owned(),
            format!("--seed={}", plan.seed_for(10 + start)),
            format!("--log={}", folder.servers_log(start).display()),
            format!("--truth={}", truth.display()),
        ];
        arguments.extend(plan.arguments.port_base.map(|base| format!("--port-base={base}")));
        arguments.extend(plan.servers_flags());
        let started = start_own(plan, "the stand-in servers", arguments, folder.log("servers"))?;
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
        Ok(Self { child: None, targets: split(plan, all), truths: Vec::new() })
    }

    /// Somebody's program, which opens the models' ports.
    fn of_binary(plan: &LivePlan, folder: &Folder, binary: &Path) -> anyhow::Result<Self> {
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
        let log = folder.log("servers");
        let arguments = &plan.arguments.binary_arguments;
        let mut child =
            Launch::guarded("the server program", own, binary, arguments, log).start()?;
        child.give_up_on(Arc::clone(&plan.interrupt));
        child.wait_until_ready(plan.start_timeout)?;
        child.wait_until_open(&addresses, plan.start_timeout).context("nothing was sent")?;
        Ok(Self { child: Some(child), targets, truths: Vec::new() })
    }

    /// Ends the servers and starts new ones.
    pub(super) fn restart(
        &mut self,
        plan: &LivePlan,
        folder: &Folder,
        start: u64,
    ) -> anyhow::Result<()> {
        self.stop();
        *self = Self::start(plan, folder, start)?;
        Ok(())
    }

    /// The servers of the config at `position`.
    pub(super) fn targets(&self, position: usize) -> &[Target] {
        self.targets.get(position).map_or(&[], Vec::as_slice)
    }

    /// What the stand-in servers of the config at `position` drew.
    pub(super) fn truth(&self, position: usize) -> Option<&Model> {
        self.truths.get(position)
    }

    /// Waits until limiters are as they were before the last run, as every prediction takes them to
    /// be; not longer than [`LONGEST_REST_S`].
    pub(super) fn rest(plan: &LivePlan, position: usize) {
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
    pub(super) fn fault(&mut self) -> Option<String> {
        let child = self.child.as_mut()?;
        (!child.is_alive())
            .then(|| format!("The servers' process ended during the run{}", child.last_messages()))
    }

    /// Ends the servers, if they are ours to end.
    pub(super) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // What cannot be stopped is ended when it is dropped.
            let _ = child.stop(PATIENCE);
        }
    }
}

/// The targets of each model.
fn split(plan: &LivePlan, all: Vec<Target>) -> Vec<Vec<Target>> {
    let mut all = all.into_iter();
    plan.models.iter().map(|model| all.by_ref().take(model.servers()).collect()).collect()
}

/// Whether the servers are our own stand-in, which tells what it drew and keeps a log.
pub(super) fn are_ours(plan: &LivePlan) -> bool {
    plan.arguments.targets.is_none() && plan.arguments.binary.is_none()
}
