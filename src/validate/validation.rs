//! A validation as a whole: every run predicted from the others, or from a model, and judged.
//!
//! When not to use it: with runs of one recording session only, when the question is whether a
//! model holds at another time.

use super::beliefs::{Belief, beliefs, same_start};
use super::calibration::{Judged, judge};
use super::one_step::{Predicted, predict};
use super::pit::{Pool, test};
use super::recorder::check_rules;
use super::whole_run::{Counts, observed, replicate};
use super::{
    Membership, Metric, MetricTest, OneStep, Prediction, Rival, RuleCheck, RunRules, Training,
};
use crate::stats::Interval;
use crate::stats::multiple::holm;
use crate::stats::quantile::quantile;
use crate::trace::{Group, Recording};
use crate::world::Model;

/// A validation is rejected when an adjusted p-value is at or below this.
pub const LEVEL: f64 = 0.01;
/// Runs that began within so many seconds are of one day, for raw rates.
const DAY_S: f64 = 86_400.0;

/// How to validate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The rules under which whole runs are played.
    pub rules: RunRules,
    /// Replications of each run, at least 1; p-values are no smaller than 1 / (replications + 1).
    pub replications: u64,
    /// Seed of all randomness.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { rules: RunRules::Recorder, replications: 1000, seed: 1 }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Validation {
    /// How it was made.
    pub settings: Settings,
    /// The model's name; `None` when each run was predicted from the others.
    pub model: Option<String>,
    /// Each run, in the order given.
    pub runs: Vec<RunValidation>,
    /// One step ahead, over all runs.
    pub one_step: OneStep,
    /// Whole runs, one a metric; empty if no run could be played.
    pub metrics: Vec<MetricTest>,
}

/// One run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunValidation {
    /// The file, without its folder.
    pub file: String,
    /// The group of servers.
    pub group: String,
    /// The strategies that chose the servers.
    pub strategies: Vec<String>,
    /// Attempts.
    pub attempts: usize,
    /// Relation to its neighbours, before and after its outcomes.
    pub membership: [Membership; 2],
    /// Whole-run counts; `None` when its strategy is not one that we can play.
    pub predictions: Option<Vec<Prediction>>,
    /// Whether its choices follow the rules; `None` as above.
    pub rules: Option<RuleCheck>,
}

/// Recordings that cannot be validated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidateError {
    /// Too few to predict each other.
    #[error(
        "expected at least 2 recordings with attempts, to predict each from the others, got {got}; \
         give more, or predict it from a model with --model"
    )]
    TooFew {
        /// How many there are.
        got: usize,
    },
    /// None to predict from a model.
    #[error("expected at least 1 recording with attempts, got none")]
    Nothing,
    /// One run twice: it would be predicted from itself.
    #[error("{a} and {b} hold the same run and would predict each other; leave one of them out")]
    SameRunTwice {
        /// One file.
        a: String,
        /// The other.
        b: String,
    },
    /// A model of other servers.
    #[error("{file} was recorded at {got} servers, the model has {expected}")]
    OtherServers {
        /// The recording.
        file: String,
        /// Servers of the recording's group.
        got: usize,
        /// Servers of the model.
        expected: usize,
    },
    /// A training without any rate limit, not even `RateLimit::None`.
    #[error("group {group}: the training has no rate limit to play with, not even `none`")]
    NoLimit {
        /// The group.
        group: String,
    },
}

impl Validation {
    /// Adjusted p-values of all tests, with what they tested.
    #[must_use]
    pub fn tests(&self) -> Vec<(&'static str, f64)> {
        let mut tests = vec![("calibration one step ahead", self.one_step.adjusted_p_value)];
        let tested = self.metrics.iter().filter(|metric| metric.tested);
        tests.extend(tested.map(|metric| (metric.metric.name(), metric.adjusted_p_value)));
        tests
    }

    /// Whether no test rejects at [`LEVEL`].
    #[must_use]
    pub fn held(&self) -> bool {
        self.tests().iter().all(|(_, p)| *p > LEVEL)
    }
}

/// Predicts every recording from all others.
///
/// `train` learns from the others, for the group of the one left out, whose outcomes it never
/// gets.
///
/// # Errors
/// Fewer than two recordings, or one given twice: see [`ValidateError`].
pub fn leave_one_out(
    recordings: &[&Recording],
    train: impl Fn(&[&Recording], &Group) -> Training,
    settings: Settings,
) -> Result<Validation, ValidateError> {
    if recordings.len() < 2 {
        return Err(ValidateError::TooFew { got: recordings.len() });
    }
    distinct(recordings)?;
    let mut parts = Vec::with_capacity(recordings.len());
    for (number, run) in recordings.iter().enumerate() {
        let others: Vec<&Recording> =
            (0..recordings.len()).filter(|i| *i != number).map(|i| recordings[i]).collect();
        let training = train(&others, &run.group);
        let evidence = Evidence { others: &others, earlier: &earlier(recordings, number) };
        parts.push(part(run, evidence, &training, settings, number)?);
    }
    Ok(assemble(None, parts, settings))
}

