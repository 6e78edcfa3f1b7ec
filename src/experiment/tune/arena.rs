//! Plays several settings in the same replications, in parallel, and hands their scores on in order.
//!
//! Of a run only the score is kept, so this is lighter than a sweep.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use crate::balancer::Answer;
use crate::domain::{RequestId, Streams};
use crate::experiment::Contender;
use crate::sim::{Record, Replication};
use crate::strategy::StrategySpec;
use crate::world::Scenario;

/// Runs between two folds: enough to keep threads busy, few enough to make the bar move.
const RUNS_IN_BATCH: u64 = 256;

/// The search was told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted;

/// One scenario and one master seed.
pub(super) struct Arena<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) streams: Streams,
    pub(super) interrupt: &'a AtomicBool,
}

impl Arena<'_> {
    /// Plays these settings in these replications. `push` gets the scores of each replication, in
    /// order of replication; the size of batches and the number of threads change nothing.
    pub(super) fn play(
        &self,
        settings: &[StrategySpec],
        replications: Range<u64>,
        push: &mut dyn FnMut(&[f64]),
    ) -> Result<(), Interrupted> {
        let players: Vec<Contender> = settings.iter().copied().map(Contender::new).collect();
        let threads = rayon::current_num_threads() as u64;
        let batch = (RUNS_IN_BATCH / players.len().max(1) as u64).max(threads);
        let mut next = replications.start;
        while next < replications.end {
            let end = (next + batch).min(replications.end);
            let played: Option<Vec<Vec<f64>>> =
                (next..end).into_par_iter().map(|r| self.scores(&players, r)).collect();
            played.ok_or(Interrupted)?.iter().for_each(|scores| push(scores));
            next = end;
        }
        Ok(())
    }

    /// The scores of one replication; none if interrupted.
    fn scores(&self, players: &[Contender], replication: u64) -> Option<Vec<f64>> {
        let fleet = self.scenario.model.fleet();
        let mut world = Replication::new(self.scenario, &self.streams, replication);
        players
            .iter()
            .map(|player| {
                let built = player.build(&fleet, world.instance(), &self.streams, replication);
                let mut watch = Watch { interrupt: self.interrupt };
                let ledger = world.play(built, &mut watch);
                (!watch.is_cancelled()).then(|| ledger.score(&self.scenario.rules).score())
            })
            .collect()
    }
}

struct Watch<'i> {
    interrupt: &'i AtomicBool,
}

impl Record for Watch<'_> {
    #[inline]
    fn on_answer(&mut self, _request: RequestId, _answer: Answer) {}

    fn is_cancelled(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }
}
