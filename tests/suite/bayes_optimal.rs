//! The best rule there is, on cases small enough to compute it: two to four servers of a known
//! population, few requests, at most 6 attempts each, no limits.
//!
//! The optimum is exact (dynamic programming over counts, `dynamic_program`); it is held against
//! closed forms, against a recursion over whole histories that shares no code with it, against
//! the enumeration of all rules of a tiny case, and against its own rule played by the simulator.
//! The oracle, which knows the rates, is a bound that no rule can reach; the optimum's regret to
//! it is the price of learning, and the scale on which strategies are judged here:
//!
//! `cargo test --test suite bayes_optimal -- --ignored --nocapture`
//!
//! Comparisons of means are z-tests at 4.5 standard errors (false alarm 7e-6 each, about 15 of
//! them); seeds are fixed, so that was risked once.

mod dynamic_program;
mod exact;
mod histories;
mod index_rules;
mod paired;
mod players;
mod prior;
mod shape;
mod simplex;
mod table;

use std::sync::Arc;

use flakelab_core::domain::Rules;

use crate::common::z;

use self::dynamic_program::{Case, Policy, backward, optimum};
use self::exact::exact;
use self::paired::paired;
use self::players::rows;
use self::prior::{Prior, worth_of_request};

/// The population of `common::UNIFORM`, as success rates.
const UNIFORM: Prior = Prior::Uniform { low: 0.25, high: 0.98 };

const FLAT: Prior = Prior::Beta { a: 1.0, b: 1.0 };

fn close(x: f64, y: f64, tolerance: f64, what: &str) {
    assert!((x - y).abs() < tolerance, "{what}: {x} {y}");
}

#[test]
fn with_one_server_there_is_nothing_to_decide() {
    // E[(1-x)^k] = 1 / (k+1); three attempts cost.
    let per_request = 1.0 - 1.0 / 7.0 - (1.0 / 4.0 + 1.0 / 5.0 + 1.0 / 6.0);
    for requests in [1, 4] {
        let case = Case::new(FLAT, 1, requests);
        close(optimum(&case), per_request * requests as f64, 1e-12, "optimum");
        close(case.oracle(), per_request * requests as f64, 1e-12, "oracle");
    }
    let sure = Prior::Uniform { low: 0.599_999, high: 0.600_001 };
    let case = Case::new(sure, 3, 4);
    let worth = 4.0 * worth_of_request(0.6, &case.rules);
    close(optimum(&case), worth, 1e-4, "servers that are all alike");
    close(case.oracle(), worth, 1e-4, "their oracle");
}

/// Two servers, flat prior: after i failures of one and j of the other all have failed with
/// probability 1 / ((i+1)(j+1)), for every i + j least when the servers take turns.
#[test]
fn one_request_alternates_between_two_unknown_servers() {
    let value = 1.0 - 1.0 / 16.0 - (1.0 / 6.0 + 1.0 / 9.0 + 1.0 / 12.0);
    let case = Case::new(FLAT, 2, 1);
    let (policy, optimum) = Policy::optimal(&case);
    close(optimum, value, 1e-12, "closed form");
    // In free attempts the order is worth nothing; from the fourth on it is.
    assert_eq!(policy.choose(0, 3, &[(0, 2), (0, 1)]), 1);
    assert_eq!(policy.choose(0, 3, &[(0, 1), (0, 2)]), 0);
}

/// Small enough for histories, and with rules at which every term counts.
fn tiny() -> Vec<Case> {
    let rules = |free_attempts, most, penalty_per_extra_attempt| Rules {
        free_attempts,
        max_attempts: Some(most),
        penalty_per_extra_attempt,
        ..Rules::default()
    };
    let case = |prior, servers, requests, rules| Case { prior, servers, requests, rules };
    let beta = Prior::Beta { a: 2.5, b: 1.5 };
    vec![
        case(UNIFORM, 2, 1, rules(3, 6, 1.0)),
        case(UNIFORM, 2, 2, rules(3, 4, 1.0)),
        case(FLAT, 2, 3, rules(1, 3, 0.4)),
        case(beta, 3, 2, rules(2, 3, 0.7)),
        case(beta, 2, 4, rules(1, 2, 0.2)),
        case(UNIFORM, 4, 2, rules(1, 2, 0.5)),
    ]
}

#[test]
fn agrees_with_the_recursion_over_whole_histories() {
    for case in tiny() {
        let slow = histories::optimum(&case);
        close(optimum(&case), slow, 1e-12, &case.name());
        // Planted bug: one attempt more is free.
        let free_attempts = case.rules.free_attempts + 1;
        let wrong = Case { rules: Rules { free_attempts, ..case.rules }, ..case };
        assert!((optimum(&wrong) - slow).abs() > 1e-3, "{}", case.name());
        // Planted bug: the second best server wherever there is one.
        let second = backward(&case, |node| usize::from(node.worth[0] >= node.worth[1]));
        assert!(second < slow - 1e-3, "{}", case.name());
    }
}

#[test]
fn no_rule_of_all_that_exist_is_better() {
    let rules = Rules {
        free_attempts: 1,
        max_attempts: Some(2),
        penalty_per_extra_attempt: 0.3,
        ..Rules::default()
    };
    for prior in [UNIFORM, FLAT] {
        let case = Case { prior, servers: 2, requests: 2, rules };
        let values = histories::every_rule(&case);
        assert_eq!(values.len(), 256);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        close(optimum(&case), most, 1e-12, "best of all rules");
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let worst = backward(&case, |n| usize::from(n.worth[1] < n.worth[0]));
        close(worst, least, 1e-12, "worst of all rules");
    }
}

