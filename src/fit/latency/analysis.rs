//! The latency of a config: families, goodness, tail, dependence, and what a model takes of it.
//!
//! Successes and failures get distributions of their own only where BIC says so. Refusals keep
//! one constant, because models must not spend luck on them.
//!
//! When not to use it: latencies that change with load, or within a run; of times only runs are
//! compared, and slow attempts that come in groups are spread evenly.

use rayon::prelude::*;

use crate::latency::attempts::Attempts;
use crate::latency::dependence::{LatencyDependence, dependences};
use crate::latency::families::{LatencyFamilyFit, SHORTEST_MS, choose, distance, fit_all, refit};
use crate::latency::servers::{ServerLatency, server_latencies};
use crate::runs::Start;
use flakelab_core::domain::{Purpose, Streams};
use flakelab_core::stats::{Interval, inc_beta, quantile};
use flakelab_sim::world::{Latency, LatencyFamily};

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
    /// In which servers it differs, of a model of these very servers: the families above are those of
    /// a server that does not stand out. None for a server with few attempts.
    pub servers: Vec<Option<ServerLatency>>,
}

impl OutcomeLatency {
    /// The distribution taken.
    pub fn family(&self) -> LatencyFamily {
        self.families[self.chosen].family
    }

    /// Kolmogorov's distance of the distribution taken.
    pub fn ks_distance(&self) -> f64 {
        self.families[self.chosen].ks_distance
    }

    /// What the fit misses, in a sentence.
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
/// tells configs apart in the bootstrap; `apart` asks in which servers it differs. Without any
/// accepted attempt there is no fit.
pub(crate) fn fit_latency(
    starts: &[Start<'_>],
    refused: &[Vec<bool>],
    servers: usize,
    stream: u16,
    apart: bool,
) -> Option<LatencyAnalysis> {
    let mut attempts = Attempts::collect(starts, refused);
    let dependences = dependences(&attempts.kept, servers, attempts.between_requests_ms, stream);
    let of_servers = if apart { server_latencies(&attempts.kept, servers) } else { Vec::new() };
    for attempt in &mut attempts.kept {
        if let Some(Some(own)) = of_servers.get(attempt.server).filter(|own| stands_out(own)) {
            attempt.ms = (attempt.ms / own.factor).max(SHORTEST_MS);
        }
    }
    let (success, failure) = fittings(&attempts)?;
    let success = success.judged(2 * stream);
    let failure = failure.map(|failure| failure.judged(2 * stream + 1));
    let mut refusals = attempts.refusals_ms;
    refusals.sort_by(f64::total_cmp);
    let enough = refusals.len() >= LEAST_REFUSALS;
    Some(LatencyAnalysis {
        success,
        failure,
        rate_limited_ms: enough.then(|| quantile(&refusals, 0.5)).filter(|ms| *ms >= 1e-3),
        dependences,
        attempts: attempts.total,
        sampled: attempts.kept.len(),
        clock_tick_ms: attempts.tick_ms,
        servers: of_servers,
    })
}

/// Whether a server's latency stands out.
fn stands_out(of: &Option<ServerLatency>) -> bool {
    of.is_some_and(|own| own.stands_out)
}

/// Of successes, or all attempts, and of failures where they differ.
fn fittings(attempts: &Attempts) -> Option<(Fitting, Option<Fitting>)> {
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
    let apart = success.zip(failure).filter(|(s, f)| s.bic() + f.bic() < together.bic());
    Some(apart.map_or((together, None), |(success, failure)| (success, Some(failure))))
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
        let (p_value, qq) = judge(&family, &self.log_ms, stream);
        OutcomeLatency {
            attempts: self.sorted_ms.len(),
            p_value,
            tail: tail(&family, &self.sorted_ms),
            qq,
            families: self.families,
            chosen: self.chosen,
        }
    }
}

// ---- Does a family fit? Kolmogorov's distance by parametric bootstrap, with the data of a QQ chart.
//
// Draws from the fit are fitted again: tables would be wrong, because the parameters come from
// the same data (Stute, Gonzáles Manteiga and Presedo Quindimil, Metrika 40 (1993), 243-256).
// The same draws give the pointwise 95 % band of each order statistic. The far tail is hardly seen
// (the table of tails does); the choice between families is not counted, which calls the fit
// slightly better than it is.

/// Draws of the bootstrap; the smallest possible p-value is 1 / (draws + 1).
const DRAWS: u64 = 199;

/// The most points of a QQ chart.
const MOST_POINTS: usize = 200;

/// Seed of the bootstrap, a constant: a fit is a function of its traces.
const SEED: u64 = 0x1a7e;

/// One point of a QQ chart, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QqPoint {
    /// What the fit expects of this rank.
    pub fitted_ms: f64,
    /// What was seen.
    pub observed_ms: f64,
    /// Where 95 % of samples drawn from the fit have it.
    pub band_ms: Interval,
}

