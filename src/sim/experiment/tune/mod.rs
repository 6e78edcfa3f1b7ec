//! Better parameters for one strategy in one scenario, by successive halving.
//!
//! ```text
//! Space        which parameters are searched, over which ranges
//!   -> settings  spread evenly over them, the default first
//!   -> Schedule  how many replications each round plays
//!   -> halve     after every round the better half stays
//!   -> fresh     the setting that is left against the default, on seeds the search never saw
//! ```
//!
//! All settings of a round play the same replications with the same coins (common random numbers),
//! so that a round compares settings, not luck. The one that is left was selected for a high mean
//! on the seeds of the search: that mean flatters it, the more settings there were the more. Only
//! the fresh seeds, those of the next master seed, say what it is worth.
//!
//! When not to use it: to rank strategies (that is a sweep), or for parameters whose best value
//! depends on what the model leaves out. What it finds is good for this scenario and this horizon.
//!
//! Sources: Z. Karnin, T. Koren and O. Somekh, "Almost optimal exploration in multi-armed bandits",
//! ICML 2013 (sequential halving); K. Jamieson and A. Talwalkar, "Non-stochastic best arm
//! identification and hyperparameter optimization", AISTATS 2016 (successive halving).

mod halving;
mod space;

use std::ops::{Range, RangeInclusive};
use std::sync::atomic::AtomicBool;

use rayon::prelude::*;
use serde::Serialize;

use crate::experiment::plan::{Contender, Parameters, Plan, sha256_hex};
use crate::experiment::summary::{CONFIDENCE, FEWEST_REPLICATIONS, Mean};
use crate::experiment::tune::halving::{Halved, Schedule, halve};
use crate::experiment::tune::space::Space;
use crate::play::{Record, Replication};
use crate::world::Scenario;
use flakelab_core::domain::{Purpose, Streams};
use flakelab_core::stats::{Blocks, Moments, PairedComparison};
use flakelab_core::strategy::StrategySpec;

pub use self::space::{Dimension, Scale, TuneError};

/// With fewer settings there is nothing to halve.
const FEWEST_SETTINGS: u64 = 4;

