//! What latency depends on: server, attempt number, run, outcome, the attempt before, time.
//!
//! A simulator draws latencies independently of all of these. Each test says whether recorded
//! attempts contradict that (p-values by permutation, adjusted by Holm), how much it is (a ratio of
//! medians with a bootstrap interval over blocks of ten neighbours; Künsch, Ann. Statist. 17
//! (1989), 1217-1241), and what follows. Servers and outcomes are compared among first attempts
//! and among retries of one run, whose latencies differ for reasons of their own.
//!
//! When not to use it: as proof of a cause. A strategy that retries on one server makes servers
//! differ in whatever retries do.

use std::fmt;

use rand::Rng;
use rayon::prelude::*;

use crate::domain::{Purpose, Streams};
use crate::stats::Interval;
use crate::stats::multiple::holm;
use crate::stats::quantile::quantile;
use crate::stats::sample::index_below;

use super::attempts::Timed;
use super::consequences::follows;
use super::permute::{between_groups, lag_1, permuted, scores, turned, whitened};

/// Resamples of the bootstrap of an effect.
const RESAMPLES: u64 = 399;
/// Neighbours that are resampled together.
const BLOCK: usize = 10;
/// A group needs so many attempts for a median.
const LEAST_ATTEMPTS: usize = 10;
/// The slowest share of attempts.
const SLOW: f64 = 0.02;
/// Width of a window of time, in seconds, in which runs are slow together.
const WINDOW_S: f64 = 0.25;
/// Seed of the bootstrap, a constant: a fit is a function of its traces.
const SEED: u64 = 0xb007;

/// What a latency may depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatencyFactor {
    /// Which server.
    Server,
    /// First attempt of a request or retry.
    AttemptNumber,
    /// Which run.
    Run,
    /// Success or failure.
    Outcome,
    /// The latency of the attempt before.
    Previous,
    /// Whether the attempt before was among the slowest 2 %.
    SlowSpell,
    /// Whether runs are slow at the same time after their beginning.
    TimeInRun,
}

impl fmt::Display for LatencyFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::AttemptNumber => "first attempt or retry",
            Self::Run => "run",
            Self::Outcome => "outcome",
            Self::Previous => "the attempt before",
            Self::SlowSpell => "a slow attempt before",
            Self::TimeInRun => "time within the run",
        })
    }
}

/// Every factor, in the order of the report.
const FACTORS: [LatencyFactor; 7] = [
    LatencyFactor::Server,
    LatencyFactor::AttemptNumber,
    LatencyFactor::Run,
    LatencyFactor::Outcome,
    LatencyFactor::Previous,
    LatencyFactor::SlowSpell,
    LatencyFactor::TimeInRun,
];

/// The test of one factor.
#[derive(Debug, Clone, PartialEq)]
pub struct LatencyDependence {
    /// What the latency may depend on.
    pub factor: LatencyFactor,
    /// Large when it does.
    pub statistic: f64,
    /// By permutation, at least 1 / ([`super::PERMUTATIONS`] + 1).
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

/// Tests every factor that the attempts have; `stream` tells configs apart. `between_requests_ms`
/// is the mean time from one request to the next, where there is one.
pub(super) fn dependences(
    attempts: &[Timed],
    servers: usize,
    between_requests_ms: Option<f64>,
    stream: u16,
) -> Vec<LatencyDependence> {
    let ms: Vec<f64> = attempts.iter().map(|a| a.ms).collect();
    let typical = {
        let mut sorted = ms.clone();
        sorted.sort_by(f64::total_cmp);
        (quantile(&sorted, 0.5), quantile(&sorted, 1.0 - SLOW))
    };
    let servers = attempts.iter().map(|a| a.server + 1).fold(servers, usize::max);
    let context = Context { attempts, ms, servers, slow_ms: typical.1, resamples: RESAMPLES };
    let tested: Vec<Option<LatencyDependence>> = FACTORS
        .into_par_iter()
        .enumerate()
        .map(|(i, factor)| context.test(factor, 16 * stream + i as u16))
        .collect();
    let mut tested: Vec<LatencyDependence> = tested.into_iter().flatten().collect();
    let adjusted = holm(&tested.iter().map(|test| test.p_value).collect::<Vec<_>>());
    for (test, p) in tested.iter_mut().zip(adjusted) {
        test.p_adjusted = p;
        test.follows = follows(test, typical, between_requests_ms);
    }
    tested
}

struct Context<'a> {
    attempts: &'a [Timed],
    ms: Vec<f64>,
    servers: usize,
    slow_ms: f64,
    /// Of the bootstrap of an effect.
    resamples: u64,
}

