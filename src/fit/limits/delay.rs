//! Delay: a token bucket seen by a client that knows when it sent an attempt and when the answer
//! came, but not when in between the attempt reached the limiter.
//!
//! All that a bucket of burst b and rate r remembers is the time F from which on a token is free.
//! An attempt that arrives at `a` is accepted if `a >= F`; then F becomes
//! `max(a - (b - 1) / r, F) + 1 / r`, otherwise it stays. (The virtual scheduling algorithm, ITU-T
//! I.371, 2004, annex A.) With `a` uniform over the span in which the attempt may have arrived, the
//! probability of each answer and what it says of F are integrals over one unknown: the density of F
//! is carried along as a histogram. That is the forward filter of a hidden Markov model (L. R.
//! Rabiner, Proc. IEEE 77 (1989), 257-286), with an error of the order of 1 in [`BINS`] of a span,
//! not of the rate, which `limits::infer` tests against draws of arrivals.
//!
//! Attempts whose spans overlap may have arrived in either order. Neighbours whose order matters
//! are taken in both, a refusal between the acceptances around it. Three and more that overlap are
//! not told apart further; so their answers depend on each other in a way that is left out, and one
//! whose span overlaps m others counts as 1 / (1 + m) of an answer ([`Lane::weights`]; a composite
//! likelihood, C. Varin, N. Reid and D. Firth, Statistica Sinica 21 (2011), 5-42).
//!
//! When not to use it: where spans are much longer than the time in which a bucket fills. Intervals
//! then are wide, but too narrow still: `results/calibration/report.md` says by how much.

use crate::limits::lane::{Answer, Asked, Lane, SLIP};

/// Bins of the density of F.
const BINS: usize = 16;

/// A bin is dropped when it holds less than this share of the fullest one.
const EMPTY: f64 = 1e-4;

/// Spans are at least so long, in seconds: below the clock's resolution.
const SHORTEST_S: f64 = 1e-9;

/// A probability density, constant within bins of equal width.
#[derive(Debug, Clone, Copy)]
struct Density {
    low: f64,
    high: f64,
    mass: [f64; BINS],
}

impl Density {
    fn uniform(low: f64, high: f64) -> Self {
        Self { low, high, mass: [1.0 / BINS as f64; BINS] }
    }

    /// From the weights of the bins; uniform if there are none. Bins at the ends that hold next to
    /// nothing are dropped once they are half of all.
    fn new(low: f64, high: f64, weights: [f64; BINS]) -> Self {
        let sum: f64 = weights.iter().sum();
        if sum <= 0.0 {
            return Self::uniform(low, high);
        }
        let density = Self { low, high, mass: weights.map(|weight| weight / sum) };
        let least = EMPTY * density.mass.iter().copied().fold(0.0, f64::max);
        let first = density.mass.iter().position(|mass| *mass > least).unwrap_or(0);
        let last = density.mass.iter().rposition(|mass| *mass > least).unwrap_or(BINS - 1);
        if last + 1 - first > BINS / 2 {
            return density;
        }
        let width = density.width();
        let [low, high] = [first, last + 1].map(|edge| low + edge as f64 * width);
        let mut trimmed = Self::uniform(low, high);
        trimmed.mass = trimmed.middles().map(|x| density.below(x).1 * trimmed.width());
        let sum: f64 = trimmed.mass.iter().sum();
        trimmed.mass = trimmed.mass.map(|mass| mass / sum);
        trimmed
    }

    /// Two densities in proportion to these weights.
    fn mixed(self, weight: f64, other: Self, other_weight: f64) -> Self {
        if other_weight <= 1e-9 * weight {
            return self;
        }
        let (low, high) = (self.low.min(other.low), self.high.max(other.high));
        let width = (high - low) / BINS as f64;
        let mut before = [0.0; 2];
        let weights = std::array::from_fn(|k| {
            let edge = low + (k + 1) as f64 * width;
            let below = [self.below(edge).0, other.below(edge).0];
            let mass = weight * (below[0] - before[0]) + other_weight * (below[1] - before[1]);
            before = below;
            mass
        });
        Self::new(low, high, weights)
    }

    fn width(&self) -> f64 {
        (self.high - self.low) / BINS as f64
    }

