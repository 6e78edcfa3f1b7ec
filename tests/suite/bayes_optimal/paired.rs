//! Strategies against the optimal rule in the real simulator, on the same servers and the same
//! luck.

use std::sync::Arc;

use flakelab_core::domain::{Purpose, Streams};
use flakelab_core::stats::Moments;
use flakelab_core::strategy::Strategy;
use flakelab_sim::play::{NoRecord, Replication};
use flakelab_sim::world::{Oracle, RateLimit, Scenario};

use super::dynamic_program::{Case, Policy};
use super::players::{Row, optimal};
use crate::common::{constant_ms, model};

/// Scores of one case over many replications.
#[derive(Debug)]
pub struct Paired {
    pub optimum: Moments,
    pub oracle: Moments,
    /// For each row, the optimal rule's score minus its own.
    pub regrets: Vec<Moments>,
}

/// The case as the simulator plays it. Attempts take so little time that no request is given up
/// before the cap.
pub fn scenario(case: &Case) -> Scenario {
    let servers = case.servers as u16;
    let model = model(servers, case.prior.family(), RateLimit::None, constant_ms(0.01));
    Scenario { requests: case.requests as u64, rules: case.rules, ..Scenario::new(model) }
}

/// Plays everybody.
pub fn paired(
    case: &Case,
    policy: &Arc<Policy>,
    rows: &[Row],
    replications: u64,
    master_seed: u64,
) -> Paired {
    let scenario = scenario(case);
    let streams = Streams::new(master_seed);
    let mut result = Paired {
        optimum: Moments::default(),
        oracle: Moments::default(),
        regrets: vec![Moments::default(); rows.len()],
    };
    for replication in 0..replications {
        let mut world = Replication::new(&scenario, &streams, replication);
        let oracle = Oracle::new(world.instance());
        let known = world.seat_as_given(|_| Box::new(oracle));
        result.oracle.push(world.play(known, &mut NoRecord).score(&case.rules).score());
        let mut play = |who: Box<dyn Strategy>| {
            let seat = world.seat(|_| who);
            world.play(seat, &mut NoRecord).score(&case.rules).score()
        };
        let best = play(optimal(policy, case.servers));
        result.optimum.push(best);
        for (row, (regret, stream)) in rows.iter().zip(result.regrets.iter_mut().zip(0..)) {
            let rng = streams.stream(Purpose::Strategy, stream, replication);
            regret.push(best - play((row.build)(rng)));
        }
    }
    result
}
