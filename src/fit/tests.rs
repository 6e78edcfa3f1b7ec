//! The layer as a whole: on data made with known parameters it finds them, on the real
//! recordings it finds what is known of them.
//!
//! Servers are chosen by their outcomes (three in four greedily, else by Thompson's rule), which
//! biases raw rates; every seed is fixed. The false-alarm rates stated were paid once, when the
//! seeds were chosen.

use std::io::Write;

use rayon::prelude::*;

use super::error_rates::{Population, Tally};
use super::{FitError, FitReport, fit, fit_families, segment, synthetic};
use crate::domain::{Purpose, Streams};
use crate::stats::sample::uniform_open;
use crate::stats::special::inc_beta;
use crate::stats::{Interval, Moments};
use crate::trace::{Config, Trace};
use crate::world::{Document, Model, RateLimit};

/// Data sets whose intervals are looked at.
const DATA_SETS: u64 = 200;

/// The counts of `n` that a coverage of 95 % leaves in with probability 0.999, equal tails.
fn bounds_of_95_percent(n: u64) -> (u64, u64) {
    // P(X <= k) = I_0.05(n - k, k + 1).
    let at_most =
        |k: u64| if k >= n { 1.0 } else { inc_beta((n - k) as f64, k as f64 + 1.0, 0.05) };
    let low = (0..=n).find(|k| at_most(*k) > 0.0005).unwrap_or(n);
    let high = (0..=n).find(|k| at_most(*k) >= 0.9995).unwrap_or(n);
    (low, high)
}

/// Hyperparameters drawn from a family's hyper-prior, so that credible intervals must cover at
/// exactly their level; and the population's tallies in three starts of 150 attempts.
struct DataSet {
    truth: Population,
    hyperparameters: [f64; 2],
    tallies: Vec<Tally>,
}

fn data_set(family: &str, seed: u64) -> DataSet {
    let mut rng = Streams::new(70).stream(Purpose::Instance, 1, seed);
    let (u, v) = (uniform_open(&mut rng), uniform_open(&mut rng));
    let (truth, hyperparameters) = if family == "uniform" {
        let (low, high) = (u.min(v), u.max(v));
        (Population::Uniform { low, high }, [low, high])
    } else {
        let concentration = 1.0 / v - 1.0;
        let (alpha, beta) = (u * concentration, (1.0 - u) * concentration);
        (Population::Beta { alpha, beta }, [u, concentration])
    };
    let starts = (0..3).map(|k| synthetic::start(&truth, 150, seed * 3 + k));
    let tallies = starts.flat_map(|outcomes| synthetic::tallies(&outcomes)).collect();
    DataSet { truth, hyperparameters, tallies }
}

/// In how many data sets the intervals of both hyperparameters hold the truth, each.
fn covered(family: &str, see: impl Fn(Tally) -> Tally + Sync) -> [u64; 2] {
    let hits: Vec<[bool; 2]> = (0..DATA_SETS)
        .into_par_iter()
        .map(|seed| {
            let data = data_set(family, seed);
            let tallies: Vec<Tally> = data.tallies.iter().map(|t| see(*t)).collect();
            let fits = fit_families(&tallies);
            let found = fits.iter().find(|f| f.population.family() == family).unwrap();
            [0, 1].map(|i| found.hyperparameters[i].interval.contains(data.hyperparameters[i]))
        })
        .collect();
    [0, 1].map(|i| hits.iter().filter(|hit| hit[i]).count() as u64)
}

/// Measured when this was written, of 200: uniform low 187, high 184; beta mean 192,
/// concentration 191. Four counts, each within 99.9 % bounds: a false alarm in 0.4 % of seeds.
#[test]
fn credible_intervals_cover_at_their_level_under_adaptive_choice() {
    let (low, high) = bounds_of_95_percent(DATA_SETS);
    for family in ["uniform", "beta"] {
        let counts = covered(family, |tally| tally);
        println!("{family}: {counts:?} of {DATA_SETS} intervals cover; bounds {low} to {high}");
        assert!(counts.iter().all(|c| (low..=high).contains(c)), "{family}: {counts:?}");
    }
}

#[test]
fn the_coverage_test_catches_swapped_counts_and_raw_rates() {
    let (low, high) = bounds_of_95_percent(DATA_SETS);
    let swap = |t: Tally| Tally { failures: t.successes, successes: t.failures };
    let counts = covered("uniform", swap);
    assert!(counts.iter().all(|c| *c < low), "swapped: {counts:?}");
    // The mean of raw rates, as if servers had been chosen without looking.
    let by_raw_rates = (0..DATA_SETS).filter(|seed| {
        let data = data_set("uniform", *seed);
        let mut raw = Moments::default();
        for tally in data.tallies.iter().filter(|t| t.attempts() > 0) {
            raw.push(tally.failures as f64 / tally.attempts() as f64);
        }
        Interval::around(raw.mean(), 1.96 * raw.std_error()).contains(data.truth.mean())
    });
    let count = by_raw_rates.count() as u64;
    println!("raw rates: {count} of {DATA_SETS} intervals cover; bounds {low} to {high}");
    assert!(count < low, "raw rates: {count}");
}