    fn middles(&self) -> [f64; BINS] {
        std::array::from_fn(|k| self.low + (k as f64 + 0.5) * self.width())
    }

    /// The probability below x, and the density there.
    fn below(&self, x: f64) -> (f64, f64) {
        if x <= self.low || x >= self.high {
            return (if x <= self.low { 0.0 } else { 1.0 }, 0.0);
        }
        let place = (x - self.low) / self.width();
        let bin = (place as usize).min(BINS - 1);
        let before: f64 = self.mass[..bin].iter().sum();
        (before + self.mass[bin] * (place - bin as f64), self.mass[bin] / self.width())
    }

    fn later(self, by: f64) -> Self {
        Self { low: self.low + by, high: self.high + by, ..self }
    }
}

/// A span of time in which an attempt arrived.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    from: f64,
    to: f64,
}

impl Arrival {
    fn of(asked: &Asked) -> Self {
        let length = (asked.span_us as f64 * 1e-6).max(SHORTEST_S);
        let from = asked.at_us as f64 * 1e-6 - 0.5 * length;
        Self { from, to: from + length }
    }

    /// Its part after another's beginning and before another's end, and the share that is.
    fn after(self, other: Self) -> (Self, f64) {
        let part = Self { from: self.from.max(other.from), ..self };
        (part, (part.to - part.from) / (self.to - self.from))
    }

    fn before(self, other: Self) -> (Self, f64) {
        let part = Self { to: self.to.min(other.to), ..self };
        (part, (part.to - part.from) / (self.to - self.from))
    }

    /// The share of the span between two times.
    fn share(self, from: f64, to: f64) -> f64 {
        ((to.min(self.to) - from.max(self.from)) / (self.to - self.from)).clamp(0.0, 1.0)
    }
}

/// Where the bucket stands: the density of F, and when the last accepted attempt arrived.
#[derive(Debug, Clone, Copy)]
struct State {
    free_from: Density,
    accepted: Option<Arrival>,
}

/// A token bucket in the terms of its F, in seconds.
struct Bucket {
    /// Time in which one token is refilled.
    token_s: f64,
    /// Time in which all tokens but one are.
    slack_s: f64,
}

impl Bucket {
    /// The probability of an answer, at least that of a slip, and the state after it.
    fn answer(&self, state: &State, arrival: Arrival, accepted: bool) -> (f64, State) {
        if accepted { self.accept(state, arrival) } else { self.refuse(state, arrival) }
    }

    fn refuse(&self, state: &State, arrival: Arrival) -> (f64, State) {
        let density = &state.free_from;
        // It came after the last accepted attempt, else it is looked at in the other order.
        let overlaps = state.accepted.filter(|last| last.to > arrival.from);
        if density.high <= arrival.from {
            return (SLIP, *state);
        }
        if density.low >= arrival.to && overlaps.is_none() {
            return (1.0, *state);
        }
        let share = |free_from: f64| match overlaps {
            None => arrival.share(f64::NEG_INFINITY, free_from),
            Some(_) if self.slack_s == 0.0 => arrival.share(free_from - self.token_s, free_from),
            Some(last) => {
                let first = last.from.max(free_from - self.token_s).min(last.to);
                let step = (last.to - first) / 4.0;
                let of = |k| arrival.share(first + (f64::from(k) + 0.5) * step, free_from);
                (0..4).map(of).sum::<f64>() / 4.0
            }
        };
        let middles = density.middles();
        let weights: [f64; BINS] = std::array::from_fn(|k| density.mass[k] * share(middles[k]));
        let probability: f64 = weights.iter().sum();
        if probability < SLIP {
            return (SLIP, *state);
        }
        let free_from = Density::new(density.low, density.high, weights);
        (probability, State { free_from, ..*state })
    }

