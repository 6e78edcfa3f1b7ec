//! Whole fits of made recordings.

use crate::learn::{MODEL_DRAWS, fit};
use crate::limits::Conclusion;
use crate::report::FitReport;
use crate::runs::FitError;
use crate::synthetic::{self, real_recordings};
use flakelab_core::domain::{Outcome, Timestamp};
use flakelab_sim::trace::{Config, Observed, Recording};
use flakelab_sim::world::{Document, ErrorFamily, ErrorRateKind, LimitKind, Model, RateLimit};

/// Runs of config 0 in three starts, and one of config 1.
fn made() -> Vec<Recording> {
    let population = ErrorFamily::Uniform { low: 0.02, high: 0.75 };
    let run = |config: usize, start: u64, run: u64| {
        let rates = synthetic::rates(&population, 500 + 7 * start);
        synthetic::run(Config::ALL[config], &synthetic::attempts(&rates, 400, 900 + run), run)
    };
    vec![run(0, 0, 0), run(0, 0, 1), run(0, 1, 2), run(0, 2, 3), run(0, 2, 4), run(1, 3, 5)]
}

fn starts(report: &FitReport, config: usize) -> Vec<usize> {
    let runs = &report.configs[config].runs;
    runs.iter().flat_map(|run| run.starts.iter().map(|(_, start)| *start)).collect()
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
        assert_eq!(config.model.error_rate.posterior.rows().len(), MODEL_DRAWS);
    }
    let [zero, one] = report.configs.as_slice() else { panic!() };
    let uniform = zero.rates.family(ErrorRateKind::Uniform).unwrap();
    for (parameter, truth) in uniform.hyperparameters.iter().zip([0.02, 0.75]) {
        assert!(parameter.interval.contains(truth), "{parameter:?}");
    }
    assert_eq!(zero.model.error_rate, one.model.error_rate);
    assert_eq!((zero.model.rate_limit, zero.rate_limit.assumed), (RateLimit::None, false));
    assert!(one.rate_limit.assumed && one.model.provenance["assumed"].as_bool() == Some(true));
    assert!(one.warnings.iter().any(|w| w.contains("is that of config 0")), "{:?}", one.warnings);
}

#[test]
fn a_fit_does_not_depend_on_the_order_of_files_nor_on_threads() {
    let mut recordings = made();
    let expected = fit(&recordings).unwrap();
    recordings.reverse();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(pool.install(|| fit(&recordings)).unwrap(), expected);
}

#[test]
fn config_1_alone_is_fitted_with_a_warning() {
    let report = fit(&made()[5..]).unwrap();
    let warnings = &report.configs[0].warnings;
    assert!(warnings.iter().any(|w| w.contains("There are no runs of config 0")), "{warnings:?}");
}

#[test]
fn refusals_that_were_recorded_are_no_errors() {
    let mut runs = made();
    let expected = fit(&runs).unwrap().configs[0].rates.clone();
    let refused = |attempt: &Observed| Observed { outcome: Outcome::RateLimited, ..*attempt };
    runs[0].attempts = runs[0].attempts.iter().flat_map(|a| [*a, refused(a)]).collect();
    runs[0].tells_refusals = true;
    assert_eq!(fit(&runs).unwrap().configs[0].rates, expected);
}

#[test]
fn a_restart_that_a_file_declares_stands_in_its_run() {
    let mut run = made().remove(0);
    run.declared_starts = vec![(0, "a".to_owned()), (300, "b".to_owned())];
    let report = fit(&[run]).unwrap();
    let starts = &report.configs[0].runs[0].starts;
    let [(first, 1), (second, 2)] = starts.as_slice() else { panic!("{starts:?}") };
    // 300 attempts at ten a second.
    assert!(*first == 0.0 && (second - 30.0).abs() < 0.2, "{starts:?}");
}

#[test]
fn an_outage_of_all_servers_or_perhaps_one_is_named_and_leaves_the_model_as_it_was() {
    let clear = made().remove(0);
    let expected = fit(std::slice::from_ref(&clear)).unwrap();
    for (tells_refusals, asked, who) in [
        (true, 10, "all servers:"),
        (false, 10, "all servers:"),
        (true, 1, "server 4000, perhaps of all servers:"),
    ] {
        let mut run = clear.clone();
        run.tells_refusals = tells_refusals;
        let down: Vec<Observed> = (0..60)
            .map(|i| Observed {
                server: i % asked,
                outcome: Outcome::Failure,
                at_s: run.attempts[200].at_s + 0.05 * f64::from(i),
                request: 1_000 + u32::from(i),
                ..run.attempts[0]
            })
            .collect();
        run.attempts[200..].iter_mut().for_each(|attempt| attempt.at_s += 3.0);
        run.attempts.splice(200..200, down);
        let report = fit(&[run]).unwrap();
        let (dark, clear) = (&report.configs[0], &expected.configs[0]);
        assert_eq!((dark.starts.starts.len(), dark.starts.outages.len()), (1, 1));
        let named = format!("of {who} from 20 to 23 s into run-0.csv, all 60 attempts");
        assert!(dark.warnings.iter().any(|w| w.contains(&named)), "{:?}", dark.warnings);
        assert_eq!(dark.rates, clear.rates);
        assert_eq!(dark.servers, clear.servers);
    }
}

