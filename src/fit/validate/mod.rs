//! A validation as a whole: every run predicted from the others, or from a model, and judged. Of a
//! single run the second half is predicted from the first.
//!
//! When not to use it: with runs of one recording session only, when the question is whether a
//! model holds at another time.

#[cfg(test)]
mod made;
mod one_step;
mod slope;
mod training;
mod whole_run;

use crate::runs::same_run;
use crate::validate::one_step::{Judged, Predicted, judge, predict};
use crate::validate::training::{Belief, beliefs, same_start};
use crate::validate::whole_run::{Counts, Pool, check_rules, observed, replicate, test};
use flakelab_core::stats::{Interval, holm, quantile};
use flakelab_sim::trace::{Group, Observed, Recording};
use flakelab_sim::world::Model;

pub use self::one_step::{AgainstRival, Difference, OneStep, Rival, Scores};
pub use self::slope::Slope;
pub use self::training::{Gap, Membership, Rates, Training, learned_training};
pub use self::whole_run::{Metric, MetricTest, Prediction, RuleCheck, RunRules};

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
    /// What each run was predicted from.
    pub source: Source,
    /// Each run, in the order given.
    pub runs: Vec<RunValidation>,
    /// One step ahead, over all runs; of a single run over its second half.
    pub one_step: OneStep,
    /// Whole runs, one a metric; empty if no run could be played.
    pub metrics: Vec<MetricTest>,
}

/// What runs are predicted from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// All other runs.
    Others,
    /// The first half of the only run.
    FirstHalf,
    /// The model of this name.
    Model(String),
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
    /// Whole-run counts; `None` when its strategy is not one that we can play, or half of it is
    /// known.
    pub predictions: Option<Vec<Prediction>>,
    /// Whether its choices follow the rules; `None` as above.
    pub rules: Option<RuleCheck>,
}

/// Recordings that cannot be validated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidateError {
    /// No recordings.
    #[error("expected at least 1 recording with attempts, got none")]
    Nothing,
    /// A single recording that has no two halves.
    #[error(
        "{file}: expected at least 2 attempts, to predict the second half from the first; give more \
         recordings, or predict it from a model with --model"
    )]
    TooShort {
        /// The recording.
        file: String,
    },
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
}

impl Validation {
    /// Adjusted p-values of all tests, with what they tested.
    pub fn tests(&self) -> Vec<(&'static str, f64)> {
        let mut rivals = self.one_step.rivals.iter();
        if let Some(against) = rivals.find(|against| against.rival == Rival::NewRates) {
            return vec![("second half", self.one_step.p_value_against(against))];
        }
        let mut tests = vec![("calibration one step ahead", self.one_step.adjusted_p_value)];
        let slope = self.one_step.slope.iter();
        tests.extend(slope.map(|slope| ("calibration slope", slope.adjusted_p_value)));
        let tested = self.metrics.iter().filter(|metric| metric.tested);
        tests.extend(tested.map(|metric| (metric.metric.name(), metric.adjusted_p_value)));
        tests
    }

    /// Whether no test rejects at [`LEVEL`].
    pub fn held(&self) -> bool {
        self.tests().iter().all(|(_, p)| *p > LEVEL)
    }
}

/// Predicts every recording from all others, or the second half of a single one from the first.
///
/// `train` learns from the others, for the group of the one left out, whose outcomes it never
/// gets; or from the first half.
///
/// # Errors
/// No recordings, one of a single attempt alone, or one given twice: see [`ValidateError`].
pub fn leave_one_out(
    recordings: &[&Recording],
    train: impl Fn(&[&Recording], &Group) -> Training,
    settings: Settings,
) -> Result<Validation, ValidateError> {
    match recordings {
        [] => return Err(ValidateError::Nothing),
        [run] => return second_half(run, train, settings),
        _ => distinct(recordings)?,
    }
    let of_run = |(number, run): (usize, &&Recording)| {
        let others: Vec<&Recording> =
            (0..recordings.len()).filter(|i| *i != number).map(|i| recordings[i]).collect();
        let training = train(&others, &run.group);
        part(run, &others, &earlier(recordings, number), &training, settings, number)
    };
    Ok(assemble(Source::Others, recordings.iter().enumerate().map(of_run).collect(), settings))
}

