//! The threads that send attempts, each blocked in one at a time.
//!
//! As many as the balancer has attempts in flight at once, which is at most
//! `max_requests_in_service`; started when first needed and kept. The decision thread knows which
//! are idle, because each tells when it is done, so no lock is shared.
//!
//! When not to use it: for thousands at a time; a thread each is then too much.

use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, mpsc};
use std::thread;

use crate::proxy::messages::{Message, Report};
use crate::target::{Client, Target};
use flakelab_core::domain::{Attempt, Identifier};

/// An attempt to send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    pub(crate) attempt: Attempt,
    pub(crate) identifier: Identifier,
}

/// All senders of a proxy. Those that are blocked when it is dropped end with their attempt.
#[derive(Debug)]
pub(crate) struct Senders {
    client: Client,
    targets: Arc<[Target]>,
    reports: Sender<Message>,
    threads: Vec<Sender<Job>>,
    idle: Vec<usize>,
}

impl Senders {
    pub(crate) fn new(client: Client, targets: Arc<[Target]>, reports: Sender<Message>) -> Self {
        Self { client, targets, reports, threads: Vec::new(), idle: Vec::new() }
    }

    /// Hands an attempt to an idle sender. Its report comes back as a message, always.
    pub(crate) fn send(&mut self, job: Job) {
        let sender = self.idle.pop().or_else(|| self.spawn());
        let handed = sender
            .and_then(|sender| self.threads.get(sender))
            .is_some_and(|jobs| jobs.send(job).is_ok());
        if !handed {
            // Like a connection that cannot be made: the client's end failed, and the request may
            // have another attempt.
            drop(Owed { reports: &self.reports, report: Report::failed(job.attempt, None) });
        }
    }

    /// A sender has reported and may be used again.
    pub(crate) fn is_idle_again(&mut self, sender: usize) {
        self.idle.push(sender);
    }

    fn spawn(&mut self) -> Option<usize> {
        let sender = self.threads.len();
        let (jobs, inbox) = mpsc::channel();
        let (client, targets) = (self.client.clone(), Arc::clone(&self.targets));
        let reports = self.reports.clone();
        let work = move || run(sender, &client, &targets, &inbox, &reports);
        thread::Builder::new().name(format!("sender {sender}")).spawn(work).ok()?;
        self.threads.push(jobs);
        Some(sender)
    }
}

/// A report that is sent when it is dropped, so even if the attempt ends in a panic: the request
/// goes on, and is not forgotten.
struct Owed<'a> {
    reports: &'a Sender<Message>,
    report: Report,
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        // Nobody listens only when nobody decides any more.
        let _ = self.reports.send(Message::Finished(self.report));
    }
}

fn run(
    sender: usize,
    client: &Client,
    targets: &[Target],
    jobs: &Receiver<Job>,
    reports: &Sender<Message>,
) {
    for Job { attempt, identifier } in jobs {
        let mut owed = Owed { reports, report: Report::failed(attempt, Some(sender)) };
        // There are as many targets as servers.
        if let Some(target) = targets.get(attempt.server.index()) {
            let (outcome, cause, took) = client.attempt(target, identifier.as_str());
            (owed.report.outcome, owed.report.cause) = (outcome, cause);
            owed.report.ended = owed.report.began + took;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use flakelab_core::domain::{AttemptId, Outcome, RequestId, ServerId, Timestamp};

    #[test]
    fn every_attempt_is_reported_and_threads_are_used_again() {
        let (_socket, target) = Target::of_nobody();
        let (reports, reported) = mpsc::channel();
        let client = Client::new(Duration::from_secs(5)).unwrap();
        let mut senders = Senders::new(client, vec![target].into(), reports);
        let identifier = "abcdefghijklmnopqrstuvWX".parse().unwrap();
        let next = || {
            let Ok(Message::Finished(report)) = reported.recv() else { panic!("no report") };
            assert!(report.began <= report.ended && report.outcome == Outcome::Failure);
            report
        };
        for (in_flight, round) in [1, 3, 2, 3].into_iter().zip(0..) {
            // Of a server that is not there too: its attempt fails, and is not lost.
            let ids = (0..in_flight).map(|i| AttemptId(10 * round + i));
            for (id, server) in ids.clone().zip([0, 7, 0]) {
                let (request, server) = (RequestId(0), ServerId(server));
                let attempt = Attempt { id, request, number: 0, server, sent_at: Timestamp::ZERO };
                senders.send(Job { attempt, identifier });
            }
            let mut seen: Vec<AttemptId> = Vec::new();
            for _ in 0..in_flight {
                let report = next();
                seen.push(report.attempt.id);
                senders.is_idle_again(report.sender.unwrap());
            }
            seen.sort();
            assert_eq!(seen, ids.collect::<Vec<_>>());
        }
        assert_eq!(senders.threads.len(), 3);
    }
}
