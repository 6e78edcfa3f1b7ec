//! Posterior predictive checks on held-out halves: what does the model miss?
//!
//! The first half of each start trains, the second half is predicted one attempt ahead, given the
//! recorded choice of server, from everything before it. Same-data checks would be conservative
//! (A. Gelman, X.-L. Meng and H. Stern, Statistica Sinica 6 (1996), 733-807).
//!
//! Replicated outcomes under the recorded choices are wrong for statistics of whole paths: had the
//! outcomes been others, other servers would have been chosen. So the checks are sums of `failed -
//! p` over attempts picked by their past, which are martingales whoever chose:
//! - runs: how often a failure follows after 1, 2, 3 or more in a row at the server;
//! - bursts: how often an attempt fails where at least 3 just failed;
//! - calibration in bins of the prediction, and the log score against the score that the
//!   predictions promise, `-(failed - p) logit(p)` summed.
//!
//! Beside them stand the dispersion between servers, whose p-value is not exact, and latencies,
//! which depend on each other within a run. `tests/calibration/checks.rs` measures false alarms of
//! all of them.
//!
//! Only outcomes are held out. The prior, the starts and the rate limit come from the whole
//! recording, second halves included, so the checks are slightly conservative.
//!
//! When not to use it: as a test of the starts or of the rate limit; both have seen these outcomes.

use std::collections::BTreeMap;

use crate::checks::assumptions::{LEVEL, adjusted};
use crate::checks::history::{Coin, walk};
use crate::checks::residuals::{Coins, Finding, LEAST_VARIANCE, Weighted};
use crate::rates::RatePrior;
use crate::runs::Start;
use flakelab_core::domain::{Purpose, Streams};
use flakelab_core::stats::{Calibration, standard_normal, student_t_cdf, uniform_open, uniform01};
use flakelab_sim::trace::Observed;

/// So many failures within a second at a server are a burst.
const BURST: usize = 3;

const DISPERSION: &str = "dispersion between servers";

/// One check of the second halves.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What is checked, in a few words.
    pub name: &'static str,
    /// What `observed` and `expected` count.
    pub unit: &'static str,
    /// What happened.
    pub observed: f64,
    /// What the model expects.
    pub expected: f64,
    /// Two-sided; 1 when there was nothing to check.
    pub p_value: f64,
    /// Adjusted by Holm for all checks that were made; 1 when there was nothing to check.
    pub adjusted_p_value: f64,
    /// Attempts that it rests on (servers for dispersion); 0 when there was nothing to check.
    pub attempts: u64,
    /// What the model misses, or that it misses nothing here.
    pub sentence: String,
}

/// The checks of the second halves.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOut {
    /// Attempts in the second halves.
    pub attempts: u64,
    /// Every check.
    pub checks: Vec<Check>,
    /// Mean of -ln of the predicted probability of what happened, in nats; lower is better.
    pub log_score: f64,
    /// The same predicted from each server's raw rate so far, `(failures + 1/2) / (attempts + 1)`
    /// (Krichevsky and Trofimov 1981), so that no score is infinite.
    pub raw_log_score: f64,
}

impl HeldOut {
    /// What the model misses, as sentences; none when every check passed.
    pub fn misses(&self) -> impl Iterator<Item = &str> {
        let missed = self.checks.iter().filter(|check| check.adjusted_p_value < LEVEL);
        missed.map(|check| check.sentence.as_str())
    }
}

#[derive(Default)]
struct Sums {
    attempts: u64,
    /// After 1, 2, 3 or more failures in a row.
    after: [Coins; 3],
    bursts: Coins,
    calibration: Calibration,
    score: Weighted,
    log_score: f64,
    raw_log_score: f64,
    /// In order of their first held-out coin.
    servers: Vec<Residual>,
    /// Where they stand, by start and server.
    places: BTreeMap<(usize, usize), usize>,
    latency: Exceedances,
}

