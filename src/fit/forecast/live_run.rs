//! What was seen of one strategy's live run.
//!
//! Only finished runs belong here: every request that was due was sent. A run that was cut short
//! is shorter than what was predicted and would be judged as bad luck.

use crate::forecast::metric::{Counted, RunMetric};
use crate::forecast::servers::tally;
use crate::rates::Tally;
use flakelab_core::balancer::Ledger;
use flakelab_core::domain::{Rules, Span};
use flakelab_core::stats::nearest_rank;
use flakelab_core::strategy::StrategySpec;

/// A request that leaves so much later than due, in milliseconds, was held up by this machine: on
/// an idle one, 99 of 100 leave within 0.2 ms.
pub const MOST_DRIFT_MS: f64 = 1.0;

/// One finished run, from the two sides that saw it: the proxy's counts, the load generator's
/// requests.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveRun {
    /// The strategy.
    pub strategy: StrategySpec,
    /// The proxy's counts.
    pub ledger: Ledger,
    /// By server, failures that were no answer: no HTTP, or a connection that ended before one was
    /// complete. None of servers beyond the list.
    pub no_http: Vec<u64>,
    /// Attempts whose connection was refused, by server; likewise.
    pub refused: Vec<u64>,
    /// The rules that it was played under.
    pub rules: Rules,
    /// In order of when they were due.
    pub requests: Vec<LiveRequest>,
}

/// One request, as the load generator saw it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LiveRequest {
    /// When it was due, in milliseconds after the first.
    pub due_ms: f64,
    /// How much later than due it was sent, in milliseconds.
    pub drift_ms: f64,
    /// From when it was due until its answer was read, in milliseconds; none if there was none.
    pub latency_ms: Option<f64>,
    /// How it ended.
    pub end: RequestEnd,
    /// Attempts that the proxy says it took; 0 if it says nothing.
    pub attempts: u32,
}

/// How a request ended for the load generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestEnd {
    /// Answered 200.
    Ok,
    /// Answered 500.
    Error,
    /// Answered with another status.
    Refused(u16),
    /// No answer.
    Lost,
}

impl LiveRun {
    /// The value of a metric; NaN where nothing says it (a latency without any answer).
    ///
    /// Whether a request was answered 200 is the load generator's word, attempts are the proxy's.
    /// Latencies are over the requests that got any answer.
    pub fn value(&self, metric: RunMetric) -> f64 {
        let quantile = |p| latency_quantile(&mut self.latencies_ns(), p);
        match metric {
            RunMetric::LatencyP50 => quantile(0.5),
            RunMetric::LatencyP99 => quantile(0.99),
            counted => self.counted().value(counted).unwrap_or(f64::NAN),
        }
    }

    /// Whether this machine had no time for the run: more than one request in twenty left more
    /// than [`MOST_DRIFT_MS`] late. The path to the servers is then not the one that was measured.
    ///
    /// That is known without looking at a single answer, so leaving out such runs' latencies
    /// favours neither side.
    pub fn is_disturbed(&self) -> bool {
        let late = self.requests.iter().filter(|request| request.drift_ms > MOST_DRIFT_MS).count();
        20 * late > self.requests.len()
    }

    /// Whether this machine is known to have stood still for so long: a request left as late. Known
    /// without looking at an answer, too.
    pub(crate) fn stood_still_for(&self, ms: f64) -> bool {
        self.requests.iter().any(|request| request.drift_ms >= ms)
    }

    /// What each server did with the attempts that it accepted: successes against failures,
    /// attempts without an answer in time among the latter. Refusals (429) are no coins.
    pub fn tallies(&self) -> Vec<Tally> {
        self.ledger.servers.iter().map(tally).collect()
    }

