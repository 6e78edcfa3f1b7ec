//! What latency depends on: server, first attempt or retry, run.
//!
//! A simulator draws latencies independently of all of these. Each test says whether recorded
//! attempts contradict that (p-values by permutation, adjusted by Holm), how much it is (a ratio of
//! medians with a bootstrap interval over blocks of ten neighbours; Künsch, Ann. Statist. 17
//! (1989), 1217-1241), and what follows, weighed against the mean time between two requests.
//! Servers are compared among first attempts and among retries of one run, whose latencies differ
//! for reasons of their own. Failures have a distribution of their own where that fits better (see
//! `analysis`), so outcomes are not tested here.
//!
//! When not to use it: as proof of a cause. A strategy that retries on one server makes servers
//! differ in whatever retries do.

use std::fmt;

use rand::Rng;
use rayon::prelude::*;

use crate::latency::attempts::Timed;
use flakelab_core::domain::{Purpose, Streams};
use flakelab_core::stats::{Interval, holm, index_below, quantile};

/// Resamples of the bootstrap of an effect.
const RESAMPLES: u64 = 399;

/// Neighbours that are resampled together.
const BLOCK: usize = 10;

/// A group needs so many attempts for a median.
const LEAST_ATTEMPTS: usize = 10;

/// Seed of the bootstrap, a constant: a fit is a function of its traces.
const BOOTSTRAP_SEED: u64 = 0xb007;

/// What a latency may depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatencyFactor {
    /// Which server.
    Server,
    /// First attempt of a request or retry.
    AttemptNumber,
    /// Which run.
    Run,
}

impl fmt::Display for LatencyFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::AttemptNumber => "first attempt or retry",
            Self::Run => "run",
        })
    }
}

/// Every factor, in the order of the report.
const FACTORS: [LatencyFactor; 3] =
    [LatencyFactor::Server, LatencyFactor::AttemptNumber, LatencyFactor::Run];

/// The test of one factor.
#[derive(Debug, Clone, PartialEq)]
pub struct LatencyDependence {
    /// What the latency may depend on.
    pub factor: LatencyFactor,
    /// Large when it does.
    pub statistic: f64,
    /// By permutation, at least 1 / ([`PERMUTATIONS`] + 1).
    pub p_value: f64,
    /// Adjusted for all tests of the config (Holm).
    pub p_adjusted: f64,
    /// What `effect` is.
    pub effect_name: &'static str,
    /// How much.
    pub effect: f64,
    /// Its 95 % interval, where there is one. The ratio of the slowest to the fastest of many
    /// groups is above 1 by chance too; only the p-value judges it.
    pub effect_interval: Option<Interval>,
    /// What follows for simulations, in one or two sentences.
    pub follows: String,
}

impl LatencyDependence {
    /// A test by itself, before it is said what follows.
    fn new(
        factor: LatencyFactor,
        (statistic, p_value): (f64, f64),
        effect_name: &'static str,
        effect: f64,
    ) -> Self {
        Self {
            factor,
            statistic,
            p_value,
            p_adjusted: p_value,
            effect_name,
            effect,
            effect_interval: None,
            follows: String::new(),
        }
    }
}

/// Tests every factor that the attempts have; `stream` tells configs apart. `between_requests_ms`
/// is the mean time from one request to the next, where there is one.
pub(crate) fn dependences(
    attempts: &[Timed],
    servers: usize,
    between_requests_ms: Option<f64>,
    stream: u16,
) -> Vec<LatencyDependence> {
    let ms: Vec<f64> = attempts.iter().map(|a| a.ms).collect();
    let typical_ms = {
        let mut sorted = ms.clone();
        sorted.sort_by(f64::total_cmp);
        quantile(&sorted, 0.5)
    };
    let servers = attempts.iter().map(|a| a.server + 1).fold(servers, usize::max);
    let context = Context { attempts, ms, servers, resamples: RESAMPLES };
    let tested: Vec<Option<LatencyDependence>> = FACTORS
        .into_par_iter()
        .enumerate()
        .map(|(i, factor)| context.test(factor, 16 * stream + i as u16))
        .collect();
    let mut tested: Vec<LatencyDependence> = tested.into_iter().flatten().collect();
    let adjusted = holm(&tested.iter().map(|test| test.p_value).collect::<Vec<_>>());
    for (test, p) in tested.iter_mut().zip(adjusted) {
        test.p_adjusted = p;
        test.follows = follows(test, typical_ms, between_requests_ms);
    }
    tested
}