    fn accept(&self, state: &State, arrival: Arrival) -> (f64, State) {
        let density = &state.free_from;
        let Arrival { from, to } = arrival;
        let after = |free_from| State { free_from, accepted: Some(arrival) };
        let busy = || after(density.later(self.token_s));
        // When a full bucket would have given the token: the F that it leads to, less one token.
        let [full_from, full_to] = [from, to].map(|at| at - self.slack_s);
        if density.high <= full_from {
            let free_from = Density::uniform(full_from, full_to);
            return (1.0, after(free_from.later(self.token_s)));
        }
        if density.low >= full_to && density.high <= from {
            return (1.0, busy());
        }
        let free = |k: usize, middle: f64| density.mass[k] * arrival.share(middle, f64::INFINITY);
        let probability: f64 =
            density.middles().into_iter().enumerate().map(|(k, middle)| free(k, middle)).sum();
        if probability < SLIP {
            // A debt: the token was given all the same.
            return (SLIP, busy());
        }
        let low = density.low.max(full_from);
        let high = full_to.max(density.high.min(to));
        let mut next = Density::uniform(low, high);
        let weights = next.middles().map(|y| {
            let (below, at) = density.below(y);
            let full = if (full_from..=full_to).contains(&y) { below / (to - from) } else { 0.0 };
            full + at * arrival.share(y, y + self.slack_s)
        });
        next = Density::new(low, high, weights);
        (probability, after(next.later(self.token_s)))
    }
}

/// An attempt that waits for the one after it, should that have arrived first.
struct Held {
    weight: f64,
    state: State,
    arrival: Arrival,
    accepted: bool,
}

