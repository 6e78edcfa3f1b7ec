//! Are the posteriors of error rates what they claim to be, when servers were chosen by outcomes?
//!
//! Simulation-based calibration (Talts et al., "Validating Bayesian inference algorithms with
//! simulation-based calibration", arXiv:1804.06788; the log likelihood as a further quantity:
//! Modrak et al., Bayesian Analysis 20 (2025)): hyperparameters from the hyper-prior, servers from
//! the population, attempts by an adaptive rule; the truth's place in its posterior is uniform.
//! And coverage of intervals at populations that stay, as a user meets them.
//!
//! When not to use it: as proof that a family fits real servers; that is for checks of the model.

use flakelab_core::domain::{Purpose, Streams};
use flakelab_core::stats::{beta, index_below, uniform_open, uniform01};
use flakelab_fit::{Population, Tally, fit_error_rates, fit_error_rates_among};
use flakelab_sim::world::{ErrorFamily, ErrorRateKind};
use rand::Rng;
use rayon::prelude::*;

use crate::study::{Finding, Study, must_be_rejected, uniform_p_value, uniformity};

const DATA_SETS: u64 = 1_000;
const SERVERS: usize = 10;
const STARTS: usize = 3;
const ATTEMPTS_A_START: usize = 100;
/// Requests of the coverage study, one attempt each, one start: as in the research table.
const ATTEMPTS_FOR_COVERAGE: usize = 200;
const SEED: u64 = 4_001;
/// Draws behind the place of the log likelihood.
const DRAWS: usize = 256;
/// Rates this near to 0 or to 1 are taken together.
const NEXT_TO_AN_END: f64 = 1e-12;

/// Who chooses the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    RoundRobin,
    /// The highest draw of Beta(successes + 1, failures + 1).
    Thompson,
    /// The highest share of successes; untried servers first.
    Greedy,
}

impl Policy {
    fn choose(self, tallies: &[Tally], rng: &mut impl Rng) -> usize {
        let value = |tally: &Tally, rng: &mut _| {
            let (f, s) = (tally.failures as f64, tally.successes as f64);
            match self {
                Self::RoundRobin => -(f + s),
                Self::Thompson => beta(rng, s + 1.0, f + 1.0),
                Self::Greedy if f + s == 0.0 => 1.0,
                Self::Greedy => s / (f + s),
            }
        };
        let mut best = (0, f64::NEG_INFINITY);
        for (i, tally) in tallies.iter().enumerate() {
            let value = value(tally, rng);
            if value > best.1 {
                best = (i, value);
            }
        }
        best.0
    }
}

/// One start of the servers: their rates, and what a policy saw of them.
fn start(
    population: &ErrorFamily,
    attempts: usize,
    policy: Policy,
    rng: &mut impl Rng,
) -> (Vec<f64>, Vec<Tally>) {
    let rates: Vec<f64> = (0..SERVERS)
        .map(|_| population.posterior_quantile(Tally::default(), uniform_open(rng)))
        .collect();
    let mut tallies = vec![Tally::default(); SERVERS];
    for _ in 0..attempts {
        let server = policy.choose(&tallies, rng);
        tallies[server].record(uniform01(rng) < rates[server]);
    }
    (rates, tallies)
}

/// Hyperparameters from the hyper-prior, in the order of the fit, and their population.
fn from_the_hyper_prior(family: ErrorRateKind, rng: &mut impl Rng) -> (Vec<f64>, ErrorFamily) {
    let [u, v, w, x] = [0; 4].map(|_| uniform_open(rng));
    let (less, more) = (u.min(v), u.max(v));
    match family {
        ErrorRateKind::Uniform => {
            (vec![less, more], ErrorFamily::Uniform { low: less, high: more })
        }
        ErrorRateKind::Beta => {
            let concentration = 1.0 / v - 1.0;
            let (alpha, beta) = (u * concentration, (1.0 - u) * concentration);
            (vec![u, concentration], ErrorFamily::Beta { alpha, beta })
        }
        _ => {
            let concentration = 1.0 / x - 1.0;
            let shapes = |mean: f64| (mean * concentration, (1.0 - mean) * concentration);
            let ((alpha, beta), (second_alpha, second_beta)) = (shapes(less), shapes(more));
            let mixture =
                ErrorFamily::BetaMixture { weight: w, alpha, beta, second_alpha, second_beta };
            (vec![less, more, w, concentration], mixture)
        }
    }
}

/// Places of truths in their posteriors, for one data set.
struct Places {
    hyperparameters: Vec<f64>,
    log_likelihood: f64,
    server: f64,
    /// The same with the population at the estimates, as if they were the truth.
    server_plugged_in: f64,
    /// Of the first hyperparameter, had failures and successes been swapped.
    swapped: f64,
}

