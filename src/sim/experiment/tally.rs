//! Folds finished replications, in order, into the numbers of a summary.

use crate::experiment::latencies::Latencies;
use crate::experiment::plan::{
    Contender, LeadLeftOpen, ParameterSpread, Parameters, Plan, leads_left_open,
};
use crate::experiment::play::{Played, Row, RowNotes, SELECTIONS_SHOWN, curve_points};
use crate::experiment::summary::{
    CONFIDENCE, ContenderSummary, CurvePoint, FEWEST_REPLICATIONS, Mean, NotesSummary, Ranking,
    ScenarioSummary, ScoreCount, SwitchOfRun,
};
use crate::world::Scenario;
use flakelab_core::balancer::Ledger;
use flakelab_core::domain::{Purpose, Streams};
use flakelab_core::stats::{
    AgainstBest, Blocks, Contrast, Interval, Moments, PairedComparison, Resampled,
};
use flakelab_core::strategy::Notes;

/// So many first replications tell what the traces leave open: more draws know quantiles no better,
/// and memory must not grow with replications.
const FIRST_KEPT: u64 = 16_384;

/// The numbers of one scenario, growing replication by replication.
pub(crate) struct ScenarioSums<'p> {
    plan: &'p Plan,
    scenario: usize,
    rows: Vec<Row>,
    sums: Vec<ContenderSums>,
    /// For every contender its quantities and then its curve, for intervals.
    blocks: Blocks,
    /// Positions in the plan of the contenders that are ranked.
    ranked: Vec<usize>,
    parameters: Parameters,
    /// Scores by draw of the parameters, all contenders; none if nothing is drawn.
    spread: Option<ParameterSpread>,
    /// Scores of the ranked contenders in the first replications, if parameters are drawn.
    scores: Vec<f64>,
    replications: u64,
}

// What is counted of each run, in the order in which it is kept.
const SCORE: usize = 0;
const ORACLE_REGRET: usize = 1;
const ATTEMPTS_PER_REQUEST: usize = 2;
const RETRIES: usize = 3;
const PENALTY: usize = 4;
const RATE_LIMITED: usize = 5;
const TIMED_OUT: usize = 6;
const REGRET: usize = 7;
const QUANTITIES: usize = 8;

/// The numbers of one contender.
struct ContenderSums {
    quantities: [Moments; QUANTITIES],
    attempts: u64,
    latencies: Latencies,
    curve: Vec<Moments>,
    attempts_by_rank: Vec<u64>,
    notes: NotesSums,
    /// In increasing order of score.
    score_counts: Vec<ScoreCount>,
}

impl<'p> ScenarioSums<'p> {
    pub(crate) fn new(plan: &'p Plan, scenario: usize) -> Self {
        let Scenario { requests, ref model, .. } = plan.scenarios[scenario];
        let parameters = Parameters::of(model, plan.parameter_uncertainty);
        let group = parameters.alike();
        let points = curve_points(requests);
        let sums = |_: &Contender| ContenderSums {
            quantities: <[Moments; QUANTITIES]>::default(),
            attempts: 0,
            latencies: Latencies::new(group),
            curve: vec![Moments::default(); points],
            attempts_by_rank: vec![0; model.servers()],
            notes: NotesSums::default(),
            score_counts: Vec::new(),
        };
        let contenders = plan.contenders.len();
        Self {
            plan,
            scenario,
            parameters,
            spread: (group > 1).then(|| ParameterSpread::new(contenders)),
            rows: Vec::new(),
            sums: plan.contenders.iter().map(sums).collect(),
            blocks: Blocks::new(contenders * (QUANTITIES + points), group),
            ranked: (0..contenders).filter(|i| !plan.contenders[*i].reference).collect(),
            scores: Vec::new(),
            replications: 0,
        }
    }

