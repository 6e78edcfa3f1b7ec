//! The rate-limit-aware strategies: masks, windows, blocks.

use flakelab_core::domain::{Outcome, Timestamp};
use flakelab_core::strategy::Decision;

use super::{History, Question, agrees, drawn, highest, notices, send, spec};

/// Ways in which a strategy could be wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bug {
    None,
    RefusalsCountAsFailures,
    LongerMask,
    AnyMaskedServerWhenAllAre,
    MaskedBeforeTried,
    PaidAttemptsIgnoreMasks,
    LongerWindow,
    RefusalsFillTheWindow,
    FailuresResetTheMultiplier,
    MultiplierGrowsOn,
}

/// When each server is closed until, by the rule of masks.
fn masked_until(history: &History, server: usize, bug: Bug) -> Timestamp {
    let cooldown_ns = if bug == Bug::LongerMask { 1_050_000_000 } else { 1_000_000_000 };
    let mut refused = history.outcomes(server).filter(|(_, o)| *o == Outcome::RateLimited);
    let last =
        refused.next_back().map(|(at, _)| Timestamp::from_nanos(at.as_nanos() + cooldown_ns));
    last.unwrap_or(Timestamp::ZERO)
}

/// "5 s times a multiplier doubling with each consecutive 429 up to 4, reset on success."
fn blocked_until(history: &History, server: usize, bug: Bug) -> Timestamp {
    let (mut refusals_in_a_row, mut until) = (0, Timestamp::ZERO);
    for (at, outcome) in history.outcomes(server) {
        match outcome {
            Outcome::RateLimited => {
                let most = if bug == Bug::MultiplierGrowsOn { 8 } else { 4 };
                let multiplier = 2_u64.pow(refusals_in_a_row.min(3)).min(most);
                until = Timestamp::from_nanos(at.as_nanos() + 5_000_000_000 * multiplier);
                refusals_in_a_row += 1;
            }
            Outcome::Success => refusals_in_a_row = 0,
            _ if bug == Bug::FailuresResetTheMultiplier => refusals_in_a_row = 0,
            Outcome::Failure | Outcome::TimedOut => {}
        }
    }
    until
}

/// The last `window` outcomes that say something of the rate: successes, failures.
fn counts(history: &History, server: usize, window: usize, bug: Bug) -> (f64, f64) {
    let refusals_too = matches!(bug, Bug::RefusalsCountAsFailures);
    let taken = |outcome: &Outcome| *outcome != Outcome::RateLimited || refusals_too;
    let mut outcomes: Vec<Outcome> = history.outcomes(server).map(|(_, o)| o).collect();
    if bug == Bug::RefusalsFillTheWindow {
        outcomes = outcomes.split_off(outcomes.len().saturating_sub(window));
    }
    outcomes.retain(taken);
    let window = if bug == Bug::LongerWindow { window + 1 } else { window };
    let last = &outcomes[outcomes.len().saturating_sub(window)..];
    let successes = last.iter().filter(|o| **o == Outcome::Success).count();
    (successes as f64, (last.len() - successes) as f64)
}

/// V4's rule among the servers that are open, or the one that opens first.
fn decide(
    question: &mut Question,
    window: usize,
    exclude_tried: bool,
    until: impl Fn(&History, usize, Bug) -> Timestamp,
    bug: Bug,
) -> Decision {
    let (now, history) = (question.now, question.history);
    let everyone = question.everyone();
    let opens = |i: usize| until(history, i, bug);
    let open: Vec<usize> = everyone.iter().copied().filter(|i| opens(*i) <= now).collect();
    let rate = |i: usize| {
        let (s, f) = counts(history, i, window, bug);
        if s + f == 0.0 { 0.0 } else { s / (s + f) }
    };
    if !question.request.is_free() && bug == Bug::PaidAttemptsIgnoreMasks {
        return send(highest(&everyone, rate));
    }
    if open.is_empty() {
        let longest_ago = highest(&everyone, |i| -(opens(i).as_nanos() as f64));
        return send(if bug == Bug::AnyMaskedServerWhenAllAre { 0 } else { longest_ago });
    }
    if !question.request.is_free() {
        return send(highest(&open, rate));
    }
    let tried =
        |i: &usize| question.request.tried.contains(flakelab_core::domain::ServerId(*i as u16));
    let mut candidates = open.clone();
    if exclude_tried {
        candidates.retain(|i| !tried(i));
        if candidates.is_empty() && bug == Bug::MaskedBeforeTried {
            candidates = everyone.iter().copied().filter(|i| !tried(i)).collect();
        }
    }
    if candidates.is_empty() {
        candidates = open;
    }
    send(drawn(question.rng, &candidates, |i| counts(history, i, window, bug)))
}

const NO_WINDOW: usize = usize::MAX - 1;

#[test]
fn thompson_masked_decides_as_the_issue_says() {
    for exclude_tried in [true, false] {
        let masked = spec(&format!("thompson-masked:exclude_tried={exclude_tried}"));
        agrees(masked, &|q| decide(q, NO_WINDOW, exclude_tried, masked_until, Bug::None));
    }
    for bug in [
        Bug::RefusalsCountAsFailures,
        Bug::LongerMask,
        Bug::AnyMaskedServerWhenAllAre,
        Bug::MaskedBeforeTried,
        Bug::PaidAttemptsIgnoreMasks,
    ] {
        let literal = move |q: &mut Question| decide(q, NO_WINDOW, true, masked_until, bug);
        notices(spec("thompson-masked"), &format!("{bug:?}"), &literal);
    }
}

#[test]
fn thompson_window_decides_as_the_issue_says() {
    for window in [30, 3] {
        let windowed = spec(&format!("thompson-window:window={window}"));
        agrees(windowed, &|q| decide(q, window, true, masked_until, Bug::None));
    }
    for bug in [Bug::LongerWindow, Bug::RefusalsFillTheWindow, Bug::RefusalsCountAsFailures] {
        let literal = move |q: &mut Question| decide(q, 30, true, masked_until, bug);
        notices(spec("thompson-window"), &format!("{bug:?}"), &literal);
    }
}

#[test]
fn blocking_decides_as_the_issue_says() {
    agrees(spec("blocking"), &|q| decide(q, NO_WINDOW, true, blocked_until, Bug::None));
    for bug in [
        Bug::RefusalsCountAsFailures,
        Bug::FailuresResetTheMultiplier,
        Bug::MultiplierGrowsOn,
        Bug::AnyMaskedServerWhenAllAre,
    ] {
        let literal = move |q: &mut Question| decide(q, NO_WINDOW, true, blocked_until, bug);
        notices(spec("blocking"), &format!("{bug:?}"), &literal);
    }
}
