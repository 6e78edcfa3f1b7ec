//! The references from the literature that count successes.

use flakelab_core::domain::Outcome;
use flakelab_core::stats::sample;
use flakelab_core::strategy::Decision;
use statrs::function::beta::beta_reg;

use super::{Event, History, Question, agrees, highest, notices, send, spec};

/// "Untried first."
fn untried(question: &Question) -> Option<usize> {
    question.everyone().into_iter().find(|i| question.history.outcomes(*i).count() == 0)
}

/// The largest x in [low, 1] with `holds(x)`, where `holds` is true first and false later.
fn last_that_holds(low: f64, holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (low, 1.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if holds(middle) { low = middle } else { high = middle }
    }
    low
}

#[test]
fn round_robin_goes_round() {
    let sends = |history: &History| {
        history.events.iter().filter(|(_, event)| matches!(event, Event::Sent(_))).count()
    };
    let round = |q: &mut Question| send(sends(q.history) % q.history.servers);
    agrees(spec("round-robin"), &round);
    let by_request = |q: &mut Question| send(q.request.id.0 as usize % q.history.servers);
    notices(spec("round-robin"), "retries stay", &by_request);
}

#[test]
fn greedy_takes_the_highest_posterior_mean() {
    let greedy = |a: f64, b: f64| {
        move |q: &mut Question| {
            send(highest(&q.everyone(), |i| {
                let (s, f) = q.history.counts(i);
                (s + a) / (s + f + a + b)
            }))
        }
    };
    agrees(spec("greedy"), &greedy(1.0, 1.0));
    agrees(spec("greedy:prior_successes=3:prior_failures=0.5"), &greedy(3.0, 0.5));
    notices(spec("greedy"), "a prior that expects more", &greedy(2.0, 1.0));
}

#[test]
fn epsilon_greedy_explores_with_chance_epsilon() {
    fn decide(q: &mut Question, epsilon: f64, untried_first: bool) -> Decision {
        if untried_first && let Some(server) = untried(q) {
            return send(server);
        }
        if sample::uniform01(q.rng) < epsilon {
            return send(sample::index_below(q.rng, q.history.servers));
        }
        send(highest(&q.everyone(), |i| {
            let (s, f) = q.history.counts(i);
            if s + f == 0.0 { 0.0 } else { s / (s + f) }
        }))
    }
    agrees(spec("epsilon-greedy"), &|q| decide(q, 0.1, true));
    agrees(spec("epsilon-greedy:epsilon=0.5"), &|q| decide(q, 0.5, true));
    notices(spec("epsilon-greedy"), "an untried server counts 0", &|q| decide(q, 0.1, false));
    notices(spec("epsilon-greedy"), "another epsilon", &|q| decide(q, 0.12, true));
}

/// The index straight from the inequality of the paper, by bisection.
#[test]
fn kl_ucb_takes_the_highest_rate_that_is_plausible() {
    fn decide(q: &mut Question, c: f64, width: f64) -> Decision {
        if let Some(server) = untried(q) {
            return send(server);
        }
        let ln_t = (q.history.ended().count() as f64).ln();
        let level = width * ln_t + if ln_t > 1.0 { c * ln_t.ln() } else { 0.0 };
        send(highest(&q.everyone(), |i| {
            let (s, f) = q.history.counts(i);
            let (n, p) = (s + f, s / (s + f));
            let term = |p: f64, x: f64| if p == 0.0 { 0.0 } else { p * (p / x).ln() };
            last_that_holds(p, |x| n * (term(p, x) + term(1.0 - p, 1.0 - x)) <= level)
        }))
    }
    agrees(spec("kl-ucb"), &|q| decide(q, 0.0, 1.0));
    agrees(spec("kl-ucb:c=3"), &|q| decide(q, 3.0, 1.0));
    notices(spec("kl-ucb"), "ln t counted twice", &|q| decide(q, 0.0, 2.0));
    notices(spec("kl-ucb"), "the c of the proof", &|q| decide(q, 3.0, 1.0));
}