    /// Takes in the next replication: one [`Played`] a contender, the oracle first.
    pub(crate) fn fold(&mut self, replication: u64, played: &[Played]) {
        let rules = &self.plan.scenarios[self.scenario].rules;
        let oracle = &played[0];
        let oracle_score = oracle.ledger.score(rules).score();
        let mut counted = Vec::with_capacity(self.blocks.columns());
        for (contender, (sums, played)) in self.sums.iter_mut().zip(played).enumerate() {
            let Played { ledger, latencies_ns, curve, attempts_by_rank, .. } = played;
            let score = ledger.score(rules);
            let oracle_regret = oracle_score - score.score();
            let quantities: [f64; QUANTITIES] = [
                score.score(),
                oracle_regret,
                ledger.attempts as f64 / ledger.arrived as f64,
                ledger.retries as f64,
                score.penalty,
                ledger.rate_limited() as f64,
                ledger.timed_out() as f64,
                score.regret() as f64,
            ];
            let behind = oracle.curve.iter().zip(curve).map(|(best, own)| best - own);
            let from = counted.len();
            counted.extend(quantities.into_iter().chain(behind));
            let moments = sums.quantities.iter_mut().chain(&mut sums.curve);
            moments.zip(&counted[from..]).for_each(|(moments, value)| moments.push(*value));
            sums.attempts += ledger.attempts;
            let place = |of: &ScoreCount| of.score.total_cmp(&score.score());
            match sums.score_counts.binary_search_by(place) {
                Ok(i) => sums.score_counts[i].replications += 1,
                Err(i) => {
                    let first = ScoreCount { score: score.score(), replications: 1 };
                    sums.score_counts.insert(i, first);
                }
            }
            sums.latencies.record(replication, latencies_ns);
            for (sum, attempts) in sums.attempts_by_rank.iter_mut().zip(attempts_by_rank) {
                *sum += attempts;
            }
            let notes = played.notes.as_ref();
            let notes = notes.map(|notes| Box::new(sums.notes.push(replication, notes, ledger)));
            self.rows.push(Row {
                scenario: self.scenario,
                contender,
                replication,
                requests: ledger.arrived,
                answered_ok: ledger.answered_ok,
                answered_error: ledger.answered_error,
                attempts: ledger.attempts,
                retries: ledger.retries,
                extra_attempts: ledger.extra_attempts,
                rate_limited: ledger.rate_limited(),
                timed_out: ledger.timed_out(),
                penalty: score.penalty,
                score: score.score(),
                oracle_regret,
                latency_p50_ms: played.latency_p50_ms,
                latency_p99_ms: played.latency_p99_ms,
                best_server_attempts: attempts_by_rank[0],
                notes,
            });
        }
        let scores: Vec<f64> = (0..played.len()).map(|i| counted[self.column(i)]).collect();
        if let Some(spread) = &mut self.spread {
            spread.push(&scores);
            if self.replications < FIRST_KEPT {
                self.scores.extend(self.ranked.iter().map(|i| scores[*i]));
            }
        }
        self.blocks.push(counted);
        self.replications += 1;
    }

    /// The column of a contender's first quantity, its score.
    fn column(&self, contender: usize) -> usize {
        contender * self.blocks.columns() / self.sums.len()
    }