/// Sixty servers, as in the recordings. Measured: right in 37 of 40 data sets from the uniform
/// population, in 40 of 40 from the other.
#[test]
fn evidence_finds_the_family_that_made_the_data() {
    let truths = [
        ("uniform", Population::Uniform { low: 0.02, high: 0.75 }),
        ("beta", Population::Beta { alpha: 0.6, beta: 0.9 }),
    ];
    for (family, truth) in truths {
        let right = (0..40_u64)
            .into_par_iter()
            .filter(|seed| {
                let starts = (0..6).map(|k| synthetic::start(&truth, 300, 10_000 + seed * 6 + k));
                let tallies: Vec<Tally> = starts.flat_map(|o| synthetic::tallies(&o)).collect();
                fit_families(&tallies)[0].population.family() == family
            })
            .count();
        println!("{family}: right in {right} of 40");
        assert!(right >= 28, "{family}: {right} of 40");
    }
}

/// 150 histories of five runs; between runs the servers are started anew with probability 1/2.
/// The probabilities must be calibrated (99.9 % interval), and decisions mostly right. Measured:
/// 85 % of restarts found, 9 % of other gaps taken for one, at the threshold 1/2.
#[test]
fn restarts_are_found_and_their_probabilities_are_calibrated() {
    let population = Population::Uniform { low: 0.02, high: 0.75 };
    let histories: Vec<Vec<(bool, f64)>> = (0..150_u64)
        .into_par_iter()
        .map(|seed| {
            let mut rng = Streams::new(74).stream(Purpose::Instance, 2, seed);
            let (mut start, mut truth, mut runs) = (seed * 10, Vec::new(), Vec::new());
            for run in 0..5 {
                let restart = run > 0 && uniform_open(&mut rng) < 0.5;
                start += u64::from(restart);
                truth.push(restart);
                let rates = synthetic::rates(&population, start);
                let outcomes = synthetic::attempts(&rates, 140, 20_000 + seed * 5 + run);
                runs.push(synthetic::tallies(&outcomes));
            }
            let found = segment(&runs, &population);
            truth[1..].iter().zip(&found.boundaries).map(|(t, b)| (*t, b.probability)).collect()
        })
        .collect();
    let mut surprise = Moments::default();
    for history in &histories {
        surprise.push(history.iter().map(|(restart, p)| f64::from(u8::from(*restart)) - p).sum());
    }
    let gaps: Vec<(bool, f64)> = histories.concat();
    let share = |of: bool, found: bool| {
        let all = gaps.iter().filter(|(truth, _)| *truth == of);
        let right = all.clone().filter(|(_, p)| (*p > 0.5) == found).count();
        right as f64 / all.count() as f64
    };
    let (power, false_alarms) = (share(true, true), share(false, true));
    println!("restarts found: {power:.3}, false alarms: {false_alarms:.3}, of {} gaps", gaps.len());
    assert!(surprise.mean_interval(0.999).contains(0.0), "{surprise:?}");
    assert!(power > 0.8 && false_alarms < 0.16, "{power} {false_alarms}");
}

/// Runs of config 0 in three starts, and one of config 1.
fn made() -> Vec<Trace> {
    let population = Population::Uniform { low: 0.02, high: 0.75 };
    let run = |config: usize, start: u64, run: u64| {
        let rates = synthetic::rates(&population, 500 + 7 * start);
        synthetic::trace(Config::ALL[config], &synthetic::attempts(&rates, 400, 900 + run), run)
    };
    vec![run(0, 0, 0), run(0, 0, 1), run(0, 1, 2), run(0, 2, 3), run(0, 2, 4), run(1, 3, 5)]
}

fn starts(report: &FitReport, config: usize) -> Vec<usize> {
    report.configs[config].runs.iter().map(|run| run.start).collect()
}

#[test]
fn a_whole_fit_finds_starts_and_writes_models_that_read_back() {
    let report = fit(&made()).unwrap();
    assert_eq!(report.configs.len(), 2, "no traces of config 2, no model of it");
    assert_eq!(starts(&report, 0), [1, 1, 2, 3, 3]);
    for config in &report.configs {
        let text = config.model.to_toml();
        let document = Document::from_text("made.toml", text);
        assert_eq!(Model::parse(&config.model.name, &document).unwrap(), config.model);
    }
    let [zero, one] = report.configs.as_slice() else { panic!() };
    let uniform = zero.population.families.iter().find(|f| f.population.family() == "uniform");
    for (parameter, truth) in uniform.unwrap().hyperparameters.iter().zip([0.02, 0.75]) {
        assert!(parameter.interval.contains(truth), "{parameter:?}");
    }
    assert_eq!(zero.model.error_rate, one.model.error_rate);
    assert_eq!((zero.model.rate_limit, zero.rate_limit.assumed), (RateLimit::None, false));
    assert!(one.rate_limit.assumed && one.model.provenance["assumed"].as_bool() == Some(true));
    assert!(one.warnings.iter().any(|w| w.contains("is that of config 0")), "{:?}", one.warnings);
}