/// The simulator plays what the recursion computed: the optimal rule, the oracle, and strategies
/// that decide from counts. A planted bug is seen as clearly.
#[test]
fn the_simulator_scores_what_was_computed() {
    for (prior, servers, requests) in
        [(UNIFORM, 2, 8), (UNIFORM, 3, 4), (Prior::Beta { a: 2.0, b: 1.0 }, 2, 6)]
    {
        let case = Case::new(prior, servers, requests);
        let (policy, value) = Policy::optimal(&case);
        let rows = rows(&case);
        let played = paired(&case, &Arc::new(policy), &rows, 40_000, 7);
        assert!(z(&played.optimum, value).abs() < 4.5, "{}: {played:?}", case.name());
        assert!(z(&played.oracle, case.oracle()).abs() < 4.5, "{}: {played:?}", case.name());
        for (row, regret) in rows.iter().zip(&played.regrets).filter(|(row, _)| row.from_counts) {
            let computed = exact(&case, &row.build);
            assert!(computed.error < 1e-6);
            let z = z(regret, value - computed.score);
            assert!(z.abs() < 4.5, "{} of {}: {z}", row.label, case.name());
        }
        // Planted bugs: a free attempt more; the oracle of one server more; V2's worth as V1's.
        let rules = Rules { free_attempts: 4, ..case.rules };
        assert!(z(&played.optimum, optimum(&Case { rules, ..case })).abs() > 9.0);
        assert!(z(&played.oracle, Case { servers: servers + 1, ..case }.oracle()).abs() > 9.0);
        let z = z(&played.regrets[0], value - exact(&case, &rows[1].build).score);
        assert!(z.abs() > 9.0, "{z}");
    }
}

/// Forward over states of servers in order, and backward over states without an order. With
/// irrational parameters no two beliefs have the same mean, so no tie depends on the order.
#[test]
fn both_ways_of_computing_a_rule_agree() {
    let untied = Prior::Beta { a: 5_f64.sqrt(), b: 2_f64.sqrt() };
    for (prior, servers, requests) in [(UNIFORM, 2, 7), (untied, 3, 5)] {
        let case = Case::new(prior, servers, requests);
        let predictive = case.predictive();
        let value = backward(&case, |node| index_rules::bonus(&predictive, node, 0.0));
        let greedy = rows(&case).into_iter().find(|row| row.label.starts_with("greedy"));
        let computed = exact(&case, &greedy.expect("a row").build);
        close(computed.score, value, 1e-9, &case.name());
    }
}

/// Figures of the table that others may quote, and their order.
#[test]
fn greedy_with_the_right_prior_is_nearly_optimal_and_the_five_are_not() {
    for (servers, requests, expected) in
        [(2, 10, 8.768_388_987_308), (3, 6, f64::NAN), (4, 4, f64::NAN)]
    {
        let case = Case::new(UNIFORM, servers, requests);
        let value = optimum(&case);
        if expected.is_finite() {
            close(value, expected, 1e-11, "golden");
        }
        let own = case.oracle() - value;
        let share = |label: &str| {
            let rows = rows(&case);
            let row = rows.iter().find(|row| row.label.starts_with(label)).expect("a row");
            assert!(row.from_counts);
            (value - exact(&case, &row.build).score) / own
        };
        let (plausible, greedy) = (share("explore while"), share("greedy"));
        assert!(0.0 < plausible && plausible < greedy && greedy < 0.05, "{plausible} {greedy}");
        // Asked for: at most a tenth.
        let champion = share("explore-first, prior given");
        assert!(0.0 < champion && champion < 0.1, "{champion}");
        for label in ["V1", "V2", "V3"] {
            assert!(share(label) > 0.08, "{label} {}", share(label));
        }
    }
}

/// One to two minutes, 0.25 GB.
#[test]
#[ignore = "prints the table; one to two minutes and 0.25 GB"]
fn table_of_small_cases() {
    for (prior, servers, requests) in [
        (UNIFORM, 2, 5),
        (UNIFORM, 2, 10),
        (UNIFORM, 2, 20),
        (UNIFORM, 3, 5),
        (UNIFORM, 3, 10),
        (UNIFORM, 4, 5),
        (FLAT, 2, 10),
        (FLAT, 3, 7),
    ] {
        println!("{}", table::table(&Case::new(prior, servers, requests), 200_000));
    }
}

/// Two minutes, 0.6 GB.
#[test]
#[ignore = "prints the table for longer runs; two minutes and 0.6 GB"]
fn table_of_the_largest_cases() {
    for (servers, requests) in [(2, 30), (3, 12), (4, 6)] {
        println!("{}", table::table(&Case::new(UNIFORM, servers, requests), 200_000));
    }
}

#[test]
#[ignore = "prints what the optimal rule looks like; half a minute"]
fn shape_of_the_optimal_rule() {
    for (prior, servers, requests) in [(UNIFORM, 2, 20), (UNIFORM, 3, 10), (FLAT, 2, 20)] {
        println!("{}", shape::shape(&Case::new(prior, servers, requests)));
    }
}
