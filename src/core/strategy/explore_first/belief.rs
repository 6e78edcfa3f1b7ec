//! What is believed of each server's success rate, and whether it is up at all; the population that
//! servers come from; and how much optimism a horizon is worth.
//!
//! While up, a server's outcomes are coins of one rate: Beta(s + alpha, f + beta) with the
//! population's alpha and beta. A two-state filter tells outages from bad luck (Hamilton 1989,
//! "A new approach to the economic analysis of nonstationary time series", Econometrica 57, with
//! two states): before an attempt the odds of being down grow by a hazard, a failure multiplies
//! them by (1 - 0.02) / (1 - p), a success by 0.02 / p, and they fade as requests pass. Outcomes
//! count for the rate by the probability that the server was up, so an outage does not spoil what
//! was learned before it, and one success restores it.
//!
//! Limits: a server that merely becomes worse is followed only as fast as old attempts are
//! forgotten, beyond the newest `memory` of them.

use std::sync::LazyLock;

use crate::strategy::tournament::{Leader, Tournament};

/// Success rate of a server that is down: not 0, or one stray success would be a contradiction.
const DOWN_RATE: f64 = 0.02;

/// The odds of being down never exceed this, so that a return is noticed soon.
const MOST_DOUBT: f64 = 10.0;

/// Odds of being down below this are taken as none.
const LEAST_DOUBT: f64 = 1e-3;

/// The factor on the odds of being down with every request that passes.
const RELIEF: f64 = 0.95;

/// Share of the population's pseudo-counts in the index of first attempts. Below 1 because
/// exploring is about what the server may be, not what servers usually are.
const PRIOR_SHARE: f64 = 0.3;

/// Cached beliefs are renewed when the population's pseudo-counts have moved by this share.
const DRIFT: f64 = 0.01;

/// A belief about log odds, near enough normal.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LogOdds {
    mean: f64,
    sd: f64,
}

impl LogOdds {
    /// Of a Beta(a, b): the log odds of its mean, and the sd by the delta method.
    #[inline]
    fn of(a: f64, b: f64) -> Self {
        Self { mean: libm::log(a / b), sd: libm::sqrt(1.0 / a + 1.0 / b) }
    }

    /// The log odds `z` standard deviations above the mean.
    #[inline]
    pub(crate) fn optimistic(&self, z: f64) -> f64 {
        self.mean + z * self.sd
    }

    /// The same as a line over z.
    #[inline]
    fn line(&self, i: usize) -> Leader {
        Leader::line(i, self.mean, self.sd)
    }
}

/// Above so many servers the highest are found by tournaments.
const RANKED_ABOVE: usize = 200;

/// Attempts from this one on (from 0) are priced alike.
pub(crate) const PAID: usize = 3;

/// Who has the highest mean, and the highest log odds at any optimism. Attempts have a tournament
/// each, as their optimism differs and moves slowly.
#[derive(Debug, Clone)]
struct Ranking {
    means: Tournament<Leader>,
    attempts: [Tournament<Leader>; PAID + 1],
}

impl Ranking {
    fn new(servers: usize) -> Self {
        let tournament = || Tournament::new(servers);
        Self { means: tournament(), attempts: std::array::from_fn(|_| tournament()) }
    }
}

/// Beliefs about all servers.
#[derive(Debug, Clone)]
pub(crate) struct Beliefs {
    /// Successes while up, per server.
    successes: Vec<f64>,
    /// Failures while up, per server.
    failures: Vec<f64>,
    /// Odds of being down at request number `doubted_at`, per server.
    doubt: Vec<f64>,
    doubted_at: Vec<u64>,
    /// Servers whose odds of being down matter.
    in_doubt: usize,
    population: Population,
    /// The pseudo-counts that the caches below were made with.
    pseudo_counts: (f64, f64),
    /// Posterior mean, per server.
    mean: Vec<f64>,
    /// Log odds of success and their standard deviation, per server: for first attempts, and for
    /// later ones.
    exploring: Vec<LogOdds>,
    exploiting: Vec<LogOdds>,
    ranking: Option<Ranking>,
    /// Odds of going down that every attempt adds.
    hazard: f64,
    /// Most attempts that a server's tally remembers.
    memory: f64,
}