struct Context<'a> {
    attempts: &'a [Timed],
    ms: Vec<f64>,
    servers: usize,
    /// Of the bootstrap of an effect.
    resamples: u64,
}

impl Context<'_> {
    /// `None` when there is nothing to compare.
    fn test(&self, factor: LatencyFactor, stream: u16) -> Option<LatencyDependence> {
        match factor {
            LatencyFactor::Server => {
                let alike = |a: &Timed| (a.sequence, usize::from(a.retry));
                self.groups(factor, self.servers, |a| a.server, alike, stream)
            }
            LatencyFactor::AttemptNumber => {
                self.groups(factor, 2, |a| usize::from(a.retry), |a| (a.sequence, 0), stream)
            }
            LatencyFactor::Run => {
                let runs = self.attempts.last().map_or(0, |a| a.run + 1);
                self.groups(factor, runs, |a| a.run, |a| (0, usize::from(a.retry)), stream)
            }
        }
    }

    /// Positions of attempts by key, in order of time.
    fn split(&self, key: impl Fn(&Timed) -> (usize, usize)) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..self.attempts.len()).collect();
        order.sort_by_key(|i| key(&self.attempts[*i]));
        let same = |a: &usize, b: &usize| key(&self.attempts[*a]) == key(&self.attempts[*b]);
        order.chunk_by(same).map(<[usize]>::to_vec).collect()
    }

    /// Ranks within each class, as one list.
    fn scores_within(&self, classes: &[Vec<usize>]) -> Vec<f64> {
        let mut all = vec![0.0; self.ms.len()];
        for class in classes {
            let values: Vec<f64> = class.iter().map(|i| self.ms[*i]).collect();
            scores(&values).iter().zip(class).for_each(|(score, i)| all[*i] = *score);
        }
        all
    }

    /// Compares groups; what may be exchanged under the hypothesis is a class.
    fn groups(
        &self,
        factor: LatencyFactor,
        count: usize,
        group: impl Fn(&Timed) -> usize,
        class: impl Fn(&Timed) -> (usize, usize),
        stream: u16,
    ) -> Option<LatencyDependence> {
        let groups: Vec<usize> = self.attempts.iter().map(group).collect();
        let mut sizes = vec![0; count];
        groups.iter().for_each(|group| sizes[*group] += 1);
        if sizes.iter().filter(|size| **size >= LEAST_ATTEMPTS).count() < 2 {
            return None;
        }
        let classes = self.split(class);
        let rests = whitened(&self.scores_within(&classes), &self.split(|a| (a.sequence, 0)));
        let statistic = between_groups(&groups, count);
        let test = permuted(&rests, &classes, stream, statistic);
        let two = count == 2;
        let ratio = |order: &[usize]| {
            let mut of_groups = vec![Vec::new(); count];
            order.iter().for_each(|i| of_groups[groups[*i]].push(self.ms[*i]));
            let medians: Vec<f64> = of_groups.into_iter().filter_map(median).collect();
            let least = medians.iter().copied().fold(f64::INFINITY, f64::min);
            let most = medians.iter().copied().fold(0.0, f64::max);
            match medians[..] {
                [first, second] if two => second / first,
                _ => most / least,
            }
        };
        let order: Vec<usize> = (0..self.ms.len()).collect();
        let effect_name = match factor {
            LatencyFactor::AttemptNumber => "median of retries / of first attempts",
            _ => "highest / lowest median",
        };
        Some(LatencyDependence {
            effect_interval: self.interval(stream, ratio),
            ..LatencyDependence::new(factor, test, effect_name, ratio(&order))
        })
    }

    /// Percentile interval of a statistic of the attempts, by a bootstrap of blocks of neighbours.
    fn interval(&self, stream: u16, of: impl Fn(&[usize]) -> f64) -> Option<Interval> {
        let streams = Streams::new(BOOTSTRAP_SEED);
        let resampled = |resample: u64| {
            let mut rng = streams.stream(Purpose::Analysis, stream, resample);
            of(&blocks(self.ms.len(), &mut rng))
        };
        let resampled = (0..self.resamples).map(resampled);
        let mut values: Vec<f64> = resampled.filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let at = |p| quantile(&values, p);
        (values.len() > 100).then(|| Interval { low: at(0.025), high: at(0.975) })
    }
}