/// The p-value of a fit of ascending ln latencies, and its chart.
fn judge(family: &LatencyFamily, sorted: &[f64], stream: u16) -> (f64, Vec<QqPoint>) {
    let n = sorted.len();
    let ranks = ranks(n);
    let observed = distance(family, sorted);
    let streams = Streams::new(SEED);
    let draws: Vec<(bool, Vec<f64>)> = (0..DRAWS)
        .into_par_iter()
        .map(|draw| {
            let mut rng = streams.stream(Purpose::Analysis, stream, draw);
            let drawn = || libm::log(family.draw(&mut rng).as_millis_f64().max(SHORTEST_MS));
            let mut log_ms: Vec<f64> = std::iter::repeat_with(drawn).take(n).collect();
            log_ms.sort_by(f64::total_cmp);
            let as_far = distance(&refit(family, &log_ms), &log_ms) >= observed;
            (as_far, ranks.iter().map(|rank| log_ms[*rank]).collect())
        })
        .collect();
    let as_far = draws.iter().filter(|(far, _)| *far).count();
    let point = |(position, rank): (usize, &usize)| {
        let mut drawn: Vec<f64> = draws.iter().map(|(_, log_ms)| log_ms[position]).collect();
        drawn.sort_by(f64::total_cmp);
        let at = |p| libm::exp(quantile(&drawn, p));
        QqPoint {
            fitted_ms: family.quantile((*rank as f64 + 0.5) / n as f64),
            observed_ms: libm::exp(sorted[*rank]),
            band_ms: Interval { low: at(0.025), high: at(0.975) },
        }
    };
    let p_value = (as_far + 1) as f64 / (DRAWS + 1) as f64;
    (p_value, ranks.iter().enumerate().map(point).collect())
}

/// Ranks of a chart: all, or the 25 at either end and the others at equal distances.
fn ranks(n: usize) -> Vec<usize> {
    if n <= MOST_POINTS {
        return (0..n).collect();
    }
    let end = MOST_POINTS / 8;
    let middle = MOST_POINTS - 2 * end;
    let between = (0..middle).map(|i| end + i * (n - 2 * end) / middle);
    (0..end).chain(between).chain(n - end..n).collect()
}

// ---- How far the tail of a fit can be believed.
//
// The interval of an observed quantile lies between two order statistics whose ranks are
// binomial quantiles: it holds for any distribution (David and Nagaraja, "Order Statistics",
// 3rd ed., 7.1). Where no rank is high enough, as for the p99.9 of 500 attempts, the sample
// does not know the quantile, and only a lower end is given. Slow spells make it too narrow.

/// The quantiles shown.
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

/// Probability of each side outside the interval.
const OUTSIDE: f64 = 0.025;

/// A quantile of latencies, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyQuantile {
    /// Which: 0.5 is the median.
    pub p: f64,
    /// Of the fit.
    pub fitted_ms: f64,
    /// Of the attempts: the smallest that at least a share `p` does not exceed.
    pub observed_ms: f64,
    /// Lower end of its 95 % interval; `None` when the sample is too small for one.
    pub low_ms: Option<f64>,
    /// Upper end; `None` when the sample cannot know one.
    pub high_ms: Option<f64>,
}

impl LatencyQuantile {
    /// Whether the fit lies within what is known.
    pub fn agrees(&self) -> bool {
        self.low_ms.is_none_or(|low| self.fitted_ms >= low)
            && self.high_ms.is_none_or(|high| self.fitted_ms <= high)
    }
}

