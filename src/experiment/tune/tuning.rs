//! A search that has been checked, and how it is run.

use std::fmt::Write;
use std::ops::RangeInclusive;
use std::sync::atomic::AtomicBool;

use sha2::{Digest, Sha256};

use super::arena::{Arena, Interrupted};
use super::found::{Fresh, RoundSummary, SettingSummary, TuneVerdict, Tuned};
use super::halving::{Halved, Schedule, halve};
use super::{Space, design};
use crate::domain::Streams;
use crate::experiment::tally::mean;
use crate::experiment::{Contender, Parameters, Plan, PlanError};
use crate::stats::PairedComparison;
use crate::strategy::{SpecError, StrategySpec};
use crate::world::Scenario;

/// With fewer settings there is nothing to halve.
const FEWEST_SETTINGS: u64 = 4;

/// How large a search is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Runs that the search may play: settings times replications, over all rounds.
    pub budget: u64,
    /// Settings in the first round, the default among them.
    pub candidates: usize,
    /// Replications of the comparison on fresh seeds.
    pub fresh: u64,
}

impl Default for Size {
    fn default() -> Self {
        Self { budget: 200_000, candidates: 64, fresh: 10_000 }
    }
}

impl Size {
    /// How many settings are possible.
    pub const CANDIDATES: RangeInclusive<usize> = 4..=4096;
    /// How many fresh replications are possible.
    pub const FRESH: RangeInclusive<u64> = 2..=1_000_000_000;
    /// The largest budget.
    pub const MOST_BUDGET: u64 = 1_000_000_000_000;
}

/// A search that cannot be run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TuneError {
    /// No strategy, or a value that it cannot have.
    #[error("{0}: {help}", help = .0.help())]
    Spec(SpecError),
    /// No parameter is left.
    #[error("{}", nothing(strategy, fixed))]
    NothingToSearch {
        /// The strategy.
        strategy: &'static str,
        /// Parameters that the text fixes.
        fixed: Vec<String>,
    },
    /// So few settings that a sweep compares them all.
    #[error(
        "there are only {} settings of {strategy} to choose from; compare them all with: \
         flakelab sweep --strategy {}", .settings.len(), .settings.join(",")
    )]
    FewSettings {
        /// The strategy.
        strategy: &'static str,
        /// All settings as text.
        settings: Vec<String>,
    },
    /// A number of settings that is not possible.
    #[error("{0} settings are not possible: `--candidates` expects 4 to 4096")]
    Candidates(usize),
    /// A number of fresh replications that is not possible.
    #[error("{0} fresh replications are not possible: `--fresh` expects 2 to 10^9")]
    Fresh(u64),
    /// A budget that no machine could play.
    #[error("a budget of {0} runs is not possible: `--budget` expects at most 10^12")]
    LargeBudget(u64),
    /// Too few runs.
    #[error(
        "a budget of {budget} runs is too small for {settings} settings: give `--budget {enough}` \
         or more, or fewer settings with `--candidates`"
    )]
    Budget {
        /// Runs as given.
        budget: u64,
        /// Settings in the first round.
        settings: usize,
        /// The smallest that is possible.
        enough: u64,
    },
    /// A scenario that cannot be played.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

// By hand, for the message holds the help: as a source the error would be printed twice.
impl From<SpecError> for TuneError {
    fn from(error: SpecError) -> Self {
        Self::Spec(error)
    }
}

fn nothing(strategy: &str, fixed: &[String]) -> String {
    if fixed.is_empty() {
        return format!("{strategy} has no parameter to search; `flakelab strategies` lists all");
    }
    format!("nothing is left to search: {strategy} has no parameter but {}", fixed.join(", "))
}

/// A search. Build it with [`Tuning::new`], which checks it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuning {
    scenario: Scenario,
    space: Space,
    settings: Vec<StrategySpec>,
    schedule: Schedule,
    size: Size,
    master_seed: u64,
    hash: String,
}