/// Predicts the second half of a run one step ahead, each attempt from all before it; population
/// and limit come from the first half. Counts of whole runs would be half known.
///
/// The servers are taken for those of one start: it is tested against rates drawn anew at the half.
/// Calibration is not tested. With a population learned from ten servers, residuals of new servers
/// err together, and of 600 recordings that satisfy the model its p-value was below 0.01 in 3 %.
fn second_half(
    run: &Recording,
    train: impl Fn(&[&Recording], &Group) -> Training,
    settings: Settings,
) -> Result<Validation, ValidateError> {
    let half = run.attempts.len() / 2;
    if half == 0 {
        return Err(ValidateError::TooShort { file: run.file() });
    }
    let mut first = run.clone();
    let attempts = first.attempts.split_off(half);
    first.declared_starts.retain(|(at, _)| *at < half);
    first.clock_jumps.retain(|at| *at < half);
    let training = train(&[&first], &run.group);
    let second = Recording { attempts, ..first.clone() };
    let predicted = |run: &Recording, learned: usize| {
        predict(run, learned, &beliefs(run, &[], &training), &training.rates).failure
    };
    let model = predicted(run, half);
    let judged = Judged {
        failed: second.attempts.iter().map(|a| !a.outcome.is_success()).collect(),
        rivals: vec![
            (Rival::NewRates, predicted(&second, 0)),
            (Rival::ThisRun, raw_rates(run, &[]).split_off(half)),
            (Rival::OneRate, vec![one_rate(run, &[&first], &training); model.len()]),
        ],
        tested: model.clone(),
        model,
    };
    let run = RunValidation {
        file: run.file(),
        group: run.group.name.clone(),
        strategies: run.strategies.clone(),
        attempts: run.attempts.len(),
        membership: [Membership::default(); 2],
        predictions: None,
        rules: None,
    };
    Ok(assemble(Source::FirstHalf, vec![Part { run, judged, pools: None }], settings))
}

