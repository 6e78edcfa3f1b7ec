//! The fit as a whole: recordings in, one model a group of servers out.
//!
//! Config 0 is fitted alone. Configs 1 and 2 are "the same and a rate limit": where refusals hide
//! among their failures they take config 0's population, and their own servers only check it.
//!
//! When not to use it: with recordings of configs 1 or 2 alone that do not mark refusals, the
//! population is fitted to their own failures; refusals that nobody recognised are among them.

use crate::checks::{AssumptionTest, Homogeneity, assumptions, goodness, homogeneity};
use crate::latency::{LatencyAnalysis, fit_latency};
use crate::limits::{
    Conclusion, LimitInference, LimitPrior, assumed, infer_limit, taken_for_refusals,
};
use crate::rates::{ErrorRateFit, RatePrior, Tally, fit_error_rates};
use crate::report::{ConfigFit, FitReport, LimitFit, RunSummary, ServerSummary};
use crate::runs::{FitError, Start, collect, group_name, tallies};
use crate::starts::{StartSpan, Starts, Stretch, find_around, find_outages};
use crate::these::{Subject, outages, overrides, rows, traffic};
use crate::words::{for_model, provenance, round, rounded_latency, warnings};
use flakelab_core::domain::{Outcome, day};
use flakelab_sim::trace::{Group, Observed, Recording};
use flakelab_sim::world::{
    Conditions, Declared, Draw, ErrorFamily, ErrorRate, Latency, LatencyFamily, Model, Ports,
    Posterior, RateLimit,
};

/// Rows of each posterior in a model.
pub(crate) const MODEL_DRAWS: usize = 256;

/// What attempts are assumed to take where recordings do not tell, in milliseconds.
const UNTOLD_LATENCY_MS: f64 = 1.0;

/// Fits one model to each group of servers in the recordings: of these servers where the group is
/// somebody's own and met one start, of a fleet like them otherwise.
///
/// The order of the recordings does not matter. Takes a few seconds for twenty runs of a hundred
/// requests.
///
/// # Errors
/// No attempts, the same run given twice, or attempts that were all refused: see [`FitError`].
pub fn fit(recordings: &[Recording]) -> Result<FitReport, FitError> {
    fit_as(recordings, None)
}

/// The same with models of this subject.
///
/// # Errors
/// Those of [`fit`], and models of these servers from recordings of several starts.
pub fn fit_as(recordings: &[Recording], asked: Option<Subject>) -> Result<FitReport, FitError> {
    let runs = collect(recordings)?;
    let mut configs: Vec<ConfigFit> = Vec::with_capacity(runs.len());
    let mut of_config_0: Option<ErrorRateFit> = None;
    for runs in runs.values() {
        let borrowed = of_config_0.as_ref().filter(|_| borrows_rates(runs));
        let fitted = fit_group(runs, borrowed, asked)?;
        if is_config(&fitted.group, 0) {
            of_config_0 = Some(fitted.rates.clone());
        }
        configs.push(fitted);
    }
    let mut warnings: Vec<String> =
        recordings.iter().flat_map(|recording| recording.warnings.clone()).collect();
    warnings.sort();
    warnings.dedup();
    Ok(FitReport { configs, warnings })
}

/// Whether runs must borrow config 0's population: those of config 1 or 2 in which refusals hide.
pub(crate) fn borrows_rates(runs: &[&Recording]) -> bool {
    runs.iter().any(|run| {
        !run.tells_refusals && run.group.config.is_some_and(|config| config.number() > 0)
    })
}

pub(crate) fn is_config(group: &Group, number: u8) -> bool {
    group.config.is_some_and(|config| config.number() == number)
}