impl Tuning {
    /// A search for good values of the parameters that `strategy` (as on the command line) leaves
    /// open, in `scenario`.
    ///
    /// # Errors
    /// See [`TuneError`].
    pub fn new(
        strategy: &str,
        scenario: Scenario,
        size: Size,
        master_seed: u64,
    ) -> Result<Self, TuneError> {
        let space = Space::of(strategy)?;
        if !Size::CANDIDATES.contains(&size.candidates) {
            return Err(TuneError::Candidates(size.candidates));
        }
        if !Size::FRESH.contains(&size.fresh) {
            return Err(TuneError::Fresh(size.fresh));
        }
        if size.budget > Size::MOST_BUDGET {
            return Err(TuneError::LargeBudget(size.budget));
        }
        let settings = design::settings(&space, size.candidates, &Streams::new(master_seed))?;
        let strategy = space.base.name();
        if (settings.len() as u64) < FEWEST_SETTINGS {
            let settings = settings.iter().map(StrategySpec::text).collect();
            return Err(TuneError::FewSettings { strategy, settings });
        }
        let schedule = Schedule::new(settings.len(), size.budget).map_err(|enough| {
            TuneError::Budget { budget: size.budget, settings: settings.len(), enough }
        })?;
        // A plan of the same knows how to check a scenario and how to sign everything.
        let players = settings.iter().copied().map(Contender::new).collect();
        let name = format!("tune-{strategy}");
        let plan = Plan::new(name, vec![scenario.clone()], players, size.fresh, master_seed)?;
        let mut hash = String::new();
        for byte in Sha256::digest(format!("{}\n{}\n", plan.hash(), size.budget).as_bytes()) {
            // Writing to a string cannot fail.
            let _ = write!(hash, "{byte:02x}");
        }
        Ok(Self { scenario, space, settings, schedule, size, master_seed, hash })
    }

    /// SHA-256 of everything that the result depends on, in hexadecimal.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The name of the results folder.
    pub fn folder(&self) -> String {
        format!("tune-{}-{}", self.space.base.name(), &self.hash[..8])
    }

    /// Master seed of the search.
    pub fn master_seed(&self) -> u64 {
        self.master_seed
    }

    /// Master seed of the comparison: the next one, so that a sweep can play it again.
    pub fn fresh_master_seed(&self) -> u64 {
        self.master_seed.wrapping_add(1)
    }

    /// Runs in all, of the search and of the comparison.
    pub fn runs(&self) -> u64 {
        self.schedule.runs() + 2 * self.size.fresh
    }
}

/// How far a search has come.
#[derive(Debug, Clone, PartialEq)]
pub struct TuneProgress {
    /// Runs played.
    pub done: u64,
    /// The setting in the lead, as text, with its mean score so far.
    pub leader: Option<(String, f64)>,
    /// Settings that are still in.
    pub settings: usize,
}

/// Runs the search and the comparison on rayon's current pool. `progress` hears after every batch.
///
/// An interruption during the comparison leaves a result of fewer fresh replications.
///
/// # Errors
/// [`Interrupted`], if there is nothing to show yet.
pub fn tune(
    tuning: &Tuning,
    interrupt: &AtomicBool,
    mut progress: impl FnMut(&TuneProgress),
) -> Result<Tuned, Interrupted> {
    let Tuning { scenario, settings, schedule, .. } = tuning;
    let arena = Arena { scenario, streams: Streams::new(tuning.master_seed), interrupt };
    let mut done = 0;
    let mut sums = vec![(0.0, 0_u64); settings.len()];
    let halved = halve(schedule, |alive, replications, push| {
        let specs: Vec<StrategySpec> = alive.iter().map(|i| settings[*i]).collect();
        let every = (64 / specs.len() as u64).max(1);
        arena.play(&specs, replications, &mut |scores| {
            push(scores);
            done += scores.len() as u64;
            for (i, score) in alive.iter().zip(scores) {
                sums[*i].0 += score;
                sums[*i].1 += 1;
            }
            if !(done / scores.len() as u64).is_multiple_of(every) {
                return;
            }
            let means = alive.iter().map(|i| (*i, sums[*i].0 / sums[*i].1 as f64));
            let leader = means.max_by(|a, b| a.1.total_cmp(&b.1));
            let leader = leader.map(|(i, mean)| (settings[i].text(), mean));
            progress(&TuneProgress { done, leader, settings: alive.len() });
        })
    })?;
    let found = halved.best();
    let fresh = compare(tuning, found, interrupt, |replications, mean| {
        let leader = Some((settings[found].text(), mean));
        progress(&TuneProgress { done: done + 2 * replications, leader, settings: 1 });
    })?;
    Ok(summary(tuning, &halved, fresh))
}