/// Runs between two folds: enough to keep threads busy, few enough to make the bar move.
const RUNS_IN_BATCH: u64 = 256;

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
    pub const FRESH: RangeInclusive<u64> = FEWEST_REPLICATIONS..=1_000_000_000;
    /// The largest budget.
    pub const MOST_BUDGET: u64 = 1_000_000_000_000;
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
    pub fn new(
        strategy: &str,
        scenario: Scenario,
        size: Size,
        master_seed: u64,
    ) -> Result<Self, TuneError> {
        let space = Space::of(strategy)?;
        let Size { budget, candidates, fresh } = size;
        if !Size::CANDIDATES.contains(&candidates) {
            return Err(TuneError(format!(
                "{candidates} settings are not possible: `--candidates` expects 4 to 4096"
            )));
        }
        if !Size::FRESH.contains(&fresh) {
            return Err(TuneError(format!(
                "{fresh} fresh replications are not possible: `--fresh` expects 200 to 10^9"
            )));
        }
        if budget > Size::MOST_BUDGET {
            return Err(TuneError(format!(
                "a budget of {budget} runs is not possible: `--budget` expects at most 10^12"
            )));
        }
        let settings = space.settings(candidates, &Streams::new(master_seed))?;
        let strategy = space.base.name();
        if (settings.len() as u64) < FEWEST_SETTINGS {
            let texts: Vec<String> = settings.iter().map(StrategySpec::text).collect();
            return Err(TuneError(format!(
                "there are only {} settings of {strategy} to choose from; compare them all with: \
                 flakelab sweep --strategy {}",
                texts.len(),
                texts.join(",")
            )));
        }
        let schedule = Schedule::new(settings.len(), budget).map_err(|enough| {
            let settings = settings.len();
            TuneError(format!(
                "a budget of {budget} runs is too small for {settings} settings: give `--budget \
                 {enough}` or more, or fewer settings with `--candidates`"
            ))
        })?;
        // A plan of the same knows how to check a scenario and how to sign everything.
        let players = settings.iter().copied().map(Contender::new).collect();
        let name = format!("tune-{strategy}");
        let plan = Plan::new(name, vec![scenario.clone()], players, fresh, master_seed)?;
        let hash = sha256_hex(&format!("{}\n{}\n", plan.hash(), budget));
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

/// The search was told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted;

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
    let mut blocks = Blocks::new(2, Parameters::of(&scenario.model, true).alike());
    // Of the found one, of the default, of the difference.
    let mut moments = <[Moments; 3]>::default();
    let ended = arena.play(players, 0..size.fresh, &mut |played| {
        let [found, default] = [played[0], played[played.len() - 1]];
        moments.iter_mut().zip([found, default, found - default]).for_each(|(of, x)| of.push(x));
        blocks.push([found, default]);
        progress(blocks.rows(), moments[0].mean());
    });
    if ended.is_err() && blocks.rows() < 2 {
        return Err(Interrupted);
    }
    let words = |resample| arena.streams.stream(Purpose::Analysis, 0, resample);
    let comparison = PairedComparison::of(&blocks, &[0, 1], words);
    let known = blocks.rows() >= FEWEST_REPLICATIONS;
    let mean = |i: usize| {
        let interval = known.then(|| comparison.resampled().interval(i, CONFIDENCE));
        Mean::of(&moments[i], interval)
    };
    let ratio = comparison.variance_ratio(0, 1);
    Ok(Fresh {
        master_seed,
        replications: blocks.rows(),
        asked: size.fresh,
        found: mean(0),
        default: mean(1),
        gain: mean(comparison.pair(0, 1)),
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
            score: Mean::of(&halved.scores[i], None),
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

/// One scenario and one master seed. Of a run only the score is kept, so this is lighter than a
/// sweep.
struct Arena<'a> {
    scenario: &'a Scenario,
    streams: Streams,
    interrupt: &'a AtomicBool,
}

impl Arena<'_> {
    /// Plays these settings in these replications. `push` gets the scores of each replication, in
    /// order of replication; the size of batches and the number of threads change nothing.
    fn play(
        &self,
        settings: &[StrategySpec],
        replications: Range<u64>,
        push: &mut dyn FnMut(&[f64]),
    ) -> Result<(), Interrupted> {
        let players: Vec<Contender> = settings.iter().copied().map(Contender::new).collect();
        let threads = rayon::current_num_threads() as u64;
        let batch = (RUNS_IN_BATCH / players.len().max(1) as u64).max(threads);
        let mut next = replications.start;
        while next < replications.end {
            let end = (next + batch).min(replications.end);
            let played: Option<Vec<Vec<f64>>> =
                (next..end).into_par_iter().map(|r| self.scores(&players, r)).collect();
            played.ok_or(Interrupted)?.iter().for_each(|scores| push(scores));
            next = end;
        }
        Ok(())
    }

    /// The scores of one replication; none if interrupted.
    fn scores(&self, players: &[Contender], replication: u64) -> Option<Vec<f64>> {
        let mut world = Replication::new(self.scenario, &self.streams, replication);
        players
            .iter()
            .map(|player| {
                let seat = player.seat(&world, &self.streams, replication);
                let mut interrupt = self.interrupt;
                let ledger = world.play(seat, &mut interrupt);
                (!interrupt.is_cancelled()).then(|| ledger.score(&self.scenario.rules).score())
            })
            .collect()
    }
}

/// The result of a search.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tuned {
    /// The strategy as text, with what was fixed: `thompson-scaled:exclude_tried=false`.
    pub strategy: String,
    /// Its name in tables.
    pub label: String,
    /// The scenario's name, for example `0`.
    pub config: String,
    /// Requests in a run.
    pub requests: u64,
    /// Mean arrival rate.
    pub requests_per_second: f64,
    /// Where the parameters of the servers came from.
    pub parameters: Parameters,
    /// What the model merely assumes, in its own words.
    pub assumed: Option<String>,
    /// Master seed of the search.
    pub master_seed: u64,
    /// Runs that the search was allowed.
    pub budget: u64,
    /// Runs that it played.
    pub runs: u64,
    /// What was searched.
    pub searched: Vec<Dimension>,
    /// The rounds, the one with most settings first.
    pub rounds: Vec<RoundSummary>,
    /// Every setting, the default first, others as they were drawn.
    pub settings: Vec<SettingSummary>,
    /// Position in `settings` of the one that was left.
    pub found: usize,
    /// What it is worth.
    pub fresh: Fresh,
    /// Which to use.
    pub verdict: TuneVerdict,
}

