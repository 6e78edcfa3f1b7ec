//! Plays a plan: replications in parallel, their results folded one by one in order.
//!
//! Threads only play; every number that ends in a file is computed by folding finished
//! replications in order of their number, so neither the number of threads nor the size of a
//! batch can change a bit of it.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::tally::{Played, Tally, play};
use super::{Plan, RowSink, Summary};
use crate::domain::Streams;

/// Most replications played between two folds: enough to keep threads busy, few enough to make
/// the progress bar move.
const LARGEST_BATCH: u64 = 128;
/// Most request latencies that a batch may hold (8 bytes each).
const LATENCIES_IN_BATCH: u64 = 8_000_000;

/// How far a sweep has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Replications folded so far, over all scenarios.
    pub done: u64,
    /// Replications in all.
    pub total: u64,
    /// Label of the ranked contender in the lead, in the current scenario.
    pub leader: String,
    /// Its mean score.
    pub leader_score: f64,
    /// Half-width of the 95 % interval of that mean.
    pub leader_half_width: f64,
}

/// The end of a sweep.
#[derive(Debug)]
pub struct Swept {
    /// What was found; scenarios without a finished replication are left out.
    pub summary: Summary,
    /// Whether the sweep was interrupted. Its finished replications are then a prefix of the
    /// plan's and just as valid.
    pub interrupted: bool,
}

/// Plays the plan on rayon's current pool.
///
/// `progress` hears after every batch. When `interrupt` becomes true the sweep ends soon, with
/// the replications folded so far. The only errors are those of the sink.
pub fn sweep(
    plan: &Plan,
    sink: &mut impl RowSink,
    interrupt: &AtomicBool,
    mut progress: impl FnMut(&Progress),
) -> Result<Swept, Box<dyn Error + Send + Sync>> {
    let streams = Streams::new(plan.master_seed);
    let total = plan.replications * plan.scenarios.len() as u64;
    let mut done = 0;
    let mut scenarios = Vec::new();
    let mut interrupted = false;
    'scenarios: for (index, scenario) in plan.scenarios.iter().enumerate() {
        let mut tally = Tally::new(plan, index);
        let in_replication = scenario.requests * plan.contenders.len() as u64;
        let batch_size = (LATENCIES_IN_BATCH / in_replication).clamp(1, LARGEST_BATCH);
        let mut next = 0;
        while next < plan.replications {
            let end = (next + batch_size).min(plan.replications);
            let batch: Option<Vec<Vec<Played>>> = (next..end)
                .into_par_iter()
                .map(|replication| {
                    if interrupt.load(Ordering::Relaxed) {
                        return None;
                    }
                    Some(play(scenario, &plan.contenders, &streams, replication))
                })
                .collect();
            let Some(batch) = batch else {
                interrupted = true;
                if tally.replications() > 0 {
                    scenarios.push(tally.finish(&streams));
                }
                break 'scenarios;
            };
            for (replication, played) in (next..end).zip(&batch) {
                tally.fold(replication, played);
            }
            sink.push(tally.rows())?;
            tally.clear_rows();
            done += end - next;
            next = end;
            let (leader, score) = tally.leader();
            progress(&Progress {
                done,
                total,
                leader,
                leader_score: score.mean(),
                leader_half_width: score.mean_interval(0.95).half_width(),
            });
        }
        scenarios.push(tally.finish(&streams));
    }
    Ok(Swept { summary: Summary { scenarios }, interrupted })
}
