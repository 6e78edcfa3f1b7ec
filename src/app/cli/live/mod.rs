//! `flakelab live`: the same strategies in front of real servers, and whether what the simulator
//! predicted of them came true.
//!
//! ```text
//! servers (one process) <- path measured -> prediction.json -> each strategy: proxy + load
//!                                                                   -> verdict -> files
//! ```

mod finish;
mod folder;
mod plan;
mod run;
mod servers;

use std::thread;

use anyhow::bail;

use crate::cli::common::{Ending, OutputArguments};
use crate::cli::live::finish::{OfConfig, finish, predict, write_prediction};
use crate::cli::live::plan::LivePlan;
use crate::cli::live::run::{NullServer, Viewer, play};
use crate::cli::live::servers::Servers;
use flakelab_sim::world::Overhead;

pub(crate) use self::plan::LiveArguments;

pub(crate) fn run(arguments: &LiveArguments, output: &OutputArguments) -> anyhow::Result<Ending> {
    let Some(plan) = LivePlan::of(arguments, output)? else { return Ok(Ending::Interrupted) };
    let ended = run_in(&plan);
    if !matches!(ended, Ok(Some(_))) {
        plan.folder.remove_if_unused();
    }
    match ended {
        Ok(Some(ending)) => Ok(ending),
        // What failed after an interrupt failed because everything was being ended.
        Ok(None) | Err(_) if plan.is_interrupted() => {
            plan.say("interrupted before the first run was played");
            Ok(Ending::Interrupted)
        }
        Ok(None) => bail!("nothing was played"),
        Err(error) => Err(error),
    }
}

/// None if it was interrupted before anything was played.
fn run_in(plan: &LivePlan) -> anyhow::Result<Option<Ending>> {
    plan.say(&format!("seed {}, results in {}", plan.seed, plan.folder.path().display()));
    // Its ports may be taken, which had better be known before four seconds are over.
    let mut servers = Servers::start(plan, 0)?;
    let mut null_server = match plan.arguments.no_overhead {
        true => None,
        false => Some(NullServer::start(plan)?),
    };
    let overhead = null_server.as_ref().map(|server| server.before(plan)).transpose()?;
    if plan.is_interrupted() {
        return Ok(None);
    }
    let viewer = Viewer::start(plan)?;
    let mut configs = predict(plan, &servers, overhead.as_ref());
    let (server, before) = (null_server.as_ref(), overhead.as_ref());
    let played = play_all(plan, &mut servers, server, before, &mut configs);
    // Side by side, because Ctrl-C must end all of them soon.
    thread::scope(|scope| {
        scope.spawn(|| servers.stop());
        scope.spawn(|| null_server.as_mut().map(NullServer::stop));
        scope.spawn(|| viewer.stop());
    });
    // What was played is kept, whatever ended the rest.
    let ending = finish(plan, overhead.as_ref(), configs)?;
    match played {
        Err(error) if !plan.is_interrupted() => Err(error),
        _ => Ok(ending),
    }
}

/// Plays every strategy of every config in turn, until an interrupt.
fn play_all(
    plan: &LivePlan,
    servers: &mut Servers,
    null_server: Option<&NullServer>,
    overhead: Option<&Overhead>,
    configs: &mut [OfConfig],
) -> anyhow::Result<()> {
    if plan.is_interrupted() {
        return Ok(());
    }
    write_prediction(plan, configs)?;
    let mut starts = 0;
    for position in 0..configs.len() {
        for number in 0..plan.strategies.len() {
            if plan.arguments.restart_servers {
                if starts > 0 {
                    servers.restart(plan, starts)?;
                }
                starts += 1;
                configs[position].predict_start(plan, servers, number, overhead);
                if plan.is_interrupted() {
                    return Ok(());
                }
                write_prediction(plan, configs)?;
            } else if number > 0 {
                Servers::rest(plan, position);
            }
            if plan.is_interrupted() {
                return Ok(());
            }
            let played = play(plan, servers, null_server, (position, number))?;
            let fault = played.faults.first().cloned();
            configs[position].played.push(played);
            // Whatever comes after would be played against, or by, what is not there.
            if let Some(fault) = fault.filter(|_| !plan.is_interrupted()) {
                bail!("{fault}");
            }
        }
    }
    Ok(())
}