fn fit_group(
    runs: &[&Recording],
    borrowed: Option<&ErrorRateFit>,
    asked: Option<Subject>,
) -> Result<ConfigFit, FitError> {
    let Some(group) = runs.first().map(|run| run.group.clone()) else {
        return Err(FitError::NoTraces);
    };
    let only_refusals = || FitError::OnlyRefusals { group: group_name(&group) };
    if runs.iter().all(|run| run.attempts.iter().all(Observed::refused)) {
        return Err(only_refusals());
    }
    let learned = learn(runs, borrowed).ok_or_else(only_refusals)?;
    let starts = learned.starts.of(runs);
    let these = match (starts.len(), asked) {
        (1, Some(asked)) => asked == Subject::These,
        (1, None) => group.config.is_none(),
        (starts, Some(Subject::These)) => {
            return Err(FitError::SeveralStarts { group: group_name(&group), starts });
        }
        _ => false,
    };
    let (refused, prior) = (&learned.refused, learned.rates.prior());
    let stream = u16::from(group.config.map_or(3, |config| config.number()));
    let tells_latency = runs.iter().all(|run| run.tells_latency);
    let servers = group.servers.len();
    let latency =
        tells_latency.then(|| fit_latency(&starts, refused, servers, stream, these)).flatten();
    let limit = limit_fit(&group, &learned);
    // Each walks over all attempts.
    let (goodness, assumptions) = rayon::join(
        || goodness(&starts, refused, &prior, stream),
        || tested(&starts, refused, &prior),
    );
    let mut fit = ConfigFit {
        model: model(&group, &learned, &limit, latency.as_ref(), these.then_some(runs)),
        traffic: these.then(|| traffic(runs)),
        runs: summaries(runs, &learned),
        homogeneity: homogeneities(runs, &learned),
        servers: server_summaries(runs, &learned),
        goodness,
        assumptions,
        starts: learned.starts.clone(),
        settled: learned.settled,
        rates_fitted_on: if learned.borrowed { "0".to_owned() } else { group.name.clone() },
        rates: learned.rates,
        prior,
        latency,
        rate_limit: limit,
        warnings: Vec::new(),
        group,
    };
    fit.model
        .validate()
        .map_err(|violation| FitError::OutOfRange { group: group_name(&fit.group), violation })?;
    fit.warnings = warnings(&fit);
    fit.model.provenance = provenance(&fit);
    Ok(fit)
}

fn limit_fit(group: &Group, learned: &Learned) -> LimitFit {
    let inference = learned.limit.clone();
    let by_definition = group.config.and_then(assumed);
    let (limit, assumed, reason) = match (inference.conclusion, by_definition) {
        (Conclusion::Abstained, Some((limit, why))) => {
            (limit, true, format!("{why} The fit abstains: {}", inference.reason))
        }
        (conclusion, _) => {
            let assumed = conclusion == Conclusion::Unexplained;
            (inference.estimate, assumed, inference.reason.clone())
        }
    };
    LimitFit { limit: for_model(&limit), assumed, reason, inference }
}

fn model(
    group: &Group,
    learned: &Learned,
    limit: &LimitFit,
    latency: Option<&LatencyAnalysis>,
    these: Option<&[&Recording]>,
) -> Model {
    let best = learned.rates.best_redrawn().map_or(&ErrorFamily::FLAT, |best| &best.population);
    let (best, rows) = match these.and_then(|runs| learned.tallies(runs).into_iter().next()) {
        None => (best.clone(), learned.rates.draws(MODEL_DRAWS)),
        Some(tallies) => {
            let values = tallies.iter().map(|tally| learned.rates.server(*tally).mean).collect();
            (ErrorFamily::Fixed { values }, rows(&learned.rates, &tallies, MODEL_DRAWS))
        }
    };
    let limit_rows = match limit.inference.conclusion {
        Conclusion::Abstained | Conclusion::Unexplained => Vec::new(),
        _ => limit.inference.draws.iter().map(for_model).collect(),
    };
    let untold = LatencyFamily::Constant { ms: UNTOLD_LATENCY_MS };
    Model {
        name: match group.config {
            Some(config) => format!("config-{config}"),
            None => group.name.clone(),
        },
        ports: Ports { first: group.first_port, count: group.servers.len() as u16 },
        declared: Declared::default(),
        error_rate: ErrorRate {
            draw: Draw::PerReplication,
            family: for_model(&best),
            posterior: Posterior::from(rows.iter().map(for_model).collect::<Vec<_>>()),
        },
        rate_limit: limit.limit,
        rate_limit_posterior: Posterior::from(limit_rows),
        latency: latency
            .map_or(Latency { success: untold, failure: None, rate_limited_ms: None }, |latency| {
                rounded_latency(&latency.to_latency())
            }),
        conditions: Conditions {
            overrides: overrides(latency.map_or(&[], |latency| &latency.servers), round),
            outages: these.map_or(Vec::new(), |runs| outages(&learned.starts.outages, runs)),
            ..Conditions::default()
        },
        provenance: toml::Table::new(),
    }
}