    /// For each of these runs the tallies of all the others, added up by server: what
    /// [`Forecast::given_other_runs`](crate::Forecast::given_other_runs) asks for.
    pub fn tallies_of_others(runs: &[Self]) -> Vec<Vec<Tally>> {
        let others_of = |left_out: usize| {
            let servers = runs.iter().map(|run| run.ledger.servers.len()).max().unwrap_or(0);
            let mut pooled = vec![Tally::default(); servers];
            for (_, run) in runs.iter().enumerate().filter(|(i, _)| *i != left_out) {
                for (sum, tally) in pooled.iter_mut().zip(run.tallies()) {
                    sum.add(tally);
                }
            }
            pooled
        };
        (0..runs.len()).map(others_of).collect()
    }

    fn counted(&self) -> Counted<'_> {
        let answered = self.requests.iter().filter(|r| r.end == RequestEnd::Ok).count();
        Counted {
            requests: self.requests.len() as u64,
            answered_ok: answered as u64,
            ledger: &self.ledger,
            rules: &self.rules,
        }
    }

    fn latencies_ns(&self) -> Vec<u64> {
        let answered = self.requests.iter().filter_map(|request| request.latency_ms);
        answered.map(|ms| Span::from_millis_f64(ms).as_nanos()).collect()
    }
}

/// The nearest rank of latencies in nanoseconds, in milliseconds; NaN of none.
pub(crate) fn latency_quantile(latencies_ns: &mut [u64], p: f64) -> f64 {
    nearest_rank(latencies_ns, p).map_or(f64::NAN, |ns| ns as f64 * 1e-6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::tally;
    use flakelab_core::balancer::ServerCounts;

    fn request(latency_ms: Option<f64>, end: RequestEnd) -> LiveRequest {
        LiveRequest { due_ms: 0.0, drift_ms: 0.0, latency_ms, end, attempts: 1 }
    }

    fn run(requests: Vec<LiveRequest>) -> LiveRun {
        let mut ledger = Ledger::new(2);
        ledger.arrived = requests.len() as u64;
        (ledger.attempts, ledger.extra_attempts) = (8, 2);
        ledger.servers[0] =
            ServerCounts { attempts: 6, successes: 2, failures: 1, rate_limited: 2, timed_out: 1 };
        ledger.servers[1] = ServerCounts { attempts: 2, successes: 1, ..ledger.servers[1] };
        ledger.servers[1].failures = 1;
        let strategy = StrategySpec::from_name("v1").unwrap();
        let rules = Rules { penalty_per_extra_attempt: 0.5, ..Rules::default() };
        LiveRun { strategy, ledger, no_http: Vec::new(), refused: Vec::new(), rules, requests }
    }

    #[test]
    fn values_are_those_worked_out_by_hand() {
        let run = run(vec![
            request(Some(3.0), RequestEnd::Ok),
            request(Some(1.0), RequestEnd::Ok),
            request(Some(9.0), RequestEnd::Error),
            request(None, RequestEnd::Lost),
        ]);
        let values = RunMetric::ALL.map(|metric| run.value(metric));
        assert_eq!(values, [1.0, 0.5, 8.0, 1.0, 2.0, 3.0, 9.0, 0.75]);
    }

    #[test]
    fn a_run_without_any_answer_has_no_latency_and_one_without_attempts_no_busiest_server() {
        let mut run = run(vec![request(None, RequestEnd::Lost)]);
        run.ledger = Ledger::new(2);
        assert!(run.value(RunMetric::LatencyP50).is_nan());
        assert_eq!(run.value(RunMetric::BusiestShare), 0.0);
        assert_eq!(run.value(RunMetric::SuccessRate), 0.0);
    }

    #[test]
    fn the_tallies_of_others_leave_the_run_itself_and_its_refusals_out() {
        let runs = [run(Vec::new()), run(Vec::new()), run(Vec::new())];
        assert_eq!(runs[0].tallies(), [tally(2, 2), tally(1, 1)]);
        let others = LiveRun::tallies_of_others(&runs);
        assert_eq!(others, vec![vec![tally(4, 4), tally(2, 2)]; 3]);
    }
}
