//! Who plays a small case: the optimal rule as a strategy, two simple rules that are told the
//! prior, and the list of rows for the table.

use std::sync::Arc;

use flakelab_core::domain::{Attempt, Fleet, Outcome, PendingRequest, ServerId, Timestamp};
use flakelab_core::strategy::ExploreFirstSpec;
use flakelab_core::strategy::ThompsonSpec;
use flakelab_core::strategy::{Decision, Strategy, StrategySpec};
use rand_chacha::ChaCha8Rng;

use super::dynamic_program::{Case, Policy};
use super::index_rules::{first_max, least_known};
use super::prior::Predictive;
use crate::common::named;

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
    let rule = move |request: usize, attempt: usize, counts: &[(u16, u16)]| {
        policy.choose(request, attempt, counts)
    };
    Box::new(FromCounts { counts: vec![(0, 0); servers], rule })
}

/// Every attempt to the server with the highest posterior mean, the first on a tie.
pub fn greedy(predictive: Arc<Predictive>, servers: usize) -> Box<dyn Strategy> {
    let rule = move |_: usize, _: usize, counts: &[(u16, u16)]| {
        first_max(counts.len(), |i| predictive.mean(counts[i].0.into(), counts[i].1.into()))
    };
    Box::new(FromCounts { counts: vec![(0, 0); servers], rule })
}

/// The first attempt of a request goes to the server known least (largest standard deviation of
/// the belief) among those whose mean + one deviation reaches the highest mean; all others to the
/// highest mean. In a first attempt a poor server costs little, since two more are free.
fn explore_while_plausible(predictive: Arc<Predictive>, servers: usize) -> Box<dyn Strategy> {
    let rule = move |_: usize, attempt: usize, counts: &[(u16, u16)]| {
        let belief = |(s, f): &(u16, u16)| {
            let (s, f) = (usize::from(*s), usize::from(*f));
            (predictive.mean(s, f), predictive.std_dev(s, f))
        };
        let beliefs: Vec<(f64, f64)> = counts.iter().map(belief).collect();
        least_known(&beliefs, if attempt == 0 { 1.0 } else { 0.0 })
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
    pub fn of(case: &Case, label: &str, from_counts: bool, spec: StrategySpec) -> Self {
        let servers = case.servers;
        Self {
            label: label.to_owned(),
            from_counts,
            build: Box::new(move |rng| spec.build(&Fleet::uniform(servers), rng)),
        }
    }
}

/// All rows of a case. A new one is one line: `Row::of(case, label, from_counts, spec)`, where
/// the specification may be made from `case.prior` (`as_beta`) for a strategy that is told the
/// prior.
pub fn rows(case: &Case) -> Vec<Row> {
    let kept = ThompsonSpec { exclude_tried: false, ..ThompsonSpec::default() };
    let mut rows = vec![
        Row::of(case, "V1 larkin", true, named("v1")),
        Row::of(case, "V2 ucb1", true, named("v2")),
        Row::of(case, "V3 ucb-free", true, named("v3")),
        Row::of(case, "V4 thompson", false, named("v4")),
        Row::of(case, "V5 thompson-scaled", false, named("v5")),
        Row::of(case, "thompson, no exclusion", false, StrategySpec::Thompson(kept)),
    ];
    let (alpha, beta) = case.prior.as_beta();
    let told = ExploreFirstSpec {
        outage_hazard: 0.0,
        prior_successes: alpha,
        prior_failures: beta,
        ..ExploreFirstSpec::default()
    };
    rows.push(Row::of(case, "explore-first, prior given", true, StrategySpec::ExploreFirst(told)));
    rows.push(Row::of(case, "explore-first", false, named("explore-first")));
    let servers = case.servers;
    for (label, of) in [
        ("greedy, prior given", greedy as fn(_, _) -> _),
        ("explore while plausible, prior given", explore_while_plausible),
    ] {
        let predictive = Arc::new(case.predictive());
        let build: Build = Box::new(move |_| of(Arc::clone(&predictive), servers));
        rows.push(Row { label: label.to_owned(), from_counts: true, build });
    }
    rows
}