fn summaries(runs: &[&Recording], learned: &Learned) -> Vec<RunSummary> {
    let mut summaries: Vec<RunSummary> = runs
        .iter()
        .map(|run| RunSummary {
            file: run.file(),
            strategies: run.strategies.clone(),
            seconds: run.attempts.last().map_or(0.0, |last| last.at_s - run.started_at_s()),
            starts: Vec::new(),
            attempts: run.attempts.len(),
            failures: run.attempts.iter().filter(|a| a.failed() || a.refused()).count(),
            refusals: 0,
        })
        .collect();
    for (number, (span, refused)) in (1..).zip(learned.starts.starts.iter().zip(&learned.refused)) {
        let mut refused = refused.iter();
        for stretch in &span.stretches {
            let run = &mut summaries[stretch.recording];
            run.refusals += (&mut refused).take(stretch.attempts.len()).filter(|r| **r).count();
            // A jump of the clock begins a stretch, but no start.
            if run.starts.last().is_none_or(|(_, last)| *last != number) {
                let recorded = runs[stretch.recording];
                let first = recorded.attempts[stretch.attempts.start].at_s;
                run.starts.push((first - recorded.started_at_s(), number));
            }
        }
    }
    summaries
}

fn server_summaries(runs: &[&Recording], learned: &Learned) -> Vec<ServerSummary> {
    let mut servers = Vec::new();
    for (start, tallies) in (1..).zip(learned.tallies(runs)) {
        for (server, tally) in tallies.into_iter().enumerate() {
            servers.push(ServerSummary { start, server, rate: learned.rates.server(tally) });
        }
    }
    servers
}

/// Chi-squares over runs, refusals as recorded and outages left out.
fn homogeneities(runs: &[&Recording], learned: &Learned) -> Vec<Homogeneity> {
    let servers = runs.iter().map(|run| run.group.servers.len()).max().unwrap_or(0);
    let up = |(i, run): (usize, &&Recording)| {
        let attempts = run.attempts.iter().enumerate();
        let up = attempts.filter(|(at, _)| !learned.starts.in_outage(i, *at));
        tallies(up.map(|(_, attempt)| attempt), servers)
    };
    let all: Vec<_> = runs.iter().enumerate().map(up).collect();
    let slices: Vec<_> = all.iter().map(Vec::as_slice).collect();
    let mut tests = vec![homogeneity("all runs".to_owned(), &slices)];
    let mut add_groups = |labels: &[String]| {
        let mut names = labels.to_vec();
        names.dedup();
        for name in names {
            let group: Vec<_> = slices
                .iter()
                .zip(labels)
                .filter(|(_, l)| **l == name)
                .map(|(run, _)| *run)
                .collect();
            if group.len() > 1 {
                tests.push(homogeneity(name, &group));
            }
        }
    };
    let days: Vec<String> =
        runs.iter().map(|run| format!("runs of {}", day(run.started_at_s()))).collect();
    add_groups(&days);
    let starts: Vec<String> = summaries(runs, learned)
        .iter()
        .map(|run| format!("start {}", run.starts.first().map_or(0, |(_, start)| *start)))
        .collect();
    add_groups(&starts);
    tests
}