/// One round.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RoundSummary {
    /// Settings that played.
    pub settings: usize,
    /// Replications that the round added.
    pub replications: u64,
    /// Replications of its settings so far, those of earlier rounds included.
    pub replications_so_far: u64,
    /// Position of the best setting after the round.
    pub leader: usize,
    /// Mean score of that setting so far.
    pub leader_score: f64,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SettingSummary {
    /// As text that `--strategy` reads.
    pub setting: String,
    /// Values of what was searched.
    pub values: toml::Table,
    /// Whether it is the default (with what was fixed).
    pub is_default: bool,
    /// Rounds played.
    pub rounds: usize,
    /// Replications played, numbered from 0.
    pub replications: u64,
    /// Score over them. Settings were selected by it, so it flatters those that were left.
    pub score: Mean,
    /// Mean score minus that of the setting that was left, over the same replications.
    pub from_found: f64,
}

/// The setting that was left against the default, on seeds that the search never saw.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fresh {
    /// Master seed, the one after the search's; replications are numbered from 0.
    pub master_seed: u64,
    /// Replications played; fewer than asked for after an interruption.
    pub replications: u64,
    /// Replications asked for.
    pub asked: u64,
    /// Score of the setting that was left.
    pub found: Mean,
    /// Score of the default.
    pub default: Mean,
    /// The difference of the two, paired by replication.
    pub gain: Mean,
    /// How much pairing sharpens it: variance unpaired / paired. None where the difference never
    /// varies.
    pub pairing_gain: Option<f64>,
}

/// Which setting to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TuneVerdict {
    /// The setting found beats the default: the whole interval of the gain is above 0.
    Better,
    /// It cannot be told from the default.
    NotBetter,
    /// The default beats it.
    Worse,
    /// It scored the same as the default in every fresh replication.
    Same,
    /// The search ended at the default itself.
    DefaultFound,
}

impl Tuned {
    /// The setting that was left.
    pub fn found_setting(&self) -> &SettingSummary {
        &self.settings[self.found]
    }

    /// Settings by falling place: those that stayed longest first, among them by mean.
    pub fn ranked(&self) -> Vec<&SettingSummary> {
        let mut ranked: Vec<&SettingSummary> = self.settings.iter().collect();
        ranked.sort_by(|a, b| b.rounds.cmp(&a.rounds).then(b.score.mean.total_cmp(&a.score.mean)));
        ranked
    }

    /// Whether fresh replications are missing.
    pub fn interrupted(&self) -> bool {
        self.fresh.replications < self.fresh.asked
    }
}

