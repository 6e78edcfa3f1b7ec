//! Who plays a small case: the optimal rule and the greedy one as strategies, and the list of
//! rows for the table.

use std::sync::Arc;

use flakelab::domain::{Attempt, Outcome, PendingRequest, ServerId, Timestamp};
use flakelab::strategy::thompson::ThompsonSpec;
use flakelab::strategy::{Decision, Strategy, StrategySpec};
use rand_chacha::ChaCha8Rng;

use super::dynamic_program::{Case, Policy};
use super::prior::Predictive;
use crate::common::five;

/// Decides from the counts of every server, the number of the request and of the attempt.
struct FromCounts<F> {
    counts: Vec<(u16, u16)>,
    rule: F,
}

impl<F: FnMut(usize, usize, &[(u16, u16)]) -> usize + Send> Strategy for FromCounts<F> {
    fn decide(&mut self, _now: Timestamp, request: &PendingRequest) -> Decision {
        let server = (self.rule)(request.id.0 as usize, request.attempts as usize, &self.counts);
        Decision::Send(ServerId(server as u16))
    }

    fn on_outcome(&mut self, _now: Timestamp, attempt: &Attempt, outcome: Outcome) {
        let (successes, failures) = &mut self.counts[attempt.server.index()];
        *(if outcome.is_success() { successes } else { failures }) += 1;
    }
}

/// The optimal rule, playing in a real world.
pub fn optimal(policy: &Arc<Policy>, servers: usize) -> Box<dyn Strategy> {
    let policy = Arc::clone(policy);
    let rule =
        move |request: usize, attempt: usize, counts: &[(u16, u16)]| policy.choose(request, attempt, counts);
    Box::new(FromCounts { counts: vec![(0, 0); servers], rule })
}

/// Every attempt to the server with the highest posterior mean, the first on a tie.
fn greedy(predictive: Arc<Predictive>, servers: usize) -> Box<dyn Strategy> {
    let rule = move |_: usize, _: usize, counts: &[(u16, u16)]| {
        let mean = |i: usize| predictive.mean(counts[i].0.into(), counts[i].1.into());
        (1..counts.len()).fold(0, |best, i| if mean(i) > mean(best) { i } else { best })
    };
    Box::new(FromCounts { counts: vec![(0, 0); servers], rule })
}

/// Builds players of one kind.
pub type Build = Box<dyn Fn(ChaCha8Rng) -> Box<dyn Strategy>>;

/// A row of the table.
pub struct Row {
    pub label: String,
    /// Whether its choice depends on nothing but the counts, the request's number, the attempt's
    /// number and the servers tried for the request: its worth is then computed without luck.
    pub from_counts: bool,
    pub build: Build,
}

impl Row {
    /// A strategy of the catalogue.
    fn of(case: &Case, label: &str, from_counts: bool, spec: StrategySpec) -> Self {
        let servers = case.servers;
        Self {
            label: label.to_owned(),
            from_counts,
            build: Box::new(move |rng| spec.build(servers, rng)),
        }
    }
}

/// All rows of a case. A new one is one line: `Row::of(case, label, from_counts, spec)`, where
/// the specification may be made from `case.prior` for a strategy that is told the prior.
pub fn rows(case: &Case) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for spec in five() {
        let from_counts = ["V1", "V2", "V3"].iter().any(|v| spec.label().starts_with(v));
        rows.push(Row::of(case, &spec.label(), from_counts, spec));
    }
    let kept = ThompsonSpec { exclude_tried: false, ..ThompsonSpec::default() };
    rows.push(Row::of(case, "thompson, no exclusion", false, StrategySpec::Thompson(kept)));
    let (predictive, servers) = (Arc::new(case.predictive()), case.servers);
    rows.push(Row {
        label: "greedy, prior given".to_owned(),
        from_counts: true,
        build: Box::new(move |_| greedy(Arc::clone(&predictive), servers)),
    });
    rows
}
