//! Three sides count the same run: the load generator, the proxy, the servers. Do they agree?
//!
//! What disagrees is a bug or a fault on the way (an attempt that timed out before the server
//! wrote it down, say), never luck.

use serde::Serialize;

use super::LivePage;
use crate::balancer::ServerCounts;
use crate::report::numbers::thousands;
use crate::validate::forecast::{LiveRun, RequestEnd};

/// The counts of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reconciliation {
    /// The strategy's label.
    pub strategy: String,
    /// What was counted.
    pub counts: Vec<ReconciledCount>,
}

/// One thing that more than one side counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReconciledCount {
    /// What, in words.
    pub what: String,
    /// By the load generator; none if it cannot know.
    pub load_generator: Option<u64>,
    /// By the proxy.
    pub proxy: Option<u64>,
    /// By the servers' log; none without such a log.
    pub servers: Option<u64>,
    /// Whether all that counted it found the same.
    pub agree: bool,
}

impl Reconciliation {
    /// Puts the run's counts side by side with those of the servers' log, one entry a server in
    /// the model's order; none if the servers keep no log that we know.
    #[must_use]
    pub fn new(run: &LiveRun, log: Option<&[ServerCounts]>) -> Self {
        let ends = |end: RequestEnd| run.requests.iter().filter(|r| r.end == end).count() as u64;
        let of_log = |count: fn(&ServerCounts) -> u64| log.map(|log| log.iter().map(count).sum());
        let ledger = &run.ledger;
        // Nobody tells the load generator of the attempts of a request that got no answer.
        let said = (ends(RequestEnd::Lost) == 0)
            .then(|| run.requests.iter().map(|r| u64::from(r.attempts)).sum());
        let ok = |servers: &[ServerCounts]| servers.iter().map(|s| s.successes).sum();
        let counted = ReconciledCount::new;
        let mut counts = vec![
            counted("requests", Some(run.requests.len() as u64), Some(ledger.arrived), None),
            counted("answered 200", Some(ends(RequestEnd::Ok)), Some(ledger.answered_ok), None),
            counted(
                "answered 500",
                Some(ends(RequestEnd::Error)),
                Some(ledger.answered_error),
                None,
            ),
            counted("attempts", said, Some(ledger.attempts), of_log(|s| s.attempts)),
            counted(
                "attempts that succeeded",
                None,
                Some(ok(&ledger.servers)),
                of_log(|s| s.successes),
            ),
            counted(
                "attempts refused with 429",
                None,
                Some(ledger.rate_limited()),
                of_log(|s| s.rate_limited),
            ),
        ];
        if let Some(log) = log {
            // Sums may agree by chance; servers one by one hardly do.
            let by_server = |servers: &[ServerCounts]| -> Vec<u64> {
                servers.iter().map(|s| s.attempts).collect()
            };
            let differ = ReconciledCount {
                what: "servers whose own count of attempts differs".to_owned(),
                load_generator: None,
                proxy: None,
                servers: Some(differences(&by_server(&ledger.servers), &by_server(log))),
                agree: by_server(&ledger.servers) == by_server(log),
            };
            counts.push(differ);
        }
        Self { strategy: run.strategy.label(), counts }
    }

    /// Whether all sides agree on everything.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.counts.iter().all(|count| count.agree)
    }
}

impl ReconciledCount {
    /// `attempts: load generator 114, proxy 114, servers 113`.
    fn told(&self) -> String {
        let sides = [
            ("load generator", self.load_generator),
            ("proxy", self.proxy),
            ("servers", self.servers),
        ];
        let known: Vec<String> = sides
            .iter()
            .filter_map(|(side, count)| count.map(|n| format!("{side} {}", thousands(n))))
            .collect();
        format!("{}: {}", self.what, known.join(", "))
    }

    fn new(
        what: &str,
        load_generator: Option<u64>,
        proxy: Option<u64>,
        servers: Option<u64>,
    ) -> Self {
        let mut known = [load_generator, proxy, servers].into_iter().flatten();
        let first = known.next();
        let agree = known.all(|count| Some(count) == first);
        Self { what: what.to_owned(), load_generator, proxy, servers, agree }
    }
}

/// Whether the counts of the runs agree, in a sentence, those that do not one by one; empty
/// where nothing was counted.
#[must_use]
pub fn live_counts(page: &LivePage) -> String {
    let runs = page.reconciliation;
    if runs.is_empty() {
        return String::new();
    }
    let has_log = runs.iter().flat_map(|run| &run.counts).any(|count| count.servers.is_some());
    let sides =
        if has_log { "Load generator, proxy and servers" } else { "Load generator and proxy" };
    let differing: Vec<String> = runs
        .iter()
        .flat_map(|run| run.counts.iter().filter(|c| !c.agree).map(move |c| (run, c)))
        .map(|(run, count)| format!("{}: {}", run.strategy, count.told()))
        .collect();
    match &differing[..] {
        [] => format!("{sides} agree on every count of every run."),
        some => format!("{sides} do not agree. {}.", some.join("; ")),
    }
}

/// Positions at which two lists differ.
fn differences(a: &[u64], b: &[u64]) -> u64 {
    let both = a.iter().zip(b).filter(|(a, b)| a != b).count();
    (both + a.len().abs_diff(b.len())) as u64
}
