//! The threads that send attempts, each blocked in one at a time.
//!
//! As many as the balancer has attempts in flight at once, which is at most
//! `max_requests_in_service`; started when first needed and kept. The decision thread knows which
//! are idle, because each tells when it is done, so no lock is shared.
//!
//! When not to use it: for thousands at a time; a thread each is then too much.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Instant;

use super::Message;
use crate::domain::{AttemptId, Identifier, Outcome, ServerId};
use crate::live::{Client, Target};

/// An attempt to send.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    pub(super) attempt: AttemptId,
    pub(super) server: ServerId,
    pub(super) identifier: Identifier,
}

/// How an attempt went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Report {
    pub(super) attempt: AttemptId,
    pub(super) outcome: Outcome,
    /// When it was sent, and when its outcome was known.
    pub(super) began: Instant,
    pub(super) ended: Instant,
    /// Who sent it; `None` if there was no thread for it.
    pub(super) sender: Option<usize>,
}

/// All senders of a proxy. Those that are blocked when it is dropped end with their attempt.
#[derive(Debug)]
pub(super) struct Senders {
    client: Client,
    targets: Arc<[Target]>,
    reports: Sender<Message>,
    threads: Vec<Sender<Job>>,
    idle: Vec<usize>,
}

impl Senders {
    pub(super) fn new(client: Client, targets: Arc<[Target]>, reports: Sender<Message>) -> Self {
        Self { client, targets, reports, threads: Vec::new(), idle: Vec::new() }
    }

    /// Hands an attempt to an idle sender. Its report comes back as a message, always.
    pub(super) fn send(&mut self, job: Job) {
        let sender = self.idle.pop().or_else(|| self.spawn());
        let handed = sender
            .and_then(|sender| self.threads.get(sender))
            .is_some_and(|jobs| jobs.send(job).is_ok());
        if !handed {
            // Like a connection that cannot be made: the client's end failed, and the request may
            // have another attempt.
            let now = Instant::now();
            let outcome = Outcome::Failure;
            let report =
                Report { attempt: job.attempt, outcome, began: now, ended: now, sender: None };
            // Nobody listens only when nobody decides any more.
            let _ = self.reports.send(Message::Finished(report));
        }
    }

    /// A sender has reported and may be used again.
    pub(super) fn is_idle_again(&mut self, sender: usize) {
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

fn run(
    sender: usize,
    client: &Client,
    targets: &[Target],
    jobs: &Receiver<Job>,
    reports: &Sender<Message>,
) {
    for Job { attempt, server, identifier } in jobs {
        let began = Instant::now();
        let (outcome, took) = match targets.get(server.index()) {
            Some(target) => client.attempt(target, identifier.as_str()),
            None => (Outcome::Failure, std::time::Duration::ZERO),
        };
        let ended = began + took;
        let report = Report { attempt, outcome, began, ended, sender: Some(sender) };
        if reports.send(Message::Finished(report)).is_err() {
            return;
        }
    }
}
