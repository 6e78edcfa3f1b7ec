//! What the recordings leave open about a lead: what a sweep says, against the leads themselves.
//!
//! A row of a model's posterior is a model without one. Played long enough, it has a lead that luck
//! hardly touches; over many rows these are the leads that the recordings allow. A sweep sees each row
//! in four replications only.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use flakelab_core::stats::{Moments, quantile};
use flakelab_core::strategy::StrategySpec;
use flakelab_sim::experiment::{Contender, Plan, ScenarioSummary, sweep};
use flakelab_sim::world::{Document, Model, Scenario};

use crate::study::{Finding, Study};

pub fn committed(config: u32) -> Model {
    let path = format!("models/config-{config}.toml");
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&path)).unwrap();
    Model::parse(&config.to_string(), &Document::from_text(&path, text)).unwrap()
}

/// Row `i` of some, spread over the posterior; a rate limit's rows come in an order of their own, as
/// they are drawn apart.
fn row(model: &Model, i: usize, of: usize) -> Model {
    let mut row = model.clone().without_posterior();
    let rates = model.error_rate.posterior.rows();
    row.error_rate.family = rates[i * rates.len() / of].clone();
    let limits = model.rate_limit_posterior.rows();
    if !limits.is_empty() {
        row.rate_limit = limits[(37 * i + 11) % limits.len()];
    }
    row
}

fn played(model: Model, strategies: &str, replications: u64, seed: u64) -> ScenarioSummary {
    let specs = strategies.split(',').flat_map(|name| StrategySpec::named_by(name).unwrap());
    let contenders = specs.map(Contender::new).collect();
    let scenarios = vec![Scenario::new(model)];
    let plan = Plan::new("left open", scenarios, contenders, replications, seed).unwrap();
    let swept = sweep(&plan, &mut (), &AtomicBool::new(false), |_| ()).unwrap();
    swept.summary.scenarios.into_iter().next().unwrap()
}

fn score(summary: &ScenarioSummary, strategy: &str) -> f64 {
    summary.contenders.iter().find(|c| c.strategy == strategy).unwrap().score.mean
}

fn best_of(summary: &ScenarioSummary) -> &str {
    &summary.ranked().next().unwrap().0.strategy
}

/// What was said of the leads over each other strategy, and what they are.
struct Compared {
    /// Share of the true leads that lie in the range that was said, as a mean over sweeps.
    within: Moments,
    /// What was said of the share of servers on which it is a lead, less the true share.
    ahead: Moments,
    /// The largest of these, in size.
    ahead_at_worst: f64,
    /// Sweeps that said nothing.
    silent: u32,
    said: Moments,
    true_range: (f64, f64),
    /// P(best) of the other strategy, and the share of rows on which it is the best.
    p_best: Moments,
    best_on: f64,
}

/// The leads of the strategy with the highest mean over each other one, by name.
fn compare(
    config: u32,
    strategies: &str,
    (rows, of_each): (usize, u64),
    (sweeps, replications): (u64, u64),
) -> Vec<(String, Compared)> {
    let model = committed(config);
    let truth: Vec<ScenarioSummary> = (0..rows)
        .map(|i| played(row(&model, i, rows), strategies, of_each, 7_000 + i as u64))
        .collect();
    let said: Vec<ScenarioSummary> =
        (0..sweeps).map(|i| played(model.clone(), strategies, replications, 42 + i)).collect();
    let best = said[0].ranked().next().unwrap().0.strategy.clone();
    let others: Vec<String> = said[0].ranked().skip(1).map(|(c, _)| c.strategy.clone()).collect();
    let of_pair = |other: String| {
        let mut leads: Vec<f64> =
            truth.iter().map(|of_row| score(of_row, &best) - score(of_row, &other)).collect();
        leads.sort_by(f64::total_cmp);
        let share = |holds: &dyn Fn(f64) -> bool| {
            leads.iter().filter(|lead| holds(**lead)).count() as f64 / leads.len() as f64
        };
        let mut compared = Compared {
            within: Moments::default(),
            ahead: Moments::default(),
            ahead_at_worst: 0.0,
            silent: 0,
            said: Moments::default(),
            true_range: (quantile(&leads, 0.025), quantile(&leads, 0.975)),
            p_best: Moments::default(),
            best_on: truth.iter().filter(|of_row| best_of(of_row) == other).count() as f64
                / truth.len() as f64,
        };
        for summary in &said {
            assert_eq!(summary.ranked().next().unwrap().0.strategy, best, "the same in all sweeps");
            let (_, ranking) = summary.ranked().find(|(c, _)| c.strategy == other).unwrap();
            compared.p_best.push(ranking.p_best.unwrap());
            let Some(lead) = ranking.lead_left_open else {
                compared.silent += 1;
                continue;
            };
            compared.within.push(share(&|true_lead| lead.range.contains(true_lead)));
            let off = lead.ahead - share(&|true_lead| true_lead > 0.0);
            compared.ahead.push(off);
            compared.ahead_at_worst = compared.ahead_at_worst.max(off.abs());
            compared.said.push(lead.range.width());
        }
        (other, compared)
    };
    others.into_iter().map(of_pair).collect()
}

