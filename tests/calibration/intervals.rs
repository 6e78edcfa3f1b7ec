//! Do the intervals of a sweep hold, and what it says of who is the best? Many sweeps of a committed
//! model, each with a master seed of its own, against one long sweep.

use std::sync::atomic::AtomicBool;

use flakelab_core::domain::{Purpose, Streams};
use flakelab_core::stats::{
    Blocks, Interval, Moments, PairedComparison, Separation, standard_normal,
};
use flakelab_core::strategy::StrategySpec;
use flakelab_sim::experiment::{
    Contender, ContenderSummary, FEWEST_REPLICATIONS, Plan, ScenarioSummary, sweep,
};
use flakelab_sim::world::Scenario;

use crate::left_open::committed;
use crate::study::{Finding, Study};

/// Config, whether parameters are drawn, requests in a run.
#[derive(Clone, Copy)]
struct Case(u32, bool, u64);

fn played(Case(config, drawn, requests): Case, replications: u64, seed: u64) -> ScenarioSummary {
    let scenario = Scenario { requests, ..Scenario::new(committed(config)) };
    let ranked = StrategySpec::named_by("all").unwrap().into_iter().map(Contender::new);
    let plan = Plan::new("intervals", vec![scenario], ranked.collect(), replications, seed);
    let plan = plan.unwrap().with_parameter_uncertainty(drawn);
    let swept = sweep(&plan, &mut (), &AtomicBool::new(false), |_| ()).unwrap();
    swept.summary.scenarios.into_iter().next().unwrap()
}

fn of<'s>(summary: &'s ScenarioSummary, strategy: &str) -> &'s ContenderSummary {
    summary.contenders.iter().find(|c| c.strategy == strategy).unwrap()
}

/// How often something was said, how often it held, and how wide it was.
#[derive(Default)]
struct Held {
    name: String,
    said: u32,
    held: u32,
    width: Moments,
}

impl Held {
    fn look(&mut self, interval: Option<Interval>, truth: f64) {
        let Some(interval) = interval else { return };
        self.said += 1;
        self.held += u32::from(interval.contains(truth));
        self.width.push(interval.width());
    }

    fn share(&self) -> f64 {
        f64::from(self.held) / f64::from(self.said)
    }
}

/// A quantity; of the strategies the one for which it holds least often is told.
struct Kind {
    what: &'static str,
    /// Counts and rates shall hold 93 % in every config.
    counts: bool,
    truth: fn(&ContenderSummary) -> f64,
    interval: fn(&ContenderSummary) -> Option<Interval>,
}

const KINDS: [Kind; 10] = [
    Kind {
        what: "mean score",
        counts: false,
        truth: |c| c.score.mean,
        interval: |c| c.score.interval,
    },
    Kind {
        what: "attempts",
        counts: false,
        truth: |c| c.attempts_per_request.mean,
        interval: |c| c.attempts_per_request.interval,
    },
    Kind {
        what: "success rate",
        counts: true,
        truth: |c| c.success_rate.mean,
        interval: |c| c.success_rate.interval,
    },
    Kind {
        what: "429s",
        counts: true,
        truth: |c| c.rate_limited.mean,
        interval: |c| c.rate_limited.interval,
    },
    Kind {
        what: "timeouts",
        counts: true,
        truth: |c| c.timed_out.mean,
        interval: |c| c.timed_out.interval,
    },
    Kind {
        what: "end of the regret curve",
        counts: false,
        truth: |c| c.oracle_regret_curve.last().unwrap().mean,
        interval: |c| c.oracle_regret_curve.last().unwrap().interval,
    },
    Kind {
        what: "p50",
        counts: false,
        truth: |c| c.latency_p50_ms,
        interval: |c| c.latency_intervals_ms[0],
    },
    Kind {
        what: "p90",
        counts: false,
        truth: |c| c.latency_p90_ms,
        interval: |c| c.latency_intervals_ms[1],
    },
    Kind {
        what: "p99",
        counts: false,
        truth: |c| c.latency_p99_ms,
        interval: |c| c.latency_intervals_ms[2],
    },
    Kind {
        what: "p99.9",
        counts: false,
        truth: |c| c.latency_p999_ms,
        interval: |c| c.latency_intervals_ms[3],
    },
];

/// What many sweeps said, against what is so.
struct Compared {
    /// For each kind the strategy for which it holds least often.
    kinds: Vec<Held>,
    /// Joint intervals: sweeps in which all hold.
    joint: Held,
    /// Sweeps that said less than 1 % of the true best, and that excluded it.
    hardly: u32,
    excluded: u32,
    /// Ranges of replications to separate that hold the number that it takes.
    separations: Held,
    sweeps: u64,
}

