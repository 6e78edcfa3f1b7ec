//! Balancers as service meshes have them: they watch load and health, not success rates.
//!
//! All four share one view of the servers: declared weights and capacities, requests in
//! flight, a health score with a threshold. Each adds a way to pick among the servers considered.
//! An attempt is an attempt to them, the first of a request or its fifth; only that servers the
//! request has tried are avoided, as meshes do for retries.
//!
//! The common rule. Servers whose health is below the threshold are left out; when none passes,
//! all are considered. Among these, one with room is preferred to one at its declared capacity,
//! then one that the request has not tried to one that it has. What is left is up to the picker.
//!
//! When not to use it: in the game as it was set, one request is in service at a time, so that
//! there is no load to balance and health alone decides. They are made for many requests in
//! service.

mod adaptive;
mod health;
mod least_connections;
mod power_of_two;
mod view;
mod weighted_round_robin;

use rand_chacha::ChaCha8Rng;

use crate::domain::{Attempt, Fleet, Outcome, PendingRequest, ServerId, ServerSet, Timestamp};
use crate::strategy::mesh::health::Watch;
use crate::strategy::mesh::view::View;
use crate::strategy::{Decision, Notes, ServerEstimate, Strategy};

pub use self::adaptive::AdaptiveSpec;
pub use self::least_connections::LeastConnectionsSpec;
pub use self::power_of_two::PowerOfTwoSpec;
pub use self::weighted_round_robin::WeightedRoundRobinSpec;

/// Chooses among the servers considered.
pub trait Pick: Send {
    /// A server considered by `view`, of the least tier if it can find one.
    fn pick(&mut self, view: &View, tried: &ServerSet, rng: &mut ChaCha8Rng) -> ServerId;

    /// Before each choice: some servers are no longer as they were, see [`View::changed`].
    fn follow(&mut self, _view: &View) {}

    /// An attempt was sent; `view` counts it already.
    fn on_sent(&mut self, _view: &View) {}

    /// An attempt ended.
    fn on_outcome(&mut self, _now: Timestamp, _attempt: &Attempt, _outcome: Outcome) {}

    /// What there is to tell, beyond `notes` of the view.
    fn notes(&self, notes: Notes) -> Notes {
        notes
    }
}

/// The strategy that a picker becomes with the family's common eyes.
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
        self.picker.follow(&self.view);
        let tried = self.view.tried(request);
        let server = self.picker.pick(&self.view, tried, &mut self.rng);
        self.view.after_choice();
        Decision::Send(server)
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

/// `declared!` for this family: to a strategy's own parameters come those of [`Watch`], and `watch`
/// for these.
macro_rules! mesh_declared {
    (
        name: $name:literal,
        idea: $idea:literal,
        build: |$self:tt, $fleet:tt, $rng:tt| $build:expr,
        pub struct $spec:ident { $($own:tt)* }
    ) => {
        $crate::strategy::declared! {
            name: $name, group: Mesh,
            idea: $idea,
            build: |$self, $fleet, $rng| $build,
            pub struct $spec {
                $($own)*
                /// outcomes after which half of the older evidence on a server's health is gone
                half_life: f64 = 10.0, Range::number(0.1, 1e6, (2.0, 100.0));
                /// seconds in which half of what is held against a server fades
                recovery_s: f64 = 10.0, Range::number(1e-3, 1e9, (1.0, 1000.0));
                /// health below which a server is left out while another passes
                health_threshold: f64 = 0.5, Range::number(0.0, 1.0, (0.0, 1.0));
                /// the threshold is a share of the health of the healthiest server
                relative_threshold: bool = false, Range::Switch;
                /// a success slower than so many times the usual latency counts less
                slow_factor: f64 = 3.0, Range::number(1.0, 1e6, (1.0, 10.0));
                /// avoid servers that the request has tried, while another passes
                exclude_tried: bool = true, Range::Switch;
            }
        }

        impl $spec {
            /// How it watches health.
            pub fn watch(&self) -> $crate::strategy::mesh::health::Watch {
                $crate::strategy::mesh::health::Watch {
                    half_life: self.half_life,
                    recovery_s: self.recovery_s,
                    health_threshold: self.health_threshold,
                    relative_threshold: self.relative_threshold,
                    slow_factor: self.slow_factor,
                    exclude_tried: self.exclude_tried,
                }
            }
        }
    };
}
pub(crate) use mesh_declared;