/// The assumptions tested on what was recorded; where a rejection vanishes without the failures
/// that the rate limit found explains, that is what follows from it.
fn tested(starts: &[Start<'_>], refused: &[Vec<bool>], prior: &RatePrior) -> Vec<AssumptionTest> {
    let recorded: Vec<Vec<bool>> =
        starts.iter().map(|start| start.attempts().map(Observed::refused).collect()).collect();
    let mut tests = assumptions(starts, &recorded, prior);
    if recorded != refused {
        let explained = assumptions(starts, refused, prior);
        let pairs = tests.iter_mut().zip(explained);
        for (test, _) in pairs.filter(|(test, other)| test.is_rejected() && !other.is_rejected()) {
            test.consequence = "The rate limit found explains it: without the failures that it \
                                explains, the assumption is not rejected."
                .to_owned();
        }
    }
    tests
}

// ---- What the recordings of one group of servers teach: starts, error rates and the rate limit.
//
// The three hang on each other: starts are seen against a population of rates, the population
// is that of the servers of each start, refusals that hide among failures belong to neither, and
// the limit that explains them is weighed against the rates. They are found in turn until none of
// them changes. A group whose population cannot be seen, since refusals hide among its failures, is
// handed that of another.

/// Rounds of starts, rates and limit; on real data two or three suffice.
const MOST_ROUNDS: usize = 8;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Learned {
    /// When the servers were started anew; positions are those of the recordings.
    pub(crate) starts: Starts,
    /// Error rates: those fitted, or those handed in.
    pub(crate) rates: ErrorRateFit,
    /// Whether the rates were handed in.
    pub(crate) borrowed: bool,
    pub(crate) limit: LimitInference,
    /// For each start, for each of its attempts in order of time: whether it was refused, as far
    /// as is known, or is taken to have been.
    pub(crate) refused: Vec<Vec<bool>>,
    /// Whether nothing changed any more before the limit of rounds.
    pub(crate) settled: bool,
}

/// Learns from the recordings of one group, in order of time.
///
/// `borrowed` stands in for the population of error rates where the group's own cannot be seen.
/// `None` if every attempt was refused, or there is none.
pub(crate) fn learn(recordings: &[&Recording], borrowed: Option<&ErrorRateFit>) -> Option<Learned> {
    let servers = recordings.iter().map(|r| r.group.servers.len()).max()?;
    let tells = recordings.iter().all(|recording| recording.tells_refusals);
    let limits = LimitPrior {
        // Config 1's limit is fixed by definition.
        may_swing: recordings.iter().all(|r| r.group.config.is_none_or(|c| c.number() != 1)),
        ..LimitPrior::default()
    };
    let mut prior = borrowed.map_or_else(RatePrior::flat, ErrorRateFit::prior);
    // Refusals as they are known, or taken to be: where they hide, attempts are marked here.
    let mut marked: Vec<Recording> = Vec::new();
    let mut last: Option<(Starts, RateLimit)> = None;
    let mut first: Option<Starts> = None;
    // Rounds end by repeating themselves.
    let (mut known_starts, mut known_rates, mut known_limit) = (Last(None), Last(None), Last(None));
    for round in 1.. {
        let view: Vec<&Recording> =
            if marked.is_empty() { recordings.to_vec() } else { marked.iter().collect() };
        // Servers that refuse all look like an outage, so hidden refusals are explained first.
        let may_be_down = tells || round > 1;
        let from = (marked.clone(), prior.clone(), may_be_down);
        let starts: Starts = known_starts.or_else(from, |(_, prior, _)| {
            let outages =
                if may_be_down { find_outages(&view, servers, prior) } else { Vec::new() };
            find_around(&view, outages, servers, prior)
        });
        let rates = match borrowed {
            Some(rates) => rates.clone(),
            None => {
                let of_start = |start: &Start<'_>| tallies(start.attempts(), servers);
                let tallies: Vec<_> = starts.of(&view).iter().map(of_start).collect();
                let fitted = known_rates.or_else(tallies, |tallies| {
                    let rates = fit_error_rates(tallies)?;
                    Some((rates.prior(), rates))
                });
                let (fitted, rates) = fitted?;
                prior = fitted;
                rates
            }
        };
        if tells && round == 1 {
            // A limit that is marked says nothing of starts and rates: it is inferred once these
            // have been found again under the rates.
            first = Some(starts);
            continue;
        }
        let limit = known_limit.or_else((starts.starts.clone(), prior.clone()), |(_, prior)| {
            match telling(recordings, &starts) {
                // Where some recordings mark 429, they say more than those that do not.
                Some(telling) => infer_limit(&telling, servers, true, prior, &limits),
                None => infer_limit(&starts.of(recordings), servers, false, prior, &limits),
            }
        });
        let refused = refusals(recordings, &starts, &limit.estimate, servers);
        let now = (starts, limit.estimate);
        // Later rounds rest on nothing else.
        let same = |last: &(Starts, RateLimit)| last.0.starts == now.0.starts && last.1 == now.1;
        let settled = last.as_ref().is_some_and(same)
            || first.take().is_some_and(|first| first.starts == now.0.starts);
        if settled || round == MOST_ROUNDS {
            let (starts, borrowed) = (now.0, borrowed.is_some());
            return Some(Learned { starts, rates, borrowed, limit, refused, settled });
        }
        marked =
            if tells || now.1.is_none() { Vec::new() } else { mark(recordings, &now.0, &refused) };
        last = Some(now);
    }
    None
}

/// What the round before worked out, and from what.
struct Last<K, V>(Option<(K, V)>);

impl<K: PartialEq, V: Clone> Last<K, V> {
    /// The same if it is to be worked out from the same, else `work` done.
    fn or_else(&mut self, from: K, work: impl FnOnce(&K) -> V) -> V {
        match &self.0 {
            Some((known, value)) if *known == from => value.clone(),
            _ => {
                let value = work(&from);
                self.0 = Some((from, value.clone()));
                value
            }
        }
    }
}

impl Learned {
    /// Successes and failures of each server in each start, refusals left out.
    pub(crate) fn tallies(&self, recordings: &[&Recording]) -> Vec<Vec<Tally>> {
        let servers = recordings.iter().map(|r| r.group.servers.len()).max().unwrap_or(0);
        let of_start = |(start, refused): (&Start<'_>, &Vec<bool>)| {
            let accepted = start.attempts().zip(refused).filter(|(_, refused)| !**refused);
            tallies(accepted.map(|(attempt, _)| attempt), servers)
        };
        self.starts.of(recordings).iter().zip(&self.refused).map(of_start).collect()
    }
}

/// The stretches of recordings that mark 429, start by start; `None` if no recording does.
fn telling<'a>(recordings: &[&'a Recording], starts: &Starts) -> Option<Vec<Start<'a>>> {
    if !recordings.iter().any(|recording| recording.tells_refusals) {
        return None;
    }
    let of_span = |span: &StartSpan| {
        let tell = span.stretches.iter().filter(|s| recordings[s.recording].tells_refusals);
        let attempts = |s: &Stretch| &recordings[s.recording].attempts[s.attempts.clone()];
        Start { stretches: tell.map(attempts).collect() }
    };
    let telling = starts.starts.iter().map(of_span).filter(|start| !start.stretches.is_empty());
    Some(telling.collect())
}

