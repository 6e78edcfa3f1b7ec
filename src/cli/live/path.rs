//! The path from load generator to server, measured against a null server that takes a known time:
//! before the run, so that latencies can be predicted, and beside every strategy's run, because
//! a shared machine is not the same a minute later.
//!
//! Each measurement has a proxy of its own, as each strategy has, and the load of the run up to
//! [`MOST_PER_SECOND`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::Context;

use super::Plan;
use super::children::start_own;
use super::folder::Folder;
use super::play::{ProxySetup, send, start_proxy};
use super::progress::RunBar;
use crate::live::emulator::null_model;
use crate::live::load::Sent;
use crate::live::processes::Child;
use crate::live::{Target, measured_overhead};
use crate::strategy::StrategySpec;
use crate::trace::Trace;
use crate::world::Overhead;

/// Requests that the path is measured with before the run, at least and at most.
const REQUESTS: (f64, f64) = (40.0, 400.0);

/// A measurement beside a run must not be a load of its own.
const MOST_PER_SECOND: f64 = 200.0;
const MOST_BESIDE_A_RUN: f64 = 2000.0;

/// A median of fewer requests says too little of the path.
const FEWEST: usize = 20;

/// The way to the null server.
pub(super) struct Path {
    target: Target,
    model: PathBuf,
}

impl Path {
    /// Starts the null server; the path is there as long as it runs.
    pub(super) fn start(plan: &Plan, folder: &Folder) -> anyhow::Result<(Self, Child)> {
        let arguments = ["failingserver", "--null", "--port-base=0", "--supervised"];
        let arguments = arguments.map(str::to_owned).to_vec();
        let server = start_own(plan, "the null server", arguments, folder.log("null-server"))?;
        let address = server.addresses.first().context("the null server says no address")?.1;
        let target = Target { name: address.to_string(), address };
        let model = folder.write_model("null.toml", &null_model())?;
        Ok((Self { target, model }, server.child))
    }

    /// Measures before the run.
    pub(super) fn before(&self, plan: &Plan, folder: &Folder) -> anyhow::Result<Overhead> {
        let rate = plan.arguments.rps.min(MOST_PER_SECOND);
        let requests = (plan.arguments.path_seconds * rate).clamp(REQUESTS.0, REQUESTS.1) as u64;
        let bar = RunBar::new(plan, requests, "measuring the path");
        let measured =
            self.measure(plan, folder, "before", (requests, rate), 1, |sent| bar.count(sent))?;
        bar.clear();
        Ok(measured)
    }

    /// Measures while a run lasts; none if the run is too short to tell.
    pub(super) fn beside(
        &self,
        plan: &Plan,
        folder: &Folder,
        name: &str,
        purpose: u64,
    ) -> anyhow::Result<Option<Overhead>> {
        let seconds = plan.requests as f64 / plan.arguments.rps;
        let rate = plan.arguments.rps.min(MOST_PER_SECOND).min(MOST_BESIDE_A_RUN / seconds);
        let requests = (seconds * rate).max(1.0) as u64;
        let measured = self.measure(plan, folder, name, (requests, rate), purpose, |_| ())?;
        Ok(Some(measured).filter(|overhead| overhead.request_ms.len() >= FEWEST))
    }

    fn measure(
        &self,
        plan: &Plan,
        folder: &Folder,
        name: &str,
        (requests, rate): (u64, f64),
        purpose: u64,
        on_end: impl FnMut(&Sent),
    ) -> anyhow::Result<Overhead> {
        let files = folder.measurement(name);
        let setup = ProxySetup {
            files: &files,
            strategy: StrategySpec::Random,
            model: format!("--model={}", self.model.display()),
            targets: std::slice::from_ref(&self.target),
            seed: plan.seed_for(purpose),
            port: 0,
        };
        let proxy = start_proxy(plan, folder, &setup)?;
        let stop: &AtomicBool = &plan.interrupt;
        let (log, _) = send(plan, folder, &files, proxy, (requests, rate), purpose, stop, on_end)?;
        let trace = Trace::read(&files.trace)?;
        let latency_ms =
            |sent: &Sent| Some((sent.identifier.to_string(), sent.latency?.as_secs_f64() * 1e3));
        let latencies: BTreeMap<String, f64> = log.sent.iter().filter_map(latency_ms).collect();
        let known_ms = null_model().latency.rate_limited().as_millis_f64();
        Ok(measured_overhead(&trace.rows, &latencies, known_ms))
    }
}
