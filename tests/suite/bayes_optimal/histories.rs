//! The optimum of a tiny case, slowly and literally: over whole histories, and over all rules.
//! Shares nothing with `dynamic_program` but the description of a case.

use super::dynamic_program::Case;
use super::prior::Prior;

/// One attempt: the server, and whether it succeeded.
type History = Vec<(usize, bool)>;

/// Probability that the next attempt at `server` succeeds, given everything that happened.
fn chance(prior: &Prior, history: &History, server: usize) -> f64 {
    let count = |wanted| history.iter().filter(|event| **event == (server, wanted)).count() as i32;
    let (s, f) = (count(true), count(false));
    moment(prior, s + 1, f) / moment(prior, s, f)
}

/// E[x^s (1-x)^f], by the binomial theorem term by term (so few failures that nothing cancels).
fn moment(prior: &Prior, s: i32, f: i32) -> f64 {
    let raw = |power: i32| match *prior {
        Prior::Beta { a, b } => {
            (0..power).map(|i| (a + f64::from(i)) / (a + b + f64::from(i))).product::<f64>()
        }
        Prior::Uniform { low, high } => {
            (high.powi(power + 1) - low.powi(power + 1)) / (f64::from(power + 1) * (high - low))
        }
    };
    let mut binomial = 1.0;
    let mut sum = 0.0;
    for j in 0..=f {
        sum += binomial * raw(s + j);
        binomial *= -f64::from(f - j) / f64::from(j + 1);
    }
    sum
}

fn most(case: &Case) -> u32 {
    case.rules.max_attempts.expect("a cap")
}

fn price(case: &Case, attempt: u32) -> f64 {
    if attempt >= case.rules.free_attempts { case.rules.penalty_per_extra_attempt } else { 0.0 }
}

/// The best mean score there is.
pub fn optimum(case: &Case) -> f64 {
    from(case, case.requests, 0, &mut Vec::new())
}

fn from(case: &Case, left: usize, attempt: u32, history: &mut History) -> f64 {
    if left == 0 {
        return 0.0;
    }
    let mut best = f64::NEG_INFINITY;
    for server in 0..case.servers {
        let p = chance(&case.prior, history, server);
        history.push((server, true));
        let success = 1.0 + from(case, left - 1, 0, history);
        history.pop();
        history.push((server, false));
        let failure = if attempt + 1 == most(case) {
            from(case, left - 1, 0, history)
        } else {
            from(case, left, attempt + 1, history)
        };
        history.pop();
        best = best.max(p * success + (1.0 - p) * failure - price(case, attempt));
    }
    best
}

/// The mean score of every rule for two servers, two requests and at most two attempts. A rule
/// has eight decisions: the first request's first attempt, its second, and the same two of the
/// second request for each of three ends of the first (at once, at the second attempt, never).
pub fn every_rule(case: &Case) -> Vec<f64> {
    assert_eq!((case.servers, case.requests, most(case)), (2, 2, 2));
    (0..256).map(|rule| worth(case, rule, 0, 0, 0, &mut Vec::new())).collect()
}

/// From attempt `attempt` of request `request` on; `end` is how the first request ended.
fn worth(
    case: &Case,
    rule: u32,
    request: u32,
    attempt: u32,
    end: u32,
    history: &mut History,
) -> f64 {
    if request == 2 {
        return 0.0;
    }
    let decision = if request == 0 { attempt } else { 2 + 2 * end + attempt };
    let server = (rule >> decision & 1) as usize;
    let p = chance(&case.prior, history, server);
    history.push((server, true));
    let success = 1.0 + worth(case, rule, request + 1, 0, attempt, history);
    history.pop();
    history.push((server, false));
    let failure = if attempt == 1 {
        worth(case, rule, request + 1, 0, 2, history)
    } else {
        worth(case, rule, request, 1, end, history)
    };
    history.pop();
    p * success + (1.0 - p) * failure - price(case, attempt)
}
