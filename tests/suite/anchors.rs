//! Mean scores against an independent implementation and against exact values: `make anchors`.
//!
//! Ten servers with success rates uniform on (0.25, 0.98), drawn per replication, no limit,
//! 20,000 replications. The independent figures come with 95 % half-widths; |z| must not exceed
//! 4 (false alarm 6e-5 each, below 1e-3 for all 18 comparisons, and the seed is fixed).
//!
//! Exact: a request costs p^3/(1-p) extra attempts on average. The oracle's p is the lowest of
//! ten error rates; `random` fails independently with the mean rate of the ten.

use std::sync::atomic::AtomicBool;

use flakelab_core::strategy::StrategySpec;
use flakelab_sim::experiment::{Contender, Plan, ScenarioSummary, sweep};

use super::common;

/// Label, then mean and 95 % half-width at 100 and at 1000 requests.
const INDEPENDENT: [(&str, [(f64, f64); 2]); 7] = [
    ("random", [(89.23, 0.12), (892.5, 1.0)]),
    ("V1 larkin", [(94.87, 0.05), (991.41, 0.18)]),
    ("V2 ucb1", [(94.97, 0.07), (978.90, 0.34)]),
    ("V3 ucb-free", [(94.11, 0.07), (970.07, 0.40)]),
    ("V4 thompson", [(97.66, 0.05), (989.83, 0.23)]),
    ("V5 thompson-scaled", [(97.36, 0.05), (990.08, 0.23)]),
    ("oracle", [(99.76, 0.01), (997.53, 0.11)]),
];

/// Label, then the exact mean at 100 and at 1000 requests, to the digits given.
const EXACT: [(&str, [f64; 2]); 2] = [("oracle", [99.7507, 997.507]), ("random", [89.19, 891.9])];

fn played(requests: u64) -> ScenarioSummary {
    let scenario = common::scenario(common::drawn(), requests);
    let ranked = StrategySpec::named_by("all").unwrap().into_iter().map(Contender::new).collect();
    let plan = Plan::new("anchors", vec![scenario], ranked, 20_000, 42).unwrap();
    let swept = sweep(&plan, &mut (), &AtomicBool::new(false), |_| ()).unwrap();
    swept.summary.scenarios.into_iter().next().unwrap()
}

#[test]
#[ignore = "20,000 replications, about half a minute: make anchors"]
fn anchors_agree_with_an_independent_implementation_and_with_exact_values() {
    let mut worst: f64 = 0.0;
    for (column, requests) in [100, 1000].into_iter().enumerate() {
        let summary = played(requests);
        println!("\n{requests} requests, {} replications", summary.replications);
        println!("{:20} {:>16} {:>18} {:>6}", "strategy", "here", "reference", "z");
        let here = |label: &str| {
            let found = summary.contenders.iter().find(|c| c.strategy == label).unwrap();
            (found.score.mean, found.score.half_width())
        };
        let mut compare = |label: &str, kind: &str, mean: f64, half_width: f64| {
            let (ours, our_half_width) = here(label);
            let z = (ours - mean) / (our_half_width.hypot(half_width) / 1.96);
            println!("{label:20} {ours:9.3} ± {our_half_width:5.3} {kind:>8} {mean:9.3} {z:6.2}");
            worst = worst.max(z.abs());
        };
        for (label, figures) in INDEPENDENT {
            // The figures are rounded to two digits; the rounding is part of their error.
            let (mean, half_width) = figures[column];
            let rounding = if mean == 892.5 { 0.05 } else { 0.005 };
            compare(label, "other", mean, half_width + rounding);
        }
        for (label, figures) in EXACT {
            let rounding = if label == "random" { 0.005 * requests as f64 / 100.0 } else { 0.0 };
            compare(label, "exact", figures[column], rounding);
        }
    }
    assert!(worst <= 4.0, "the largest |z| is {worst:.2}");
}
