//! May the simulator be believed? Tests of what it assumes about outcomes.
//!
//! The simulator throws one coin an attempt: its chance of failure depends on the server and the
//! start alone. Each test asks whether something else moves it: earlier outcomes, time, the
//! request's other attempts, the identifier, the load; and whether the choice of servers shows
//! knowledge that the record does not hold. All compare failures with predictions made just
//! before, so the rule that chose the servers does no harm; see `residuals` and `history`.
//!
//! When not to use it: a test without a finding is no proof. The interval says which effects the
//! attempts exclude. Rates that drift slowly are half hidden, because predictions follow them.
//! Choices that knew more than the record are seen only when they kept servers out: if all servers
//! are tried sooner or later, their first attempts are a fair sample whatever came first.

use crate::checks::history::{Coin, JUST_NOW_S, RECENT, walk};
use crate::checks::residuals::{Coins, Finding, Weighted, classes};
use crate::rates::RatePrior;
use crate::runs::Start;
use flakelab_core::stats::{Interval, Moments, holm};
use flakelab_sim::trace::{Observed, PROBE};

/// Adjusted p-values below this are findings.
const LEVEL: f64 = 0.05;

/// A server with at most so many coins is new.
const NEW: u64 = 2;

/// How far something moves the probability of failure.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// What is compared with what.
    pub of: String,
    /// Change in the probability of failure, in percentage points.
    pub points: f64,
    /// Its 95 % interval, in percentage points.
    pub interval: Interval,
}

/// A test of one assumption.
#[derive(Debug, Clone, PartialEq)]
pub struct AssumptionTest {
    /// What is tested, in a few words.
    pub name: &'static str,
    /// Two-sided; 1 when there was nothing to test.
    pub p_value: f64,
    /// Adjusted by Holm for all tests that were made; 1 when there was nothing to test.
    pub adjusted_p_value: f64,
    /// The size of the effect, if there was something to test.
    pub effect: Option<Effect>,
    /// Attempts that it rests on; 0 when there was nothing to test.
    pub attempts: u64,
    /// What follows for strategies and simulator.
    pub consequence: String,
}

impl AssumptionTest {
    /// Whether the assumption is rejected at 5 %, all tests together.
    pub fn is_rejected(&self) -> bool {
        self.adjusted_p_value < LEVEL
    }
}

/// What is compared, and what an answer means.
struct Assumption {
    name: &'static str,
    of: &'static str,
    holds: &'static str,
    fails_more: &'static str,
    fails_less: &'static str,
}