/// For each start, for each attempt: whether it was refused where the recording tells, or is taken
/// to have been by this limit where it does not.
fn refusals(
    recordings: &[&Recording],
    starts: &Starts,
    limit: &RateLimit,
    servers: usize,
) -> Vec<Vec<bool>> {
    let of_span = |span: &StartSpan| {
        let mut refused = Vec::new();
        // Runs of stretches that do not tell are replayed together: buckets outlive files.
        let mut silent: Vec<&[Observed]> = Vec::new();
        let replay = |silent: &mut Vec<&[Observed]>, refused: &mut Vec<bool>| {
            let start = Start { stretches: std::mem::take(silent) };
            refused.extend(taken_for_refusals(limit, &start, servers));
        };
        for stretch in &span.stretches {
            let recording = recordings[stretch.recording];
            let attempts = &recording.attempts[stretch.attempts.clone()];
            if recording.tells_refusals {
                replay(&mut silent, &mut refused);
                refused.extend(attempts.iter().map(Observed::refused));
            } else {
                silent.push(attempts);
            }
        }
        replay(&mut silent, &mut refused);
        refused
    };
    starts.starts.iter().map(of_span).collect()
}

/// The recordings with the attempts that are taken for refusals marked as such.
fn mark(recordings: &[&Recording], starts: &Starts, refused: &[Vec<bool>]) -> Vec<Recording> {
    let mut marked: Vec<Recording> = recordings.iter().map(|r| (*r).clone()).collect();
    for (span, refused) in starts.starts.iter().zip(refused) {
        let mut refused = refused.iter();
        for stretch in &span.stretches {
            let attempts = &mut marked[stretch.recording].attempts[stretch.attempts.clone()];
            for (attempt, _) in attempts.iter_mut().zip(&mut refused).filter(|(_, r)| **r) {
                attempt.outcome = Outcome::RateLimited;
            }
        }
    }
    marked
}
