//! The same spec and seed give the same bits, whatever the threads, the order of the scenarios
//! and the length of the sweep.

use flakelab_core::strategy::StrategySpec;
use flakelab_sim::experiment::{Contender, Plan, Row, Summary};
use flakelab_sim::world::{ErrorFamily, RateLimit, Scenario};

use crate::common::{drawn, drawn_and_limited, five, scenario, swept};

/// More replications than one batch of the sweep holds (128), so that batches are joined too.
const REPLICATIONS: u64 = 150;

fn scenarios() -> Vec<Scenario> {
    let named = |name: &str, scenario: Scenario| Scenario { name: name.to_owned(), ..scenario };
    let poisson =
        Scenario { traffic: flakelab_sim::world::Traffic::Poisson, ..scenario(drawn(), 40) };
    let mut posterior = drawn();
    let uniform = |low| ErrorFamily::Uniform { low, high: low + 0.4 };
    posterior.error_rate.posterior = [0.0, 0.1, 0.3].map(uniform).to_vec().into();
    let window = |limit| RateLimit::FixedWindow { limit, window_s: 1.0, phase_s: None };
    posterior.rate_limit_posterior = [2, 3, 5, 9].map(window).to_vec().into();
    vec![
        named("plain", scenario(drawn(), 60)),
        named("limited", scenario(drawn_and_limited(), 50)),
        named("poisson", poisson),
        named("posterior", scenario(posterior, 50)),
    ]
}

fn plan(scenarios: Vec<Scenario>, replications: u64, master_seed: u64) -> Plan {
    let mesh = StrategySpec::named_by("mesh").expect("a group");
    let ranked = five().into_iter().chain(mesh).map(Contender::new).collect();
    Plan::new("determinism", scenarios, ranked, replications, master_seed).expect("valid")
}

/// Every bit of a row but the position of its scenario. `Debug` writes floats so that they read
/// back exactly, the sign of zero included, so equal texts are equal bits.
fn bits(row: &Row) -> String {
    format!("{:?}", Row { scenario: 0, ..row.clone() })
}

/// Every bit of a sweep.
fn fingerprint((rows, summary): &(Vec<Row>, Summary)) -> (Vec<(usize, String)>, String) {
    (rows.iter().map(|r| (r.scenario, bits(r))).collect(), format!("{summary:?}"))
}

fn swept_on(threads: usize, plan: &Plan) -> (Vec<Row>, Summary) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    pool.install(|| swept(plan))
}

#[test]
fn the_number_of_threads_changes_nothing_and_neither_does_a_second_run() {
    let plan = plan(scenarios(), REPLICATIONS, 42);
    let first = fingerprint(&swept_on(1, &plan));
    assert_eq!(first.0.len(), 4 * 11 * REPLICATIONS as usize);
    for threads in [1, 2, 3] {
        assert!(fingerprint(&swept_on(threads, &plan)) == first, "{threads} threads");
    }
}

#[test]
fn the_fingerprint_notices_another_seed_and_a_single_bit() {
    let sweep = swept(&plan(scenarios(), 10, 42));
    let print = fingerprint(&sweep);
    assert!(fingerprint(&swept(&plan(scenarios(), 10, 43))) != print);
    let mut other_summary = sweep.clone();
    let mean = &mut other_summary.1.scenarios[1].contenders[3].score.mean;
    *mean = mean.next_up();
    assert!(fingerprint(&other_summary) != print);
    let mut other_row = sweep;
    other_row.0[17].score = other_row.0[17].score.next_up();
    assert!(fingerprint(&other_row) != print);
}

/// The order of scenarios is the order of work.
#[test]
fn the_order_of_the_scenarios_changes_no_row() {
    let rows_of = |scenarios: Vec<Scenario>, name: &str| -> Vec<String> {
        let position = scenarios.iter().position(|s| s.name == name).expect("in the plan");
        let (rows, _) = swept(&plan(scenarios, REPLICATIONS, 42));
        rows.iter().filter(|r| r.scenario == position).map(bits).collect()
    };
    let mut reversed = scenarios();
    reversed.reverse();
    for Scenario { name, .. } in scenarios() {
        let alone = scenarios().into_iter().filter(|s| s.name == name).collect();
        let expected = rows_of(scenarios(), &name);
        assert!(rows_of(reversed.clone(), &name) == expected, "{name} in another place");
        assert!(rows_of(alone, &name) == expected, "{name} alone");
    }
}

#[test]
fn a_shorter_sweep_is_the_beginning_of_a_longer_one() {
    let (long, _) = swept(&plan(scenarios(), REPLICATIONS, 42));
    for replications in [1, 7, 128] {
        let (short, _) = swept(&plan(scenarios(), replications, 42));
        let beginning = long.iter().filter(|r| r.replication < replications);
        assert!(short.iter().map(bits).eq(beginning.map(bits)), "{replications} replications");
    }
}