fn places(family: ErrorRateKind, k: u64) -> Places {
    let mut rng = Streams::new(SEED).stream(Purpose::Analysis, family as u16, k);
    let (truth, population) = from_the_hyper_prior(family, &mut rng);
    let mut starts = Vec::new();
    let mut rates = Vec::new();
    for i in 0..STARTS {
        let policy =
            if (k as usize + i).is_multiple_of(2) { Policy::Thompson } else { Policy::Greedy };
        let (of_start, tallies) = start(&population, ATTEMPTS_A_START, policy, &mut rng);
        rates.extend(of_start);
        starts.push(tallies);
    }
    let fit = fit_error_rates_among(&starts, &[family]).unwrap();
    let best = &fit.families[0];
    let tallies: Vec<Tally> = starts.concat();
    let log_likelihood =
        |of: &ErrorFamily| -> f64 { tallies.iter().map(|tally| of.log_marginal(*tally)).sum() };
    let of_truth = log_likelihood(&population);
    let below = fit.draws(DRAWS).iter().filter(|draw| log_likelihood(draw) < of_truth).count();
    let swap = |t: &Tally| Tally { failures: t.successes, successes: t.failures };
    let swapped: Vec<Vec<Tally>> = starts.iter().map(|s| s.iter().map(swap).collect()).collect();
    let swapped = fit_error_rates_among(&swapped, &[family]).unwrap();
    let server = index_below(&mut rng, tallies.len());
    let u = uniform01(&mut rng);
    let (rate, tally) = (rates[server], tallies[server]);
    let posterior = fit.server(tally);
    Places {
        hyperparameters: truth
            .iter()
            .zip(&best.hyperparameters)
            .map(|(value, parameter)| parameter.cdf(*value))
            .collect(),
        log_likelihood: (below as f64 + uniform01(&mut rng)) / (DRAWS as f64 + 1.0),
        server: place_of_rate(rate, u, |at| posterior.cdf(at)),
        server_plugged_in: place_of_rate(rate, u, |at| best.population.posterior_cdf(tally, at)),
        swapped: swapped.families[0].hyperparameters[0].cdf(truth[0]),
    }
}

/// The place of a rate in its distribution. Floats do not tell rates next to 0 or 1 apart, where
/// betas of a small concentration have most of their mass: there any place is as good.
fn place_of_rate(rate: f64, u: f64, cdf: impl Fn(f64) -> f64) -> f64 {
    if rate < NEXT_TO_AN_END {
        return u * cdf(NEXT_TO_AN_END);
    }
    if rate > 1.0 - NEXT_TO_AN_END {
        let below = cdf(1.0 - NEXT_TO_AN_END);
        return below + u * (1.0 - below);
    }
    cdf(rate)
}

/// Calibration of one family: its findings, and those of the planted errors.
fn of_family(family: ErrorRateKind, data_sets: u64) -> Vec<Finding> {
    let all: Vec<Places> = (0..data_sets).into_par_iter().map(|k| places(family, k)).collect();
    let collect = |place: &dyn Fn(&Places) -> f64| all.iter().map(place).collect::<Vec<f64>>();
    let name = family.name();
    let names: &[&str] = match family {
        ErrorRateKind::Uniform => &["low", "high"],
        ErrorRateKind::Beta => &["mean", "concentration"],
        _ => &["first mean", "second mean", "weight of the second", "concentration"],
    };
    let mut parameters: Vec<(String, Vec<f64>)> = names
        .iter()
        .enumerate()
        .map(|(i, parameter)| (format!("{name}: {parameter}"), collect(&|p| p.hyperparameters[i])))
        .collect();
    parameters.push((format!("{name}: one server's rate"), collect(&|p| p.server)));
    parameters.push((format!("{name}: log likelihood"), collect(&|p| p.log_likelihood)));
    let mut findings = uniformity(&parameters);
    findings.push(must_be_rejected(
        &format!("{name}: failures and successes swapped"),
        &collect(&|p| p.swapped),
    ));
    // Three starts pin a beta down well enough that plugging in goes unnoticed here; the study of
    // coverage shows what it costs.
    let what = format!("{name}: one server's rate, hyperparameters plugged in");
    let plugged_in = collect(&|p| p.server_plugged_in);
    findings.push(if family == ErrorRateKind::Uniform {
        must_be_rejected(&what, &plugged_in)
    } else {
        reported(what, &plugged_in)
    });
    findings
}

/// Uniformity that is only reported.
fn reported(what: String, places: &[f64]) -> Finding {
    Finding {
        what,
        measured: format!("p = {:.1e}, {} data sets", uniform_p_value(places), places.len()),
        bound: String::new(),
        held: None,
    }
}

/// Of the servers' 95 % intervals, how many hold the rate: integrated, and plugged in.
struct Coverage {
    integrated: f64,
    plugged_in: f64,
    /// Places of one server's rate a data set: integrated, and plugged in.
    places: [Vec<f64>; 2],
}