impl TuneVerdict {
    fn of(is_default: bool, gain: &Mean) -> Self {
        match gain.interval {
            _ if is_default => Self::DefaultFound,
            _ if gain.std_dev == 0.0 && gain.mean == 0.0 => Self::Same,
            Some(interval) if interval.low > 0.0 => Self::Better,
            Some(interval) if interval.high < 0.0 => Self::Worse,
            _ => Self::NotBetter,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::sweep::sweep;
    use crate::world::{ErrorFamily, Model};

    const SIZE: Size = Size { budget: 2_000, candidates: 12, fresh: 200 };

    fn scenario() -> Scenario {
        let uniform = ErrorFamily::Uniform { low: 0.02, high: 0.75 };
        Scenario { requests: 60, ..Scenario::new(Model::of_population(6, uniform)) }
    }

    fn tuning(strategy: &str) -> Tuning {
        Tuning::new(strategy, scenario(), SIZE, 42).unwrap()
    }

    fn found(strategy: &str) -> Tuned {
        tune(&tuning(strategy), &AtomicBool::new(false), |_| ()).unwrap()
    }

    /// The comparison can be played again by `sweep`: same pair, next master seed, same numbers.
    #[test]
    fn a_sweep_confirms_the_fresh_comparison() {
        let tuned = found("v3");
        assert_ne!(tuned.found, 0, "the test needs a setting that is not the default");
        let spec = |text: &str| Contender::new(StrategySpec::from_text(text).unwrap());
        let pair = vec![spec("v3"), spec(&tuned.found_setting().setting)];
        let plan = Plan::new("x", vec![scenario()], pair, tuned.fresh.replications, 43).unwrap();
        let swept = sweep(&plan, &mut (), &AtomicBool::new(false), |_| ()).unwrap();
        let ranked: Vec<_> = swept.summary.scenarios[0].ranked().collect();
        let mut means: Vec<f64> = ranked.iter().map(|(c, _)| c.score.mean).collect();
        means.sort_by(f64::total_cmp);
        let mut ours = [tuned.fresh.found.mean, tuned.fresh.default.mean];
        ours.sort_by(f64::total_cmp);
        assert_eq!(means, ours);
        let delta = ranked[1].1.delta_interval;
        let gain = tuned.fresh.gain.interval;
        // Of a pair the simultaneous interval is the plain one; the sign depends on who won.
        let width = |i: Option<flakelab_core::stats::Interval>| i.unwrap().width();
        assert!((width(delta) - width(gain)).abs() < 1e-9, "{delta:?} {gain:?}");
    }

    /// A small search, number for number, and what holds between its numbers.
    #[test]
    fn a_small_search_is_what_it_was() {
        let tuned = found("v3:exclude_tried=true");
        assert_eq!(tuned.runs, 1_988);
        let rounds: Vec<(usize, u64)> =
            tuned.rounds.iter().map(|r| (r.settings, r.replications)).collect();
        assert_eq!(rounds, [(12, 41), (6, 83), (3, 166), (2, 250)]);
        assert_eq!(tuned.found_setting().setting, "ucb-free:c=0.573");
        assert_eq!(tuned.found_setting().from_found, 0.0);
        assert_eq!(tuned.settings[0].setting, "ucb-free");
        for (i, setting) in tuned.settings.iter().enumerate() {
            let so_far = tuned.rounds[setting.rounds - 1].replications_so_far;
            assert_eq!(setting.replications, so_far);
            assert_eq!(setting.is_default, i == 0);
            assert!(setting.rounds < 4 || setting.from_found <= 0.0, "{setting:?}");
        }
        assert_eq!(format!("{:.4}", tuned.fresh.gain.mean), "1.6550");
        assert_eq!(tuned.verdict, TuneVerdict::Better);
    }

    #[test]
    fn an_interrupted_search_has_nothing_to_show_and_an_interrupted_comparison_less() {
        let tuning = tuning("v4");
        let interrupt = AtomicBool::new(false);
        let stop = || interrupt.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(tune(&tuning, &interrupt, |_| stop()), Err(Interrupted));
        interrupt.store(false, std::sync::atomic::Ordering::Relaxed);
        let searched = tuning.runs() - 2 * SIZE.fresh;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let size = Size { fresh: 100_000, ..SIZE };
        let long = Tuning::new("v4", scenario(), size, 42).unwrap();
        let tuned = pool.install(|| {
            tune(&long, &interrupt, |progress| {
                if progress.done > searched {
                    stop();
                }
            })
        });
        let tuned = tuned.unwrap();
        assert!(tuned.interrupted() && tuned.fresh.replications >= 2, "{:?}", tuned.fresh);
    }

    #[test]
    fn searches_that_cannot_be_run_say_what_could() {
        let problem = |strategy: &str, size: Size| {
            Tuning::new(strategy, scenario(), size, 42).unwrap_err().to_string()
        };
        for (strategy, size, expected) in [
            ("v2:exclude_tried=true", SIZE, "nothing is left to search"),
            ("v1", Size { budget: 479, ..SIZE }, "--budget 480"),
            ("v1", Size { candidates: 3, ..SIZE }, "4 to 4096"),
            ("v1", Size { fresh: 1, ..SIZE }, "200 to 10^9"),
            ("v1", Size { budget: u64::MAX, ..SIZE }, "at most 10^12"),
        ] {
            let problem = problem(strategy, size);
            assert!(problem.contains(expected), "{strategy}: {problem}");
        }
        assert!(Tuning::new("v1", scenario(), Size { budget: 480, ..SIZE }, 42).is_ok());
        let none = Scenario { requests: 0, ..scenario() };
        assert!(Tuning::new("v1", none, SIZE, 42).unwrap_err().to_string().contains("0 requests"));
    }

    #[test]
    fn everything_that_moves_results_moves_the_hash() {
        let hash = |strategy: &str, size: Size, seed: u64| {
            Tuning::new(strategy, scenario(), size, seed).unwrap().hash().to_owned()
        };
        let all = [
            hash("v1", SIZE, 42),
            hash("v1", SIZE, 43),
            hash("v1:exclude_tried=true", SIZE, 42),
            hash("v1", Size { budget: 2_001, ..SIZE }, 42),
            hash("v1", Size { fresh: 201, ..SIZE }, 42),
            hash("v1", Size { candidates: 13, ..SIZE }, 42),
        ];
        let different: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }
}
