//! The strategy that a picker becomes with the family's common eyes.

use rand_chacha::ChaCha8Rng;

use super::spec::Watch;
use super::view::View;
use crate::domain::{Attempt, Fleet, Outcome, PendingRequest, ServerId, ServerSet, Timestamp};
use crate::strategy::{Decision, Notes, ServerEstimate, Strategy};

/// Chooses among the servers considered.
pub trait Pick: Send {
    /// A server considered by `view`, of the least tier if it can find one.
    fn pick(&mut self, view: &View, tried: &ServerSet, rng: &mut ChaCha8Rng) -> ServerId;

    /// An attempt was sent; `view` counts it already.
    fn on_sent(&mut self, _view: &View) {}

    /// An attempt ended.
    fn on_outcome(&mut self, _now: Timestamp, _attempt: &Attempt, _outcome: Outcome) {}

    /// What there is to tell, beyond `notes` of the view.
    fn notes(&self, notes: Notes) -> Notes {
        notes
    }
}

/// A picker with eyes.
#[derive(Debug)]
pub struct Mesh<P> {
    view: View,
    picker: P,
    rng: ChaCha8Rng,
}

impl<P> Mesh<P> {
    /// A fresh one in front of `fleet`.
    pub fn new(watch: Watch, picker: P, fleet: &Fleet, rng: ChaCha8Rng) -> Self {
        Self { view: View::new(watch, fleet), picker, rng }
    }
}

impl<P: Pick> Strategy for Mesh<P> {
    fn decide(&mut self, now: Timestamp, request: &PendingRequest) -> Decision {
        self.view.before_choice(now);
        let tried = self.view.tried(request);
        Decision::Send(self.picker.pick(&self.view, tried, &mut self.rng))
    }

    fn on_sent(&mut self, now: Timestamp, attempt: &Attempt) {
        self.view.on_sent(now, attempt);
        self.picker.on_sent(&self.view);
    }

    fn on_outcome(&mut self, now: Timestamp, attempt: &Attempt, outcome: Outcome) {
        self.view.on_outcome(now, attempt, outcome);
        self.picker.on_outcome(now, attempt, outcome);
    }

    fn estimates(&self) -> Vec<ServerEstimate> {
        self.view.estimates()
    }

    fn notes(&self) -> Option<Notes> {
        Some(self.picker.notes(self.view.notes()))
    }
}