impl Beliefs {
    /// Nothing known of `servers` servers.
    pub(crate) fn new(servers: usize, population: Population, hazard: f64, memory: f64) -> Self {
        let zeros = || vec![0.0; servers];
        let mut beliefs = Self {
            successes: zeros(),
            failures: zeros(),
            doubt: zeros(),
            doubted_at: vec![0; servers],
            in_doubt: 0,
            pseudo_counts: (0.0, 0.0),
            mean: zeros(),
            exploring: vec![LogOdds::default(); servers],
            exploiting: vec![LogOdds::default(); servers],
            ranking: (servers > RANKED_ABOVE).then(|| Ranking::new(servers)),
            population,
            hazard,
            memory,
        };
        beliefs.renew_all();
        beliefs
    }

    #[inline]
    pub(crate) fn servers(&self) -> usize {
        self.mean.len()
    }

    /// Successes and failures of a server, each counted by the probability that it was up.
    pub(crate) fn tally(&self, i: usize) -> (f64, f64) {
        (self.successes[i], self.failures[i])
    }

    /// Expected success rate of each server while up.
    #[inline]
    pub(crate) fn means(&self) -> &[f64] {
        &self.mean
    }

    /// Log odds of success in a first attempt, or in a later one, that `z` standard deviations of
    /// optimism are added to.
    #[inline]
    pub(crate) fn log_odds(&self, attempt: u32) -> &[LogOdds] {
        if attempt == 0 { &self.exploring } else { &self.exploiting }
    }

    /// The highest expected success rate.
    pub(crate) fn best_mean(&mut self) -> f64 {
        match &mut self.ranking {
            Some(ranking) => ranking.means.result(0.0).at(0.0),
            None => self.mean.iter().fold(0.0, |best: f64, mean| best.max(*mean)),
        }
    }

    /// The server with the highest log odds `z` standard deviations above the mean, the first on a
    /// tie.
    pub(crate) fn highest(&mut self, attempt: u32, z: f64) -> usize {
        if let Some(ranking) = &mut self.ranking {
            let tournament = &mut ranking.attempts[(attempt as usize).min(PAID)];
            return tournament.result(z).place().unwrap_or(0);
        }
        let mut top = (f64::NEG_INFINITY, 0);
        for (i, log_odds) in self.log_odds(attempt).iter().enumerate() {
            let index = log_odds.optimistic(z);
            if index > top.0 {
                top = (index, i);
            }
        }
        top.1
    }

    /// Whether any server may be down.
    #[inline]
    pub(crate) fn any_doubt(&self) -> bool {
        self.in_doubt > 0
    }

    /// The probability that a server is up when `request` requests have come.
    #[inline]
    pub(crate) fn up(&self, i: usize, request: u64) -> f64 {
        if self.doubt[i] < LEAST_DOUBT {
            return 1.0;
        }
        1.0 / (1.0 + self.doubt_now(i, request))
    }

    fn doubt_now(&self, i: usize, request: u64) -> f64 {
        if self.doubt[i] == 0.0 {
            return 0.0;
        }
        self.doubt[i] * power(RELIEF, request.saturating_sub(self.doubted_at[i]))
    }

    /// Takes in an outcome that was not a refusal; `load` is the factor that load puts on success.
    pub(crate) fn observe(&mut self, i: usize, request: u64, success: bool, load: f64) {
        let rate = self.mean[i];
        let odds = if success { DOWN_RATE / rate } else { (1.0 - DOWN_RATE) / (1.0 - rate * load) };
        let doubt = ((self.doubt_now(i, request) + self.hazard) * odds).min(MOST_DOUBT);
        self.doubt_at(i, request, doubt);
        // A failure under load is the server's own with probability (1 - p) / (1 - p load).
        let own = if success { 1.0 } else { (1.0 - rate) / (1.0 - rate * load) };
        let weight = own / (1.0 + doubt);
        let (s, f) = self.tally(i);
        if weight > 0.5 {
            self.population.observe(s, f, success);
        }
        let keep = (self.memory / (s + f + weight)).min(1.0);
        let counted = if success { &mut self.successes[i] } else { &mut self.failures[i] };
        *counted += weight;
        self.successes[i] *= keep;
        self.failures[i] *= keep;
        let (alpha, beta) = (self.population.successes, self.population.failures);
        let (a, b) = self.pseudo_counts;
        if (alpha - a).abs() > DRIFT * a || (beta - b).abs() > DRIFT * b {
            self.renew_all();
        } else {
            self.renew(i);
        }
    }