fn compare(case: Case, truth: &ScenarioSummary, sweeps: u64, replications: u64) -> Compared {
    let said: Vec<ScenarioSummary> =
        (0..sweeps).map(|i| played(case, replications, 50_000 + i)).collect();
    let least_held = |kind: &Kind| {
        let of_strategy = |c: &ContenderSummary| {
            let mut held = Held { name: c.strategy.clone(), ..Held::default() };
            let of_all = said.iter().map(|summary| of(summary, &c.strategy));
            of_all.for_each(|said| held.look((kind.interval)(said), (kind.truth)(c)));
            held
        };
        let all = truth.contenders.iter().map(of_strategy);
        all.min_by(|a, b| a.share().total_cmp(&b.share())).unwrap()
    };
    let mut found = Compared {
        kinds: KINDS.iter().map(least_held).collect(),
        joint: Held::default(),
        hardly: 0,
        excluded: 0,
        separations: Held::default(),
        sweeps,
    };
    let score = |strategy: &str| of(truth, strategy).score.mean;
    let (best, _) = truth.ranked().next().unwrap();
    for summary in &said {
        let (leader, _) = summary.ranked().next().unwrap();
        let mut all = true;
        for (c, ranking) in summary.ranked() {
            let interval = ranking.delta_interval.unwrap();
            let lead = score(&leader.strategy) - score(&c.strategy);
            all &= interval.contains(-lead) || c.strategy == leader.strategy;
            found.joint.width.push(interval.width());
            if let Some(Separation { at_least, at_most }) = ranking.replications_to_separate {
                let needed = needed(summary, ranking.delta_half_width(), lead);
                found.separations.said += 1;
                let within = at_least.is_none_or(|n| n as f64 <= needed)
                    && at_most.is_none_or(|n| needed <= n as f64);
                found.separations.held += u32::from(within);
            }
            if c.strategy == best.strategy {
                found.hardly += u32::from(ranking.p_best.unwrap() < 0.01);
                found.excluded += u32::from(!ranking.tied_with_best);
            }
        }
        found.joint.said += 1;
        found.joint.held += u32::from(all);
    }
    found
}

/// Replications with which a joint interval as wide as this one for its number excludes the true lead
/// nine times in ten: half-width and the normal quantile of 0.9 in standard errors of the difference,
/// which are taken from the half-width at 2.7 of them (the joint quantile of ten pairs of five).
fn needed(summary: &ScenarioSummary, half_width: f64, lead: f64) -> f64 {
    let both = half_width * (1.0 + 1.2816 / 2.7);
    summary.replications as f64 * (both / lead).powi(2)
}

