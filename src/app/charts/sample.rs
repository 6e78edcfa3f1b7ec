//! A small sweep for tests of charts.

use std::sync::atomic::AtomicBool;

use flakelab_core::strategy::StrategySpec;
use flakelab_sim::experiment::{Contender, Plan, ScenarioSummary, sweep};
use flakelab_sim::world::{Model, Scenario};

/// Three strategies, which stand before the references.
pub(crate) fn scenario() -> ScenarioSummary {
    let model = Model { name: "0".to_owned(), ..Model::of_rates(&[0.05, 0.2, 0.5, 0.8]) };
    let scenario = Scenario { requests: 1000, ..Scenario::new(model) };
    let named = |name| Contender::new(StrategySpec::from_name(name).unwrap());
    let contenders = ["larkin", "ucb1", "thompson"].map(named).to_vec();
    let plan = Plan::new("x", vec![scenario], contenders, 30, 1).unwrap();
    let swept = sweep(&plan, &mut (), &AtomicBool::new(false), |_| ()).unwrap();
    let mut summary = swept.summary.scenarios.into_iter().next().unwrap();
    summary.contenders.sort_by_key(|c| c.ranking.is_none());
    summary
}

/// Tags open and close in order, attributes are quoted, and text holds no bare `<` or `&`.
pub(crate) fn assert_well_formed(svg: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = svg;
    while let Some(start) = rest.find('<') {
        let (text, tag) = rest.split_at(start);
        let known = ["lt;", "gt;", "amp;", "quot;", "apos;"];
        let is_known = |entity: &str| known.iter().any(|known| entity.starts_with(known));
        assert!(text.split('&').skip(1).all(is_known), "{text}");
        let end = tag.find('>').expect("a tag that ends");
        let inner = &tag[1..end];
        assert_eq!(inner.matches('"').count() % 2, 0, "{inner}");
        let name = inner.trim_start_matches('/').split([' ', '/']).next().unwrap();
        if inner.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !inner.ends_with('/') {
            open.push(name);
        }
        rest = &tag[end + 1..];
    }
    assert!(open.is_empty(), "{open:?}");
}