pub fn study() -> Study {
    const ROWS: usize = 128;
    const OF_EACH: u64 = 200;
    const SWEEPS: u64 = 20;
    const REPLICATIONS: u64 = 1_000;
    let mut findings = Vec::new();
    for config in [0, 1] {
        for (other, of) in compare(config, "all", (ROWS, OF_EACH), (SWEEPS, REPLICATIONS)) {
            let (low, high) = of.true_range;
            findings.push(Finding {
                what: format!(
                    "config {config}, lead over {other} ({low:.1} to {high:.1} on 95 % of the rows): \
                     rows within the range that was said"
                ),
                measured: format!(
                    "{:.1} % of {ROWS} rows, mean width {:.1}, {} of {SWEEPS} sweeps silent",
                    100.0 * of.within.mean(),
                    of.said.mean(),
                    of.silent
                ),
                bound: "84 to 96 %: about nine in ten".to_owned(),
                held: Some((0.84..=0.96).contains(&of.within.mean())),
            });
            findings.push(Finding {
                what: format!(
                    "config {config}, lead over {other}: share of servers said to be led on"
                ),
                measured: format!(
                    "{:+.1} points off on average, {:.1} at the worst",
                    100.0 * of.ahead.mean(),
                    100.0 * of.ahead_at_worst
                ),
                bound: "within 10 points on average".to_owned(),
                held: Some(of.ahead.mean().abs() <= 0.10),
            });
            let off = of.p_best.mean() - of.best_on;
            findings.push(Finding {
                what: format!("config {config}: P(best) of {other}, against the share of rows on which it is the best"),
                measured: format!(
                    "said {:.1} % on average, is {:.1} %",
                    100.0 * of.p_best.mean(),
                    100.0 * of.best_on
                ),
                bound: "within 10 points".to_owned(),
                held: Some(off.abs() <= 0.10),
            });
        }
    }
    Study {
        title: "What the recordings leave open about a lead",
        method: format!(
            "{ROWS} rows of the posterior of a committed model, each played {OF_EACH} times by itself, \
             against what {SWEEPS} sweeps of {REPLICATIONS} replications say of the lead of the \
             strategy with the highest mean: on which share of the servers it leads, and the range \
             of its lead on about nine in ten of them. The {OF_EACH} runs of a row have luck of their own, which \
             widens the true leads a little."
        ),
        findings,
    }
}

/// A few rows and one sweep of config 0: V1 leads V3 everywhere, by about what is said.
#[test]
fn a_sweep_says_about_the_leads_that_rows_have() {
    let compared = compare(0, "v1,v3", (24, 40), (1, 400));
    let [(other, of)] = compared.as_slice() else { panic!("two strategies have one lead") };
    assert_eq!((other.as_str(), of.silent), ("V3 ucb-free", 0));
    assert!(of.within.mean() > 0.6, "{}", of.within.mean());
    assert!(of.ahead.mean().abs() < 0.1, "{}", of.ahead.mean());
}
