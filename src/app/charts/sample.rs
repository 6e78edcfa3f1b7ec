//! A small scenario with known numbers, for tests: V1 leads, V4 is tied, V2 is worse, `random` is
//! far away.

use flakelab_core::stats::{Interval, Separation};
use flakelab_sim::experiment::{
    ContenderSummary, CurvePoint, Mean, Parameters, Ranking, ScenarioSummary, ScoreCount,
};

pub(crate) fn scenario() -> ScenarioSummary {
    let contenders = vec![
        contender("oracle", 997.5, 0.2, None),
        contender("random", 892.0, 5.0, None),
        contender("V1 larkin", 991.4, 0.8, Some(ranking(1, 0.0, 0.0, None))),
        contender(
            "V4 thompson",
            991.1,
            0.9,
            Some(ranking(2, -0.3, 0.5, Some(Separation::Replications(3_217)))),
        ),
        contender("V2 ucb1", 978.9, 1.5, Some(ranking(3, -12.5, 1.4, None))),
    ];
    ScenarioSummary {
        config: "0".to_owned(),
        requests: 1000,
        requests_per_second: 10.0,
        replications: 1000,
        has_rate_limit: false,
        oracle_is_bound: true,
        parameters: Parameters::NoPosterior,
        assumed: None,
        p_best_is_normal_approximation: false,
        contenders,
    }
}

fn ranking(
    rank: usize,
    delta: f64,
    half_width: f64,
    replications_to_separate: Option<Separation>,
) -> Ranking {
    let delta_interval = Interval::around(delta, half_width);
    Ranking {
        rank,
        tied_with_best: delta_interval.contains(0.0),
        delta,
        delta_interval,
        delta_parameter_sd: None,
        delta_parameter_interval: None,
        replications_to_separate,
        p_best: 1.0 / rank as f64,
        pairing_gain: None,
    }
}

fn contender(
    strategy: &str,
    score: f64,
    half_width: f64,
    ranking: Option<Ranking>,
) -> ContenderSummary {
    let mean = |mean: f64| Mean {
        mean,
        std_dev: half_width * 16.0,
        interval: Interval::around(mean, half_width),
    };
    let regret = 997.5 - score;
    let point = |n: u64| CurvePoint {
        requests: n * 20,
        mean: regret * n as f64 / 50.0,
        interval: Interval::around(regret * n as f64 / 50.0, half_width),
    };
    let count = |below: u64| ScoreCount {
        score: score.round() + 8.0 - below as f64,
        replications: 41 - below,
    };
    ContenderSummary {
        strategy: strategy.to_owned(),
        score: mean(score),
        score_parameter_sd: None,
        success_rate: exactly(0.99),
        attempts_per_request: exactly(1.2),
        retries: exactly(200.0),
        penalty: exactly(1.0),
        rate_limited: exactly(0.0),
        timed_out: exactly(0.0),
        regret: exactly(1.0),
        oracle_regret: mean(regret),
        latency_p50_ms: 1.1,
        latency_p90_ms: 2.0,
        latency_p99_ms: 3.9,
        latency_p999_ms: 6.0,
        ranking,
        score_counts: (0..=40).rev().map(count).collect(),
        oracle_regret_curve: (1..=50).map(point).collect(),
        attempt_share_by_rank: vec![0.6, 0.3, 0.0996, 0.0004],
        notes: None,
    }
}

fn exactly(mean: f64) -> Mean {
    Mean { mean, std_dev: 0.0, interval: Interval::around(mean, 0.0) }
}

/// Tags open and close in order, attributes are quoted, and text holds no bare `<` or `&`.
pub(crate) fn assert_well_formed(svg: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = svg;
    while let Some(start) = rest.find('<') {
        let (text, tag) = rest.split_at(start);
        assert!(
            text.replace("&lt;", "")
                .replace("&gt;", "")
                .replace("&amp;", "")
                .replace("&quot;", "")
                .replace("&apos;", "")
                .find('&')
                .is_none(),
            "{text}"
        );
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
