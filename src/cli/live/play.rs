//! One strategy's run: a proxy of its own, the load, and what both saw.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use super::LivePlan;
use super::children::{ProxySetup, send, start_proxy};
use super::folder::Folder;
use super::path::{NullServer, says_too_little};
use super::progress::RunBar;
use super::servers::Servers;
use crate::live::load::{self, End, LoadLog};
use crate::strategy::StrategySpec;
use crate::validate::forecast::{LiveRequest, LiveRun, RequestEnd};
use crate::world::{Model, Overhead};

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

/// The name of a strategy in files: `v4`, `explore-first`, `larkin-discover_limit-30`.
pub(super) fn short_name(strategy: &StrategySpec) -> String {
    let text = strategy.text();
    match strategy.alias() {
        Some(alias) if text == strategy.name() => alias.to_owned(),
        _ => text.replace([':', '='], "-"),
    }
}

/// Plays the strategy at `number` against the servers of the config at `position`.
pub(super) fn play(
    plan: &LivePlan,
    folder: &Folder,
    servers: &mut Servers,
    null_server: Option<&NullServer>,
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
    let beside = match null_server {
        Some(server) => server.beside(plan, folder, &name, purpose + 1)?,
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