/// The median of enough values.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    (values.len() >= LEAST_ATTEMPTS).then(|| quantile(&values, 0.5))
}

/// n positions in blocks of neighbours that begin anywhere.
fn blocks(n: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut order = Vec::with_capacity(n + BLOCK);
    while order.len() < n {
        let from = index_below(rng, n);
        order.extend((from..from + BLOCK).map(|i| i % n));
    }
    order.truncate(n);
    order
}

// ---- Permutation tests on ranks of a series.
//
// Latencies of neighbours are alike, and a plain permutation would call that a difference
// between groups. So ranks are first freed of it, `e_t = s_t - phi s_(t-1)` with the series' own
// lag-1 autocorrelation phi, and the rests are permuted within classes that may be exchanged
// (M. J. Anderson, Can. J. Fish. Aquat. Sci. 58 (2001), 626-639). Mid-ranks, so that neither ties
// nor the tail matter. Dependence beyond the neighbour leaves p-values somewhat too small.

/// Permutations of a test; the smallest possible p-value is 1 / (permutations + 1).
pub const PERMUTATIONS: u64 = 999;

/// Seed of the permutations, a constant: a test is a function of its traces.
const PERMUTATION_SEED: u64 = 0x7e57;

/// Mid-ranks of values, centred, divided by their number: from -1/2 to 1/2.
fn scores(values: &[f64]) -> Vec<f64> {
    let n = values.len() as f64;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut scores = vec![0.0; values.len()];
    let mut below = 0;
    for same in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = below as f64 + (same.len() as f64 + 1.0) / 2.0;
        same.iter().for_each(|i| scores[*i] = (rank - (n + 1.0) / 2.0) / n);
        below += same.len();
    }
    scores
}

/// Lag-1 autocorrelation of centred scores, within the series; 0 for nothing.
fn lag_1(scores: &[f64], series: &[Vec<usize>]) -> f64 {
    let product = |pair: &[usize]| scores[pair[0]] * scores[pair[1]];
    let together: f64 = series.iter().flat_map(|s| s.windows(2)).map(product).sum();
    let square: f64 = series.iter().flatten().map(|i| scores[*i] * scores[*i]).sum();
    if square > 0.0 { together / square } else { 0.0 }
}

/// What is left of scores when each series' neighbours are accounted for.
fn whitened(scores: &[f64], series: &[Vec<usize>]) -> Vec<f64> {
    let phi = lag_1(scores, series).clamp(-0.95, 0.95);
    let mut rest = scores.to_vec();
    for one in series {
        if let Some(first) = one.first() {
            rest[*first] = scores[*first] * (1.0 - phi * phi).sqrt();
        }
        for pair in one.windows(2) {
            rest[pair[1]] = scores[pair[1]] - phi * scores[pair[0]];
        }
    }
    rest
}

