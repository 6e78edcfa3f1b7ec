//! Folds finished replications, in order, into the numbers of a summary.

use hdrhistogram::Histogram;

use crate::experiment::plan::{
    Contender, ParameterSd, ParameterSpread, Parameters, Plan, lead_left_open,
};
use crate::experiment::play::{Played, Row, RowNotes, SELECTIONS_SHOWN, curve_points};
use crate::experiment::summary::{
    CONFIDENCE, ContenderSummary, CurvePoint, Mean, NotesSummary, Ranking, ScenarioSummary,
    ScoreCount, SwitchOfRun,
};
use crate::world::Scenario;
use flakelab_core::balancer::Ledger;
use flakelab_core::domain::{Purpose, Streams};
use flakelab_core::stats::{
    AgainstBest, Moments, NORMAL_ABOVE_REPLICATIONS, NORMAL_DRAWS, PairedComparison, RESAMPLES,
    p_best, p_best_normal,
};
use flakelab_core::strategy::Notes;

/// So many first replications tell what the traces leave open: more draws know quantiles no better,
/// and memory must not grow with replications.
const FIRST_KEPT: usize = 16_384;

/// The numbers of one scenario, growing replication by replication.
pub(crate) struct ScenarioSums<'p> {
    plan: &'p Plan,
    scenario: usize,
    rows: Vec<Row>,
    sums: Vec<ContenderSums>,
    /// Positions in the plan of the contenders that are ranked.
    ranked: Vec<usize>,
    comparison: PairedComparison,
    parameters: Parameters,
    /// Scores by draw of the parameters, all contenders; none if nothing is drawn.
    spread: Option<ParameterSpread>,
    /// Scores of the ranked contenders, replication by replication, for the bootstrap; only the
    /// first when there are too many.
    scores: Vec<f64>,
    replications: u64,
}

/// The numbers of one contender.
#[derive(Default)]
struct ContenderSums {
    score: Moments,
    oracle_regret: Moments,
    success_rate: Moments,
    attempts_per_request: Moments,
    retries: Moments,
    penalty: Moments,
    rate_limited: Moments,
    timed_out: Moments,
    regret: Moments,
    attempts: u64,
    latency: Latencies,
    curve: Vec<Moments>,
    attempts_by_rank: Vec<u64>,
    notes: NotesSums,
    /// In increasing order of score.
    score_counts: Vec<ScoreCount>,
}

/// Request latency in nanoseconds, from a microsecond to 146 years, to three significant digits.
struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1_000, 1 << 62, 3);
        Self(histogram.unwrap_or_else(|_| unreachable!("the library accepts these constants")))
    }
}

impl<'p> ScenarioSums<'p> {
    pub(crate) fn new(plan: &'p Plan, scenario: usize) -> Self {
        let Scenario { requests, ref model, .. } = plan.scenarios[scenario];
        let sums = |_: &Contender| ContenderSums {
            curve: vec![Moments::default(); curve_points(requests)],
            attempts_by_rank: vec![0; model.servers()],
            ..ContenderSums::default()
        };
        let ranked: Vec<usize> =
            (0..plan.contenders.len()).filter(|i| !plan.contenders[*i].reference).collect();
        let parameters = Parameters::of(model, plan.parameter_uncertainty);
        let drawn = parameters == Parameters::Drawn;
        Self {
            plan,
            scenario,
            parameters,
            spread: drawn.then(|| ParameterSpread::new(plan.contenders.len())),
            rows: Vec::new(),
            sums: plan.contenders.iter().map(sums).collect(),
            comparison: PairedComparison::new(ranked.len()),
            ranked,
            scores: Vec::new(),
            replications: 0,
        }
    }

