//! Three sides count the same run: the load generator, the proxy, the servers. Do they agree?
//!
//! What disagrees is a bug or a fault on the way (an attempt that timed out before the server
//! wrote it down, say), never luck.

use serde::Serialize;

use crate::balancer::ServerCounts;
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
        let said = run.requests.iter().map(|r| u64::from(r.attempts)).sum();
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
            counted("attempts", Some(said), Some(ledger.attempts), of_log(|s| s.attempts)),
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
                what: "servers with other attempts".to_owned(),
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

/// Positions at which two lists differ.
fn differences(a: &[u64], b: &[u64]) -> u64 {
    let both = a.iter().zip(b).filter(|(a, b)| a != b).count();
    (both + a.len().abs_diff(b.len())) as u64
}