    /// Rows folded since they were last cleared.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(crate) fn clear_rows(&mut self) {
        self.rows.clear();
    }

    pub(crate) fn replications(&self) -> u64 {
        self.replications
    }

    /// The ranked contender with the highest mean score so far, and that mean.
    pub(crate) fn leader(&self) -> (String, f64) {
        let mean = |i: &usize| (*i, self.sums[*i].quantities[SCORE].mean());
        let means = self.ranked.iter().map(mean);
        let best = means.reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map_or((String::new(), f64::NAN), |(i, mean)| {
            (self.plan.contenders[i].label.clone(), mean)
        })
    }

    /// The final numbers, of at least one replication.
    pub(crate) fn finish(self, streams: &Streams) -> ScenarioSummary {
        let scenario = &self.plan.scenarios[self.scenario];
        let has_rate_limit = self.plan.played(self.scenario).model.has_rate_limit();
        let alone: Vec<Contrast> = (0..self.blocks.columns()).map(|i| (i, None)).collect();
        let resampled = (self.replications >= FEWEST_REPLICATIONS)
            .then(|| self.blocks.resampled(&alone, |r| streams.stream(Purpose::Analysis, 0, r)));
        let rankings = self.rankings(streams);
        let ranked = self.ranked.iter().copied().zip(rankings.into_iter().map(Some));
        let references = (0..self.sums.len()).filter(|i| !self.ranked.contains(i));
        let mut contenders: Vec<ContenderSummary> = references
            .map(|i| (i, None))
            .chain(ranked)
            .map(|(i, ranking)| {
                self.summarise(i, ranking, has_rate_limit, resampled.as_ref(), streams)
            })
            .collect();
        contenders.sort_by_key(|c| c.ranking.map(|r| r.rank));
        ScenarioSummary {
            config: scenario.name.clone(),
            requests: scenario.requests,
            requests_per_second: scenario.requests_per_second,
            replications: self.replications,
            has_rate_limit,
            oracle_is_bound: !has_rate_limit && scenario.model.conditions.is_none(),
            parameters: self.parameters,
            assumed: scenario.model.assumed(),
            contenders,
        }
    }

    fn rankings(&self, streams: &Streams) -> Vec<Ranking> {
        let k = self.ranked.len();
        let scores: Vec<usize> = self.ranked.iter().map(|i| self.column(*i)).collect();
        let words = |resample| streams.stream(Purpose::Analysis, 0, resample);
        let comparison = PairedComparison::of(&self.blocks, &scores, words);
        let known = self.replications >= FEWEST_REPLICATIONS;
        let best = comparison.best();
        let ranks = comparison.ranks();
        let against_best = comparison.against_best(CONFIDENCE);
        // The lead over each other one on the servers of each draw, where draws matter.
        let left_open = |i: usize| {
            let spread = self.spread.as_ref();
            let rows = self.scores.chunks_exact(k).map(|row| row[best] - row[i]);
            (
                spread.and_then(|of| of.difference_sd(self.ranked[i], self.ranked[best])),
                spread.filter(|_| i != best).and_then(|_| leads_left_open(rows)),
            )
        };
        let left_open: Vec<_> = (0..k).map(left_open).collect();
        let draws = left_open.iter().flat_map(|(_, leads)| leads).map(Vec::len).next().unwrap_or(1);
        let leads = (0..draws).flat_map(|draw| {
            let on_average = |i: usize| -against_best[i].difference;
            let lead = move |(i, (_, leads)): (usize, &(_, Option<Vec<f64>>))| {
                leads.as_ref().map_or_else(|| on_average(i), |leads| leads[draw])
            };
            left_open.iter().enumerate().map(lead)
        });
        let p_best = known.then(|| comparison.p_best(&leads.collect::<Vec<f64>>()));
        let ranking = |(i, (delta_parameter_sd, leads)): (usize, (_, Option<Vec<f64>>))| {
            let AgainstBest { difference, interval, tied, replications_to_separate } =
                against_best[i];
            Ranking {
                rank: ranks[i],
                tied_with_best: tied || !known,
                delta: difference,
                delta_interval: known.then_some(interval),
                delta_parameter_sd,
                lead_left_open: leads.map(LeadLeftOpen::of),
                replications_to_separate: replications_to_separate
                    .filter(|_| known)
                    .map(|needed| needed.max(FEWEST_REPLICATIONS)),
                p_best: p_best.as_ref().map(|p_best| p_best[i]),
                pairing_gain: (i != best)
                    .then(|| comparison.variance_ratio(i.min(best), i.max(best))),
            }
        };
        left_open.into_iter().enumerate().map(ranking).collect()
    }

    /// The final numbers of a contender; `resampled` holds what blocks hold.
    fn summarise(
        &self,
        contender: usize,
        ranking: Option<Ranking>,
        has_rate_limit: bool,
        resampled: Option<&Resampled>,
        streams: &Streams,
    ) -> ContenderSummary {
        let sums = &self.sums[contender];
        let first = self.column(contender);
        let requests_per_run = self.plan.scenarios[self.scenario].requests;
        let interval = |i: usize| resampled.map(|of| of.interval(first + i, CONFIDENCE));
        let mean = |i: usize| Mean::of(&sums.quantities[i], interval(i));
        // What happens to few of the requests or attempts of a run.
        let rare = |i: usize, most: f64| {
            let interval = resampled.map(|of| of.interval_of_rare(first + i, most, CONFIDENCE));
            Mean::of(&sums.quantities[i], interval)
        };
        let requests = requests_per_run as f64;
        let attempts = requests * sums.quantities[ATTEMPTS_PER_REQUEST].mean();
        let regret = rare(REGRET, requests);
        let answered = |interval: Interval| Interval {
            low: 1.0 - interval.high / requests,
            high: 1.0 - interval.low / requests,
        };
        let success_rate = Mean {
            mean: 1.0 - regret.mean / requests,
            std_dev: regret.std_dev / requests,
            interval: regret.interval.map(answered),
        };
        let groups = self.replications as f64 / self.parameters.alike() as f64;
        let [p50, p90, p99, p999] = [0.5, 0.9, 0.99, 0.999].map(|share| {
            let words = |resample| streams.stream(Purpose::Analysis, 0, resample);
            let of = || sums.latencies.interval_ms(share, groups, CONFIDENCE, words);
            (sums.latencies.quantile_ms(share), resampled.and_then(|_| of()))
        });
        let points = sums.curve.len() as u64;
        let curve = (1..).zip(&sums.curve).map(|(point, moments): (u64, &Moments)| CurvePoint {
            // The last request n with n x points / requests below `point`, counted from 1.
            requests: (point * requests_per_run).div_ceil(points),
            mean: moments.mean(),
            interval: interval(QUANTITIES + point as usize - 1),
        });
        let share = |attempts: &u64| *attempts as f64 / (sums.attempts as f64).max(1.0);
        ContenderSummary {
            strategy: self.plan.contenders[contender].label.clone(),
            score: mean(SCORE),
            score_parameter_sd: self.spread.as_ref().and_then(|spread| spread.score_sd(contender)),
            success_rate,
            attempts_per_request: mean(ATTEMPTS_PER_REQUEST),
            retries: mean(RETRIES),
            penalty: mean(PENALTY),
            rate_limited: if has_rate_limit {
                rare(RATE_LIMITED, attempts)
            } else {
                mean(RATE_LIMITED)
            },
            timed_out: rare(TIMED_OUT, attempts),
            regret,
            oracle_regret: mean(ORACLE_REGRET),
            latency_p50_ms: p50.0,
            latency_p90_ms: p90.0,
            latency_p99_ms: p99.0,
            latency_p999_ms: p999.0,
            latency_intervals_ms: [p50.1, p90.1, p99.1, p999.1],
            ranking,
            score_counts: sums.score_counts.clone(),
            oracle_regret_curve: curve.collect(),
            attempt_share_by_rank: sums.attempts_by_rank.iter().map(share).collect(),
            notes: sums.notes.summarise(),
        }
    }
}