impl Sums {
    fn record(&mut self, coin: &Coin, attempt: &Observed, latency_cdf: &impl Fn(&Observed) -> f64) {
        let (p, failed) = (coin.predicted, coin.failed);
        self.attempts += 1;
        if coin.run > 0 {
            self.after[(coin.run - 1).min(2) as usize].record(p, failed);
        }
        if coin.failed_just_now >= BURST {
            self.bursts.record(p, failed);
        }
        self.calibration.record(p, failed);
        self.score.record(-libm::log(p / (1.0 - p)), p, failed);
        let of_outcome = |p: f64| -libm::log(if failed { p } else { 1.0 - p });
        self.log_score += of_outcome(p);
        let (failures, successes) = (coin.tally.failures as f64, coin.tally.successes as f64);
        self.raw_log_score += of_outcome((failures + 0.5) / (failures + successes + 1.0));
        self.latency.record(coin.stretch, latency_cdf(attempt));
        let new = self.servers.len();
        let at = *self.places.entry((coin.start, coin.server)).or_insert(new);
        if at == new {
            self.servers.push(Residual::default());
        }
        self.servers[at].record(p, failed);
    }

    /// Failures as observed and as expected, and the test of calibration.
    fn calibrated(&self) -> (f64, f64, Finding) {
        let test = self.calibration.test(LEAST_VARIANCE);
        let bins = &self.calibration.bins;
        let failures = bins.iter().map(|bin| bin.observed).sum::<u64>() as f64;
        let expected: f64 = bins.iter().map(|bin| bin.expected).sum();
        let finding = Finding {
            statistic: test.statistic,
            p_value: test.p_value,
            effect: failures - expected,
            attempts: if test.df == 0 { 0 } else { self.attempts },
            ..Finding::NONE
        };
        (failures, expected, finding)
    }

    /// The mean log score as observed and as the predictions promise, and its test.
    fn scored(&self) -> (f64, f64, Finding) {
        let finding = self.score.finding(1.0);
        let observed = self.log_score / self.attempts.max(1) as f64;
        let beyond = finding.effect * self.score.typical() * self.score.typical();
        (observed, observed - beyond, finding)
    }
}

