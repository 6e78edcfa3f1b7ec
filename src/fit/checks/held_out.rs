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
//! Dispersion between servers, the sum over servers of (sum of `failed - p`)^2, has the summed
//! variances as its exact mean, but a p-value that is not exact (`dispersion`).
//! `tests/calibration/checks.rs` measures false alarms of all of them.
//!
//! Only outcomes are held out. The prior, the starts and the rate limit come from the whole
//! recording, second halves included, so the checks are slightly conservative. Latencies depend on
//! each other within a run, which their checks allow for (`latency_check`).
//!
//! When not to use it: as a test of the starts or of the rate limit; both have seen these outcomes.

use super::assumptions::adjusted;
use super::dispersion::{Residual, dispersion};
use super::history::{Coin, walk};
use super::latency_check::{Exceedances, QUANTILES};
use super::residuals::{Coins, Finding, LEAST_VARIANCE, Weighted};
use crate::fit::error_rates::RatePrior;
use crate::fit::runs::Start;
use crate::stats::calibration::Calibration;
use crate::trace::Observed;

/// Adjusted p-values below this are misses.
const LEVEL: f64 = 0.05;
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
    /// A standard normal variable if the model holds; for calibration a chi-square, for
    /// dispersion observed over expected.
    pub statistic: f64,
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
    /// Start and number of the servers, in order of their first held-out coin.
    keys: Vec<(usize, usize)>,
    servers: Vec<Residual>,
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
        let key = (coin.start, coin.server);
        // The servers of one start stand together at the end.
        let known = self.keys.iter().rev().take_while(|k| k.0 == coin.start);
        let back = known.take_while(|k| **k != key).count();
        let at = match self.keys.len().checked_sub(back + 1) {
            Some(at) if self.keys[at] == key => at,
            _ => {
                self.keys.push(key);
                self.servers.push(Residual::default());
                self.keys.len() - 1
            }
        };
        self.servers[at].record(p, failed);
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
#[must_use]
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

/// A check before its p-value is adjusted; the words say what a miss in either direction means.
struct Draft {
    name: &'static str,
    unit: &'static str,
    observed: f64,
    expected: f64,
    finding: Finding,
    more: &'static str,
    fewer: &'static str,
}

fn checks(sums: &Sums) -> Vec<Check> {
    const NAMES: [&str; 3] = ["runs: after 1", "runs: after 2", "runs: after 3 or more"];
    let of_coins = |name, coins: &Coins, more, fewer| Draft {
        name,
        unit: "failures",
        observed: coins.failures as f64,
        expected: coins.expected,
        finding: coins.against_prediction(),
        more,
        fewer,
    };
    let mut drafts: Vec<Draft> = NAMES
        .iter()
        .zip(&sums.after)
        .map(|(name, coins)| {
            of_coins(
                name,
                coins,
                "failures come in longer runs than the model makes",
                "failures come in shorter runs than the model makes",
            )
        })
        .collect();
    drafts.push(of_coins(
        "bursts",
        &sums.bursts,
        "a server that failed 3 times within a second fails on more often than the model says",
        "a server that failed 3 times within a second recovers sooner than the model says",
    ));
    let (observed, expected, finding) = dispersion(&sums.servers);
    drafts.push(Draft {
        name: DISPERSION,
        unit: "squared failures",
        observed,
        expected,
        finding,
        more: "servers differ more from their predictions than chance does",
        fewer: "servers differ less from their predictions than chance does",
    });
    let test = sums.calibration.test(LEAST_VARIANCE);
    let failures: u64 = sums.calibration.bins.iter().map(|bin| bin.observed).sum();
    let expected: f64 = sums.calibration.bins.iter().map(|bin| bin.expected).sum();
    let finding = Finding {
        statistic: test.statistic,
        p_value: test.p_value,
        effect: failures as f64 - expected,
        attempts: if test.df == 0 { 0 } else { sums.attempts },
        ..Finding::NONE
    };
    drafts.push(Draft {
        name: "calibration",
        unit: "failures",
        observed: failures as f64,
        expected,
        finding,
        more: "attempts fail more often than predicted in some range of predictions",
        fewer: "attempts fail less often than predicted in some range of predictions",
    });
    let score = sums.score.finding(1.0);
    let beyond = score.effect * sums.score.typical() * sums.score.typical();
    drafts.push(Draft {
        name: "log score",
        unit: "nats an attempt",
        observed: sums.log_score / sums.attempts.max(1) as f64,
        expected: sums.log_score / sums.attempts.max(1) as f64 - beyond,
        finding: score,
        more: "predictions are too sure of themselves",
        fewer: "predictions are not sure enough of themselves",
    });
    for (i, (name, _)) in QUANTILES.iter().enumerate() {
        let (observed, expected, finding) = sums.latency.finding(i);
        drafts.push(Draft {
            name,
            unit: "latencies above",
            observed,
            expected,
            finding,
            more: "attempts are slower than the model says at this quantile",
            fewer: "attempts are faster than the model says at this quantile",
        });
    }
    let findings: Vec<Finding> = drafts.iter().map(|draft| draft.finding).collect();
    let p_values = adjusted(&findings);
    drafts.into_iter().zip(p_values).map(|(draft, p)| draft.into_check(p)).collect()
}

impl Draft {
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
            let what = if self.finding.effect > 0.0 { self.more } else { self.fewer };
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
            statistic: self.finding.statistic,
            p_value: self.finding.p_value,
            adjusted_p_value,
            attempts: self.finding.attempts,
            sentence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Outcome;

    /// Two servers in turn; the first fails always in the second half, never in the first.
    fn broken_half() -> Vec<Observed> {
        let attempt = |i: u32| Observed {
            at_s: f64::from(i) * 0.1,
            latency_ms: 1.0,
            request: i,
            attempt: 1,
            server: (i % 2) as u8,
            outcome: if i >= 100 && i.is_multiple_of(2) {
                Outcome::Failure
            } else {
                Outcome::Success
            },
            strategy: 0,
            identifier_byte: b'a',
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