/// Predicts every recording from a model; nothing is learned but within each run. Only the test of
/// calibration takes earlier runs for evidence: runs of one start err alike when each is predicted
/// alone, which their residuals' variance would not show. A model says nothing of restarts, so each
/// gap may hold one with probability 1/2 beforehand; where that is far off the test is still too
/// strict (see `calibration`).
///
/// # Errors
/// No recordings, one given twice, or of another number of servers: see [`ValidateError`].
pub fn against_model(
    model: &Model,
    recordings: &[&Recording],
    settings: Settings,
) -> Result<Validation, ValidateError> {
    if recordings.is_empty() {
        return Err(ValidateError::Nothing);
    }
    distinct(recordings)?;
    let training = Training::of_model(model);
    let mut parts = Vec::with_capacity(recordings.len());
    for (number, run) in recordings.iter().enumerate() {
        let (got, expected) = (run.group.servers.len(), model.servers());
        if got != expected {
            return Err(ValidateError::OtherServers { file: run.file(), got, expected });
        }
        let evidence = Evidence { others: &[], earlier: &earlier(recordings, number) };
        parts.push(part(run, evidence, &training, settings, number)?);
    }
    Ok(assemble(Some(model.name.clone()), parts, settings))
}

/// The recordings that began before this one; of those that began with it, the ones before it in
/// the list, so that no two predict each other.
fn earlier<'a>(recordings: &[&'a Recording], number: usize) -> Vec<&'a Recording> {
    let began = recordings[number].started_at_s();
    let before = |(i, other): &(usize, &&Recording)| {
        other.started_at_s().total_cmp(&began).then(i.cmp(&number)).is_lt()
    };
    recordings.iter().enumerate().filter(before).map(|(_, other)| *other).collect()
}

fn distinct(recordings: &[&Recording]) -> Result<(), ValidateError> {
    for (i, a) in recordings.iter().enumerate() {
        let same = |b: &&&Recording| {
            a.group == b.group
                && a.first_identifier == b.first_identifier
                && a.started_at_s() == b.started_at_s()
        };
        if let Some(b) = recordings[i + 1..].iter().find(same) {
            return Err(ValidateError::SameRunTwice { a: a.file(), b: b.file() });
        }
    }
    Ok(())
}

/// One run with all that is compared over runs.
struct Part {
    run: RunValidation,
    judged: Judged,
    pools: Option<Vec<Pool>>,
}

/// The recordings that may tell which start a run met, and its rates.
#[derive(Clone, Copy)]
struct Evidence<'e, 'r> {
    /// For scores, the calibration curve and whole runs.
    others: &'e [&'r Recording],
    /// For the test of calibration.
    earlier: &'e [&'r Recording],
}

fn part(
    run: &Recording,
    evidence: Evidence<'_, '_>,
    training: &Training,
    settings: Settings,
    number: usize,
) -> Result<Part, ValidateError> {
    let believed: Vec<Belief> = beliefs(run, evidence.others, training);
    if believed.is_empty() {
        return Err(ValidateError::NoLimit { group: run.group.name.clone() });
    }
    let Predicted { failure, membership } = predict(run, &believed, &training.rates);
    let failed: Vec<bool> = run.attempts.iter().map(|a| !a.outcome.is_success()).collect();
    let before = beliefs(run, evidence.earlier, training);
    let judged = Judged {
        rivals: rivals(run, evidence.others, &believed, training),
        tested: predict(run, &before, &training.rates).failure,
        model: failure,
        failed,
    };
    let played = replicate(
        run,
        &believed,
        training,
        settings.rules,
        number as u16,
        settings.seed,
        settings.replications.max(1),
    );
    let seen = observed(run, settings.rules.rules().free_attempts);
    let pools = played.map(|played| pools(&played, seen, run.tells_refusals));
    Ok(Part {
        run: RunValidation {
            file: run.file(),
            group: run.group.name.clone(),
            strategies: run.strategies.clone(),
            attempts: run.attempts.len(),
            membership,
            predictions: pools.as_ref().map(|pools| predictions(pools)),
            rules: check_rules(run, settings.rules),
        },
        judged,
        pools: pools.map(|pools| pools.into_iter().map(|(_, pool)| pool).collect()),
    })
}