#[test]
fn a_fit_does_not_depend_on_the_order_of_files_nor_on_threads() {
    let mut traces = made();
    let expected = fit(&traces).unwrap();
    traces.reverse();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(pool.install(|| fit(&traces)).unwrap(), expected);
}

#[test]
fn config_1_alone_is_fitted_with_a_warning() {
    let report = fit(&made()[5..]).unwrap();
    let warnings = &report.configs[0].warnings;
    assert!(warnings.iter().any(|w| w.contains("There are no runs of config 0")), "{warnings:?}");
}

#[test]
fn refusals_that_were_recorded_are_no_errors() {
    let mut traces = made();
    let expected = fit(&traces).unwrap().configs[0].population.families[0].clone();
    for (i, row) in traces[0].rows.clone().into_iter().enumerate() {
        let mut refused = row;
        refused.success = false;
        refused.rate_limited = Some(true);
        refused.request_id = format!("{i:024}");
        refused.request_number += 1_000;
        traces[0].rows.push(refused);
    }
    let report = fit(&traces).unwrap();
    assert_eq!(report.configs[0].population.families[0], expected);
}

#[test]
fn traces_that_cannot_be_counted_on_are_refused() {
    assert!(matches!(fit(&[]), Err(FitError::NoTraces)));
    assert!(matches!(fit(&[Trace::new("empty", Vec::new())]), Err(FitError::NoTraces)));
    let traces = made();
    let twice = fit(&[traces[0].clone(), traces[1].clone(), traces[0].clone()]);
    assert!(matches!(twice, Err(FitError::SameRunTwice { .. })), "{twice:?}");
    let mut repeated = traces[0].clone();
    repeated.rows.push(repeated.rows[3].clone());
    let message = fit(&[repeated]).unwrap_err().to_string();
    assert!(message.starts_with("made/run-0.csv:402: attempt 1 of request 4 stands"), "{message}");
    let mut refused = traces[0].clone();
    for row in &mut refused.rows {
        (row.success, row.rate_limited) = (false, Some(true));
    }
    assert!(matches!(fit(&[refused]), Err(FitError::OnlyRefusals { .. })));
}

/// What `traces/README.md` says of the recordings, and what else they show.
#[test]
fn the_real_recordings_are_cut_into_their_starts() {
    let Some(folder) = std::env::var_os("FLAKELAB_TRACES") else {
        // Straight to stderr: the test runner shows what `println!` writes only on failure.
        let line = b"skipped: FLAKELAB_TRACES does not name the folder with the real recordings\n";
        let _ = std::io::stderr().write_all(line);
        return;
    };
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "csv"))
        .collect();
    paths.sort();
    let traces: Vec<Trace> = paths.iter().map(|path| Trace::read(path).unwrap()).collect();
    let report = fit(&traces).unwrap();
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    assert_eq!(starts(&report, 0), [1, 2, 3, 4, 5, 6, 6, 6, 6, 6]);
    assert_eq!((starts(&report, 1), starts(&report, 2)), (vec![1; 4], vec![1; 4]));
    let chi_square = |config: usize, scope: &str| {
        let tests = &report.configs[config].homogeneity;
        tests.iter().find(|test| test.scope == scope).unwrap().test
    };
    let pooled = chi_square(0, "runs of 2026-01-20");
    assert!((pooled.statistic - 133.0).abs() < 0.5 && pooled.df == 40, "{pooled:?}");
    let one_start = chi_square(0, "runs of 2026-01-21");
    assert!((one_start.statistic - 33.0).abs() < 0.5 && one_start.df == 40, "{one_start:?}");
    for config in &report.configs {
        assert!(config.goodness.pit_ks_p_value > 1e-3, "{:?}", config.goodness);
        assert!(config.goodness.calibration_test.p_value > 1e-3, "{:?}", config.goodness);
    }
    // Config 0 accepts retries within milliseconds, config 1 never does.
    let [zero, one, two] = [0, 1, 2].map(|i| report.configs[i].rate_limit.evidence);
    assert!(zero.log_bayes_factor < -20.0 && one.log_bayes_factor > 20.0, "{zero:?} {one:?}");
    assert!(one.refused_but_succeeded == 0 && two.supported_per_second.is_none());
}
