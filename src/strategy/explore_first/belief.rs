//! What is believed of each server's success rate, and whether it is up at all.
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

use super::prior::Population;

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
pub(super) struct LogOdds {
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
    pub(super) fn optimistic(&self, z: f64) -> f64 {
        self.mean + z * self.sd
    }
}

/// Beliefs about all servers.
#[derive(Debug, Clone)]
pub(super) struct Beliefs {
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
    /// Odds of going down that every attempt adds.
    hazard: f64,
    /// Most attempts that a server's tally remembers.
    memory: f64,
}

impl Beliefs {
    /// Nothing known of `servers` servers.
    pub(super) fn new(servers: usize, population: Population, hazard: f64, memory: f64) -> Self {
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
            population,
            hazard,
            memory,
        };
        beliefs.renew_all();
        beliefs
    }

    /// Number of servers.
    #[inline]
    pub(super) fn servers(&self) -> usize {
        self.mean.len()
    }

    /// Successes and failures of a server, each counted by the probability that it was up.
    pub(super) fn tally(&self, i: usize) -> (f64, f64) {
        (self.successes[i], self.failures[i])
    }

    /// Expected success rate of each server while up.
    #[inline]
    pub(super) fn means(&self) -> &[f64] {
        &self.mean
    }

    /// Log odds of success in a first attempt, or in a later one, that `z` standard deviations of
    /// optimism are added to.
    #[inline]
    pub(super) fn log_odds(&self, attempt: u32) -> &[LogOdds] {
        if attempt == 0 { &self.exploring } else { &self.exploiting }
    }

    /// Whether any server may be down.
    #[inline]
    pub(super) fn any_doubt(&self) -> bool {
        self.in_doubt > 0
    }

    /// The probability that a server is up when `request` requests have come.
    #[inline]
    pub(super) fn up(&self, i: usize, request: u64) -> f64 {
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
    pub(super) fn observe(&mut self, i: usize, request: u64, success: bool, load: f64) {
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
    }
}

/// `base` to a whole power, by squaring: the same bits everywhere, and far faster than `pow`.
#[inline]
pub(super) fn power(base: f64, mut exponent: u64) -> f64 {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
