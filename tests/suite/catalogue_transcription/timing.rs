//! The references that look at clocks: latency and load, a budget of retries.

use flakelab_core::domain::{Outcome, Span, Timestamp};
use flakelab_core::stats::sample;
use flakelab_core::strategy::Decision;

use super::{Event, History, Question, agrees, drawn, highest, notices, send, spec};

/// Ways in which p2c-peak-ewma could be wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bug {
    None,
    FailuresAreAsFastAsTheyAre,
    RefusalsAreFast,
    LoadDoesNotCount,
    PeaksAreAveraged,
    NothingDecaysUnobserved,
    BothMayBeTheSame,
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    (to.as_nanos() - from.as_nanos()) as f64 / 1e9
}

/// Latency times (in flight + 1), from all that was ever sent to the server.
fn cost(history: &History, server: usize, now: Timestamp, bug: Bug) -> f64 {
    let (mut sent, mut ended) = (0, 0);
    let mut estimate: Option<(f64, Timestamp)> = None;
    for (at, event) in &history.events {
        match event {
            Event::Sent(attempt) if attempt.server.index() == server => sent += 1,
            Event::Ended(attempt, outcome) if attempt.server.index() == server => {
                ended += 1;
                let taken = 1e3 * seconds(attempt.sent_at, *at);
                let honest = match outcome {
                    Outcome::Success => true,
                    Outcome::RateLimited => bug == Bug::RefusalsAreFast,
                    _ => false,
                } || bug == Bug::FailuresAreAsFastAsTheyAre;
                let observed = if honest { taken } else { taken.max(5000.0) };
                let new = match estimate {
                    None => observed,
                    Some((before, then)) => {
                        let w = (-seconds(then, *at) / 10.0).exp();
                        let average = w * before + (1.0 - w) * observed;
                        if bug == Bug::PeaksAreAveraged { average } else { average.max(observed) }
                    }
                };
                estimate = Some((new, *at));
            }
            _ => {}
        }
    }
    let in_flight = if bug == Bug::LoadDoesNotCount { 0.0 } else { f64::from(sent - ended) };
    match estimate {
        None => 5000.0 * in_flight,
        Some((latency, _)) if bug == Bug::NothingDecaysUnobserved => latency * (in_flight + 1.0),
        Some((latency, then)) => latency * (-seconds(then, now) / 10.0).exp() * (in_flight + 1.0),
    }
}

fn p2c(q: &mut Question, bug: Bug) -> Decision {
    let n = q.history.servers;
    if n == 1 {
        return send(0);
    }
    let first = sample::index_below(q.rng, n);
    let others: Vec<usize> = (0..n).filter(|i| *i != first).collect();
    let other = sample::index_below(q.rng, n - 1);
    let second = if bug == Bug::BothMayBeTheSame { other } else { others[other] };
    send(highest(&[first, second], |i| -cost(q.history, i, q.now, bug)))
}

#[test]
fn p2c_peak_ewma_takes_the_lower_cost_of_two() {
    agrees(spec("p2c-peak-ewma"), &|q| p2c(q, Bug::None));
    for bug in [
        Bug::FailuresAreAsFastAsTheyAre,
        Bug::RefusalsAreFast,
        Bug::LoadDoesNotCount,
        Bug::PeaksAreAveraged,
        Bug::NothingDecaysUnobserved,
        Bug::BothMayBeTheSame,
    ] {
        notices(spec("p2c-peak-ewma"), &format!("{bug:?}"), &move |q| p2c(q, bug));
    }
}

/// Ways in which retry-budget could be wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum BudgetBug {
    None,
    FirstAttemptsPay,
    FailuresEarn,
    NoCapacity,
    NoPatience,
    Debt,
}

/// Tokens at `now`, from everything that was earned and spent.
fn tokens(history: &History, now: Timestamp, bug: BudgetBug) -> f64 {
    let most = if bug == BudgetBug::NoCapacity { 1e9 } else { 4.0 };
    let (mut tokens, mut then): (f64, _) = (4.0, Timestamp::ZERO);
    for (at, event) in &history.events {
        tokens = (tokens + 0.5 * seconds(then, *at)).min(most);
        then = *at;
        match event {
            Event::Sent(attempt) => {
                let pays = attempt.number > 0 || bug == BudgetBug::FirstAttemptsPay;
                if pays && (tokens >= 1.0 - 1e-9 || bug == BudgetBug::Debt) {
                    tokens -= 1.0;
                }
            }
            Event::Ended(_, outcome)
                if *outcome == Outcome::Success || bug == BudgetBug::FailuresEarn =>
            {
                tokens = (tokens + 0.1).min(most);
            }
            _ => {}
        }
    }
    (tokens + 0.5 * seconds(then, now)).min(most)
}

fn retry_budget(q: &mut Question, bug: BudgetBug) -> Decision {
    let there = tokens(q.history, q.now, bug);
    let old = q.request.arrived_at + Span::from_millis_f64(800.0);
    let patient = q.now < old || bug == BudgetBug::NoPatience;
    if q.request.attempts > 0 && there < 1.0 - 1e-9 && patient {
        let next_ns = ((1.0 - there) / 0.5 * 1e9).round() as u64;
        let next = Timestamp::from_nanos(q.now.as_nanos() + next_ns);
        return Decision::WaitUntil(if bug == BudgetBug::NoPatience {
            next
        } else {
            next.min(old)
        });
    }
    let everyone = q.everyone();
    send(drawn(q.rng, &everyone, |i| q.history.counts(i)))
}

#[test]
fn retry_budget_lets_retries_go_that_are_earned_or_late() {
    let budget = spec("retry-budget:per_second=0.5:capacity=4:patience_ms=800");
    agrees(budget, &|q| retry_budget(q, BudgetBug::None));
    for bug in [
        BudgetBug::FirstAttemptsPay,
        BudgetBug::FailuresEarn,
        BudgetBug::NoCapacity,
        BudgetBug::NoPatience,
        BudgetBug::Debt,
    ] {
        notices(budget, &format!("{bug:?}"), &move |q| retry_budget(q, bug));
    }
}