/// Observed against fitted tails.
#[derive(Debug, Clone, PartialEq)]
pub struct LatencyTail {
    /// p50, p90, p99, p99.9.
    pub quantiles: Vec<LatencyQuantile>,
    /// The longest latency seen, in milliseconds.
    pub longest_ms: f64,
    /// The chance that so many attempts drawn from the fit would have one at least as long.
    pub chance_of_longest: f64,
    /// How many attempts lie beyond the fit's p99.9.
    pub beyond: usize,
    /// How many should.
    pub beyond_expected: f64,
}

/// The tail of ascending latencies in milliseconds, of which there is at least one.
fn tail(family: &LatencyFamily, sorted_ms: &[f64]) -> LatencyTail {
    let n = sorted_ms.len();
    let far = family.quantile(0.999);
    let longest_ms = sorted_ms.last().copied().unwrap_or(0.0);
    let above = 1.0 - family.cdf(longest_ms * (1.0 - 1e-12));
    LatencyTail {
        quantiles: QUANTILES.map(|p| observed(family, sorted_ms, p)).to_vec(),
        longest_ms,
        chance_of_longest: -libm::expm1(n as f64 * libm::log1p(-above.clamp(0.0, 1.0))),
        beyond: n - sorted_ms.partition_point(|ms| *ms <= far),
        beyond_expected: 0.001 * n as f64,
    }
}

fn observed(family: &LatencyFamily, sorted_ms: &[f64], p: f64) -> LatencyQuantile {
    let n = sorted_ms.len();
    // The factor undoes the rounding of p.
    let rank = ((p * n as f64 * (1.0 - 1e-12)).ceil() as usize).clamp(1, n.max(1));
    let (low, high) = tail_ranks(n, p);
    let at = |rank: usize| sorted_ms.get(rank.checked_sub(1)?).copied();
    LatencyQuantile {
        p,
        fitted_ms: family.quantile(p),
        observed_ms: at(rank).unwrap_or(f64::NAN),
        low_ms: at(low),
        high_ms: at(high),
    }
}