impl Context<'_> {
    /// `None` when there is nothing to compare.
    fn test(&self, factor: LatencyFactor, stream: u16) -> Option<LatencyDependence> {
        let of = |a: &Timed| (a.sequence, usize::from(a.retry));
        match factor {
            LatencyFactor::Server => self.groups(factor, self.servers, |a| a.server, of, stream),
            LatencyFactor::Outcome => self.groups(factor, 2, |a| usize::from(a.failed), of, stream),
            LatencyFactor::AttemptNumber => {
                self.groups(factor, 2, |a| usize::from(a.retry), |a| (a.sequence, 0), stream)
            }
            LatencyFactor::Run => {
                let runs = self.attempts.last().map_or(0, |a| a.run + 1);
                self.groups(factor, runs, |a| a.run, |a| (0, usize::from(a.retry)), stream)
            }
            LatencyFactor::Previous => self.previous(stream),
            LatencyFactor::SlowSpell => self.slow_spells(stream),
            LatencyFactor::TimeInRun => self.time_in_run(stream),
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
        let (statistic, p_value) = permuted(&rests, &classes, stream, statistic);
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
        Some(LatencyDependence {
            factor,
            statistic,
            p_value,
            p_adjusted: p_value,
            effect_name: match factor {
                LatencyFactor::AttemptNumber => "median of retries / of first attempts",
                LatencyFactor::Outcome => "median of failures / of successes",
                _ => "highest / lowest median",
            },
            effect: ratio(&order),
            effect_interval: self.interval(stream, ratio),
            follows: String::new(),
        })
    }

    /// Percentile interval of a statistic of the attempts, by a bootstrap of blocks of neighbours.
    fn interval(&self, stream: u16, of: impl Fn(&[usize]) -> f64) -> Option<Interval> {
        let streams = Streams::new(SEED);
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

    fn previous(&self, stream: u16) -> Option<LatencyDependence> {
        let classes = self.split(|a| (a.sequence, usize::from(a.retry)));
        let series = self.split(|a| (a.sequence, 0));
        let scores = self.scores_within(&classes);
        let (_, p_value) = permuted(&scores, &classes, stream, |s| lag_1(s, &series).abs());
        let effect = lag_1(&scores, &series);
        (self.ms.len() > LEAST_ATTEMPTS).then(|| LatencyDependence {
            factor: LatencyFactor::Previous,
            statistic: effect,
            p_value,
            p_adjusted: p_value,
            effect_name: "lag-1 autocorrelation of ranks",
            effect,
            effect_interval: None,
            follows: String::new(),
        })
    }

    /// 1 for the slowest attempts, 0 for the others.
    fn slow(&self) -> Option<Vec<f64>> {
        let slow: Vec<f64> =
            self.ms.iter().map(|ms| f64::from(u8::from(*ms > self.slow_ms))).collect();
        (slow.iter().sum::<f64>() >= 5.0).then_some(slow)
    }

    fn slow_spells(&self, stream: u16) -> Option<LatencyDependence> {
        let slow = self.slow()?;
        let series = self.split(|a| (a.sequence, 0));
        let pairs = |slow: &[f64]| -> f64 {
            let both = |pair: &[usize]| slow[pair[0]] * slow[pair[1]];
            series.iter().flat_map(|s| s.windows(2)).map(both).sum()
        };
        let (statistic, p_value) = permuted(&slow, &series, stream, pairs);
        let before: f64 = series.iter().flat_map(|s| s.windows(2)).map(|pair| slow[pair[0]]).sum();
        Some(LatencyDependence {
            factor: LatencyFactor::SlowSpell,
            statistic,
            p_value,
            p_adjusted: p_value,
            effect_name: "chance of a slow attempt after a slow one",
            effect: statistic / before.max(1.0),
            effect_interval: None,
            follows: String::new(),
        })
    }

    /// Scan statistic: the most runs with a slow attempt in one window of time.
    fn time_in_run(&self, stream: u16) -> Option<LatencyDependence> {
        let slow = self.slow()?;
        let series = self.split(|a| (a.run, 0));
        if series.iter().filter(|run| run.len() >= LEAST_ATTEMPTS).count() < 3 {
            return None;
        }
        let scan = |slow: &[f64]| self.most_together(slow).0;
        let (statistic, p_value) = turned(&slow, &series, stream, scan);
        Some(LatencyDependence {
            factor: LatencyFactor::TimeInRun,
            statistic,
            p_value,
            p_adjusted: p_value,
            effect_name: "when, in seconds after the beginning",
            effect: self.most_together(&slow).1,
            effect_interval: None,
            follows: String::new(),
        })
    }

    /// The most runs that are slow within one window, and its middle.
    fn most_together(&self, slow: &[f64]) -> (f64, f64) {
        let slow = self.attempts.iter().zip(slow).filter(|(_, slow)| **slow > 0.0);
        let mut times: Vec<(f64, usize)> = slow.map(|(a, _)| (a.since_s, a.run)).collect();
        times.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut best = (0.0, 0.0);
        let mut end = 0;
        // Runs in the window, with how often.
        let mut inside = std::collections::BTreeMap::<usize, usize>::new();
        for (from, run) in &times {
            while let Some((at, entering)) = times.get(end).filter(|(at, _)| *at <= from + WINDOW_S)
            {
                *inside.entry(*entering).or_default() += 1;
                end += 1;
                if inside.len() as f64 > best.0 {
                    best = (inside.len() as f64, f64::midpoint(*from, *at));
                }
            }
            if let Some(count) = inside.get_mut(run) {
                *count -= 1;
                if *count == 0 {
                    inside.remove(run);
                }
            }
        }
        best
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

#[cfg(test)]
mod tests;