/// Statistic and p-value of the hypothesis that scores can be exchanged within `classes`; large
/// statistics speak against it.
fn permuted(
    scores: &[f64],
    classes: &[Vec<usize>],
    stream: u16,
    statistic: impl Fn(&[f64]) -> f64,
) -> (f64, f64) {
    let observed = statistic(scores);
    let mut rng = Streams::new(PERMUTATION_SEED).stream(Purpose::Analysis, stream, 0);
    let mut mixed = scores.to_vec();
    // Rounding must not make equal statistics differ.
    let least = observed - 1e-9 * observed.abs();
    let mut as_far = 1;
    for _ in 0..PERMUTATIONS {
        classes.iter().for_each(|class| mix(&mut mixed, class, &mut rng));
        as_far += u32::from(statistic(&mixed) >= least);
    }
    (observed, f64::from(as_far) / (PERMUTATIONS + 1) as f64)
}

/// Fisher and Yates.
fn mix(values: &mut [f64], class: &[usize], rng: &mut impl Rng) {
    for i in (1..class.len()).rev() {
        values.swap(class[i], class[index_below(rng, i + 1)]);
    }
}

/// Kruskal and Wallis's statistic on any scores: the share of their sum of squares that lies
/// between groups, times their number less one (JASA 47 (1952), 583-621).
fn between_groups(groups: &[usize], count: usize) -> impl Fn(&[f64]) -> f64 {
    let mut sizes = vec![0.0; count];
    groups.iter().for_each(|group| sizes[*group] += 1.0);
    move |scores: &[f64]| {
        let n = scores.len() as f64;
        let mean = scores.iter().sum::<f64>() / n;
        let mut sums = vec![0.0; count];
        let mut squares = 0.0;
        for (score, group) in scores.iter().zip(groups) {
            sums[*group] += score - mean;
            squares += (score - mean) * (score - mean);
        }
        let part = |(sum, size): (&f64, &f64)| if *size > 0.0 { sum * sum / size } else { 0.0 };
        let between: f64 = sums.iter().zip(&sizes).map(part).sum();
        if squares > 0.0 { (n - 1.0) * between / squares } else { 0.0 }
    }
}

/// A dependence is called one below this adjusted p-value.
const LEVEL: f64 = 0.05;

/// Differences below this share of the time between two requests change no decision.
const NEGLIGIBLE: f64 = 0.02;

