//! What is known of the servers before the first request: their success rates are independent
//! draws from one population.
//!
//! The population enters the game through its moments only. After `s` successes and `f` failures
//! of a server, the next attempt at it succeeds with probability
//! E[x^(s+1) (1-x)^f] / E[x^s (1-x)^f]. For a uniform population both are integrals of
//! polynomials, for which Gauss-Legendre quadrature with enough nodes is exact and, all its terms
//! being positive, loses no digits (differences of incomplete beta functions would).

use flakelab_core::domain::Rules;
use flakelab_core::stats::inc_beta;
use flakelab_sim::world::ErrorFamily;

/// Nodes of a rule that is exact for polynomials of degree up to 2 x 160 - 1.
const NODES: usize = 160;

/// The population of success rates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Prior {
    Beta { a: f64, b: f64 },
    Uniform { low: f64, high: f64 },
}

impl Prior {
    /// The same population as a model file gives it: of error rates.
    pub fn family(&self) -> ErrorFamily {
        match *self {
            Self::Beta { a, b } => ErrorFamily::Beta { alpha: b, beta: a },
            Self::Uniform { low, high } => {
                ErrorFamily::Uniform { low: 1.0 - high, high: 1.0 - low }
            }
        }
    }

    pub fn name(&self) -> String {
        match self {
            Self::Beta { a, b } => format!("Beta({a}, {b})"),
            Self::Uniform { low, high } => format!("U({low}, {high})"),
        }
    }

    fn range(&self) -> (f64, f64) {
        match *self {
            Self::Beta { .. } => (0.0, 1.0),
            Self::Uniform { low, high } => (low, high),
        }
    }

    fn cdf(&self, x: f64) -> f64 {
        match *self {
            Self::Beta { a, b } => inc_beta(a, b, x),
            Self::Uniform { low, high } => ((x - low) / (high - low)).clamp(0.0, 1.0),
        }
    }

    /// The Beta population of the same mean and variance: what a strategy is told that takes its
    /// prior as two counts.
    pub fn as_beta(&self) -> (f64, f64) {
        match *self {
            Self::Beta { a, b } => (a, b),
            Self::Uniform { low, high } => {
                let mean = (low + high) / 2.0;
                let variance = (high - low) * (high - low) / 12.0;
                let weight = mean * (1.0 - mean) / variance - 1.0;
                (mean * weight, (1.0 - mean) * weight)
            }
        }
    }

    /// Posterior means for up to `most_s` successes and `most_f` failures.
    pub fn predictive(&self, most_s: usize, most_f: usize) -> Predictive {
        let mut means = Vec::with_capacity((most_s + 1) * (most_f + 1));
        let nodes = match *self {
            Self::Beta { .. } => Vec::new(),
            Self::Uniform { low, high } => {
                assert!(most_s + most_f < 2 * NODES - 1, "the quadrature is not exact");
                gauss_legendre(NODES, low, high)
            }
        };
        for s in 0..=most_s {
            for f in 0..=most_f {
                means.push(match *self {
                    Self::Beta { a, b } => (a + s as f64) / (a + b + (s + f) as f64),
                    Self::Uniform { .. } => {
                        let (mut with, mut without) = (0.0, 0.0);
                        for (x, w) in &nodes {
                            let p = w * x.powi(s as i32) * (1.0 - x).powi(f as i32);
                            with += p * x;
                            without += p;
                        }
                        with / without
                    }
                });
            }
        }
        Predictive { means, stride: most_f + 1 }
    }

    /// What the oracle scores per request on average: it sends every attempt to the best of
    /// `servers`. By parts, E g(max) = g(high) - integral of g'(x) F(x)^servers dx, where g is
    /// the worth of a request at a server of rate x.
    pub fn oracle(&self, servers: usize, rules: &Rules) -> f64 {
        let cap = cap(rules) as i32;
        let penalty = rules.penalty_per_extra_attempt;
        let free = rules.free_attempts as i32;
        let slope = |x: f64| {
            let q = 1.0 - x;
            let extra: f64 = (free..cap).map(|k| f64::from(k) * q.powi(k - 1)).sum();
            f64::from(cap) * q.powi(cap - 1) + penalty * extra
        };
        let (low, high) = self.range();
        let missed: f64 = gauss_legendre(NODES, low, high)
            .iter()
            .map(|(x, w)| w * slope(*x) * self.cdf(*x).powi(servers as i32))
            .sum();
        worth_of_request(high, rules) - missed
    }
}

