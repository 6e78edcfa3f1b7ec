//! A strategy of somebody's own is played like any other: the example in `examples/`.

use flakelab_core::domain::Fleet;
use flakelab_core::strategy::StrategySpec;
use flakelab_sim::experiment::{Contender, Plan};

use super::common;

#[path = "../../examples/my_strategy.rs"]
#[expect(dead_code, reason = "its `main`")]
mod my_strategy;

#[test]
fn the_example_ranks_its_strategy_among_the_five() {
    let table = my_strategy::table(20).unwrap();
    let ranks: Vec<&str> = table.lines().filter(|l| l[..4].trim().parse::<u8>().is_ok()).collect();
    assert_eq!(ranks.len(), 6, "{table}");
    assert!(ranks.iter().any(|row| row.contains("win-stay")), "{table}");
    assert!(ranks[5].contains("win-stay"), "who remembers nothing comes last: {table}");
}

/// A factory that makes a strategy of the catalogue plays as the catalogue does, to the bit.
#[test]
fn a_factory_gets_the_servers_and_the_randomness_that_a_spec_gets() {
    let spec = common::named("v4");
    let own = Contender::from_factory("own", move |fleet: &Fleet, rng| spec.build(fleet, rng));
    assert_eq!((own.spec(), Contender::new(spec).spec()), (None, Some(spec)));
    let scenario = common::scenario(common::drawn(), 100);
    let (_, summary) = common::compared(scenario, vec![own, Contender::new(spec)], 10, 42);
    let scores = |label: &str| {
        let found = summary.contenders.iter().find(|c| c.strategy == label).unwrap();
        found.score_counts.clone()
    };
    assert_eq!(scores("own"), scores("V4 thompson"));
}

#[test]
fn a_plan_knows_an_own_strategy_by_its_label_and_one_of_the_catalogue_by_its_parameters() {
    let random = common::named("random");
    let plan = |contender: Contender| {
        let scenario = common::scenario(common::drawn(), 100);
        Plan::new("test", vec![scenario], vec![contender], 10, 42).unwrap()
    };
    let own = |label: &str| {
        plan(Contender::from_factory(label, move |fleet: &Fleet, rng| random.build(fleet, rng)))
    };
    assert_eq!(own("a").hash(), own("a").hash());
    assert_ne!(own("a").hash(), own("b").hash());
    assert_ne!(own("a"), own("a"), "two factories are never known to be the same");
    let v1 = |text: &str| {
        let label = "one label".to_owned();
        plan(Contender { label, ..Contender::new(StrategySpec::from_text(text).unwrap()) })
    };
    assert_eq!(v1("v1"), v1("v1"));
    assert_ne!(v1("v1").hash(), v1("v1:discover_limit=3").hash());
}
