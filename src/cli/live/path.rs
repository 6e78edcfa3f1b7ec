//! The path from load generator to server, measured before the run: against a null server that
//! takes a known time, through a proxy, at the pace of the run.

use std::collections::BTreeMap;

use anyhow::Context;

use super::Plan;
use super::children::{PATIENCE, start_own};
use super::folder::Folder;
use super::play::{ProxySetup, send, start_proxy};
use super::progress::RunBar;
use crate::live::emulator::null_model;
use crate::live::{Target, measured_overhead};
use crate::strategy::StrategySpec;
use crate::trace::Trace;
use crate::world::Overhead;

/// Seconds of the run that the path is measured for, and requests at least and at most.
const SECONDS: f64 = 4.0;
const REQUESTS: (f64, f64) = (40.0, 400.0);

/// Measures the path; none after an interrupt.
pub(super) fn measure_path(plan: &Plan, folder: &Folder) -> anyhow::Result<Option<Overhead>> {
    let arguments = ["failingserver", "--null", "--port-base=0", "--supervised"];
    let arguments = arguments.map(str::to_owned).to_vec();
    let mut server = start_own(plan, "the null server", arguments, folder.log("null-server"))?;
    let address = server.addresses.first().context("the null server says no address")?.1;
    let target = Target { name: address.to_string(), address };
    let known = null_model();
    let model = folder.write_model("null.toml", &known)?;
    let files = folder.measurement();
    let setup = ProxySetup {
        files: &files,
        strategy: StrategySpec::Random,
        model: format!("--model={}", model.display()),
        targets: &[target],
        seed: plan.seed_for(1),
        port: 0,
    };
    let requests = (SECONDS * plan.arguments.rps).clamp(REQUESTS.0, REQUESTS.1) as u64;
    let bar = RunBar::new(plan, requests, "measuring the path");
    let proxy = start_proxy(plan, folder, &setup)?;
    let (log, _) = send(plan, folder, &files, proxy, requests, 1, &bar)?;
    bar.clear();
    server.child.stop(PATIENCE).context("the null server cannot be stopped")?;
    if plan.is_interrupted() {
        return Ok(None);
    }
    let trace = Trace::read(&files.trace)?;
    let latencies: BTreeMap<String, f64> = log
        .sent
        .iter()
        .filter_map(|sent| Some((sent.identifier.to_string(), sent.latency?.as_secs_f64() * 1e3)))
        .collect();
    Ok(Some(measured_overhead(
        &trace.rows,
        &latencies,
        known.latency.rate_limited().as_millis_f64(),
    )))
}