const ASSUMPTIONS: [Assumption; 10] = [
    Assumption {
        name: "previous outcome",
        of: "after a failure against after a success",
        holds: "Outcomes count as independent over time.",
        fails_more: "Failures stick: a server that just failed should be left for a while, which \
                     no strategy here does on purpose, and the simulator makes too short runs.",
        fails_less: "Failures alternate with successes: the simulator makes too long runs.",
    },
    Assumption {
        name: "previous outcome, just now",
        of: "within a second after a failure against after a success",
        holds: "A failure just now says no more than an old one.",
        fails_more: "Failures come in bursts: outages or a rate limit that is not modelled; \
                     strategies that leave a failing server at once do better than simulated.",
        fails_less: "A failure is followed by success more often than by chance: retrying at once \
                     is better than simulated.",
    },
    Assumption {
        name: "drift of all servers",
        of: "end against beginning of a start",
        holds: "Error rates count as constant while a start lasts, taken together.",
        fails_more: "Servers get worse while they run: one error rate a start is too simple, old \
                     outcomes should count less.",
        fails_less: "Servers get better while they run: one error rate a start is too simple, old \
                     outcomes should count less.",
    },
    Assumption {
        name: "drift of single servers",
        of: "a latest record that is worse by its usual difference",
        holds: "The whole record of a start predicts no worse than its latest part.",
        fails_more: "Rates move server by server: strategies that forget would do better than \
                     simulated.",
        fails_less: "Streaks reverse: a server does better after a bad streak than its record says.",
    },
    Assumption {
        name: "later attempts of a request",
        of: "later attempts against first ones",
        holds: "A retry is as good as a first attempt at the same server.",
        fails_more: "Retries are worse than simulated: requests that failed once are harder, or \
                     come too fast.",
        fails_less: "Retries are better than simulated.",
    },
    Assumption {
        name: "same server again",
        of: "repeats at the same server against predictions",
        holds: "Trying the same server again counts as another coin.",
        fails_more: "Trying the same server again is worse than simulated: a retry should go to \
                     another server.",
        fails_less: "Trying the same server again is better than simulated: strategies should.",
    },
    Assumption {
        name: "identifier",
        of: "",
        holds: "Identifiers do not matter.",
        fails_more: "Some identifiers fail more often than others: requests are not alike, and a \
                     failed request stays harder wherever it goes.",
        fails_less: "Some identifiers fail less often than others: requests are not alike.",
    },
    Assumption {
        name: "gap",
        of: "",
        holds: "Servers do not mind how soon they are tried again.",
        fails_more: "Failures depend on how soon a server is tried again: a rate limit that is \
                     not modelled, or servers that tire.",
        fails_less: "Failures depend on how soon a server is tried again, which the simulator \
                     does not model.",
    },
    Assumption {
        name: "load",
        of: "twice the attempts at the server within the last second",
        holds: "Load does not matter beyond the rate limit that is modelled.",
        fails_more: "Failures depend on load: a rate limit that is not modelled; strategies that \
                     keep to one server look better in the simulator than they are.",
        fails_less: "Failures depend on load in a way that the simulator does not model.",
    },
    Assumption {
        name: "knowledge of the choice",
        of: "first three attempts at a server against predictions",
        holds: "The choices show no knowledge that the record does not hold.",
        fails_more: "Servers do worse at first than the population says: successes are missing \
                     from the record, or the population does not fit.",
        fails_less: "The choices knew more than the record, or failures are missing from it: the \
                     likelihood is not ignorable, and error rates are biased.",
    },
];

const IDENTIFIERS: [&str; 4] = ["a digit", "an upper case letter", "a lower case letter", "others"];

const GAPS: [&str; 5] = [
    "under 50 ms",
    "50 to 200 ms",
    "0.2 to 1 s",
    "1 to 5 s",
    "5 s and more since the last attempt",
];

#[derive(Default)]
struct Sums {
    /// After a success, after a failure.
    previous: [Coins; 2],
    just_now: [Coins; 2],
    time: Weighted,
    recent: Weighted,
    /// First attempts, later ones.
    later: [Coins; 2],
    /// Attempts at servers new to the request, repeats.
    repeated: [Coins; 2],
    identifiers: [Coins; IDENTIFIERS.len()],
    gaps: [Coins; GAPS.len()],
    /// Weighted by the logarithm of the load less its mean so far: classes of load would hold
    /// enough coins only after unusual outcomes, which is no choice known before.
    load: Weighted,
    load_so_far: Moments,
    new: Coins,
}

impl Sums {
    fn record(&mut self, coin: &Coin, attempt: &Observed) {
        let (p, failed) = (coin.predicted, coin.failed);
        if let Some((before, age_s)) = coin.previous {
            self.previous[usize::from(before)].record(p, failed);
            if age_s.is_some_and(|age| age <= JUST_NOW_S) {
                self.just_now[usize::from(before)].record(p, failed);
            }
        }
        self.time.record(coin.when, p, failed);
        if coin.tally.attempts() > RECENT as u64 {
            self.recent.record(coin.recent - p, p, failed);
        }
        self.later[usize::from(attempt.attempt > 1)].record(p, failed);
        self.repeated[usize::from(coin.repeated)].record(p, failed);
        self.identifiers[identifier_class(attempt.identifier_byte)].record(p, failed);
        if let Some(gap_s) = coin.gap_s {
            let class = [0.05, 0.2, 1.0, 5.0].iter().filter(|from| gap_s >= **from).count();
            self.gaps[class].record(p, failed);
        }
        let load = libm::log2(1.0 + coin.load as f64);
        if self.load_so_far.count() > 0 {
            self.load.record(load - self.load_so_far.mean(), p, failed);
        }
        self.load_so_far.push(load);
        if coin.tally.attempts() <= NEW {
            self.new.record(p, failed);
        }
    }