/// The quantile by bisection on the distribution function of another library.
#[test]
fn bayes_ucb_takes_the_highest_quantile() {
    fn decide(q: &mut Question, first_t: f64, factor: f64) -> Decision {
        let t = q.history.ended().count() as f64 + first_t;
        let p = (1.0 - factor / t).max(0.0);
        send(highest(&q.everyone(), |i| {
            let (s, f) = q.history.counts(i);
            // No search is needed for the ends, nor where nothing is known: the belief is uniform.
            let known = s + f > 0.0;
            if known && p > 0.0 {
                last_that_holds(0.0, |x| beta_reg(s + 1.0, f + 1.0, x) <= p)
            } else {
                p
            }
        }))
    }
    agrees(spec("bayes-ucb"), &|q| decide(q, 1.0, 1.0));
    // Not a whole factor: medians of different beliefs would tie, which bisection cannot see.
    agrees(spec("bayes-ucb:quantile_factor=2.7"), &|q| decide(q, 1.0, 2.7));
    notices(spec("bayes-ucb"), "t counted from 0", &|q| decide(q, 0.0, 1.0));
    notices(spec("bayes-ucb"), "a heavier tail", &|q| decide(q, 1.0, 2.0));
}

/// An outcome that k others followed counts gamma^k.
#[test]
fn discounted_thompson_weighs_outcomes_by_their_age() {
    fn decide(q: &mut Question, gamma: f64, by_server: bool) -> Decision {
        let all: Vec<(usize, bool)> =
            q.history.ended().map(|(_, a, o)| (a.server.index(), o == Outcome::Success)).collect();
        send(highest(&q.everyone(), |i| {
            let (mut s, mut f, mut age) = (0.0, 0.0, 0);
            for (server, success) in all.iter().rev() {
                if *server == i {
                    *(if *success { &mut s } else { &mut f }) += gamma.powi(age);
                }
                age += i32::from(!by_server || *server == i);
            }
            sample::beta(q.rng, s + 1.0, f + 1.0)
        }))
    }
    agrees(spec("discounted-thompson"), &|q| decide(q, 0.99, false));
    agrees(spec("discounted-thompson:gamma=0.7"), &|q| decide(q, 0.7, false));
    notices(spec("discounted-thompson"), "ages by server", &|q| decide(q, 0.99, true));
    notices(spec("discounted-thompson"), "another gamma", &|q| decide(q, 0.98, false));
}

#[test]
fn sliding_window_ucb_looks_at_the_last_outcomes() {
    fn decide(q: &mut Question, window: usize, xi: f64, all_of_t: bool) -> Decision {
        let all: Vec<(usize, bool)> =
            q.history.ended().map(|(_, a, o)| (a.server.index(), o == Outcome::Success)).collect();
        let last = &all[all.len().saturating_sub(window)..];
        let t = if all_of_t { all.len() } else { all.len().min(window) } as f64;
        send(highest(&q.everyone(), |i| {
            let here: Vec<bool> = last.iter().filter(|(s, _)| *s == i).map(|(_, o)| *o).collect();
            if here.is_empty() {
                return f64::INFINITY;
            }
            let n = here.len() as f64;
            let s = here.iter().filter(|success| **success).count() as f64;
            s / n + (xi * t.ln() / n).sqrt()
        }))
    }
    let short = spec("sliding-window-ucb:window=60");
    agrees(spec("sliding-window-ucb"), &|q| decide(q, 1000, 0.6, false));
    agrees(short, &|q| decide(q, 60, 0.6, false));
    agrees(spec("sliding-window-ucb:window=5:xi=0"), &|q| decide(q, 5, 0.0, false));
    notices(short, "one outcome more", &|q| decide(q, 61, 0.6, false));
    notices(short, "ln t of the whole run", &|q| decide(q, 60, 0.6, true));
}

/// The mean after the attempts that are left, from a rate and successes drawn one after the other.
#[test]
fn irs_fh_believes_what_the_attempts_left_could_teach() {
    fn decide(q: &mut Question, horizon: u64, this_one_too: bool) -> Decision {
        let t = q.history.ended().count() as u64;
        let left = horizon.saturating_sub(t + u64::from(!this_one_too));
        send(highest(&q.everyone(), |i| {
            let (s, f) = q.history.counts(i);
            let (a, b) = (s + 1.0, f + 1.0);
            if left == 0 {
                return a / (a + b);
            }
            let rate = sample::beta(q.rng, a, b);
            let seen = flakelab_core::stats::binomial(q.rng, left, rate);
            (a + seen as f64) / (a + b + left as f64)
        }))
    }
    agrees(spec("irs-fh"), &|q| decide(q, 1000, false));
    agrees(spec("irs-fh:horizon=200"), &|q| decide(q, 200, false));
    notices(spec("irs-fh:horizon=200"), "one attempt more", &|q| decide(q, 200, true));
}
