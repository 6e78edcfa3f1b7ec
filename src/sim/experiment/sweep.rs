//! Plays a plan: replications in parallel, their results folded one by one in order.
//!
//! Threads only play; every number that ends in a file is computed by folding finished
//! replications in order of their number, so neither the number of threads nor the size of a
//! batch can change a bit of it.

use std::error::Error;
use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use crate::experiment::plan::Plan;
use crate::experiment::play::{Played, RowSink, play};
use crate::experiment::summary::Summary;
use crate::experiment::tally::ScenarioSums;
use flakelab_core::domain::Streams;

/// Most replications played between two folds: enough to keep threads busy, few enough to make
/// the progress bar move.
const LARGEST_BATCH: u64 = 128;

/// Request latencies that a batch may hold (8 bytes each), unless that would leave threads idle.
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
}

/// What a sweep tells while it lasts, each in turn as it is done.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A batch of replications was played.
    Played,
    /// It was folded, and its rows were handed on.
    Folded(Progress),
    /// The numbers of a scenario became its summary, P(best) by bootstrap among them.
    Summarised,
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

impl Swept {
    /// Finished replications, over all scenarios.
    pub fn finished(&self) -> u64 {
        self.summary.scenarios.iter().map(|s| s.replications).sum()
    }
}

/// Plays the plan on rayon's current pool.
///
/// `tell` hears of every [`Step`]. When `interrupt` becomes true the sweep ends soon, with the
/// replications folded so far. The only errors are those of the sink.
pub fn sweep(
    plan: &Plan,
    sink: &mut impl RowSink,
    interrupt: &AtomicBool,
    tell: impl FnMut(&Step),
) -> Result<Swept, Box<dyn Error + Send + Sync>> {
    sweep_in_batches(LARGEST_BATCH, plan, sink, interrupt, tell)
}

/// The same with at most so many replications between two folds, which changes no result.
fn sweep_in_batches(
    largest_batch: u64,
    plan: &Plan,
    sink: &mut impl RowSink,
    interrupt: &AtomicBool,
    mut tell: impl FnMut(&Step),
) -> Result<Swept, Box<dyn Error + Send + Sync>> {
    let streams = Streams::new(plan.master_seed);
    let total = plan.replications * plan.scenarios.len() as u64;
    let mut done = 0;
    let mut scenarios = Vec::new();
    let mut interrupted = false;
    'scenarios: for index in 0..plan.scenarios.len() {
        let scenario = plan.played(index);
        let mut tally = ScenarioSums::new(plan, index);
        let in_replication = scenario.requests * plan.contenders.len() as u64;
        let threads = rayon::current_num_threads() as u64;
        let batch_size = (LATENCIES_IN_BATCH / in_replication).max(threads).min(largest_batch);
        let mut next = 0;
        while next < plan.replications {
            let end = (next + batch_size).min(plan.replications);
            let batch: Option<Vec<Vec<Played>>> = (next..end)
                .into_par_iter()
                .map(|replication| {
                    play(&scenario, &plan.contenders, &streams, replication, interrupt)
                })
                .collect();
            let Some(batch) = batch else {
                interrupted = true;
                if tally.replications() > 0 {
                    scenarios.push(tally.finish(&streams));
                    tell(&Step::Summarised);
                }
                break 'scenarios;
            };
            tell(&Step::Played);
            for (replication, played) in (next..end).zip(&batch) {
                tally.fold(replication, played);
            }
            sink.push(tally.rows())?;
            tally.clear_rows();
            done += end - next;
            next = end;
            let (leader, leader_score) = tally.leader();
            tell(&Step::Folded(Progress { done, total, leader, leader_score }));
        }
        scenarios.push(tally.finish(&streams));
        tell(&Step::Summarised);
    }
    Ok(Swept { summary: Summary { scenarios }, interrupted })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::plan::Contender;
    use crate::experiment::play::Row;
    use crate::world::{ErrorFamily, LatencyFamily, LogNormal, Model, RateLimit, Scenario};
    use flakelab_core::strategy::StrategySpec;

    fn plan() -> Plan {
        let rate_limit = RateLimit::FixedWindow { limit: 2, window_s: 0.7, phase_s: None };
        let latency = LatencyFamily::LogNormal(LogNormal { median_ms: 1.1, sigma: 0.3 }).into();
        let beta = ErrorFamily::Beta { alpha: 2.0, beta: 3.0 };
        let model = Model { rate_limit, latency, ..Model::of_population(4, beta) };
        let scenario = Scenario { requests: 40, ..Scenario::new(model) };
        let ranked =
            StrategySpec::named_by("all").unwrap().into_iter().map(Contender::new).collect();
        Plan::new("x", vec![scenario], ranked, 150, 7).unwrap()
    }

    #[test]
    fn the_size_of_batches_and_the_order_of_work_within_them_change_nothing() {
        let run = |largest_batch| {
            let mut rows: Vec<Row> = Vec::new();
            let go_on = AtomicBool::new(false);
            let swept = sweep_in_batches(largest_batch, &plan(), &mut rows, &go_on, |_| ());
            (rows, swept.unwrap().summary)
        };
        let expected = run(128);
        assert_eq!(run(1), expected);
        assert_eq!(run(7), expected);
    }

    #[test]
    fn replications_played_in_reverse_fold_to_the_same_rows() {
        let plan = plan();
        let (streams, go_on) = (Streams::new(plan.master_seed), AtomicBool::new(false));
        let mut played: Vec<(u64, Vec<Played>)> = (0..plan.replications)
            .rev()
            .filter_map(|r| {
                Some((r, play(&plan.scenarios[0], &plan.contenders, &streams, r, &go_on)?))
            })
            .collect();
        played.reverse();
        let mut tally = ScenarioSums::new(&plan, 0);
        played.iter().for_each(|(replication, played)| tally.fold(*replication, played));
        let mut rows: Vec<Row> = Vec::new();
        sweep(&plan, &mut rows, &go_on, |_| ()).unwrap();
        assert_eq!(tally.rows(), rows);
    }

    #[test]
    fn an_interrupt_keeps_whole_replications_only() {
        let (plan, interrupt) = (plan(), AtomicBool::new(false));
        let mut rows: Vec<Row> = Vec::new();
        let stop = |_: &Step| interrupt.store(true, std::sync::atomic::Ordering::Relaxed);
        let swept = sweep_in_batches(10, &plan, &mut rows, &interrupt, stop).unwrap();
        assert!(swept.interrupted);
        assert_eq!(swept.summary.scenarios[0].replications, 10);
        assert_eq!(rows.len(), 10 * plan.contenders.len());
    }
}