/// Switches are shown of so many first replications.
const REPLICATIONS_SHOWN: u64 = 3;

/// So many first switches of each.
const SWITCHES_SHOWN: usize = 12;

/// What a strategy that watches load and health tells of its runs, growing replication by
/// replication.
#[derive(Debug, Default)]
struct NotesSums {
    runs: u64,
    filtered_by_health: Moments,
    switches: Moments,
    load_variance: Moments,
    busiest_share: Moments,
    selections: Vec<u64>,
    first_switches: Vec<SwitchOfRun>,
}

impl NotesSums {
    /// Takes in one run, and gives it back as a row.
    fn push(&mut self, replication: u64, notes: &Notes, ledger: &Ledger) -> RowNotes {
        let selections = ledger.servers.iter().map(|server| server.attempts);
        let busiest = selections.clone().max().unwrap_or(0);
        let listed = ledger.servers.len() <= SELECTIONS_SHOWN;
        let row = RowNotes {
            filtered_by_health: notes.filtered_by_health,
            switches: notes.switched,
            load_variance: notes.load_variance,
            busiest_share: busiest as f64 / (ledger.attempts as f64).max(1.0),
            selections: if listed { selections.collect() } else { Vec::new() },
        };
        self.runs += 1;
        self.filtered_by_health.push(row.filtered_by_health as f64);
        self.switches.push(row.switches as f64);
        self.load_variance.push(row.load_variance);
        self.busiest_share.push(row.busiest_share);
        self.selections.resize(row.selections.len(), 0);
        for (sum, own) in self.selections.iter_mut().zip(&row.selections) {
            *sum += own;
        }
        if replication < REPLICATIONS_SHOWN {
            let shown = notes.switches.iter().take(SWITCHES_SHOWN).map(|switch| SwitchOfRun {
                replication,
                at_s: switch.at.as_secs_f64(),
                from: switch.from,
                to: switch.to,
                reason: switch.reason.clone(),
            });
            self.first_switches.extend(shown);
        }
        row
    }

    /// The final numbers; none if no run had any.
    fn summarise(&self) -> Option<NotesSummary> {
        (self.runs > 0).then(|| NotesSummary {
            filtered_by_health: Mean::of(&self.filtered_by_health, None),
            switches: Mean::of(&self.switches, None),
            load_variance: Mean::of(&self.load_variance, None),
            busiest_share: Mean::of(&self.busiest_share, None),
            selections: self.selections.iter().map(|n| *n as f64 / self.runs as f64).collect(),
            first_switches: self.first_switches.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flakelab_core::domain::Timestamp;
    use flakelab_core::strategy::Switch;

    #[test]
    fn sums_runs_and_keeps_the_switches_of_the_first() {
        let mut sums = NotesSums::default();
        assert_eq!(sums.summarise(), None, "nothing told is nothing shown");
        let mut ledger = Ledger::new(2);
        ledger.attempts = 10;
        ledger.servers[0].attempts = 3;
        ledger.servers[1].attempts = 7;
        let switch = Switch {
            at: Timestamp::from_secs_f64(1.5),
            from: "a",
            to: "b",
            reason: "c".to_owned(),
        };
        let notes = |filtered_by_health| Notes {
            filtered_by_health,
            load_variance: 0.25,
            switched: 1,
            switches: vec![switch.clone()],
        };
        let row = sums.push(0, &notes(4), &ledger);
        assert_eq!((row.busiest_share, row.selections), (0.7, vec![3, 7]));
        sums.push(REPLICATIONS_SHOWN, &notes(6), &ledger);
        let summary = sums.summarise().unwrap();
        assert_eq!((summary.filtered_by_health.mean, summary.load_variance.mean), (5.0, 0.25));
        assert_eq!(summary.selections, [3.0, 7.0]);
        assert_eq!(summary.first_switches.len(), 1);
        assert_eq!(summary.first_switches[0].at_s, 1.5);
    }
}