    /// Takes in the next replication: one [`Played`] a contender, the oracle first.
    pub(crate) fn fold(&mut self, replication: u64, played: &[Played]) {
        let rules = &self.plan.scenarios[self.scenario].rules;
        let oracle = &played[0];
        let oracle_score = oracle.ledger.score(rules).score();
        for (contender, (sums, played)) in self.sums.iter_mut().zip(played).enumerate() {
            let Played { ledger, latencies_ns, curve, attempts_by_rank, .. } = played;
            let score = ledger.score(rules);
            let oracle_regret = oracle_score - score.score();
            sums.score.push(score.score());
            sums.oracle_regret.push(oracle_regret);
            let requests = ledger.arrived as f64;
            sums.success_rate.push(ledger.answered_ok as f64 / requests);
            sums.attempts_per_request.push(ledger.attempts as f64 / requests);
            sums.retries.push(ledger.retries as f64);
            sums.penalty.push(score.penalty);
            sums.rate_limited.push(ledger.rate_limited() as f64);
            sums.timed_out.push(ledger.timed_out() as f64);
            sums.regret.push(score.regret() as f64);
            sums.attempts += ledger.attempts;
            let place = |of: &ScoreCount| of.score.total_cmp(&score.score());
            match sums.score_counts.binary_search_by(place) {
                Ok(i) => sums.score_counts[i].replications += 1,
                Err(i) => {
                    let first = ScoreCount { score: score.score(), replications: 1 };
                    sums.score_counts.insert(i, first);
                }
            }
            for latency in latencies_ns {
                sums.latency.0.saturating_record(*latency);
            }
            for ((point, own), best) in sums.curve.iter_mut().zip(curve).zip(&oracle.curve) {
                point.push(best - own);
            }
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
        let scores: Vec<f64> = played.iter().map(|p| p.ledger.score(rules).score()).collect();
        if let Some(spread) = &mut self.spread {
            spread.push(&scores);
        }
        let scores: Vec<f64> = self.ranked.iter().map(|i| scores[*i]).collect();
        self.comparison.push(&scores);
        self.replications += 1;
        if self.replications <= NORMAL_ABOVE_REPLICATIONS {
            self.scores.extend(scores);
        } else {
            self.scores.truncate(FIRST_KEPT * self.ranked.len());
        }
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

    /// The ranked contender with the highest mean score so far.
    pub(crate) fn leader(&self) -> (String, &Moments) {
        let best = self.comparison.best();
        let label = self.plan.contenders[self.ranked[best]].label.clone();
        (label, self.comparison.moments(best))
    }

    /// The final numbers, of at least one replication.
    pub(crate) fn finish(self, streams: &Streams) -> ScenarioSummary {
        let scenario = &self.plan.scenarios[self.scenario];
        let has_rate_limit = self.plan.played(self.scenario).model.has_rate_limit();
        let rankings = self.rankings(streams);
        let summarise = |i: usize, ranking: Option<Ranking>| {
            let label = &self.plan.contenders[i].label;
            let parameter_sd = self.spread.as_ref().and_then(|spread| spread.score_sd(i));
            self.sums[i].summarise(label, scenario.requests, parameter_sd, ranking)
        };
        let mut contenders: Vec<ContenderSummary> = (0..self.sums.len())
            .filter(|i| !self.ranked.contains(i))
            .map(|i| summarise(i, None))
            .collect();
        let mut ranked: Vec<ContenderSummary> = self
            .ranked
            .iter()
            .zip(&rankings)
            .map(|(i, ranking)| summarise(*i, Some(*ranking)))
            .collect();
        ranked.sort_by_key(|c| c.ranking.map(|r| r.rank));
        contenders.append(&mut ranked);
        ScenarioSummary {
            config: scenario.name.clone(),
            requests: scenario.requests,
            requests_per_second: scenario.requests_per_second,
            replications: self.replications,
            has_rate_limit,
            oracle_is_bound: !has_rate_limit && scenario.model.conditions.is_none(),
            parameters: self.parameters,
            assumed: scenario.model.assumed(),
            p_best_is_normal_approximation: self.replications > NORMAL_ABOVE_REPLICATIONS,
            contenders,
        }
    }

    fn rankings(&self, streams: &Streams) -> Vec<Ranking> {
        let k = self.ranked.len();
        let p_best = if self.replications <= NORMAL_ABOVE_REPLICATIONS {
            p_best(&self.scores, k, RESAMPLES, |resample| {
                streams.stream(Purpose::Analysis, 0, resample)
            })
        } else {
            let mut rng = streams.stream(Purpose::Analysis, 0, 0);
            p_best_normal(&self.comparison, NORMAL_DRAWS, &mut rng)
        };
        let best = self.comparison.best();
        let ranks = self.comparison.ranks();
        let against_best = self.comparison.against_best(CONFIDENCE);
        let ranking = |i: usize| {
            let AgainstBest { difference: delta, interval: joint, tied, replications_to_separate } =
                against_best[i];
            let spread = self.spread.as_ref();
            let (own, best_one) = (self.ranked[i], self.ranked[best]);
            Ranking {
                rank: ranks[i],
                tied_with_best: tied,
                delta,
                delta_interval: joint,
                delta_parameter_sd: spread.and_then(|s| s.difference_sd(own, best_one)),
                lead_left_open: spread.filter(|_| i != best).and_then(|_| {
                    let rows = self.scores.chunks_exact(k).take(FIRST_KEPT);
                    lead_left_open(rows.map(|row| row[best] - row[i]))
                }),
                replications_to_separate,
                p_best: p_best[i],
                pairing_gain: (i != best).then(|| self.comparison.variance_ratio(i, best)),
            }
        };
        (0..k).map(ranking).collect()
    }
}

impl ContenderSums {
    fn summarise(
        &self,
        label: &str,
        requests_per_run: u64,
        score_parameter_sd: Option<ParameterSd>,
        ranking: Option<Ranking>,
    ) -> ContenderSummary {
        let latency_ms = |p| self.latency.0.value_at_quantile(p) as f64 * 1e-6;
        let points = self.curve.len() as u64;
        let curve = (1..).zip(&self.curve).map(|(point, moments): (u64, &Moments)| CurvePoint {
            // The last request n with n x points / requests below `point`, counted from 1.
            requests: (point * requests_per_run).div_ceil(points),
            mean: moments.mean(),
            interval: moments.mean_interval(CONFIDENCE),
        });
        let share = |attempts: &u64| *attempts as f64 / (self.attempts as f64).max(1.0);
        ContenderSummary {
            strategy: label.to_owned(),
            score: Mean::of(&self.score),
            score_parameter_sd,
            success_rate: Mean::of(&self.success_rate),
            attempts_per_request: Mean::of(&self.attempts_per_request),
            retries: Mean::of(&self.retries),
            penalty: Mean::of(&self.penalty),
            rate_limited: Mean::of(&self.rate_limited),
            timed_out: Mean::of(&self.timed_out),
            regret: Mean::of(&self.regret),
            oracle_regret: Mean::of(&self.oracle_regret),
            latency_p50_ms: latency_ms(0.5),
            latency_p90_ms: latency_ms(0.9),
            latency_p99_ms: latency_ms(0.99),
            latency_p999_ms: latency_ms(0.999),
            ranking,
            score_counts: self.score_counts.clone(),
            oracle_regret_curve: curve.collect(),
            attempt_share_by_rank: self.attempts_by_rank.iter().map(share).collect(),
            notes: self.notes.summarise(),
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
            filtered_by_health: Mean::of(&self.filtered_by_health),
            switches: Mean::of(&self.switches),
            load_variance: Mean::of(&self.load_variance),
            busiest_share: Mean::of(&self.busiest_share),
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