/// The simpler predictions of a run. Without other recordings, raw rates are those of this run.
fn rivals(
    run: &Recording,
    others: &[&Recording],
    believed: &[Belief],
    training: &Training,
) -> Vec<(Rival, Vec<f64>)> {
    let mut rivals = vec![(Rival::ThisRun, raw_rates(run, &[]))];
    if !others.is_empty() {
        let day = |r: &Recording| libm::floor(r.started_at_s() / DAY_S);
        let of_day = |o: &&Recording| o.group == run.group && day(o) == day(run);
        let of_day: Vec<&Recording> = others.iter().copied().filter(of_day).collect();
        rivals.push((Rival::SameStart, raw_rates(run, &same_start(run, others, believed))));
        rivals.push((Rival::SameDay, raw_rates(run, &of_day)));
    }
    rivals.push((Rival::OneRate, vec![one_rate(run, others, training); run.attempts.len()]));
    rivals
}

/// Chance of failure by raw rates: the same server in these runs and in this one so far.
fn raw_rates(run: &Recording, pooled: &[&Recording]) -> Vec<f64> {
    let mut counts = vec![(1.0, 2.0); run.group.servers.len()];
    let mut record = |attempt: &crate::trace::Observed| {
        let (failures, attempts) = counts[usize::from(attempt.server)];
        let failed = f64::from(u8::from(!attempt.outcome.is_success()));
        counts[usize::from(attempt.server)] = (failures + failed, attempts + 1.0);
        failures / attempts
    };
    for attempt in pooled.iter().flat_map(|other| &other.attempts) {
        record(attempt);
    }
    run.attempts.iter().map(record).collect()
}

/// Share of failures among all attempts of the group's other runs, by Laplace's rule; if there are
/// none, the mean rate of the training.
fn one_rate(run: &Recording, others: &[&Recording], training: &Training) -> f64 {
    if !others.iter().any(|o| o.group == run.group) {
        return training.rates.mean();
    }
    let (mut failures, mut attempts) = (1.0, 2.0);
    for attempt in others.iter().filter(|o| o.group == run.group).flat_map(|o| &o.attempts) {
        failures += f64::from(u8::from(!attempt.outcome.is_success()));
        attempts += 1.0;
    }
    failures / attempts
}

/// A pool for each metric that the recording tells.
fn pools(played: &[Counts], seen: Counts, tells_refusals: bool) -> Vec<(Metric, Pool)> {
    Metric::ALL
        .into_iter()
        .enumerate()
        .filter(|(_, metric)| tells_refusals || *metric != Metric::Refusals)
        .map(|(i, metric)| (metric, Pool::new(played.iter().map(|counts| counts[i]), seen[i])))
        .collect()
}

fn predictions(pools: &[(Metric, Pool)]) -> Vec<Prediction> {
    pools.iter().map(|(metric, pool)| prediction(*metric, pool)).collect()
}

fn prediction(metric: Metric, pool: &Pool) -> Prediction {
    let (below, at) = pool.step(pool.recorded());
    let mut predicted: Vec<f64> = pool.predicted().iter().map(|v| *v as f64).collect();
    predicted.sort_by(f64::total_cmp);
    Prediction {
        metric,
        observed: pool.observed(),
        mean: predicted.iter().sum::<f64>() / predicted.len() as f64,
        interval: Interval { low: quantile(&predicted, 0.025), high: quantile(&predicted, 0.975) },
        p_value: (2.0 * at.min(1.0 - below)).min(1.0),
    }
}

fn assemble(model: Option<String>, parts: Vec<Part>, settings: Settings) -> Validation {
    let judged: Vec<&Judged> = parts.iter().map(|part| &part.judged).collect();
    let mut one_step = judge(&judged);
    let mut metrics: Vec<MetricTest> = Vec::new();
    for metric in Metric::ALL {
        let of_metric = |part: &Part| {
            let predictions = part.run.predictions.as_ref()?;
            let i = predictions.iter().position(|p| p.metric == metric)?;
            Some((part.pools.as_ref()?.get(i)?.clone(), predictions[i]))
        };
        let (pools, seen): (Vec<Pool>, Vec<Prediction>) =
            parts.iter().filter_map(of_metric).unzip();
        if pools.is_empty() {
            continue;
        }
        let inside = seen.iter().filter(|p| p.interval.contains(p.observed as f64)).count();
        let recorded = seen.iter().map(|p| p.observed).sum();
        let predicted = seen.iter().map(|p| p.mean).sum();
        metrics.push(test(metric, &pools, inside, (recorded, predicted), settings.seed));
    }
    let mut p_values = vec![one_step.test.p_value];
    p_values.extend(metrics.iter().filter(|m| m.tested).map(|m| m.p_value));
    let mut adjusted = holm(&p_values).into_iter();
    one_step.adjusted_p_value = adjusted.next().unwrap_or(1.0);
    for metric in metrics.iter_mut().filter(|m| m.tested) {
        metric.adjusted_p_value = adjusted.next().unwrap_or(1.0);
    }
    let runs = parts.into_iter().map(|part| part.run).collect();
    Validation { settings, model, runs, one_step, metrics }
}
