//! The order of a model's servers must not matter: a strategy does as well whichever of them is the
//! good one.
//!
//! Each model is played with its servers in several orders, and the attempts of the runs are
//! compared by a chi-square test of homogeneity (orders x fifths of all runs). The test is run on
//! every strategy there is; one alarms falsely with chance 1e-5, all of them in both models with
//! chance 5e-4, and the seeds are fixed. Strategies that see the servers in the order of the model
//! are the planted bug.

use flakelab_core::domain::{
    Attempt, Fleet, Outcome, PendingRequest, Purpose, ServerId, ServerOrder, Streams, Timestamp,
};
use flakelab_core::stats::chi_square_sf;
use flakelab_core::strategy::{Decision, Strategy, StrategySpec};
use flakelab_sim::experiment::Contender;

use crate::common::{compared, constant_ms, named, oracle, scenario, servers};

const REPLICATIONS: u64 = 400;
const REQUESTS: u64 = 60;

/// One of ten never fails, at places 0, 6 and 9.
fn one_is_perfect() -> Vec<Vec<f64>> {
    let at = |place: usize| (0..10).map(|i| if i == place { 0.0 } else { 0.6 }).collect();
    [0, 6, 9].map(at).to_vec()
}

/// From the best to the worst, from the worst to the best, and mixed.
fn from_good_to_bad() -> Vec<Vec<f64>> {
    let up: Vec<f64> = (0..10).map(|i| 0.08 * f64::from(i)).collect();
    let down = up.iter().rev().copied().collect();
    let mixed = [7, 2, 9, 4, 0, 8, 3, 6, 1, 5].map(|i| up[i]).to_vec();
    vec![up, down, mixed]
}

/// Of each contender the p-value of the hypothesis that the order of the servers is no matter.
fn p_values(orders: &[Vec<f64>], ranked: &[Contender]) -> Vec<(String, f64)> {
    let attempts: Vec<Vec<Vec<u64>>> = (1..)
        .zip(orders)
        .map(|(seed, rates)| {
            let world = scenario(servers(rates, constant_ms(1.0)), REQUESTS);
            let (rows, _) = compared(world, ranked.to_vec(), REPLICATIONS, seed);
            let of = |k| rows.iter().filter(|r| r.contender == k + 2).map(|r| r.attempts).collect();
            (0..ranked.len()).map(of).collect()
        })
        .collect();
    let p_value = |k: usize| {
        let runs: Vec<&[u64]> = attempts.iter().map(|of_order| of_order[k].as_slice()).collect();
        homogeneity(&runs)
    };
    ranked.iter().enumerate().map(|(k, who)| (who.label.clone(), p_value(k))).collect()
}

/// Pearson's chi-square test that the samples are of one distribution: counts in fifths of all of
/// them together, k samples x m fifths, (k - 1)(m - 1) degrees of freedom.
fn homogeneity(samples: &[&[u64]]) -> f64 {
    let mut pooled: Vec<u64> = samples.concat();
    pooled.sort_unstable();
    let mut edges: Vec<u64> = (1..5).map(|k| pooled[k * pooled.len() / 5]).collect();
    edges.dedup();
    edges.retain(|edge| *edge > pooled[0]);
    if edges.is_empty() {
        return 1.0;
    }
    let counts = |sample: &[u64]| {
        let mut counts = vec![0.0; edges.len() + 1];
        sample.iter().for_each(|x| counts[edges.partition_point(|edge| edge <= x)] += 1.0);
        counts
    };
    let all = counts(&pooled);
    let mut statistic = 0.0;
    for sample in samples {
        let share = sample.len() as f64 / pooled.len() as f64;
        let cells = counts(sample).into_iter().zip(&all);
        statistic += cells.map(|(n, all)| (n - share * all).powi(2) / (share * all)).sum::<f64>();
    }
    chi_square_sf(statistic, ((samples.len() - 1) * edges.len()) as f64)
}

fn everything() -> Vec<Contender> {
    StrategySpec::named_by("everything").unwrap().into_iter().map(Contender::new).collect()
}

#[test]
fn no_strategy_cares_which_of_the_servers_is_the_good_one() {
    for orders in [one_is_perfect(), from_good_to_bad()] {
        let found = p_values(&orders, &everything());
        assert!(found.len() > 20);
        for (label, p) in found {
            println!("{label:22} p = {p:.4}");
            assert!(p > 1e-5, "{label}: p = {p:e}");
        }
    }
}

/// The servers in order, on to the next when one fails: order is its rule.
struct FirstThenBackups;

impl Strategy for FirstThenBackups {
    fn decide(&mut self, _now: Timestamp, request: &PendingRequest) -> Decision {
        Decision::Send(ServerId(request.attempts.min(9) as u16))
    }

    fn on_outcome(&mut self, _now: Timestamp, _attempt: &Attempt, _outcome: Outcome) {}
}

/// The planted bug, and those for whom it is none.
#[test]
fn who_sees_the_order_of_the_model_is_found_out() {
    let build = |_: &Fleet, _| -> Box<dyn Strategy> { Box::new(FirstThenBackups) };
    let by_rule = Contender::from_factory("first, then backups", build);
    let spoilt = ["explore-first", "greedy"].map(|name| Contender::new(named(name)));
    let seen = spoilt.into_iter().chain([by_rule]);
    let in_order = seen.map(|who| Contender { in_given_order: true, ..who }).collect::<Vec<_>>();
    for (label, p) in p_values(&one_is_perfect(), &in_order) {
        assert!(p < 1e-9, "{label}: p = {p:e}");
    }
    // In an order drawn anew it is the rule that is spoilt.
    let drawn = Contender { in_given_order: false, ..in_order[2].clone() };
    let p = p_values(&one_is_perfect(), &[drawn])[0].1;
    assert!(p > 1e-5, "{p:e}");
    // The oracle is shown which is which.
    let knowing = Contender { label: "knowing".to_owned(), reference: false, ..oracle() };
    assert!(p_values(&from_good_to_bad(), &[knowing])[0].1 > 1e-5);
}

/// Ten thousand orders of five servers: every server is as often at every place, and every order
/// as often as any other. Chi-square with 119 degrees of freedom, false alarm 1e-4, fixed seed.
#[test]
fn every_order_is_as_likely_as_any_other() {
    let streams = Streams::new(3);
    let mut counts = std::collections::BTreeMap::new();
    for replication in 0..12_000 {
        let order = ServerOrder::drawn(5, &mut streams.stream(Purpose::Order, 0, replication));
        let servers: Vec<u16> = ServerId::all(5).map(|seen| order.server(seen).0).collect();
        *counts.entry(servers).or_insert(0_u32) += 1;
    }
    assert_eq!(counts.len(), 120);
    let statistic: f64 = counts.values().map(|n| (f64::from(*n) - 100.0).powi(2) / 100.0).sum();
    assert!(chi_square_sf(statistic, 119.0) > 1e-4, "{statistic}");
}