/// Joint coverage for k equal strategies of normal or of skewed scores (log-normal losses, skew -6),
/// in groups of four that are alike.
fn equal_strategies(k: usize, skewed: bool, replications: u64, sets: u64) -> (f64, f64) {
    let (mut held, mut best_excluded) = (0, 0);
    for set in 0..sets {
        let streams = Streams::new(900 + set);
        let mut words = streams.stream(Purpose::World, 0, k as u64);
        let mut blocks = Blocks::new(k, 4);
        for _ in 0..replications / 4 {
            let mut own = || {
                let z = standard_normal(&mut words);
                if skewed { -z.exp() } else { z }
            };
            let common = own();
            let of_group: Vec<f64> = (0..k).map(|_| common + own()).collect();
            for _ in 0..4 {
                blocks.push(of_group.iter().map(|score| score + own()));
            }
        }
        let scores: Vec<usize> = (0..k).collect();
        let words = |resample| streams.stream(Purpose::Analysis, 0, resample);
        let comparison = PairedComparison::of(&blocks, &scores, words);
        let against = comparison.against_best(0.95);
        held += u32::from(against.iter().all(|a| a.interval.contains(0.0)));
        best_excluded += u32::from(!against[0].tied);
    }
    (f64::from(held) / sets as f64, f64::from(best_excluded) / sets as f64)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn findings(case: Case, found: &Compared, replications: u64) -> Vec<Finding> {
    let Case(config, drawn, _) = case;
    let where_ = format!(
        "config {config}, uncertainty {}, {replications} replications",
        if drawn { "on" } else { "off" }
    );
    // Config 0's intervals shall hold 93 %, config 1's 92; the share is known to two standard errors.
    let asked: f64 = if config == 0 { 0.93 } else { 0.92 };
    let finding = |what: String, held: &Held, asked: f64, width: bool| {
        let margin = 2.0 * (asked * (1.0 - asked) / found.sweeps as f64).sqrt();
        let width =
            if width { format!(", mean width {:.3}", held.width.mean()) } else { String::new() };
        Finding {
            what: format!("{where_}: {what}"),
            measured: format!("{} of {}{width}", percent(held.share()), held.said),
            bound: format!("at least {} less two standard errors", percent(asked)),
            held: Some(held.share() >= asked - margin),
        }
    };
    let of_kind = |(kind, held): (&Kind, &Held)| {
        let asked = if kind.counts { 0.93 } else { asked };
        finding(format!("{} (least held: {})", kind.what, held.name), held, asked, true)
    };
    let mut findings: Vec<Finding> = KINDS.iter().zip(&found.kinds).map(of_kind).collect();
    findings.push(finding(
        "all differences from the best at once".to_owned(),
        &found.joint,
        asked,
        true,
    ));
    let rarely = |what: &str, times: u32| Finding {
        what: format!("{where_}: {what}"),
        measured: format!("{times} of {} sweeps", found.sweeps),
        bound: "at most 5 % and two standard errors".to_owned(),
        held: Some(
            f64::from(times)
                <= 0.05 * found.sweeps as f64 + 2.0 * (0.0475 * found.sweeps as f64).sqrt(),
        ),
    };
    findings.push(rarely("the true best is said not to be", found.excluded));
    findings.push(rarely("P(best) of the true best is below .01", found.hardly));
    if found.separations.said >= 30 {
        let held = &found.separations;
        findings.push(Finding {
            what: format!(
                "{where_}: replications to tell a tied pair lie in the range that is said"
            ),
            measured: format!("{} of {} ranges", percent(held.share()), held.said),
            bound: "at least 75 %".to_owned(),
            held: Some(held.share() >= 0.75),
        });
    }
    findings
}

pub fn study() -> Study {
    const TRUTH: u64 = 20_000;
    const SWEEPS: [(u64, u64); 2] = [(200, 300), (1_000, 60)];
    const SETS: u64 = 400;
    let mut all = Vec::new();
    for (config, drawn) in [(0, true), (0, false), (1, true), (1, false)] {
        let case = Case(config, drawn, 1_000);
        let truth = played(case, TRUTH, 7);
        for (replications, sweeps) in SWEEPS {
            let found = compare(case, &truth, sweeps, replications);
            all.extend(findings(case, &found, replications));
        }
    }
    for k in [2, 5, 10, 28] {
        for skewed in [false, true] {
            let (held, excluded) = equal_strategies(k, skewed, 200, SETS);
            let scores = if skewed { "skewed" } else { "normal" };
            all.push(Finding {
                what: format!("{k} equal strategies, {scores} scores, 200 replications: all differences from the best at once"),
                measured: format!(
                    "{} of {SETS}; the first excluded in {}",
                    percent(held),
                    percent(excluded)
                ),
                bound: "at least 93 % less two standard errors".to_owned(),
                held: Some(held >= 0.93 - 2.0 * (0.93 * 0.07 / SETS as f64).sqrt()),
            });
        }
    }
    let few = played(Case(0, true, 100), FEWEST_REPLICATIONS - 1, 1);
    let silent = few.contenders.iter().all(|c| c.score.interval.is_none());
    all.push(Finding {
        what: format!("intervals with fewer than {FEWEST_REPLICATIONS} replications"),
        measured: if silent { "none" } else { "some" }.to_owned(),
        bound: "none".to_owned(),
        held: Some(silent),
    });
    Study {
        title: "Intervals, ranks and P(best) of a sweep",
        method: format!(
            "Sweeps of the five strategies in committed models, each with a seed of its own, against one \
             of {TRUTH} replications: how often intervals at 95 % hold what is so, for each quantity \
             the strategy (or reference) for which they hold least often. From {FEWEST_REPLICATIONS} \
             replications on they are printed, always. Equal strategies are made: scores in groups of \
             four that are alike, normal or with log-normal losses."
        ),
        findings: all,
    }
}

/// A small version: of 15 sweeps of short runs nearly all intervals hold. Of intervals that hold 90 %
/// of the time, fewer than 10 of 15 do with chance 2e-3; seeds are fixed. Intervals of half the
/// width are the planted bug.
#[test]
fn intervals_of_short_sweeps_hold() {
    let case = Case(0, true, 60);
    let truth = played(case, 2_000, 7);
    let found = compare(case, &truth, 15, FEWEST_REPLICATIONS);
    for (kind, held) in KINDS.iter().zip(&found.kinds) {
        assert!(held.held >= 10, "{}: {} of {}", kind.what, held.held, held.said);
    }
    assert!(found.joint.held >= 12 && found.hardly + found.excluded <= 2);
    let halved = |c: &ContenderSummary| {
        let interval = c.score.interval.unwrap();
        Interval::around(c.score.mean, 0.25 * interval.width())
    };
    let mut planted = Held::default();
    for seed in 0..15 {
        let summary = played(case, FEWEST_REPLICATIONS, 50_000 + seed);
        for c in &summary.contenders {
            planted.look(Some(halved(c)), of(&truth, &c.strategy).score.mean);
        }
    }
    assert!(planted.share() < 0.85, "{}", planted.share());
    let (held, _) = equal_strategies(5, false, 200, 40);
    assert!(held >= 0.85, "{held}");
}