/// Ranks (from 1) of the order statistics between which the p-quantile lies with at least 95 %;
/// 0 or n + 1 where there is none.
fn tail_ranks(n: usize, p: f64) -> (usize, usize) {
    // The chance that at most k of n attempts lie below the quantile.
    let at_most = |k: usize| {
        if k >= n { 1.0 } else { inc_beta((n - k) as f64, k as f64 + 1.0, 1.0 - p) }
    };
    // The largest low with P(fewer than low lie below) <= 2.5 %.
    let low = (0..n).collect::<Vec<_>>().partition_point(|k| at_most(*k) <= OUTSIDE);
    // The smallest high with P(at least high lie below) <= 2.5 %.
    let high = (0..n).collect::<Vec<_>>().partition_point(|k| at_most(*k) < 1.0 - OUTSIDE) + 1;
    (low, high)
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::latency::attempts::{MOST_ATTEMPTS, Timed};
    use crate::synthetic::ATTEMPT;
    use flakelab_core::domain::Outcome;
    use flakelab_core::stats::{index_below, standard_normal, uniform01};
    use flakelab_sim::trace::Observed;
    use flakelab_sim::world::{LogNormal, LogNormals};

    #[test]
    fn a_chart_shows_both_ends_and_no_rank_twice() {
        for n in [0, 1, 200, 201, 1416, 20_000] {
            let ranks = ranks(n);
            assert_eq!(ranks.len(), n.min(MOST_POINTS));
            assert!(ranks.windows(2).all(|pair| pair[0] < pair[1]), "{n}");
            assert!(n == 0 || (ranks[0], ranks[ranks.len() - 1]) == (0, n - 1));
        }
    }

    #[test]
    fn ranks_are_those_of_the_binomial_table() {
        // Median of 10: P(at most 1) = 11/1024 = 1.07 %, P(at most 2) = 5.5 %: ranks 2 and 9.
        assert_eq!(tail_ranks(10, 0.5), (2, 9));
        // Five values do not know their median at 95 %: 2/32 = 6 % lie outside.
        assert_eq!(tail_ranks(5, 0.5), (0, 6));
        // p99.9 of 3,687 attempts: 0.999^3687 is just above 2.5 %; of 3,688 it is below.
        assert_eq!((tail_ranks(3687, 0.999).1, tail_ranks(3688, 0.999).1), (3688, 3688));
    }

    #[test]
    fn a_quantile_beyond_the_sample_is_called_unknown() {
        let sorted: Vec<f64> = (1..=500).map(f64::from).collect();
        let tail = tail(&LatencyFamily::Constant { ms: 250.0 }, &sorted);
        let known = tail.quantiles.iter().map(|q| q.low_ms.is_some() && q.high_ms.is_some());
        assert!(known.eq([true, true, true, false]));
        assert_eq!(tail.quantiles[3].observed_ms, 500.0);
        let agrees: Vec<bool> = tail.quantiles.iter().map(LatencyQuantile::agrees).collect();
        assert_eq!(agrees, [true, false, false, false]);
        assert_eq!((tail.longest_ms, tail.beyond, tail.chance_of_longest), (500.0, 250, 0.0));
    }

    #[test]
    fn the_longest_of_a_hundred_has_its_closed_form() {
        // 1 - (1 - 1/4)^2 for two attempts whose longest is the upper quartile.
        let family = LatencyFamily::LogLogistic { median_ms: 1.0, shape: 1.0 };
        assert!((tail(&family, &[0.5, 3.0]).chance_of_longest - 0.4375).abs() < 1e-9);
    }

    fn rng(seed: u64) -> ChaCha8Rng {
        Streams::new(seed).stream(Purpose::World, 0, 0)
    }

    /// Ten attempts a second at ten servers, a third of them retries, half of them failures.
    fn attempts(n: usize, rng: &mut impl Rng, ms: impl Fn(usize, &mut Observed)) -> Vec<Observed> {
        let attempt = |i: usize| {
            let mut attempt = Observed {
                at_s: 1e9 + 0.1 * i as f64,
                request: i as u32,
                attempt: 1 + u16::from(uniform01(rng) < 0.33),
                server: index_below(rng, 10) as u8,
                outcome: if uniform01(rng) < 0.5 { Outcome::Failure } else { Outcome::Success },
                ..ATTEMPT
            };
            ms(i, &mut attempt);
            attempt
        };
        (0..n).map(attempt).collect()
    }

    /// One run with latencies drawn from a family.
    fn drawn(family: LatencyFamily, n: usize, seed: u64) -> Vec<Observed> {
        let mut luck = rng(seed + 1000);
        let ms: Vec<f32> = (0..n).map(|_| family.draw(&mut luck).as_millis_f64() as f32).collect();
        attempts(n, &mut rng(seed), |i, attempt| attempt.latency_ms = ms[i])
    }

    fn fit_one(attempts: &[Observed]) -> LatencyAnalysis {
        fit_latency(&[Start { stretches: vec![attempts] }], &[], 10, 0, false).unwrap()
    }

    const fn part(median_ms: f64, sigma: f64) -> LogNormal {
        LogNormal { median_ms, sigma }
    }

    #[test]
    fn one_lognormal_is_found_again_and_no_tail_invented() {
        let fit = fit_one(&drawn(LatencyFamily::LogNormal(part(1.1, 0.3)), 1200, 1));
        let LatencyFamily::LogNormal(LogNormal { median_ms, sigma }) = fit.success.family() else {
            panic!("{:?}", fit.success.family())
        };
        // Four standard errors: sigma / sqrt n and sigma / sqrt 2n.
        assert!((median_ms.ln() - 1.1_f64.ln()).abs() < 4.0 * 0.3 / 1200_f64.sqrt());
        assert!((sigma - 0.3).abs() < 4.0 * 0.3 / 2400_f64.sqrt());
        assert!(fit.failure.is_none() && fit.success.p_value > 0.01);
        assert_eq!((fit.attempts, fit.sampled, fit.success.attempts), (1200, 1200, 1200));
        assert!(fit.success.misses().starts_with("The family is not rejected"));
    }

    /// Two sharp bodies and a tail, as recorded.
    const PARTS: [(f64, LogNormal); 3] =
        [(0.6, part(1.1, 0.06)), (0.3, part(0.8, 0.06)), (0.1, part(5.0, 0.8))];

    fn two_bodies_and_a_tail() -> LatencyFamily {
        LatencyFamily::LogNormals(LogNormals::of(&PARTS))
    }

    #[test]
    fn two_bodies_and_a_tail_are_found_again() {
        let fit = fit_one(&drawn(two_bodies_and_a_tail(), 3000, 2));
        let LatencyFamily::LogNormals(of) = fit.success.family() else {
            panic!("{:?}", fit.success.family())
        };
        for ((weight, found), (truth_weight, truth)) in of.iter().zip(PARTS) {
            assert!((weight - truth_weight).abs() < 0.04, "{of:?}");
            assert!((found.median_ms / truth.median_ms - 1.0).abs() < 0.2 * truth.sigma, "{of:?}");
            assert!((found.sigma / truth.sigma - 1.0).abs() < 0.2, "{of:?}");
        }
        assert!(
            fit.success.p_value > 0.01 && fit.success.tail.quantiles.iter().all(|q| q.agrees())
        );
        assert!(fit.success.qq.len() == 200);
        let outside = fit.success.qq.iter().filter(|q| !q.band_ms.contains(q.observed_ms)).count();
        // Neighbouring ranks are alike: 5 % of 200 are expected, more than 40 are not.
        assert!(outside < 40, "{outside}");
    }

    #[test]
    fn a_pareto_tail_and_a_log_logistic_are_told_from_lognormals() {
        let pareto = LatencyFamily::LogNormalPareto {
            body: part(1.1, 0.2),
            threshold_ms: 1.3,
            tail_weight: 0.2,
            tail_index: 1.2,
        };
        let LatencyFamily::LogNormalPareto { body, threshold_ms, tail_weight, tail_index } =
            fit_one(&drawn(pareto, 4000, 3)).success.family()
        else {
            panic!("no Pareto tail")
        };
        // Hill's estimate has a standard error of index / sqrt(800).
        assert!((tail_index - 1.2).abs() < 4.0 * 1.2 / 28.0 && (tail_weight - 0.2).abs() < 0.06);
        assert!((threshold_ms - 1.3).abs() < 0.1 && (body.median_ms - 1.1).abs() < 0.05);
        let logistic = LatencyFamily::LogLogistic { median_ms: 2.0, shape: 5.0 };
        let LatencyFamily::LogLogistic { median_ms, shape } =
            fit_one(&drawn(logistic, 4000, 4)).success.family()
        else {
            panic!("no log-logistic")
        };
        // Standard errors sqrt 3 / (shape sqrt n) of ln median, 0.84 shape / sqrt n of the shape.
        assert!((median_ms / 2.0 - 1.0).abs() < 4.0 * 0.0055, "{median_ms}");
        assert!((shape - 5.0).abs() < 4.0 * 0.066, "{shape}");
    }

    /// 200 samples of 120 lognormals; 5 % of 200 is 10, with standard deviation 3.1; 4 of them:
    /// false alarm 1e-4. The same test must reject two bodies that were taken for one.
    #[test]
    fn goodness_of_fit_keeps_its_level_and_rejects_one_body_for_two() {
        let judged = |family: LatencyFamily, seed: u64, n: usize| {
            let mut luck = rng(seed);
            let mut log_ms: Vec<f64> =
                (0..n).map(|_| family.draw(&mut luck).as_millis_f64().ln()).collect();
            log_ms.sort_by(f64::total_cmp);
            let plain = LatencyFamily::LogNormal(part(1.0, 1.0));
            judge(&refit(&plain, &log_ms), &log_ms, 0).0
        };
        let alarms =
            (0..200).filter(|i| judged(LatencyFamily::LogNormal(part(1.1, 0.3)), *i, 120) <= 0.05);
        let alarms = alarms.count();
        assert!((1..=22).contains(&alarms), "{alarms}");
        assert!(judged(two_bodies_and_a_tail(), 9, 300) <= 0.005);
    }

    #[test]
    fn failures_that_take_twice_as_long_get_a_latency_of_their_own_and_refusals_a_constant() {
        let mut luck = rng(5);
        let ms: Vec<f32> =
            (0..900).map(|_| (0.2 * standard_normal(&mut luck)).exp() as f32).collect();
        let mut made = attempts(900, &mut rng(6), |i, attempt| {
            attempt.latency_ms = if attempt.failed() { 2.0 * ms[i] } else { ms[i] };
        });
        // Every fourth failure is taken for a refusal, a few are known to be; successes never are.
        let mut refused = vec![false; 900];
        for (i, attempt) in made.iter_mut().enumerate() {
            if i % 4 == 0 {
                refused[i] = true;
                if attempt.failed() {
                    attempt.latency_ms = 0.5;
                }
            } else if i % 50 == 1 {
                attempt.outcome = Outcome::RateLimited;
                attempt.latency_ms = 0.5;
            }
        }
        let fit =
            fit_latency(&[Start { stretches: vec![&made] }], &[refused], 10, 0, false).unwrap();
        let latency = fit.to_latency();
        assert!((latency.failure.unwrap().median_ms() - 2.0).abs() < 0.2);
        assert!((latency.success.median_ms() - 1.0).abs() < 0.1);
        assert_eq!(latency.rate_limited_ms, Some(0.5));
        assert!(latency.validate().is_ok());
    }

    #[test]
    fn few_equal_zero_and_huge_latencies_are_no_obstacle() {
        assert!(fit_latency(&[], &[], 10, 0, false).is_none());
        assert!(fit_latency(&[Start { stretches: vec![&[]] }], &[], 10, 0, false).is_none());
        let values: [&dyn Fn(usize) -> f32; 9] = [
            &|_| 0.0,
            &|_| 2.0,
            &|i| (i % 2) as f32,
            &|i| if i == 0 { 1e30 } else { 1.0 },
            &|i| 1e-30 * i as f32,
            &|i| 10_f32.powi((i % 70) as i32 - 35),
            &|i| if i % 3 == 0 { f32::NAN } else { 1.0 + i as f32 },
            &|i| -(i as f32),
            &|i| (i / 10) as f32,
        ];
        for (case, value) in values.iter().enumerate() {
            for n in [1, 2, 3, 7, 40, 130] {
                let made = attempts(n, &mut rng(7), |i, attempt| attempt.latency_ms = value(i));
                let Some(fit) = fit_latency(&[Start { stretches: vec![&made] }], &[], 10, 0, false)
                else {
                    assert!(case == 6 && n == 1, "case {case}, n {n}");
                    continue;
                };
                let latency = fit.to_latency();
                assert!(latency.validate().is_ok(), "case {case}, n {n}: {latency:?}");
                let finite = |x: f64| x.is_finite();
                assert!(fit.success.tail.quantiles.iter().all(|q| finite(q.fitted_ms)));
                assert!(fit.dependences.iter().all(|d| finite(d.p_value) && finite(d.effect)));
            }
        }
    }

    #[test]
    fn a_clock_of_whole_milliseconds_rejects_nothing_and_is_told() {
        let mut made = drawn(LatencyFamily::LogNormal(part(30.0, 0.3)), 800, 8);
        made.iter_mut().for_each(|attempt| attempt.latency_ms = attempt.latency_ms.round());
        let fit = fit_one(&made);
        assert_eq!(fit.clock_tick_ms, Some(1.0));
        assert!(
            fit.success.p_value > 0.01
                && matches!(fit.success.family(), LatencyFamily::LogNormal(_))
        );
    }

    #[test]
    fn of_a_large_record_a_part_is_fitted_and_every_attempt_counted() {
        // Each is longer by 1 ms than the one before.
        let made = attempts(300_000, &mut rng(9), |i, of| of.latency_ms = 1.0 + i as f32);
        let starts = [Start { stretches: vec![&made[..100_000], &made[100_000..]] }];
        let collected = Attempts::collect(&starts, &[]);
        assert_eq!(collected.total, 300_000);
        assert!(
            (19_000..=MOST_ATTEMPTS).contains(&collected.kept.len()),
            "{}",
            collected.kept.len()
        );
        // Blocks from the whole record, in sequences that do not join what is apart.
        assert!(collected.kept.last().unwrap().ms > 299_000.0);
        let one_step =
            |pair: &[Timed]| pair[0].sequence != pair[1].sequence || pair[1].ms - pair[0].ms == 1.0;
        assert!(collected.kept.windows(2).all(one_step));
    }
}