fn coverage(population: &ErrorFamily, policy: Policy, data_sets: u64) -> Coverage {
    let stream = 16 + policy as u16 + if population.kind() == ErrorRateKind::Beta { 8 } else { 0 };
    let of_data_set = |k: u64| {
        let mut rng = Streams::new(SEED).stream(Purpose::Analysis, stream, k);
        let (rates, tallies) = start(population, ATTEMPTS_FOR_COVERAGE, policy, &mut rng);
        let fit = fit_error_rates(std::slice::from_ref(&tallies)).unwrap();
        let plugged_in = &fit.best_redrawn().unwrap().population;
        let mut held = [0_u32; 2];
        for (rate, tally) in rates.iter().zip(&tallies) {
            held[0] += u32::from(fit.server(*tally).interval_95.contains(*rate));
            let place = plugged_in.posterior_cdf(*tally, *rate);
            held[1] += u32::from((0.025..=0.975).contains(&place));
        }
        let integrated = fit.server(tallies[0]).cdf(rates[0]);
        (held, [integrated, plugged_in.posterior_cdf(tallies[0], rates[0])])
    };
    let all: Vec<([u32; 2], [f64; 2])> = (0..data_sets).into_par_iter().map(of_data_set).collect();
    let intervals = data_sets as f64 * SERVERS as f64;
    let share = |i: usize| f64::from(all.iter().map(|(held, _)| held[i]).sum::<u32>()) / intervals;
    Coverage {
        integrated: share(0),
        plugged_in: share(1),
        places: [0, 1].map(|i| all.iter().map(|(_, places)| places[i]).collect()),
    }
}

fn of_coverage(data_sets: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    let truths = [
        ("uniform(0.02, 0.75)", ErrorFamily::Uniform { low: 0.02, high: 0.75 }),
        ("beta(2, 3)", ErrorFamily::Beta { alpha: 2.0, beta: 3.0 }),
    ];
    for (name, population) in truths {
        for policy in [Policy::RoundRobin, Policy::Thompson, Policy::Greedy] {
            let found = coverage(&population, policy, data_sets);
            let what = |how: &str| {
                format!("coverage of 95 % intervals of servers' rates, {name}, {policy:?}{how}")
            };
            let measured = |share: f64| format!("{:.1} % of {data_sets} data sets", share * 100.0);
            findings.push(Finding {
                what: what(""),
                measured: measured(found.integrated),
                bound: "93 to 97 %".to_owned(),
                held: Some((0.93..=0.97).contains(&found.integrated)),
            });
            findings.push(Finding {
                what: what(", hyperparameters plugged in"),
                measured: measured(found.plugged_in),
                bound: String::new(),
                held: None,
            });
            if policy == Policy::Greedy {
                let what = format!("one server's rate, {name}, Greedy");
                let [integrated, plugged_in] = &found.places;
                let control = format!("{what}, hyperparameters plugged in");
                findings.push(reported(what, integrated));
                findings.push(must_be_rejected(&control, plugged_in));
            }
        }
    }
    findings
}

/// Calibration of error rates at full size.
pub fn study() -> Study {
    let mut findings = Vec::new();
    for family in [ErrorRateKind::Uniform, ErrorRateKind::Beta, ErrorRateKind::BetaMixture] {
        findings.extend(of_family(family, DATA_SETS));
    }
    findings.extend(of_coverage(DATA_SETS));
    Study {
        title: "Error rates",
        method: format!(
            "Simulation-based calibration: {DATA_SETS} data sets a family, hyperparameters from \
             the hyper-prior, {SERVERS} servers at {STARTS} starts, {ATTEMPTS_A_START} attempts a \
             start, starts alternating between Thompson sampling and greedy choice. Coverage: \
             {DATA_SETS} data sets of one start with {ATTEMPTS_FOR_COVERAGE} attempts, averaged \
             over all families that redraw; all servers' intervals count, untried ones' too."
        ),
        findings,
    }
}

#[test]
fn a_small_study_of_error_rates_holds_and_notices_planted_errors() {
    for family in [ErrorRateKind::Uniform, ErrorRateKind::Beta] {
        let findings = of_family(family, 150);
        // Plugging in costs too little to be seen in so few data sets; below it is seen.
        let mut judged = findings.iter().filter(|f| !f.what.contains("plugged in"));
        assert!(judged.all(|f| f.held != Some(false)), "{findings:#?}");
    }
    let truth = ErrorFamily::Uniform { low: 0.02, high: 0.75 };
    let found = coverage(&truth, Policy::Greedy, 60);
    // 600 intervals, ten of a data set depend on each other: standard deviation about 1.5 %.
    assert!((0.9..=0.995).contains(&found.integrated), "{}", found.integrated);
    assert!(found.plugged_in < 0.9, "{}", found.plugged_in);
}