    fn doubt_at(&mut self, i: usize, request: u64, doubt: f64) {
        let doubt = if doubt < LEAST_DOUBT && doubt <= self.doubt[i] { 0.0 } else { doubt };
        self.in_doubt += usize::from(doubt >= LEAST_DOUBT);
        self.in_doubt -= usize::from(self.doubt[i] >= LEAST_DOUBT);
        self.doubt[i] = doubt;
        self.doubted_at[i] = request;
    }

    fn renew_all(&mut self) {
        self.pseudo_counts = (self.population.successes, self.population.failures);
        (0..self.servers()).for_each(|i| self.renew(i));
    }

    #[inline]
    fn renew(&mut self, i: usize) {
        let (alpha, beta) = self.pseudo_counts;
        let (s, f) = self.tally(i);
        self.mean[i] = (alpha + s) / (alpha + beta + s + f);
        self.exploring[i] = LogOdds::of(PRIOR_SHARE * alpha + s, PRIOR_SHARE * beta + f);
        self.exploiting[i] = LogOdds::of(alpha + s, beta + f);
        if let Some(Ranking { means, attempts: [first, later @ ..] }) = &mut self.ranking {
            means.set(i, Leader::line(i, self.mean[i], 0.0));
            first.set(i, self.exploring[i].line(i));
            later.iter_mut().for_each(|later| later.set(i, self.exploiting[i].line(i)));
        }
    }
}

/// `base` to a whole power, by squaring: the same bits everywhere, and far faster than `pow`.
#[inline]
pub(crate) fn power(base: f64, mut exponent: u64) -> f64 {
    let (mut result, mut square) = (1.0, base);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result *= square;
        }
        square *= square;
        exponent >>= 1;
    }
    result
}

// ---- How many standard deviations of optimism a horizon is worth.
//
// The optimistic Gittins index with one step of lookahead (Gutin and Farias 2016, "Optimistic
// Gittins Indices", NeurIPS 29, equation 4) is the retirement value L that makes one pull of a
// server with belief X worth its price: L - E X = h E(X - L)+, with h the pulls that a discovery
// will serve. For a normal belief, L = mean + z sd with z = h (phi(z) - z (1 - Phi(z))), which
// depends on h alone; it is tabulated.
//
// Limits: beliefs are not normal. The index is taken on the log odds, where they nearly are.

/// Steps of the table, eight to an octave, from 2^-10 to 2^20 attempts.
const STEPS: usize = 240;
const STEPS_PER_OCTAVE: f64 = 8.0;
const FIRST_OCTAVE: f64 = -10.0;

static TABLE: LazyLock<[f64; STEPS + 1]> = LazyLock::new(|| {
    std::array::from_fn(|step| solve(libm::exp2(step as f64 / STEPS_PER_OCTAVE + FIRST_OCTAVE)))
});

/// Solves z = h (phi(z) - z (1 - Phi(z))) by bisection: the left side rises, the right one falls.
fn solve(horizon: f64) -> f64 {
    let (mut low, mut high) = (0.0, 9.0);
    for _ in 0..60 {
        let z = 0.5 * (low + high);
        if z < horizon * expected_gain(z) {
            low = z;
        } else {
            high = z;
        }
    }
    0.5 * (low + high)
}

/// E(Z - z)+ of a standard normal Z.
fn expected_gain(z: f64) -> f64 {
    const ONE_OVER_SQRT_TAU: f64 = 0.398_942_280_401_432_7;
    let density = ONE_OVER_SQRT_TAU * libm::exp(-0.5 * z * z);
    density - z * 0.5 * libm::erfc(z * std::f64::consts::FRAC_1_SQRT_2)
}

/// Standard deviations of optimism for a horizon of `attempts`.
pub(crate) fn of_horizon(attempts: f64) -> f64 {
    let place = (libm::log2(attempts) - FIRST_OCTAVE) * STEPS_PER_OCTAVE;
    let place = place.clamp(0.0, STEPS as f64 - 1e-6);
    let step = place as usize;
    let share = place - step as f64;
    TABLE[step] + share * (TABLE[step + 1] - TABLE[step])
}