#[test]
fn a_rate_limit_with_marked_refusals_is_found_and_goes_into_the_model() {
    let limit = RateLimit::TokenBucket { per_second: 6.0, burst: 4.0 };
    let mut run = made().remove(5);
    run.tells_refusals = true;
    let (mut limiter, begin) = (limit.limiter(0.0), run.started_at_s());
    for (i, attempt) in run.attempts.iter_mut().enumerate() {
        // Fifteen a second at one server.
        (attempt.server, attempt.at_s) = (0, begin + i as f64 / 15.0);
        if !limiter.accept(Timestamp::from_secs_f64(attempt.at_s - begin)) {
            attempt.outcome = Outcome::RateLimited;
        }
    }
    let report = fit(&[run]).unwrap();
    let config = &report.configs[0];
    let conclusion = config.rate_limit.inference.conclusion;
    assert_eq!(conclusion, Conclusion::Found, "{:?}", config.rate_limit);
    let RateLimit::TokenBucket { per_second, burst } = config.model.rate_limit else { panic!() };
    assert!((per_second - 6.0).abs() < 0.2 && burst == 4.0, "{per_second} {burst}");
    assert!(!config.rate_limit.assumed && config.model.has_rate_limit());
    let rows = config.model.rate_limit_posterior.rows();
    assert!(!rows.is_empty() && rows.iter().all(|row| !matches!(row, RateLimit::None)));
    assert!(config.runs[0].refusals > 100, "{}", config.runs[0].refusals);
}

#[test]
fn recordings_that_cannot_be_counted_on_are_refused() {
    assert!(matches!(fit(&[]), Err(FitError::NoTraces)));
    let runs = made();
    let twice = fit(&[runs[0].clone(), runs[1].clone(), runs[0].clone()]);
    assert!(matches!(twice, Err(FitError::SameRunTwice { .. })), "{twice:?}");
    let mut refused = runs[0].clone();
    refused.attempts.iter_mut().for_each(|attempt| attempt.outcome = Outcome::RateLimited);
    assert!(matches!(fit(&[refused]), Err(FitError::OnlyRefusals { .. })));
}

/// What `traces/README.md` says of the recordings, and what else they show.
#[test]
fn the_real_recordings_are_cut_into_their_starts() {
    let Some(recordings) = real_recordings() else { return };
    let report = fit(&recordings).unwrap();
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
        let searches = &config.starts.searches;
        assert!(searches.iter().all(|search| search.probability < 0.05), "{searches:?}");
    }
    // Config 0 accepts retries within milliseconds, config 1 never does.
    let [zero, one, two] = [0, 1, 2].map(|i| &report.configs[i]);
    assert_eq!(zero.rate_limit.inference.conclusion, Conclusion::Abstained);
    assert!(zero.rate_limit.reason.contains("is excluded"), "{}", zero.rate_limit.reason);
    assert_eq!(two.rate_limit.inference.conclusion, Conclusion::Abstained);
    assert!(two.rate_limit.assumed);
    let inference = &one.rate_limit.inference;
    assert_eq!(inference.conclusion, Conclusion::FoundFamilyOpen);
    assert!(inference.reason.contains("cannot be told apart"), "{}", inference.reason);
    assert!((20.0..26.0).contains(&inference.log_bayes_factor), "{}", inference.log_bayes_factor);
    assert_eq!(inference.draws.len(), 256);
    let bucket = inference.family(LimitKind::TokenBucket).unwrap();
    assert!(bucket.per_second.low > 10.0 && bucket.per_second.high < 200.0, "{bucket:?}");
    assert!(bucket.log_bayes_factor_against_none > 20.0, "{bucket:?}");
    let repeats = one.assumptions.iter().find(|test| test.name == "same server again").unwrap();
    assert!(repeats.is_rejected() && repeats.attempts == 16, "{repeats:?}");
    assert!(zero.assumptions.iter().all(|test| !test.is_rejected()));
}