/// `ln` likelihood of a bucket, and how many answers contradict it whenever the attempts arrived,
/// both by the weights of the attempts. Gives up, with what it has, below `floor`.
pub(crate) fn log_likelihood(lane: &Lane, per_second: f64, burst: f64, floor: f64) -> (f64, f64) {
    let bucket = Bucket { token_s: 1.0 / per_second, slack_s: (burst - 1.0) / per_second };
    // Full long before the first attempt.
    let full = -bucket.slack_s - bucket.token_s - 2.0 - lane.longest_s();
    let mut state = State { free_from: Density::uniform(full - 1.0, full), accepted: None };
    let mut weight = 1.0;
    let mut held: Option<Held> = None;
    let (mut total, mut contradictions) = (0.0, 0.0);
    for (i, asked) in lane.asked.iter().enumerate() {
        let arrival = Arrival::of(asked);
        let accepted = asked.answer != Answer::Refused;
        let matters = |next: &Asked| {
            let next_accepted = next.answer != Answer::Refused;
            let either = accepted != next_accepted || accepted && bucket.slack_s == 0.0;
            either && Arrival::of(next).from < arrival.to
        };
        let hold = lane.asked.get(i + 1).is_some_and(matters) && weight > 0.0;
        let hold = hold.then_some(Held { weight, state, arrival, accepted });
        let (probability, mut next) = bucket.answer(&state, arrival, accepted);
        let mut next_weight = weight * probability;
        let mut contradicted = probability <= SLIP;
        if let Some(held) = &held {
            // This one first, then the one that waited.
            let (first, first_share) = arrival.before(held.arrival);
            let (second, second_share) = held.arrival.after(arrival);
            let (one, between) = bucket.answer(&held.state, first, accepted);
            let (two, swapped) = bucket.answer(&between, second, held.accepted);
            let other = held.weight * one * first_share * two * second_share;
            if one > SLIP && two > SLIP && other > 0.0 {
                contradicted = false;
                let free_from = next.free_from.mixed(next_weight, swapped.free_from, other);
                let likelier = if other > next_weight { swapped } else { next };
                next = State { free_from, ..likelier };
                next_weight += other;
            }
        }
        contradictions += if contradicted { lane.weights[i] } else { 0.0 };
        let scale = next_weight.max(hold.as_ref().map_or(0.0, |held| held.weight));
        if scale != 1.0 {
            total += lane.weights[i] * libm::log(scale);
            if total < floor {
                break;
            }
        }
        (state, weight) = (next, next_weight / scale);
        held = hold.map(|held| Held { weight: held.weight / scale, ..held });
    }
    (total + libm::log(weight), contradictions)
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::rates::RatePrior;
    use flakelab_core::domain::{Purpose, Streams, Timestamp};
    use flakelab_core::stats::uniform01;
    use flakelab_sim::world::RateLimit;

    /// Attempts at these times, each under way for so long, answered by a bucket that they reach
    /// somewhere in between.
    fn lane(bucket: &RateLimit, sent_us: &[i64], span_us: i64, rng: &mut impl Rng) -> Lane {
        let refused = answers(bucket, sent_us, span_us, rng);
        let asked =
            sent_us.iter().zip(refused).enumerate().map(|(position, (at, refused))| Asked {
                at_us: at + span_us / 2,
                span_us,
                answer: if refused { Answer::Refused } else { Answer::Success },
                again: false,
                position,
            });
        let mut lane = Lane::new(asked.collect(), true, &RatePrior::flat());
        lane.weights.fill(1.0);
        lane
    }

    /// Which attempts a bucket refuses if they arrive anywhere in their spans.
    fn answers(bucket: &RateLimit, sent_us: &[i64], span_us: i64, rng: &mut impl Rng) -> Vec<bool> {
        let arrived = sent_us.iter().map(|at| *at as f64 + uniform01(rng) * span_us as f64);
        let mut arrived: Vec<(usize, f64)> = arrived.enumerate().collect();
        arrived.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut limiter = bucket.limiter(0.0);
        let mut refused = vec![false; sent_us.len()];
        for (i, at_us) in arrived {
            refused[i] = !limiter.accept(Timestamp::from_secs_f64(at_us * 1e-6));
        }
        refused
    }

    /// Against the share of 200,000 draws of all arrivals that give the same answers: apart, in
    /// pairs that overlap, and while a bucket of three is busy. Noise of the draws is below 0.02.
    #[test]
    fn the_likelihood_is_that_of_all_arrivals_together() {
        let apart = [0, 70, 145, 200, 290, 350];
        let pairs = [0, 15, 90, 100, 180, 200];
        let busy = [0, 40, 80, 120, 160, 200, 240];
        let cases = [(1.0, 12.0, &apart[..], 30), (1.0, 12.0, &pairs, 30), (3.0, 14.0, &busy, 35)];
        for (n, (burst, per_second, sent_ms, span_ms)) in (0..).zip(cases) {
            let mut rng = Streams::new(29).stream(Purpose::Analysis, 0, n);
            let bucket = RateLimit::TokenBucket { per_second, burst };
            let sent_us: Vec<i64> = sent_ms.iter().map(|ms| 1000 * ms).collect();
            let lane = lane(&bucket, &sent_us, 1000 * span_ms, &mut rng);
            let recorded: Vec<bool> =
                lane.asked.iter().map(|asked| asked.answer == Answer::Refused).collect();
            assert!(recorded.contains(&true) && recorded.contains(&false));
            for rate in [per_second, 0.8 * per_second, 1.15 * per_second] {
                let law = RateLimit::TokenBucket { per_second: rate, burst };
                let draws = 200_000;
                let same = (0..draws)
                    .filter(|_| answers(&law, &sent_us, 1000 * span_ms, &mut rng) == recorded)
                    .count();
                let expected = same as f64 / f64::from(draws);
                let (found, _) = log_likelihood(&lane, rate, burst, f64::NEG_INFINITY);
                let found = libm::exp(found);
                assert!(
                    (found - expected).abs() < 0.02 + 0.1 * expected,
                    "{n} {rate}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn without_delay_each_contradiction_costs_a_slip() {
        let mut rng = Streams::new(29).stream(Purpose::Analysis, 0, 9);
        let bucket = RateLimit::TokenBucket { per_second: 10.0, burst: 2.0 };
        let sent_us: Vec<i64> = (0..40).map(|i| 63_000 * i).collect();
        let mut lane = lane(&bucket, &sent_us, 0, &mut rng);
        let (value, contradictions) = log_likelihood(&lane, 10.0, 2.0, f64::NEG_INFINITY);
        assert!(value.abs() < 1e-9 && contradictions == 0.0, "{value} {contradictions}");
        let refused = lane.asked.iter().rposition(|asked| asked.answer == Answer::Refused).unwrap();
        lane.asked[refused].answer = Answer::Success;
        let (value, contradictions) = log_likelihood(&lane, 10.0, 2.0, f64::NEG_INFINITY);
        assert!(value <= libm::log(SLIP) + 1e-9 && contradictions >= 1.0);
        let (given_up, _) = log_likelihood(&lane, 0.1, 2.0, -30.0);
        assert!(given_up < -30.0 && given_up > -50.0, "{given_up}");
    }
}