    /// In the order of [`ASSUMPTIONS`], with words for the effect where there are none yet.
    fn findings(&self) -> [(Finding, Option<String>); ASSUMPTIONS.len()] {
        let plain = |finding| (finding, None);
        let contrast = |pair: &[Coins; 2]| plain(pair[1].against(&pair[0]));
        let of_classes = |coins: &[Coins], labels: &[&str]| {
            let (most, finding) = classes(coins);
            (finding, most.map(|most| format!("{} against the rest", labels[most])))
        };
        [
            contrast(&self.previous),
            contrast(&self.just_now),
            plain(self.time.finding(2.0)),
            plain(self.recent.finding(self.recent.typical())),
            contrast(&self.later),
            contrast(&self.repeated),
            of_classes(&self.identifiers, &IDENTIFIERS),
            of_classes(&self.gaps, &GAPS),
            plain(self.load.finding(1.0)),
            plain(self.new.against_prediction()),
        ]
    }
}

fn identifier_class(byte: u8) -> usize {
    match byte {
        b'0'..=b'9' => 0,
        b'A'..=b'Z' => 1,
        b'a'..=b'z' => 2,
        _ => 3,
    }
}

/// Tests every assumption on the attempts of these starts. `refused` is parallel to them and says
/// which attempts count as refused, by a rule that does not look at outcomes; `prior` is the error
/// rate of a server before it is seen.
pub fn assumptions(
    starts: &[Start<'_>],
    refused: &[Vec<bool>],
    prior: &RatePrior,
) -> Vec<AssumptionTest> {
    let mut sums = Sums::default();
    walk(starts, refused, prior, |coin, attempt| sums.record(coin, attempt));
    let findings = sums.findings();
    let adjusted = adjusted(&findings.each_ref().map(|(finding, _)| *finding));
    let described = ASSUMPTIONS.iter().zip(findings).zip(adjusted);
    described
        .map(|((assumption, (finding, of)), p)| describe(assumption, &finding, of, p))
        .collect()
}

/// Holm's adjusted p-values among the tests that were made.
fn adjusted(findings: &[Finding]) -> Vec<f64> {
    let made: Vec<f64> = findings.iter().filter(|f| f.attempts > 0).map(|f| f.p_value).collect();
    let mut adjusted = holm(&made).into_iter();
    let of = |f: &Finding| if f.attempts > 0 { adjusted.next().unwrap_or(1.0) } else { 1.0 };
    findings.iter().map(of).collect()
}

fn describe(
    assumption: &Assumption,
    finding: &Finding,
    of: Option<String>,
    adjusted_p_value: f64,
) -> AssumptionTest {
    let points = |x: f64| 100.0 * x;
    let interval =
        Interval { low: points(finding.interval.low), high: points(finding.interval.high) };
    let effect = (finding.attempts > 0).then(|| Effect {
        of: of.unwrap_or_else(|| assumption.of.to_owned()),
        points: points(finding.effect),
        interval,
    });
    let consequence = if finding.attempts == 0 {
        "Not tested: too few such attempts.".to_owned()
    } else if adjusted_p_value >= LEVEL {
        format!(
            "{} The attempts allow changes from {:+.1} to {:+.1} points{}.",
            assumption.holds,
            interval.low,
            interval.high,
            if finding.p_value < LEVEL {
                "; alone this would be a finding, among so many tests it is not"
            } else {
                ""
            }
        )
    } else if finding.effect > 0.0 {
        assumption.fails_more.to_owned()
    } else {
        assumption.fails_less.to_owned()
    };
    AssumptionTest {
        name: assumption.name,
        p_value: finding.p_value,
        adjusted_p_value,
        effect,
        attempts: finding.attempts,
        consequence,
    }
}

// ---- Which rules chose the servers, and whether they could see more than the record shows.
//
// The likelihood ignores how servers were chosen, which is right as long as the choice used
// recorded outcomes, times and luck only (D. B. Rubin, "Inference and missing data", Biometrika
// 63 (1976), 581-592: ignorable). A rule that saw anything else, a health check or the truth
// itself, chooses servers about which it knows more than the fit does. A name is a claim, no proof.

/// Rules that choose by recorded outcomes and luck only, with their aliases and older names, and
/// the probe, which follows a plan and stops by recorded outcomes.
const RECORDED_INPUTS_ONLY: [&str; 13] = [
    "larkin",
    "ucb1",
    "ucb-free",
    "thompson",
    "thompson-scaled",
    "random",
    "round-robin",
    "v1",
    "v2",
    "v3",
    "v4",
    "v5",
    PROBE,
];

/// Warnings about strategies that used inputs which no recording holds, or may have: one sentence
/// a strategy.
pub(crate) fn unrecorded_inputs(strategies: &[String]) -> Vec<String> {
    let warning = |name: &String| {
        let plain = name.trim().to_ascii_lowercase();
        if RECORDED_INPUTS_ONLY.contains(&plain.as_str()) {
            None
        } else if plain.is_empty() {
            Some(
                "Some attempts do not say which strategy chose the server: if it used anything \
                 that is not recorded, error rates are biased."
                    .to_owned(),
            )
        } else if plain == "oracle" {
            Some(format!(
                "Strategy `{name}` knows the true error rates, which no recording holds: its \
                 choices are evidence that the likelihood leaves out, so error rates are biased."
            ))
        } else {
            Some(format!(
                "Strategy `{name}` is not known here: if it used anything that is not recorded \
                 (health checks, outcomes of other clients, earlier runs), error rates are biased."
            ))
        }
    };
    strategies.iter().filter_map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::ATTEMPT;
    use flakelab_core::domain::Outcome;

    #[test]
    fn known_rules_pass_and_others_are_warned_of() {
        let warnings = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            unrecorded_inputs(&names)
        };
        assert!(warnings(&["v4", "V1", "thompson", "random", "probe"]).is_empty());
        let found = warnings(&["v4", "oracle", "nginx least_conn", ""]);
        assert_eq!(found.len(), 3);
        assert!(found[0].contains("`oracle` knows the true error rates"), "{found:?}");
        assert!(found[1].contains("`nginx least_conn` is not known"), "{found:?}");
        assert!(found[2].contains("do not say"), "{found:?}");
    }

    #[test]
    fn nothing_to_test_is_said_and_takes_no_part_in_the_adjustment() {
        for starts in [&[][..], &[Start::default()]] {
            let tests = assumptions(starts, &[], &RatePrior::flat());
            assert_eq!(tests.len(), 10);
            for test in tests {
                assert_eq!((test.attempts, test.adjusted_p_value, test.effect), (0, 1.0, None));
                assert_eq!(test.consequence, "Not tested: too few such attempts.");
            }
        }
    }

    /// Sixteen requests whose first attempt fails and is repeated at the same server at once.
    #[test]
    fn repeats_that_always_fail_are_found_unless_they_count_as_refused() {
        let attempt = |request: u32, number: u16, outcome: Outcome| Observed {
            at_s: f64::from(request) + 0.002 * f64::from(number),
            request,
            attempt: number,
            server: (request % 10) as u8,
            outcome,
            ..ATTEMPT
        };
        let (ok, fail) = (Outcome::Success, Outcome::Failure);
        let mut attempts = Vec::new();
        for request in 0..160 {
            if request % 10 == request / 10 % 10 {
                attempts.push(attempt(request, 1, fail));
                attempts.push(attempt(request, 2, fail));
            } else {
                attempts.push(attempt(request, 1, ok));
            }
        }
        let starts = [Start { stretches: vec![&attempts] }];
        let again = |refused: &[Vec<bool>]| {
            let tests = assumptions(&starts, refused, &RatePrior::flat());
            tests.into_iter().find(|test| test.name == "same server again").unwrap()
        };
        let found = again(&[]);
        assert!(found.is_rejected() && found.attempts == 16, "{found:?}");
        assert!(found.effect.unwrap().interval.low > 20.0);
        assert!(found.consequence.contains("a retry should go to another server"));
        let refused = attempts.iter().map(|attempt| attempt.attempt == 2).collect();
        assert_eq!(again(&[refused]).attempts, 0);
    }
}