/// A sentence or two for a tested factor; `median_ms` is that of all attempts,
/// `between_requests_ms` is the mean time from one request to the next, where there is one.
fn follows(test: &LatencyDependence, median_ms: f64, between_requests_ms: Option<f64>) -> String {
    if test.p_adjusted >= LEVEL {
        return "No dependence seen; drawing latencies independently is not contradicted."
            .to_owned();
    }
    let difference = (test.effect - 1.0).abs() * median_ms;
    let is_small = between_requests_ms.is_some_and(|budget| difference < NEGLIGIBLE * budget);
    let verdict = if is_small {
        "no strategy is affected"
    } else {
        "strategies may be affected, and models do not know it"
    };
    let budget = match between_requests_ms {
        Some(ms) => {
            let digits = if ms < 10.0 { 2 } else { 0 };
            format!("{difference:.2} ms of {ms:.digits$} ms between two requests")
        }
        None => format!("{difference:.2} ms"),
    };
    match test.factor {
        LatencyFactor::Server => format!("Servers' medians differ by {budget}: {verdict}."),
        LatencyFactor::AttemptNumber => {
            let how = if test.effect < 1.0 { "faster" } else { "slower" };
            format!("Retries are {how} by {budget}: {verdict}.")
        }
        LatencyFactor::Run => format!(
            "Runs' medians differ by {budget}: {verdict}; one distribution describes all runs, \
                 not each."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flakelab_core::stats::{standard_normal, uniform01};

    #[test]
    fn a_difference_is_weighed_against_the_pace_of_the_recordings() {
        let test = LatencyDependence::new(LatencyFactor::Server, (0.0, 0.001), "", 1.5);
        let say = |between| follows(&test, 1.0, between);
        let affected = "strategies may be affected, and models do not know it.";
        for (between, expected) in [
            (Some(101.6), "by 0.50 ms of 102 ms between two requests: no strategy is affected."),
            (Some(5.0), "by 0.50 ms of 5.00 ms between two requests: strategies may be affected"),
            (None, "by 0.50 ms: strategies may be affected"),
        ] {
            assert!(say(between).contains(expected), "{}", say(between));
        }
        assert!(say(None).ends_with(affected));
    }

    #[test]
    fn scores_are_centred_mid_ranks() {
        assert_eq!(scores(&[5.0, 1.0, 5.0, 9.0]), [0.0, -0.375, 0.0, 0.375]);
        assert_eq!(scores(&[2.0; 3]), [0.0; 3]);
    }

    #[test]
    fn kruskal_and_walliss_statistic_is_that_of_r() {
        // R: kruskal.test(list(c(2.9, 3.0, 2.5, 2.6, 3.2), c(3.8, 2.7, 4.0, 2.4),
        //                      c(2.8, 3.4, 3.7, 2.2, 2.0))), its own example: 0.7714.
        let values = [2.9, 3.0, 2.5, 2.6, 3.2, 3.8, 2.7, 4.0, 2.4, 2.8, 3.4, 3.7, 2.2, 2.0];
        let groups = [0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2];
        let statistic = between_groups(&groups, 3)(&scores(&values));
        assert!((statistic - 0.771_428_571).abs() < 1e-8, "{statistic}");
    }

    #[test]
    fn whitening_undoes_an_autoregression() {
        let mut scores = vec![0.0; 400];
        let mut rng = Streams::new(4).stream(Purpose::World, 0, 0);
        for t in 1..400 {
            scores[t] = 0.6 * scores[t - 1] + standard_normal(&mut rng);
        }
        let series = [(0..400).collect::<Vec<_>>()];
        // Four standard errors of 1 / sqrt n.
        assert!((lag_1(&scores, &series) - 0.6).abs() < 0.2);
        assert!(lag_1(&whitened(&scores, &series), &series).abs() < 0.2);
    }

    #[derive(Default)]
    struct Plan {
        /// Autocorrelation of ln latency.
        phi: f64,
        /// Servers stay the same for ten attempts on average.
        lasting: bool,
        slow_server: f64,
        slow_retry: f64,
        slow_run: f64,
    }

    /// Four runs of `n / 4` attempts, ten a second.
    fn record(plan: &Plan, n: usize, seed: u64) -> Vec<Timed> {
        let mut rng = Streams::new(seed).stream(Purpose::World, 0, 0);
        let (mut noise, mut server) = (0.0, 0);
        let attempt = |i: usize| {
            let run = 4 * i / n;
            let calm = (1.0 - plan.phi * plan.phi).sqrt();
            noise = plan.phi * noise + calm * standard_normal(&mut rng);
            if !plan.lasting || uniform01(&mut rng) < 0.1 {
                server = index_below(&mut rng, 5);
            }
            let retry = uniform01(&mut rng) < 0.3;
            let on = |is: bool| f64::from(u8::from(is));
            let log = 0.3 * noise
                + plan.slow_server * on(server == 2)
                + plan.slow_retry * on(retry)
                + plan.slow_run * on(run == 1);
            Timed { ms: libm::exp(log), server, retry, failed: false, run, sequence: run }
        };
        (0..n).map(attempt).collect()
    }

    fn p_value(factor: LatencyFactor, attempts: &[Timed]) -> f64 {
        let ms = attempts.iter().map(|a| a.ms).collect();
        let context = Context { attempts, ms, servers: 5, resamples: 0 };
        context.test(factor, 0).unwrap().p_value
    }

    /// How many of 200 records without the dependence are called dependent at 5 %: 10 expected,
    /// standard deviation 3.1; 4 of them, 22, are passed with probability 1e-4.
    fn alarms(factor: LatencyFactor, plan: &Plan) -> usize {
        let alarm = |seed: u64| p_value(factor, &record(plan, 320, seed)) <= 0.05;
        (0..200_u64).into_par_iter().filter(|seed| alarm(*seed)).count()
    }

    const MOST_ALARMS: usize = 22;

    #[test]
    fn independent_latencies_raise_no_more_alarms_than_stated() {
        for factor in FACTORS {
            let alarms = alarms(factor, &Plan::default());
            assert!(alarms <= MOST_ALARMS, "{factor:?}: {alarms}");
        }
    }

    #[test]
    fn neighbours_that_are_alike_are_not_taken_for_differences_between_groups() {
        let plan = Plan { phi: 0.4, lasting: true, ..Plan::default() };
        for factor in [LatencyFactor::Server, LatencyFactor::Run] {
            let alarms = alarms(factor, &plan);
            assert!(alarms <= MOST_ALARMS, "{factor:?}: {alarms}");
        }
        // Planted bug: ranks as they are.
        let plain = |seed: u64| {
            let attempts = record(&plan, 320, seed);
            let servers: Vec<usize> = attempts.iter().map(|a| a.server).collect();
            let ranks = scores(&attempts.iter().map(|a| a.ms).collect::<Vec<_>>());
            let all = [(0..320).collect::<Vec<_>>()];
            permuted(&ranks, &all, 0, between_groups(&servers, 5)).1 <= 0.05
        };
        let alarms = (0..200_u64).into_par_iter().filter(|seed| plain(*seed)).count();
        assert!(alarms > MOST_ALARMS, "{alarms}");
    }

    #[test]
    fn every_planted_dependence_is_found_in_nine_of_ten_records() {
        let none = Plan::default;
        let plans = [
            (LatencyFactor::Server, Plan { slow_server: 0.25, ..none() }),
            (LatencyFactor::AttemptNumber, Plan { slow_retry: -0.2, ..none() }),
            (LatencyFactor::Run, Plan { slow_run: 0.2, ..none() }),
        ];
        for (factor, plan) in plans {
            let found = |seed: u64| p_value(factor, &record(&plan, 600, seed)) <= 0.01;
            let found = (0..20_u64).into_par_iter().filter(|seed| found(*seed)).count();
            assert!(found >= 18, "{factor:?}: {found} of 20");
        }
    }

    #[test]
    fn the_effect_and_its_interval_are_those_planted() {
        let plan = Plan { slow_retry: -0.2, ..Plan::default() };
        let tests = dependences(&record(&plan, 1200, 3), 5, Some(100.0), 0);
        assert_eq!(tests.len(), FACTORS.len());
        let retry = tests.iter().find(|t| t.factor == LatencyFactor::AttemptNumber).unwrap();
        let interval = retry.effect_interval.unwrap();
        // exp(-0.2) = 0.819; the interval's half-width is about two standard errors of 0.03.
        assert!(interval.contains(0.819) && interval.width() < 0.15, "{retry:?}");
        assert!(retry.p_adjusted >= retry.p_value && retry.p_adjusted < 0.01);
        assert!(retry.follows.contains("faster") && retry.follows.contains("no strategy"));
    }

    #[test]
    fn a_single_server_or_run_is_not_tested() {
        let mut attempts = record(&Plan::default(), 40, 1);
        for attempt in &mut attempts {
            (attempt.server, attempt.run, attempt.sequence) = (0, 0, 0);
        }
        let factors: Vec<_> = dependences(&attempts, 1, None, 0).iter().map(|t| t.factor).collect();
        assert_eq!(factors, [LatencyFactor::AttemptNumber]);
    }
}