/// The hard cap, without which the recursion would not end.
pub fn cap(rules: &Rules) -> usize {
    rules.max_attempts.expect("a small case has a cap on attempts") as usize
}

/// What a request is worth on average whose every attempt succeeds with probability `x`.
pub fn worth_of_request(x: f64, rules: &Rules) -> f64 {
    let q = 1.0 - x;
    let extra: f64 = (rules.free_attempts as i32..cap(rules) as i32).map(|k| q.powi(k)).sum();
    1.0 - q.powi(cap(rules) as i32) - rules.penalty_per_extra_attempt * extra
}

/// Probabilities that the next attempt succeeds.
#[derive(Debug, Clone)]
pub struct Predictive {
    means: Vec<f64>,
    stride: usize,
}

impl Predictive {
    /// After `s` successes and `f` failures.
    #[inline]
    pub fn mean(&self, s: usize, f: usize) -> f64 {
        self.means[s * self.stride + f]
    }

    /// Standard deviation of the belief; needs one success more than [`mean`](Self::mean).
    pub fn std_dev(&self, s: usize, f: usize) -> f64 {
        let mean = self.mean(s, f);
        (mean * (self.mean(s + 1, f) - mean)).max(0.0).sqrt()
    }
}

/// Nodes and weights of Gauss-Legendre quadrature on (low, high): the roots of the Legendre
/// polynomial by Newton's method from the usual cosine guess (DLMF 3.5.15 and 18.16).
fn gauss_legendre(n: usize, low: f64, high: f64) -> Vec<(f64, f64)> {
    let node = |i: usize| {
        let mut x = (std::f64::consts::PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..20 {
            let (mut p, mut before) = (x, 1.0);
            for k in 2..=n {
                let k = k as f64;
                (p, before) = (((2.0 * k - 1.0) * x * p - (k - 1.0) * before) / k, p);
            }
            slope = n as f64 * (x * p - before) / (x * x - 1.0);
            x -= p / slope;
        }
        let weight = 2.0 / ((1.0 - x * x) * slope * slope);
        let half = (high - low) / 2.0;
        (low + half * (1.0 + x), half * weight)
    };
    (0..n).map(node).collect()
}

/// Quadrature against Laplace's (1 + s) / (2 + s + f), and the oracle by both routes.
#[test]
fn the_uniform_population_on_the_unit_interval_is_beta_1_1() {
    let (most_s, most_f) = (40, 200);
    let uniform = Prior::Uniform { low: 0.0, high: 1.0 };
    let beta = Prior::Beta { a: 1.0, b: 1.0 };
    let (by_nodes, by_formula) =
        (uniform.predictive(most_s, most_f), beta.predictive(most_s, most_f));
    for s in 0..=most_s {
        for f in 0..=most_f {
            let (x, y) = (by_nodes.mean(s, f), by_formula.mean(s, f));
            assert!((x / y - 1.0).abs() < 1e-11, "{s} {f}: {x} {y}");
        }
    }
    let variance_of_beta_3_2 = 0.04_f64;
    assert!((by_nodes.std_dev(2, 1) - variance_of_beta_3_2.sqrt()).abs() < 1e-12);
    let (a, b) = uniform.as_beta();
    assert!((a - 1.0).abs() < 1e-12 && (b - 1.0).abs() < 1e-12);
    let rules = Rules { max_attempts: Some(6), ..Rules::default() };
    assert!((uniform.oracle(3, &rules) - beta.oracle(3, &rules)).abs() < 1e-12);
}
