//! The latency of a config: families, goodness, tail, dependence, and what a model takes of it.
//!
//! Successes and failures get distributions of their own only where BIC says so. Refusals keep
//! one constant, because models must not spend luck on them.
//!
//! When not to use it: latencies that change with load. Time is looked at as far as the tests of
//! dependence go.

use crate::fit::runs::Start;
use crate::stats::quantile::quantile;
use crate::world::{Latency, LatencyFamily};

use super::attempts::Attempts;
use super::dependence::{LatencyDependence, dependences};
use super::families::{LatencyFamilyFit, choose, fit_all};
use super::goodness::{QqPoint, judge};
use super::tail::{LatencyTail, tail};

/// Fewer refusals than this do not tell their latency.
const LEAST_REFUSALS: usize = 5;
/// Not rejected at this p-value of the goodness of fit.
const LEVEL: f64 = 0.05;

/// The latency of some attempts.
#[derive(Debug, Clone, PartialEq)]
pub struct OutcomeLatency {
    /// Every family that was fitted.
    pub families: Vec<LatencyFamilyFit>,
    /// The position of the family taken.
    pub chosen: usize,
    /// How many attempts it was fitted to.
    pub attempts: usize,
    /// p-value of Kolmogorov's distance by parametric bootstrap, at least 1 / 200.
    pub p_value: f64,
    /// The tail, fitted against observed.
    pub tail: LatencyTail,
    /// At most 200 points of a QQ chart, with both ends.
    pub qq: Vec<QqPoint>,
}

/// The latency of a config.
#[derive(Debug, Clone, PartialEq)]
pub struct LatencyAnalysis {
    /// Successes, or all attempts if `failure` is absent.
    pub success: OutcomeLatency,
    /// Failures, where BIC says that they differ.
    pub failure: Option<OutcomeLatency>,
    /// BIC of one distribution for all attempts; infinite when all are alike.
    pub bic_together: f64,
    /// BIC of two distributions; `None` when there are no successes or no failures.
    pub bic_apart: Option<f64>,
    /// Median latency of attempts taken for refusals, in milliseconds, if there are some.
    pub rate_limited_ms: Option<f64>,
    /// What latency depends on.
    pub dependences: Vec<LatencyDependence>,
    /// Attempts in the record that were not refused.
    pub attempts: usize,
    /// How many of them were used; fewer than `attempts` in large records.
    pub sampled: usize,
    /// The tick of the recorder's clock in milliseconds, where it is coarse. Values were spread
    /// evenly over their ticks.
    pub clock_tick_ms: Option<f64>,
}

impl OutcomeLatency {
    /// The distribution taken.
    #[must_use]
    pub fn family(&self) -> LatencyFamily {
        self.families[self.chosen].family
    }

    /// Kolmogorov's distance of the distribution taken.
    #[must_use]
    pub fn ks_distance(&self) -> f64 {
        self.families[self.chosen].ks_distance
    }

    /// What the fit misses, in a sentence.
    #[must_use]
    pub fn misses(&self) -> String {
        let quantiles = &self.tail.quantiles;
        let off: Vec<String> = quantiles
            .iter()
            .filter(|q| !q.agrees())
            .map(|q| {
                let percent = (q.p * 1000.0).round() / 10.0;
                format!("p{percent} is {:.2} ms, fitted {:.2} ms", q.observed_ms, q.fitted_ms)
            })
            .collect();
        let body = if self.p_value >= LEVEL {
            format!("The family is not rejected (p = {:.3}).", self.p_value)
        } else {
            format!(
                "The family is rejected (p = {:.3}): its probabilities are off by up to {:.1} \
                 percentage points.",
                self.p_value,
                100.0 * self.ks_distance()
            )
        };
        if off.is_empty() { body } else { format!("{body} Quantiles off: {}.", off.join("; ")) }
    }
}

impl LatencyAnalysis {
    /// The same as the `[latency]` table of a model.
    #[must_use]
    pub fn to_latency(&self) -> Latency {
        Latency {
            success: self.success.family(),
            failure: self.failure.as_ref().map(OutcomeLatency::family),
            rate_limited_ms: self.rate_limited_ms,
        }
    }
}

/// Fits the latency of a config's attempts and looks at it from all sides.
///
/// `refused[i][j]` tells whether the j-th attempt of start i is taken for a refusal. `stream`
/// tells configs apart in the bootstrap. Without any accepted attempt there is no fit.
pub(in crate::fit) fn fit_latency(
    starts: &[Start<'_>],
    refused: &[Vec<bool>],
    servers: usize,
    stream: u16,
) -> Option<LatencyAnalysis> {
    let attempts = Attempts::collect(starts, refused);
    let log_n = libm::log(attempts.kept.len() as f64);
    let fitting = |sorted_ms: Vec<f64>| Fitting::new(sorted_ms, log_n);
    let (together, (success, failure)) = rayon::join(
        || fitting(attempts.sorted_ms(|_| true)),
        || {
            rayon::join(
                || fitting(attempts.sorted_ms(|a| !a.failed)),
                || fitting(attempts.sorted_ms(|a| a.failed)),
            )
        },
    );
    let together = together?;
    let apart = success.zip(failure);
    let bic_together = together.bic();
    let bic_apart = apart.as_ref().map(|(s, f)| s.bic() + f.bic());
    let (success, failure) = match apart.filter(|(s, f)| s.bic() + f.bic() < bic_together) {
        Some((s, f)) => (s.judged(2 * stream), Some(f.judged(2 * stream + 1))),
        None => (together.judged(2 * stream), None),
    };
    let mut refusals = attempts.refusals_ms;
    refusals.sort_by(f64::total_cmp);
    let enough = refusals.len() >= LEAST_REFUSALS;
    Some(LatencyAnalysis {
        success,
        failure,
        bic_together,
        bic_apart,
        rate_limited_ms: enough.then(|| quantile(&refusals, 0.5)).filter(|ms| *ms >= 1e-3),
        dependences: dependences(&attempts.kept, servers, attempts.between_requests_ms, stream),
        attempts: attempts.total,
        sampled: attempts.kept.len(),
        clock_tick_ms: attempts.tick_ms,
    })
}

/// A sample on its way to a fit.
struct Fitting {
    sorted_ms: Vec<f64>,
    log_ms: Vec<f64>,
    families: Vec<LatencyFamilyFit>,
    chosen: usize,
}

impl Fitting {
    fn new(sorted_ms: Vec<f64>, log_n: f64) -> Option<Self> {
        let log_ms: Vec<f64> = sorted_ms.iter().map(|ms| libm::log(*ms)).collect();
        let families = fit_all(&log_ms, log_n);
        let chosen = choose(&families)?;
        Some(Self { sorted_ms, log_ms, families, chosen })
    }

    /// The lowest: comparing samples must not depend on ties between families.
    fn bic(&self) -> f64 {
        self.families.iter().map(|fit| fit.bic).fold(f64::INFINITY, f64::min)
    }

    fn judged(self, stream: u16) -> OutcomeLatency {
        let family = self.families[self.chosen].family;
        let goodness = judge(&family, &self.log_ms, stream);
        OutcomeLatency {
            attempts: self.sorted_ms.len(),
            p_value: goodness.p_value,
            tail: tail(&family, &self.sorted_ms),
            qq: goodness.qq,
            families: self.families,
            chosen: self.chosen,
        }
    }
}