// ---- The population that the servers come from, estimated from their tallies as the run goes.
//
// Empirical Bayes: success rates are Beta(m v, (1-m) v) over servers, with the mean m and the
// strength v (in attempts) unknown. A grid of (m, v) carries weights; an outcome of a server with
// s successes and f failures before it multiplies each weight by that outcome's Beta-Bernoulli
// probability, (m v + s) / (v + s + f) for a success (Carlin and Louis, "Bayesian Methods for
// Data Analysis", 3rd edition, section 5.4: marginal likelihood). The order of outcomes does not
// matter: the product is the marginal likelihood of the tallies.
//
// Limits: one Beta population; a mixture of two kinds of servers is fitted by the nearest Beta.

/// Means on the grid: the centres of nine equal cells.
const MEANS: usize = 9;

/// Strengths on the grid, in attempts: from a flat population to nearly equal servers.
const STRENGTHS: [f64; 4] = [2.0, 4.0, 8.0, 16.0];

/// Weights are scaled up when their sum falls below this.
const RESCALE_BELOW: f64 = 1e-100;

/// The mean that a cell stands for.
#[inline]
fn mean_of(cell: usize) -> f64 {
    (cell as f64 + 0.5) / MEANS as f64
}

/// The estimated population of servers.
#[derive(Debug, Clone)]
pub(crate) struct Population {
    /// Of each (strength, mean).
    weight: [[f64; MEANS]; STRENGTHS.len()],
    /// The prior is given: nothing is estimated.
    given: bool,
    /// Pseudo-successes that a server starts with.
    pub(crate) successes: f64,
    /// Pseudo-failures that a server starts with.
    pub(crate) failures: f64,
}

impl Population {
    /// Nothing known but that means are more often high than low (density 2m).
    pub(crate) fn unknown() -> Self {
        let weight = [std::array::from_fn(mean_of); STRENGTHS.len()];
        let mut population = Self { weight, given: false, successes: 0.0, failures: 0.0 };
        population.settle();
        population
    }

    /// A prior Beta(`successes`, `failures`) that is known.
    pub(crate) fn given(successes: f64, failures: f64) -> Self {
        Self { given: true, successes, failures, ..Self::unknown() }
    }

    /// Takes in an outcome of a server that had `s` successes and `f` failures before it.
    #[inline]
    pub(crate) fn observe(&mut self, s: f64, f: f64, success: bool) {
        if self.given {
            return;
        }
        for (row, strength) in self.weight.iter_mut().zip(STRENGTHS) {
            let counts = if success { s } else { f };
            let scale = 1.0 / (strength + s + f);
            for (cell, weight) in row.iter_mut().enumerate() {
                let mean = if success { mean_of(cell) } else { 1.0 - mean_of(cell) };
                *weight *= (mean * strength + counts) * scale;
            }
        }
        self.settle();
    }