/// Predicts every recording from a model; nothing is learned but within each run. Only the test of
/// calibration takes earlier runs for evidence: runs of one start err alike when each is predicted
/// alone, which their residuals' variance would not show. A model says nothing of restarts, so each
/// gap may hold one with probability 1/2 beforehand; where that is far off the test is still too
/// strict (see `one_step`).
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
    let expected = model.servers();
    if let Some(run) = recordings.iter().find(|run| run.group.servers.len() != expected) {
        let got = run.group.servers.len();
        return Err(ValidateError::OtherServers { file: run.file(), got, expected });
    }
    let training = Training::of_model(model);
    let of_run = |(number, run): (usize, &&Recording)| {
        part(run, &[], &earlier(recordings, number), &training, settings, number)
    };
    let parts = recordings.iter().enumerate().map(of_run).collect();
    Ok(assemble(Source::Model(model.name.clone()), parts, settings))
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
        if let Some(b) = recordings[i + 1..].iter().find(|b| same_run(a, b)) {
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

/// Which start a run met, and its rates, `others` may tell for scores, the calibration curve and
/// whole runs, `earlier` for the test of calibration.
fn part(
    run: &Recording,
    others: &[&Recording],
    earlier: &[&Recording],
    training: &Training,
    settings: Settings,
    number: usize,
) -> Part {
    let believed = beliefs(run, others, training);
    let Predicted { failure, membership } = predict(run, 0, &believed, &training.rates);
    let failed: Vec<bool> = run.attempts.iter().map(|a| !a.outcome.is_success()).collect();
    let before = beliefs(run, earlier, training);
    let judged = Judged {
        rivals: rivals(run, others, &believed, training),
        tested: predict(run, 0, &before, &training.rates).failure,
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
    Part {
        run: RunValidation {
            file: run.file(),
            group: run.group.name.clone(),
            strategies: run.strategies.clone(),
            attempts: run.attempts.len(),
            membership,
            predictions: pools.as_ref().map(|pools| pools.iter().map(prediction).collect()),
            rules: check_rules(run, settings.rules),
        },
        judged,
        pools: pools.map(|pools| pools.into_iter().map(|(_, pool)| pool).collect()),
    }
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
    let mut record = |attempt: &Observed| {
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

fn prediction((metric, pool): &(Metric, Pool)) -> Prediction {
    let (below, at) = pool.step(pool.recorded());
    let mut predicted: Vec<f64> = pool.predicted().iter().map(|v| *v as f64).collect();
    predicted.sort_by(f64::total_cmp);
    Prediction {
        metric: *metric,
        observed: pool.observed(),
        mean: predicted.iter().sum::<f64>() / predicted.len() as f64,
        interval: Interval { low: quantile(&predicted, 0.025), high: quantile(&predicted, 0.975) },
        p_value: (2.0 * at.min(1.0 - below)).min(1.0),
    }
}

fn assemble(source: Source, parts: Vec<Part>, settings: Settings) -> Validation {
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
    p_values.extend(one_step.slope.iter().map(|slope| slope.p_value));
    p_values.extend(metrics.iter().filter(|m| m.tested).map(|m| m.p_value));
    let mut adjusted = holm(&p_values).into_iter();
    one_step.adjusted_p_value = adjusted.next().unwrap_or(1.0);
    if let Some(slope) = &mut one_step.slope {
        slope.adjusted_p_value = adjusted.next().unwrap_or(1.0);
    }
    for metric in metrics.iter_mut().filter(|m| m.tested) {
        metric.adjusted_p_value = adjusted.next().unwrap_or(1.0);
    }
    let runs = parts.into_iter().map(|part| part.run).collect();
    Validation { settings, source, runs, one_step, metrics }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use rand::Rng;

    use super::*;
    use crate::rates::RatePrior;
    use crate::synthetic::{self, real_recordings};
    use crate::validate::made::{Recipe, record};
    use flakelab_core::domain::{Outcome, Purpose, Streams};
    use flakelab_core::stats::uniform01;
    use flakelab_sim::trace::Config;
    use flakelab_sim::world::{ErrorFamily, LatencyFamily, RateLimit};

    const NAMES: [&str; 5] = ["v1", "v2", "v3", "v4", "v5"];

    const BUCKET: RateLimit = RateLimit::TokenBucket { per_second: 20.0, burst: 1.0 };

    const WINDOW: RateLimit = RateLimit::FixedWindow { limit: 3, window_s: 1.0, phase_s: None };

    fn settings(replications: u64) -> Settings {
        Settings { replications, ..Settings::default() }
    }

    /// Rates uniform on (low, low + 0.6), half of the gaps with a restart.
    fn training(low: f64, limit: RateLimit) -> Training {
        let prior = RatePrior::of(&ErrorFamily::Uniform { low, high: low + 0.6 });
        Training {
            rates: Rates::Drawn { populations: Vec::new(), prior },
            limits: vec![limit],
            latency: LatencyFamily::Constant { ms: 1.2 }.into(),
            gaps: Vec::new(),
        }
    }

    /// Runs 15 s apart, rates uniform on (0.1, 0.7), drawn anew before each with probability
    /// `restart`; seeds from the first on.
    fn made(
        runs: u64,
        restart: f64,
        limit: RateLimit,
        tells_refusals: bool,
        (mut rng, first_seed): (impl Rng, u64),
    ) -> Vec<Recording> {
        let mut rates = Vec::new();
        (0..runs)
            .map(|i| {
                if uniform01(&mut rng) < restart || rates.is_empty() {
                    rates = (0..10).map(|_| 0.1 + 0.6 * uniform01(&mut rng)).collect();
                }
                record(&Recipe {
                    rules: RunRules::Recorder,
                    rates: rates.clone(),
                    limit,
                    tells_refusals,
                    strategy: NAMES[i as usize % 5],
                    started_at_s: i as f64 * 15.0,
                    seed: first_seed + i,
                })
            })
            .collect()
    }

    /// The same, drawn anew by a fair coin.
    fn often_restarted(runs: u64, limit: RateLimit, tells_refusals: bool) -> Vec<Recording> {
        let rng = Streams::new(9).stream(Purpose::Instance, 1, runs);
        made(runs, 0.5, limit, tells_refusals, (rng, 0))
    }

    /// Six runs.
    fn data_set(number: u64, restart: f64) -> Vec<Recording> {
        let rng = Streams::new(10).stream(Purpose::Instance, 2, number);
        made(6, restart, RateLimit::None, false, (rng, 1_000 + 6 * number))
    }

    fn left_out(recordings: &[Recording], training: &Training, settings: Settings) -> Validation {
        let runs: Vec<&Recording> = recordings.iter().collect();
        leave_one_out(&runs, |_, _| training.clone(), settings).unwrap()
    }

    fn p_value(validation: &Validation, metric: Metric) -> f64 {
        validation.metrics.iter().find(|m| m.metric == metric).map_or(1.0, |m| m.p_value)
    }

    /// Two p-values above 0.001 and three above 0.01: false alarm at most 0.032.
    #[test]
    fn a_true_training_predicts_and_one_ten_points_off_is_caught() {
        let recordings = often_restarted(30, RateLimit::None, false);
        let held = left_out(&recordings, &training(0.1, RateLimit::None), settings(99));
        assert!(held.one_step.test.p_value > 1e-3);
        assert!(held.metrics.iter().all(|m| m.p_value > 0.01));
        let off = left_out(&recordings, &training(0.2, RateLimit::None), settings(99));
        assert!(off.one_step.test.p_value < 1e-3 && !off.held());
        assert!(p_value(&off, Metric::Attempts) <= 0.02);
        assert!(held.one_step.slope.unwrap().p_value > 1e-3);
        let prior = RatePrior::of(&ErrorFamily::Uniform { low: 0.3, high: 0.5 });
        let narrow = Rates::Drawn { populations: Vec::new(), prior };
        let narrow = Training { rates: narrow, ..training(0.1, RateLimit::None) };
        let narrow = left_out(&recordings, &narrow, settings(99));
        let slope = narrow.one_step.slope.unwrap();
        assert!(slope.interval.low > 1.2 && slope.p_value < 1e-3 && !narrow.held(), "{slope:?}");
    }

    /// The training that made data satisfy: it knows how often restarts happen.
    fn knowing(restart: f64) -> Training {
        let gap = Gap { from_s: 1.0, to_s: 2.0, restart_probability: restart };
        Training { gaps: vec![gap; 1000], ..training(0.1, RateLimit::None) }
    }

    /// p-values of calibration and slope of runs in order of time, each predicted with those others
    /// as evidence that `meant` picks by their number and its own.
    fn calibration_p_values(
        runs: &[Recording],
        training: &Training,
        meant: impl Fn(usize, usize) -> bool,
    ) -> [f64; 2] {
        let of_run = |(number, run): (usize, &Recording)| {
            let evidence: Vec<&Recording> = (0..runs.len())
                .filter(|i| *i != number && meant(*i, number))
                .map(|i| &runs[i])
                .collect();
            let believed = beliefs(run, &evidence, training);
            Judged {
                failed: run.attempts.iter().map(Observed::failed).collect(),
                tested: predict(run, 0, &believed, &training.rates).failure,
                ..Judged::default()
            }
        };
        let judged: Vec<Judged> = runs.iter().enumerate().map(of_run).collect();
        let found = judge(&judged.iter().collect::<Vec<_>>());
        [found.test.p_value, found.slope.unwrap().p_value]
    }

    /// How many data sets raise an alarm at 5 %, and at 1 %: by their calibration, by their slope.
    fn alarms(
        sets: &[Vec<Recording>],
        training: &Training,
        meant: impl Fn(usize, usize) -> bool,
    ) -> [[usize; 2]; 2] {
        let p = sets.iter().map(|runs| calibration_p_values(runs, training, &meant));
        let p: Vec<[f64; 2]> = p.collect();
        let of = |i: usize| [0.05, 0.01].map(|level| p.iter().filter(|p| p[i] <= level).count());
        [of(0), of(1)]
    }

    /// Six runs of one start a data set. Alarms at 5 % in 100 data sets: 5 expected, standard deviation
    /// 2.2, and 15 are 4.6 of them: false alarm 1e-4. Planted bug: runs predicted without each other.
    #[test]
    fn calibration_from_earlier_runs_raises_no_false_alarms_and_without_evidence_it_would() {
        let sets: Vec<Vec<Recording>> = (0..100).map(|number| data_set(number, 0.0)).collect();
        let training = knowing(0.0);
        let [[earlier, _], [of_slope, _]] = alarms(&sets, &training, |i, of| i < of);
        let [[alone, _], _] = alarms(&sets, &training, |_, _| false);
        assert!(earlier <= 15 && alone > 15, "{earlier} {alone}");
        assert!(of_slope <= 15, "{of_slope}");
        let runs: Vec<&Recording> = sets[0].iter().collect();
        let whole = leave_one_out(&runs, |_, _| training.clone(), settings(1)).unwrap();
        let p = calibration_p_values(&sets[0], &training, |i, of| i < of);
        assert_eq!([whole.one_step.test.p_value, whole.one_step.slope.unwrap().p_value], p);
    }

    /// The alarms at 5 % and at 1 % that the documentation tells, of 1,000.
    #[test]
    #[ignore = "a measurement, half a minute"]
    fn measure_the_false_alarms_of_calibration() {
        for (restart, believed) in [(0.0, 0.0), (0.5, 0.5), (0.0, 0.5)] {
            let sets: Vec<Vec<Recording>> =
                (0..1000).map(|number| data_set(number, restart)).collect();
            let training = knowing(believed);
            println!(
                "restarts {restart}, believed {believed}: earlier {:?}, all others {:?}, alone {:?}",
                alarms(&sets, &training, |i, of| i < of),
                alarms(&sets, &training, |_, _| true),
                alarms(&sets, &training, |_, _| false)
            );
        }
    }

    /// p-values of single recordings of so many attempts, each of them with other rates in its halves
    /// if `half` says so.
    fn of_halves(
        recordings: u64,
        attempts: usize,
        half: impl Fn(Vec<f64>) -> Vec<f64>,
    ) -> Vec<f64> {
        let of_recording = |number: u64| {
            let population = ErrorFamily::Uniform { low: 0.04, high: 0.69 };
            let rates = synthetic::rates(&population, number);
            let mut outcomes = synthetic::attempts(&rates, attempts / 2, 2 * number);
            outcomes.extend(synthetic::attempts(&half(rates), attempts / 2, 2 * number + 1));
            let run = synthetic::run(Config::ALL[0], &outcomes, number);
            let found = leave_one_out(&[&run], learned_training, settings(1)).unwrap();
            assert_eq!(found.source, Source::FirstHalf);
            assert_eq!(found.one_step.attempts, attempts as u64 / 2);
            assert!(found.metrics.is_empty() && found.runs[0].predictions.is_none());
            let [(_, p)] = found.tests()[..] else { panic!("{:?}", found.tests()) };
            assert_eq!(found.held(), p > LEVEL);
            p
        };
        (0..recordings).map(of_recording).collect()
    }

    /// Alarms at 5 % in 60 recordings: at most 3 expected, standard deviation 1.7; 10 are 4 of them:
    /// false alarm 4e-4. Planted: good servers are bad in the second half, and bad ones good.
    #[test]
    fn a_second_half_like_the_first_is_foretold_and_one_with_other_rates_is_caught() {
        let alarms = of_halves(60, 400, |rates| rates).iter().filter(|p| **p <= 0.05).count();
        assert!(alarms <= 10, "{alarms}");
        let turned = of_halves(10, 1_200, |rates| rates.iter().map(|rate| 0.73 - rate).collect());
        let caught = turned.iter().filter(|p| **p <= LEVEL).count();
        assert!(caught >= 8, "{turned:?}");
    }

    #[test]
    fn wrong_rules_are_caught() {
        let recordings = often_restarted(40, RateLimit::None, false);
        let rules = Settings { rules: RunRules::Game, ..settings(99) };
        let found = left_out(&recordings, &training(0.1, RateLimit::None), rules);
        assert!(found.metrics.iter().any(|m| m.p_value <= 0.01), "{:?}", found.metrics);
        let differs =
            |run: &RunValidation| run.rules.as_ref().is_some_and(|r| r.agreed < r.determined);
        assert!(found.runs.iter().any(differs));
        let right = left_out(&recordings, &training(0.1, RateLimit::None), settings(1));
        assert!(!right.runs.iter().any(differs), "made under the recorder's rules");
    }

    /// Per limit and recorder one calibration p-value above 0.001: false alarm at most 0.004.
    #[test]
    fn refusals_are_foretold_whether_told_or_not_and_ignoring_the_limit_is_caught() {
        for (limit, tells) in [(BUCKET, false), (BUCKET, true), (WINDOW, false), (WINDOW, true)] {
            let recordings = often_restarted(20, limit, tells);
            let held = left_out(&recordings, &training(0.1, limit), settings(1));
            assert!(held.one_step.test.p_value > 1e-3, "{limit} {tells} {:?}", held.one_step.bins);
            let blind = left_out(&recordings, &training(0.1, RateLimit::None), settings(1));
            assert!(blind.one_step.model.log_score > held.one_step.model.log_score + 0.005);
            // Alone: false alarm at most 0.008 over all limits and recorders.
            let alone = |run| leave_one_out(&[run], |_, _| training(0.1, limit), settings(1));
            for run in &recordings {
                let tests = alone(run).unwrap().tests();
                assert!(tests[0].1 > 1e-4, "{limit} {tells} {tests:?}");
            }
            if limit == WINDOW {
                assert!(blind.one_step.test.p_value < 1e-3);
            }
        }
    }

    #[test]
    fn a_flat_prior_without_other_runs_is_laplaces_rule() {
        let recordings = often_restarted(1, RateLimit::None, false);
        let flat = Training {
            rates: Rates::Drawn { prior: RatePrior::flat(), populations: Vec::new() },
            ..training(0.0, RateLimit::None)
        };
        let beliefs = beliefs(&recordings[0], &[], &flat);
        let found = predict(&recordings[0], 0, &beliefs, &flat.rates);
        let mut counts = [(1.0, 2.0); 10];
        for (attempt, chance) in recordings[0].attempts.iter().zip(found.failure) {
            let (failures, attempts) = &mut counts[usize::from(attempt.server)];
            assert!(
                (chance - *failures / *attempts).abs() < 1e-4,
                "{chance} {failures} {attempts}"
            );
            *failures += f64::from(u8::from(attempt.failed()));
            *attempts += 1.0;
        }
    }

    /// One server of rate p: a request takes (1 - p^6) / (1 - p) attempts and fails with p^6. Means
    /// of 2,000 replications within 4.5 standard errors: false alarm 7e-6 each.
    #[test]
    fn a_run_at_one_known_server_has_the_counts_of_the_closed_form() {
        let p: f64 = 0.6;
        let run = record(&Recipe {
            rules: RunRules::Recorder,
            rates: vec![p],
            limit: RateLimit::None,
            tells_refusals: false,
            strategy: "v2",
            started_at_s: 0.0,
            seed: 3,
        });
        let known = Training { rates: Rates::Known(vec![p]), ..training(0.0, RateLimit::None) };
        let beliefs = beliefs(&run, &[], &known);
        let counts = replicate(&run, &beliefs, &known, RunRules::Recorder, 0, 1, 2_000).unwrap();
        let mean = |i: usize| counts.iter().map(|c| c[i] as f64).sum::<f64>() / 2_000.0;
        let fails = p.powi(6);
        // Variances of a request: of the truncated geometric from its moments, of the coin p^6.
        let moment = |k: i32| -> f64 {
            let ends = |n: i32| if n < 6 { p.powi(n - 1) * (1.0 - p) } else { p.powi(5) };
            (1..=6).map(|n| f64::from(n).powi(k) * ends(n)).sum()
        };
        let error = |variance: f64| 4.5 * (100.0 * variance / 2_000.0).sqrt();
        assert!((moment(1) - (1.0 - fails) / (1.0 - p)).abs() < 1e-12);
        assert!((mean(0) - 100.0 * moment(1)).abs() < error(moment(2) - moment(1) * moment(1)));
        assert!((mean(2) - 100.0 * fails).abs() < error(fails * (1.0 - fails)));
        let beyond: f64 = (4..=6).map(|n| p.powi(n - 1)).sum();
        assert!((mean(1) - 100.0 * beyond).abs() < error(1.0), "{}", mean(1));
    }

    #[test]
    fn the_run_left_out_is_not_seen() {
        let recordings = often_restarted(6, BUCKET, false);
        let mut changed = recordings.clone();
        for attempt in &mut changed[2].attempts {
            attempt.outcome = if attempt.failed() { Outcome::Success } else { Outcome::Failure };
        }
        let seen = |recordings: &[Recording]| {
            let trained_on = RefCell::new(Vec::new());
            let runs: Vec<&Recording> = recordings.iter().collect();
            let train = |others: &[&Recording], _: &Group| {
                trained_on.borrow_mut().push(others.iter().map(|o| o.file()).collect::<Vec<_>>());
                training(0.1, BUCKET)
            };
            let found = leave_one_out(&runs, train, settings(99)).unwrap();
            let third = &found.runs[2];
            let predicted: Vec<_> = third.predictions.as_ref().unwrap().clone();
            let whole: Vec<(f64, f64, f64)> =
                predicted.iter().map(|p| (p.mean, p.interval.low, p.interval.high)).collect();
            (trained_on.into_inner(), whole, third.membership)
        };
        let ((files, whole, membership), (files_2, whole_2, membership_2)) =
            (seen(&recordings), seen(&changed));
        assert_eq!(files, files_2);
        for (run, files) in recordings.iter().zip(&files) {
            assert!(files.len() == 5 && !files.contains(&run.file()));
        }
        assert_eq!((whole, membership[0]), (whole_2, membership_2[0]));
        assert_ne!(membership[1], membership_2[1], "its outcomes do sharpen one-step predictions");
    }

    #[test]
    fn one_run_twice_and_nothing_to_predict_are_refused() {
        let recordings = often_restarted(2, RateLimit::None, false);
        let train = |_: &[&Recording], _: &Group| training(0.1, RateLimit::None);
        let twice = [&recordings[0], &recordings[1], &recordings[0]];
        let found = leave_one_out(&twice, train, settings(1));
        assert!(matches!(found, Err(ValidateError::SameRunTwice { .. })));
        assert_eq!(leave_one_out(&[], train, settings(1)), Err(ValidateError::Nothing));
        let mut short = recordings[0].clone();
        short.attempts.truncate(1);
        let short = leave_one_out(&[&short], train, settings(1)).unwrap_err();
        assert!(short.to_string().contains("--model"), "{short}");
    }

    /// What the recorder's rules say of the recordings holds without exception, and the recordings
    /// predict each other.
    #[test]
    fn the_real_recordings_follow_their_rules_and_predict_each_other() {
        let Some(recordings) = real_recordings() else { return };
        let runs: Vec<&Recording> = recordings.iter().collect();
        let found = leave_one_out(&runs, learned_training, settings(199)).unwrap();
        for run in &found.runs {
            let rules = run.rules.as_ref().unwrap();
            assert_eq!(rules.agreed, rules.determined, "{} {rules:?}", run.file);
        }
        assert!(found.held(), "{:?}", found.tests());
        for against in &found.one_step.rivals {
            assert!(against.difference.over_attempts.low > 0.0, "{against:?}");
        }
    }
}