/// The found setting against the default on fresh seeds.
fn compare(
    tuning: &Tuning,
    found: usize,
    interrupt: &AtomicBool,
    mut progress: impl FnMut(u64, f64),
) -> Result<Fresh, Interrupted> {
    let Tuning { scenario, settings, size, .. } = tuning;
    let master_seed = tuning.fresh_master_seed();
    let arena = Arena { scenario, streams: Streams::new(master_seed), interrupt };
    let pair = [settings[found], settings[0]];
    // The default against itself needs no second run.
    let players = if found == 0 { &pair[..1] } else { &pair[..] };
    let mut scores = PairedComparison::new(2);
    let ended = arena.play(players, 0..size.fresh, &mut |played| {
        scores.push(&[played[0], played[played.len() - 1]]);
        progress(scores.count(), scores.moments(0).mean());
    });
    if ended.is_err() && scores.count() < 2 {
        return Err(Interrupted);
    }
    let ratio = scores.variance_ratio(0, 1);
    Ok(Fresh {
        master_seed,
        replications: scores.count(),
        asked: size.fresh,
        found: mean(scores.moments(0)),
        default: mean(scores.moments(1)),
        gain: mean(&scores.difference(0, 1)),
        pairing_gain: ratio.is_finite().then_some(ratio),
    })
}

fn summary(tuning: &Tuning, halved: &Halved, fresh: Fresh) -> Tuned {
    let Tuning { scenario, space, schedule, .. } = tuning;
    let found = halved.best();
    let rounds = schedule.rounds().iter().zip(&halved.rounds).map(|(plan, ranked)| {
        let (leader, leader_score) = ranked.first().copied().unwrap_or((0, f64::NAN));
        RoundSummary {
            settings: plan.settings,
            replications: plan.replications.end - plan.replications.start,
            replications_so_far: plan.replications.end,
            leader,
            leader_score,
        }
    });
    let mean_in = |round: usize, setting: usize| {
        let of_round = halved.rounds.get(round).into_iter().flatten();
        of_round.clone().find(|(i, _)| *i == setting).map_or(f64::NAN, |(_, mean)| *mean)
    };
    let settings = tuning.settings.iter().enumerate().map(|(i, spec)| {
        let played =
            halved.rounds.iter().filter(|round| round.iter().any(|(s, _)| *s == i)).count();
        let last = played.saturating_sub(1);
        let mut values = spec.to_table();
        values.retain(|key, _| space.dimensions.iter().any(|d| d.key == key));
        SettingSummary {
            setting: spec.text(),
            values,
            is_default: i == 0,
            rounds: played,
            replications: halved.scores[i].count(),
            score: mean(&halved.scores[i]),
            from_found: mean_in(last, i) - mean_in(last, found),
        }
    });
    Tuned {
        strategy: space.base.text(),
        label: space.base.label(),
        config: scenario.name.clone(),
        requests: scenario.requests,
        requests_per_second: scenario.requests_per_second,
        parameters: Parameters::of(&scenario.model, true),
        assumed: scenario.model.assumed(),
        master_seed: tuning.master_seed,
        budget: tuning.size.budget,
        runs: schedule.runs(),
        searched: space.dimensions.clone(),
        rounds: rounds.collect(),
        settings: settings.collect(),
        found,
        verdict: TuneVerdict::of(found == 0, &fresh.gain),
        fresh,
    }
}