    /// The Beta that beliefs use: posterior mean of m, and of 1/v for the strength.
    fn settle(&mut self) {
        let (mut sum, mut mean, mut inverse) = (0.0, 0.0, 0.0);
        for (row, strength) in self.weight.iter().zip(STRENGTHS) {
            let (mut row_sum, mut row_mean) = (0.0, 0.0);
            for (cell, weight) in row.iter().enumerate() {
                row_sum += weight;
                row_mean += weight * mean_of(cell);
            }
            sum += row_sum;
            mean += row_mean;
            inverse += row_sum / strength;
        }
        let strength = sum / inverse;
        self.successes = mean / sum * strength;
        self.failures = strength - self.successes;
        if sum < RESCALE_BELOW {
            self.weight.as_flattened_mut().iter_mut().for_each(|w| *w /= sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::index_below;

    const NEVER: f64 = 0.0;

    const FOREVER: f64 = 1e12;

    fn beliefs(hazard: f64) -> Beliefs {
        Beliefs::new(2, Population::given(2.0, 1.0), hazard, FOREVER)
    }

    fn tell(beliefs: &mut Beliefs, server: usize, outcomes: &str) {
        outcomes.chars().for_each(|c| beliefs.observe(server, 0, c == '+', 1.0));
    }

    #[test]
    fn without_outages_the_mean_is_that_of_the_beta() {
        let mut b = beliefs(NEVER);
        tell(&mut b, 1, "+-++-");
        assert_eq!(b.means(), [2.0 / 3.0, (2.0 + 3.0) / (3.0 + 5.0)]);
        assert!(!b.any_doubt());
        for (attempt, share) in [(0, 0.3), (1, 1.0), (4, 1.0)] {
            let (s, f): (f64, f64) = (3.0 + share * 2.0, 2.0 + share);
            let expected = (s / f).ln() + 1.5 * (1.0 / s + 1.0 / f).sqrt();
            let index = b.log_odds(attempt)[1].optimistic(1.5);
            assert!((index - expected).abs() < 1e-12, "attempt {attempt}");
        }
    }

    #[test]
    fn among_many_the_tournaments_find_whom_a_look_at_all_finds() {
        let mut rng = crate::strategy::testing::rng();
        let mut b = Beliefs::new(300, Population::unknown(), NEVER, FOREVER);
        for step in 0..3_000_u32 {
            let attempt = step % 6;
            let z = 3.0 - f64::from(step) * 5e-4 - 0.3 * f64::from(attempt);
            let look = |i: &usize| b.log_odds(attempt)[*i].optimistic(z);
            let top = (0..300).reduce(|top, i| if look(&i) > look(&top) { i } else { top });
            assert_eq!(Some(b.highest(attempt, z)), top, "step {step}");
            let best = b.means().iter().copied().fold(0.0, f64::max);
            assert_eq!(b.best_mean(), best);
            let i = if step % 2 == 0 { b.highest(attempt, z) } else { index_below(&mut rng, 300) };
            b.observe(i, 0, index_below(&mut rng, 10) < 7, 1.0);
        }
    }

    #[test]
    fn without_outages_the_order_of_outcomes_does_not_matter() {
        let (mut a, mut b) = (beliefs(NEVER), beliefs(NEVER));
        tell(&mut a, 0, "++-+");
        tell(&mut a, 1, "--+");
        tell(&mut b, 1, "+--");
        tell(&mut b, 0, "-+++");
        assert_eq!(a.means(), b.means());
    }

    /// The odds by Bayes' rule over all paths of a chain that goes down before each attempt with
    /// odds `h` and never comes back: a sum over the time of the change, while the rate is fixed.
    #[test]
    fn the_odds_of_being_down_are_those_of_a_sum_over_the_time_of_the_change() {
        let hazard = 1e-4;
        let mut b = Beliefs::new(1, Population::given(9e12, 1e12), hazard, FOREVER);
        tell(&mut b, 0, "---");
        let ratio: f64 = 0.98 / 0.1;
        let expected: f64 = hazard * (1..=3).map(|n| ratio.powi(n)).sum::<f64>();
        assert!((b.doubt[0] / expected - 1.0).abs() < 1e-6, "{} {expected}", b.doubt[0]);
        assert!(b.any_doubt());
    }

    #[test]
    fn an_outage_is_noticed_soon_spoils_little_and_ends_with_one_success() {
        let mut b = beliefs(1e-6);
        tell(&mut b, 0, &"+++++++++-".repeat(20));
        let before = b.means()[0];
        assert_eq!(b.up(0, 0), 1.0);
        tell(&mut b, 0, &"-".repeat(9));
        assert!(b.up(0, 0) < 0.15, "{}", b.up(0, 0));
        tell(&mut b, 0, &"-".repeat(100));
        assert!(b.means()[0] > 0.8 * before, "{} of {before}", b.means()[0]);
        assert!(b.up(0, 100) > 0.9, "doubt fades, so that the server is asked again");
        tell(&mut b, 0, "+");
        assert!(b.up(0, 0) > 0.8, "{}", b.up(0, 0));
    }

    #[test]
    fn the_tally_forgets_beyond_its_memory() {
        let mut b = Beliefs::new(1, Population::given(1.0, 1.0), NEVER, 10.0);
        tell(&mut b, 0, &"+".repeat(50));
        assert!((b.tally(0).0 - 10.0).abs() < 1e-9);
        tell(&mut b, 0, &"-".repeat(10));
        assert!(b.means()[0] < 0.5);
    }

    #[test]
    fn powers_by_squaring_are_repeated_products() {
        for n in [0_u64, 1, 2, 7, 30] {
            let product: f64 = (0..n).map(|_| 0.95).product();
            assert!((power(0.95, n) - product).abs() < 1e-14);
        }
    }

    #[test]
    fn solves_its_equation_within_the_error_of_the_table() {
        for horizon in [0.01, 0.3, 1.0, 17.0, 1000.0, 5e5] {
            let z = of_horizon(horizon);
            let right = horizon * expected_gain(z);
            assert!((z - right).abs() < 2e-3 * (1.0 + z * z), "{horizon}: {z} {right}");
        }
    }

    /// E(Z - 1)+ = 0.0833155 (tables of the unit normal loss integral).
    #[test]
    fn the_expected_gain_is_the_unit_normal_loss() {
        assert!((expected_gain(1.0) - 0.083_315_5).abs() < 1e-7);
        assert!((expected_gain(0.0) - 0.398_942_3).abs() < 1e-7);
    }

    #[test]
    fn no_horizon_is_no_optimism_and_more_is_more() {
        assert!(of_horizon(0.0) < 1e-3 && of_horizon(1e-9) < 1e-3);
        let horizons = [0.1, 1.0, 10.0, 100.0, 1e4, 1e9, f64::INFINITY];
        assert!(horizons.windows(2).all(|w| of_horizon(w[0]) <= of_horizon(w[1])));
        assert!(of_horizon(f64::INFINITY).is_finite());
    }

    /// ln B(a, b) for the slow version.
    fn ln_beta(a: f64, b: f64) -> f64 {
        libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b)
    }

    /// The pseudo-counts from the servers' final tallies, by the Beta-binomial's closed form.
    fn slowly(tallies: &[(f64, f64)]) -> (f64, f64) {
        let (mut sum, mut mean, mut inverse) = (0.0, 0.0, 0.0);
        for strength in STRENGTHS {
            for cell in 0..MEANS {
                let m = (cell as f64 + 0.5) / 9.0;
                let (a, b) = (m * strength, (1.0 - m) * strength);
                let ln: f64 =
                    tallies.iter().map(|(s, f)| ln_beta(a + s, b + f) - ln_beta(a, b)).sum();
                let weight = m * ln.exp();
                sum += weight;
                mean += weight * m;
                inverse += weight / strength;
            }
        }
        let strength = sum / inverse;
        (mean / sum * strength, (1.0 - mean / sum) * strength)
    }

    fn told(tallies: &[(f64, f64)], failures_first: bool) -> Population {
        let mut population = Population::unknown();
        for (s, f) in tallies {
            let (mut a, mut b) = (0.0, 0.0);
            for k in 0..(s + f) as usize {
                let success = if failures_first { k >= *f as usize } else { k < *s as usize };
                population.observe(a, b, success);
                if success { a += 1.0 } else { b += 1.0 }
            }
        }
        population
    }

    #[test]
    fn equals_the_marginal_likelihood_of_the_tallies_in_any_order() {
        let tallies = [(12.0, 3.0), (2.0, 5.0), (0.0, 1.0), (40.0, 4.0)];
        let (alpha, beta) = slowly(&tallies);
        for failures_first in [false, true] {
            let population = told(&tallies, failures_first);
            assert!((population.successes - alpha).abs() < 1e-9, "{alpha}");
            assert!((population.failures - beta).abs() < 1e-9, "{beta}");
        }
    }

    #[test]
    fn equal_servers_make_a_strong_prior_and_different_ones_a_weak_one() {
        let equal = told(&[(14.0, 6.0); 10], false);
        let different = told(&[(19.0, 1.0), (1.0, 19.0), (18.0, 2.0), (3.0, 17.0)], false);
        let strength = |p: &Population| p.successes + p.failures;
        assert!(strength(&equal) > 10.0 && strength(&different) < 4.0);
        assert!((equal.successes / strength(&equal) - 0.7).abs() < 0.05);
    }

    #[test]
    fn stays_finite_over_a_long_run_and_leaves_a_given_prior_alone() {
        let long = told(&[(60_000.0, 40_000.0)], false);
        assert!(long.successes.is_finite() && long.failures > 0.0);
        let mut given = Population::given(3.0, 2.0);
        given.observe(0.0, 0.0, false);
        assert_eq!((given.successes, given.failures), (3.0, 2.0));
    }
}