/// Checks the second half of every start, given its first.
///
/// `refused` is parallel to the starts' attempts and says which count as refused. Where 429 is
/// marked, those are. Where it is not, they are the failures that the rate limit found explains: a
/// rule that looks at outcomes. Successes against the limit are kept, so the rule takes away
/// failures only (see `history`). `prior`, starts and limit are those of the whole recording, not
/// of the first halves: the checks are slightly conservative. `latency_cdf` is the fitted probability of a latency of at most that
/// of the attempt (it may look at the outcome, for families of their own).
pub fn held_out(
    starts: &[Start<'_>],
    refused: &[Vec<bool>],
    prior: &RatePrior,
    latency_cdf: impl Fn(&Observed) -> f64,
) -> HeldOut {
    let mut sums = Sums::default();
    walk(starts, refused, prior, |coin, attempt| {
        if coin.second_half {
            sums.record(coin, attempt, &latency_cdf);
        }
    });
    let per_attempt = 1.0 / sums.attempts.max(1) as f64;
    HeldOut {
        attempts: sums.attempts,
        checks: checks(&sums),
        log_score: sums.log_score * per_attempt,
        raw_log_score: sums.raw_log_score * per_attempt,
    }
}

/// A check before its p-value is adjusted.
struct Draft {
    name: &'static str,
    unit: &'static str,
    observed: f64,
    expected: f64,
    finding: Finding,
    /// What it means that there are more than expected, and that there are fewer.
    means: [&'static str; 2],
}

fn checks(sums: &Sums) -> Vec<Check> {
    let of_coins =
        |coins: &Coins| (coins.failures as f64, coins.expected, coins.against_prediction());
    let runs = [
        "failures come in longer runs than the model makes",
        "failures come in shorter runs than the model makes",
    ];
    let [after_1, after_2, after_more] = sums.after.each_ref().map(of_coins);
    let bursts = [
        "a server that failed 3 times within a second fails on more often than the model says",
        "a server that failed 3 times within a second recovers sooner than the model says",
    ];
    let dispersed = [
        "servers differ more from their predictions than chance does",
        "servers differ less from their predictions than chance does",
    ];
    let calibrated = [
        "attempts fail more often than predicted in some range of predictions",
        "attempts fail less often than predicted in some range of predictions",
    ];
    let sure =
        ["predictions are too sure of themselves", "predictions are not sure enough of themselves"];
    let slow = [
        "attempts are slower than the model says at this quantile",
        "attempts are faster than the model says at this quantile",
    ];
    let mut drafts = vec![
        Draft::new("runs: after 1", "failures", after_1, runs),
        Draft::new("runs: after 2", "failures", after_2, runs),
        Draft::new("runs: after 3 or more", "failures", after_more, runs),
        Draft::new("bursts", "failures", of_coins(&sums.bursts), bursts),
        Draft::new(DISPERSION, "squared failures", dispersion(&sums.servers), dispersed),
        Draft::new("calibration", "failures", sums.calibrated(), calibrated),
        Draft::new("log score", "nats an attempt", sums.scored(), sure),
    ];
    drafts.extend(
        QUANTILES.iter().enumerate().map(|(i, (name, _))| {
            Draft::new(name, "latencies above", sums.latency.finding(i), slow)
        }),
    );
    let findings: Vec<Finding> = drafts.iter().map(|draft| draft.finding).collect();
    let p_values = adjusted(&findings);
    drafts.into_iter().zip(p_values).map(|(draft, p)| draft.into_check(p)).collect()
}

impl Draft {
    fn new(
        name: &'static str,
        unit: &'static str,
        (observed, expected, finding): (f64, f64, Finding),
        means: [&'static str; 2],
    ) -> Self {
        Self { name, unit, observed, expected, finding, means }
    }

    fn into_check(self, adjusted_p_value: f64) -> Check {
        let (name, observed, expected) = (self.name, self.observed, self.expected);
        let sentence = if self.finding.attempts == 0 {
            if QUANTILES.iter().any(|(latency, _)| *latency == name) {
                format!("{name}: not checked, too few runs; latencies within one are alike.")
            } else {
                format!("{name}: not checked, too few such attempts.")
            }
        } else if adjusted_p_value >= LEVEL {
            format!("{name}: nothing is missed.")
        } else {
            let [more, fewer] = self.means;
            let what = if self.finding.effect > 0.0 { more } else { fewer };
            let digits = if expected < 10.0 { 2 } else { 0 };
            format!(
                "{name}: {what}: {observed:.digits$} {}, expected {expected:.digits$}, of {} \
                 {}.",
                self.unit,
                self.finding.attempts,
                if name == DISPERSION { "servers" } else { "attempts" }
            )
        };
        Check {
            name,
            unit: self.unit,
            observed,
            expected,
            p_value: self.finding.p_value,
            adjusted_p_value,
            attempts: self.finding.attempts,
            sentence,
        }
    }
}

// ---- Do servers differ from their predictions as much as chance makes them?
//
// The sum over servers of (sum of `failed - p`)^2. Its mean is the summed variances, exactly,
// whoever chose the servers: with M the sum of a server, M^2 - <M> is a martingale. Predictions
// that shrink servers too much, or rates that move, make it larger; predictions that are not sure
// enough make it smaller. The p-value comes from replicated outcomes under the recorded
// predictions. That ignores that the number of attempts at a server answers to its outcomes.

/// Seed of replicates, a constant: a fit is a function of its traces.
const SEED: u64 = 0x4e1d;

/// Replicates.
const REPLICATES: u64 = 999;

/// With more variance a server's excess of failures is drawn from a normal distribution.
const MUCH_VARIANCE: f64 = 30.0;

/// The coins of one server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Residual {
    excess: f64,
    variance: f64,
    /// The predictions, as long as the variance is small.
    chances: Vec<f64>,
}

impl Residual {
    pub(crate) fn record(&mut self, predicted: f64, failed: bool) {
        self.excess += f64::from(u8::from(failed)) - predicted;
        self.variance += predicted * (1.0 - predicted);
        if self.variance < MUCH_VARIANCE {
            self.chances.push(predicted);
        } else {
            self.chances = Vec::new();
        }
    }
}

/// The dispersion as observed and as expected, and its test: two-sided, by replicates.
fn dispersion(servers: &[Residual]) -> (f64, f64, Finding) {
    if servers.is_empty() {
        return (0.0, 0.0, Finding::NONE);
    }
    let observed: f64 = servers.iter().map(|s| s.excess * s.excess).sum();
    let expected: f64 = servers.iter().map(|s| s.variance).sum();
    let replicate = |r: u64| -> f64 {
        let mut rng = Streams::new(SEED).stream(Purpose::Analysis, 0, r);
        let squares = servers.iter().map(|server| {
            let excess = if server.variance < MUCH_VARIANCE {
                let of = |p: &f64| f64::from(u8::from(uniform01(&mut rng) < *p)) - p;
                server.chances.iter().map(of).sum()
            } else {
                standard_normal(&mut rng) * server.variance.sqrt()
            };
            excess * excess
        });
        squares.sum()
    };
    let below = (0..REPLICATES).filter(|r| replicate(*r) < observed).count() as f64;
    let mut rng = Streams::new(SEED).stream(Purpose::Analysis, 1, 0);
    let rank = (below + uniform_open(&mut rng)) / (REPLICATES + 1) as f64;
    let finding = Finding {
        statistic: observed / expected,
        p_value: 2.0 * rank.min(1.0 - rank),
        effect: observed - expected,
        attempts: servers.len() as u64,
        ..Finding::NONE
    };
    (observed, expected, finding)
}

// ---- Latencies of the second halves against the fitted family: how many lie above its quantiles?
//
// Latencies of one run depend on each other: slow ones come in spells, and whole runs are slow.
// So attempts are not counted as independent, stretches of the record are: each gives one number,
// the sum over its second-half attempts of `1[above the quantile] - chance`, with mean 0 if the
// family holds, whatever depends on what within it. The mean of these numbers over its standard
// error is held against Student's distribution with one degree of freedom less than stretches.
// That is valid for numbers of unequal variance too, at levels up to 8 % (R. Ibragimov and
// U. K. Müller, "t-statistic based correlation and heterogeneity robust inference", Journal of
// Business and Economic Statistics 28 (2010), 453-468).
//
// Three guards keep it from crying wolf:
// - The variance is at least the binomial one: among few rare events all sums may be alike.
// - The family was fitted to about as many latencies, so its quantiles are themselves about as
// far off as the second halves are: the variance is doubled. That is exact for nonparametric
// quantiles of first halves, and conservative for parametric families, for a family fitted to
// everything, and for one that was known.
// - A single spell may hold all latencies above a quantile, or none happen to come. So at least
// [`LEAST_STRETCHES`] stretches must hold one above and as many one below, or there must be so
// many stretches that as many of each were expected even if every stretch were all of a kind.
// Otherwise nothing is tested. Which of it is so depends on the data, but only ever takes
// alarms away.
//
// When not to use it: for runs that depend on each other, as when a machine grows slower by the
// hour; then stretches are no more independent than attempts.

/// What is looked at, and the chance to lie above.
const QUANTILES: [(&str, f64); 3] =
    [("latency p50", 0.5), ("latency p90", 0.1), ("latency p99", 0.01)];

/// With fewer stretches, nothing is tested.
const LEAST_STRETCHES: usize = 5;

/// Variance of the second halves and of the fit, over that of the second halves.
const WITH_THE_FIT: f64 = 2.0;

/// The second-half attempts of one stretch.
#[derive(Debug, Clone, Default)]
struct Counts {
    count: u64,
    above: [u64; QUANTILES.len()],
}

/// How many latencies lie above each of [`QUANTILES`], stretch by stretch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exceedances {
    /// Number of the stretch that is being counted.
    stretch: Option<usize>,
    stretches: Vec<Counts>,
}

impl Exceedances {
    /// A latency, given as the fitted probability of at most as much; NaN is not looked at.
    /// The attempts of a stretch follow each other.
    pub(crate) fn record(&mut self, stretch: usize, cdf: f64) {
        if cdf.is_nan() {
            return;
        }
        if self.stretch != Some(stretch) {
            self.stretch = Some(stretch);
            self.stretches.push(Counts::default());
        }
        let Some(counts) = self.stretches.last_mut() else { return };
        counts.count += 1;
        for (above, (_, chance)) in counts.above.iter_mut().zip(QUANTILES) {
            *above += u64::from(cdf > 1.0 - chance);
        }
    }

    /// Latencies above, as observed and as expected, and the test.
    pub(crate) fn finding(&self, quantile: usize) -> (f64, f64, Finding) {
        let chance = QUANTILES[quantile].1;
        let count: u64 = self.stretches.iter().map(|of| of.count).sum();
        let above: u64 = self.stretches.iter().map(|of| of.above[quantile]).sum();
        let (observed, expected) = (above as f64, count as f64 * chance);
        if !self.is_testable(quantile) {
            return (observed, expected, Finding::NONE);
        }
        let n = self.stretches.len() as f64;
        let mean = (observed - expected) / n;
        let squares = self.stretches.iter().map(|of| {
            let sum = of.above[quantile] as f64 - of.count as f64 * chance;
            (sum - mean) * (sum - mean)
        });
        // Variances of the sum over all stretches.
        let between = squares.sum::<f64>() * n / (n - 1.0);
        let binomial = expected * (1.0 - chance);
        let statistic = (observed - expected) / (WITH_THE_FIT * between.max(binomial)).sqrt();
        let finding = Finding {
            statistic,
            p_value: (2.0 * student_t_cdf(-statistic.abs(), n - 1.0)).min(1.0),
            effect: observed - expected,
            attempts: count,
            ..Finding::NONE
        };
        (observed, expected, finding)
    }

    fn is_testable(&self, quantile: usize) -> bool {
        let with =
            |one: &dyn Fn(&Counts) -> bool| self.stretches.iter().filter(|of| one(of)).count();
        let above = with(&|of| of.above[quantile] > 0);
        let below = with(&|of| of.above[quantile] < of.count);
        let chance = QUANTILES[quantile].1;
        let of_a_kind = chance.min(1.0 - chance) * self.stretches.len() as f64;
        above.min(below) >= LEAST_STRETCHES || of_a_kind >= LEAST_STRETCHES as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::ATTEMPT;
    use flakelab_core::domain::Outcome;
    use flakelab_core::stats::normal_cdf;

    #[test]
    fn servers_that_keep_to_one_side_are_too_different() {
        // Each of 20 servers fails in 15 of 20 attempts, or in 5, where half was predicted.
        let off = |i: u64| {
            let mut server = Residual::default();
            (0..20).for_each(|k| server.record(0.5, (k < 15) == i.is_multiple_of(2)));
            server
        };
        let servers: Vec<Residual> = (0..20).map(off).collect();
        let (observed, expected, finding) = dispersion(&servers);
        assert_eq!((observed, expected), (500.0, 100.0));
        assert!(finding.p_value < 0.003 && finding.effect > 0.0, "{finding:?}");
        // Each exactly as predicted: too alike.
        let even = |_| {
            let mut server = Residual::default();
            (0..20).for_each(|k| server.record(0.5, k < 10));
            server
        };
        let servers: Vec<Residual> = (0..20).map(even).collect();
        let (_, _, finding) = dispersion(&servers);
        assert!(finding.p_value < 0.003 && finding.effect < 0.0, "{finding:?}");
    }

    /// p-values of `stretches` of 100 latencies, normal and `slower`, each by `rho` the one before.
    fn p_values(seed: u64, stretches: usize, rho: f64, slower: f64) -> [Option<f64>; 3] {
        let mut luck = Streams::new(0x1a7).stream(Purpose::Analysis, 0, seed);
        let mut all = Exceedances::default();
        for stretch in 0..stretches {
            let mut z = standard_normal(&mut luck);
            for _ in 0..100 {
                all.record(stretch, normal_cdf(z + slower));
                z = rho * z + (1.0 - rho * rho).sqrt() * standard_normal(&mut luck);
            }
        }
        [0, 1, 2].map(|quantile| {
            let finding = all.finding(quantile).2;
            (finding.attempts > 0).then_some(finding.p_value)
        })
    }

    /// 1,000 records of 20 stretches, neighbours with correlation 0.8. At 5 % there are at most 50
    /// alarms expected, with a standard deviation of 7: more than 78 have probability 1e-4. Taken
    /// for binomial, counts above the median have 2.5 times the deviation and alarm in 4 of 10.
    #[test]
    fn latencies_that_depend_on_each_other_are_no_false_alarm() {
        let mut alarms = [0; 3];
        for seed in 0..1_000 {
            for (alarms, p) in alarms.iter_mut().zip(p_values(seed, 20, 0.8, 0.0)) {
                *alarms += u32::from(p.is_some_and(|p| p < 0.05));
            }
        }
        assert!(alarms.iter().all(|alarms| *alarms <= 78), "{alarms:?}");
    }

    #[test]
    fn slower_second_halves_are_noticed_in_spite_of_dependence() {
        let seen = |slower| {
            let seen = |seed| p_values(seed, 20, 0.4, slower)[0].is_some_and(|p| p < 0.001);
            (0..20).filter(|seed| seen(*seed)).count()
        };
        assert_eq!((seen(0.6), seen(-0.6), seen(0.0)), (20, 20, 0));
    }

    #[test]
    fn few_stretches_and_single_spells_are_not_tested() {
        assert_eq!(p_values(1, 4, 0.0, 3.0), [None; 3]);
        // All slow latencies of ten stretches in one spell, or none at all.
        for spell in [0, 50] {
            let mut all = Exceedances::default();
            for i in 0..1_000_usize {
                all.record(i / 100, if i < spell { 0.999 } else { 0.3 });
            }
            all.record(10, f64::NAN);
            let (above, expected, finding) = all.finding(2);
            assert_eq!((above, expected, finding), (spell as f64, 10.0, Finding::NONE));
            // Half the stretches would lie above the median even if each were all of a kind.
            assert!(all.finding(0).2.p_value < 1e-3);
        }
        assert_eq!(Exceedances::default().finding(0), (0.0, 0.0, Finding::NONE));
    }

    #[test]
    fn equal_stretches_are_judged_by_the_binomial_variance() {
        let mut all = Exceedances::default();
        for i in 0..600_usize {
            all.record(i / 100, if i % 100 < 60 { 0.7 } else { 0.3 });
        }
        let (above, expected, finding) = all.finding(0);
        assert_eq!((above, expected, finding.attempts), (360.0, 300.0, 600));
        assert!((finding.statistic - 60.0 / 300_f64.sqrt()).abs() < 1e-12, "{finding:?}");
        assert!((finding.p_value - 0.018).abs() < 0.001, "{finding:?}");
    }

    /// Two servers in turn; the first fails always in the second half, never in the first.
    fn broken_half() -> Vec<Observed> {
        let attempt = |i: u32| Observed {
            at_s: f64::from(i) * 0.1,
            request: i,
            server: (i % 2) as u8,
            outcome: if i >= 100 && i.is_multiple_of(2) {
                Outcome::Failure
            } else {
                Outcome::Success
            },
            ..ATTEMPT
        };
        (0..200).map(attempt).collect()
    }

    #[test]
    fn a_server_that_breaks_in_the_second_half_is_said_in_words() {
        let attempts = broken_half();
        let starts = [Start { stretches: vec![&attempts] }];
        let found = held_out(&starts, &[], &RatePrior::flat(), |_| 0.3);
        assert_eq!(found.attempts, 100);
        let check = |name: &str| found.checks.iter().find(|check| check.name == name).unwrap();
        assert_eq!(check("runs: after 1").attempts, 1);
        assert_eq!(check("runs: after 3 or more").attempts, 47);
        assert_eq!(check("runs: after 3 or more").observed, 47.0);
        let misses: Vec<&str> = found.misses().collect();
        for part in [
            "after 3 or more: failures come in longer runs than the model makes: 47 failures",
            "bursts: a server that failed 3 times within a second fails on",
        ] {
            assert!(misses.iter().any(|miss| miss.contains(part)), "{part}: {misses:#?}");
        }
        let latency = check("latency p50");
        assert_eq!((latency.attempts, latency.adjusted_p_value), (0, 1.0), "one stretch");
        assert!(latency.sentence.contains("not checked, too few runs"), "{}", latency.sentence);
        assert!(found.log_score > 0.5);
    }

    #[test]
    fn no_attempts_are_no_obstacle() {
        let found = held_out(&[], &[], &RatePrior::flat(), |_| 0.5);
        assert_eq!((found.attempts, found.misses().count()), (0, 0));
        assert!(found.checks.iter().all(|check| check.sentence.contains("not checked")));
    }
}
