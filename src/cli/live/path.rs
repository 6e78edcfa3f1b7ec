//! The path from load generator to server, measured against a null server that takes a known time:
//! before the run, so that latencies can be predicted, and beside every strategy's run, because
//! a shared machine is not the same a minute later.
//!
//! Each measurement has a proxy of its own, as each strategy has, and the load of the run up to
//! [`MOST_PER_SECOND`].

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use super::LivePlan;
use super::children::{Listening, PATIENCE, ProxySetup, send, start_own, start_proxy};
use super::folder::{Folder, RunFiles};
use super::progress::RunBar;
use crate::domain::RequestId;
use crate::live::emulator::null_model;
use crate::live::load::Sent;
use crate::live::processes::Child;
use crate::live::proxy::Step;
use crate::live::{AnsweredAt, Target, measured_overhead};
use crate::strategy::StrategySpec;
use crate::strategy::random::RandomSpec;
use crate::trace::Trace;
use crate::world::Overhead;

/// Requests that the path is measured with before the run, at least and at most.
const REQUESTS: (f64, f64) = (40.0, 400.0);

/// A measurement beside a run must not be a load of its own.
const MOST_PER_SECOND: f64 = 200.0;
const MOST_BESIDE_A_RUN: u64 = 2000;

/// A median of fewer requests says too little of the path.
const FEWEST: usize = 20;

/// The server that takes a known time, and the model of it.
pub(super) struct NullServer {
    target: Target,
    model: PathBuf,
    process: Child,
}

impl NullServer {
    /// Starts it; it is there as long as its process runs.
    pub(super) fn start(plan: &LivePlan, folder: &Folder) -> anyhow::Result<Self> {
        let arguments = ["failingserver", "--null", "--port-base=0", "--supervised"];
        let arguments = arguments.map(str::to_owned).to_vec();
        let server = start_own(plan, "the null server", arguments, folder.log("null-server"))?;
        let address = server.addresses.first().context("the null server says no address")?.1;
        let target = Target { name: address.to_string(), address };
        let model = folder.write_model("null.toml", &null_model())?;
        Ok(Self { target, model, process: server.child })
    }

    /// Ends it.
    pub(super) fn stop(&mut self) {
        // What cannot be stopped is ended when it is dropped.
        let _ = self.process.stop(PATIENCE);
    }

    /// Measures the path before the run.
    pub(super) fn before(&self, plan: &LivePlan, folder: &Folder) -> anyhow::Result<Overhead> {
        let rate = plan.arguments.rps.min(MOST_PER_SECOND);
        let requests = (plan.arguments.path_seconds * rate).clamp(REQUESTS.0, REQUESTS.1) as u64;
        let bar = RunBar::new(plan, requests, "measuring the path");
        let ready = self.open(plan, folder, "before", (requests, rate), 1)?;
        let measured = ready.measure(plan, folder, |sent| bar.count(sent))?;
        bar.clear();
        Ok(measured)
    }

    /// Makes ready to measure the path while a run lasts. None where the path of the run would not be that
    /// of the measurement: several requests in service, or more a second than a measurement may
    /// have.
    pub(super) fn beside(
        &self,
        plan: &LivePlan,
        folder: &Folder,
        name: &str,
        purpose: u64,
    ) -> anyhow::Result<Option<Measurement>> {
        let rate = plan.arguments.rps;
        if rate > MOST_PER_SECOND || plan.rules.max_requests_in_service > 1 {
            return Ok(None);
        }
        let requests = plan.requests.min(MOST_BESIDE_A_RUN);
        let rate = rate * requests as f64 / plan.requests as f64;
        self.open(plan, folder, name, (requests, rate), purpose).map(Some)
    }

    fn open(
        &self,
        plan: &LivePlan,
        folder: &Folder,
        name: &str,
        pace: (u64, f64),
        purpose: u64,
    ) -> anyhow::Result<Measurement> {
        let files = folder.measurement(name);
        let setup = ProxySetup {
            name: &format!("path-{name}"),
            files: &files,
            strategy: StrategySpec::Random(RandomSpec::default()),
            model: format!("--model={}", self.model.display()),
            targets: std::slice::from_ref(&self.target),
            seed: plan.seed_for(purpose),
            port: 0,
        };
        let proxy = start_proxy(plan, folder, &setup)?;
        Ok(Measurement { files, proxy, pace, purpose })
    }
}

/// A measurement that is ready: its proxy listens.
pub(super) struct Measurement {
    files: RunFiles,
    proxy: Listening,
    pace: (u64, f64),
    purpose: u64,
}

impl Measurement {
    /// Half the time between two requests: what is measured beside a run is sent in the gaps.
    pub(super) fn half_a_period(&self) -> Duration {
        Duration::from_secs_f64(0.5 / self.pace.1)
    }

    /// Sends the load and takes what it shows.
    pub(super) fn measure(
        self,
        plan: &LivePlan,
        folder: &Folder,
        on_end: impl FnMut(&Sent),
    ) -> anyhow::Result<Overhead> {
        let Self { files, proxy, pace, purpose } = self;
        let sent = send(plan, folder, &files, proxy, pace, purpose, on_end)?;
        let ids: BTreeMap<String, RequestId> = Trace::read(&files.trace)?
            .rows
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

/// Whether so little was measured that it says nothing of the path.
pub(super) fn says_too_little(path: &Overhead) -> bool {
    path.requests.len() < FEWEST
}
