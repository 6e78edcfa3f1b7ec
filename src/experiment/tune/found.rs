//! What a search found. Every number is final here; reports only format them.

use serde::Serialize;

use super::Dimension;
use crate::experiment::{Mean, Parameters};

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
    pub(super) fn of(is_default: bool, gain: &Mean) -> Self {
        match gain.interval {
            _ if is_default => Self::DefaultFound,
            _ if gain.std_dev == 0.0 && gain.mean == 0.0 => Self::Same,
            interval if interval.low > 0.0 => Self::Better,
            interval if interval.high < 0.0 => Self::Worse,
            _ => Self::NotBetter,
        }
    }
}
