//! Adaptive: switches between the three simple balancers by what it sees happening.
//!
//! Three signals, each measured over windows of `window` outcomes (429s not counted): the variance
//! over servers of requests in flight, the share of failures, and the trend of latency (log of
//! the window's mean success latency over that of the windows before). What counts as much is
//! learned from the strategy's own history, see [`Signal`]. Then:
//!
//! - failures or latency rising: `power-of-two`, which follows health but does not send
//!   everything to the one server that looks best on stale information;
//! - else load uneven: `least-connections`, which evens it out with full knowledge;
//! - else `weighted-round-robin`, which keeps to the declared shares.
//!
//! Against flapping: a signal rises at `enter` standard deviations above its mean and falls at
//! `leave`, each seen in two windows in a row; after a switch the choice stays for `dwell`
//! windows at least. Every switch is kept with time and reason.
//!
//! Limits: in a short run nothing is learned (warm-up is eight windows). The rule which
//! balancer answers which signal is a judgement, not a theorem. All three share health and load,
//! so a switch loses nothing; the round robin's credits are those of its last turn.

mod signal;
mod window;

use rand_chacha::ChaCha8Rng;

use self::signal::{Bounds, Signal};
use self::window::{Window, Windowed};
use super::least_connections::LeastConnections;
use super::mesh_strategy::{Mesh, Pick};
use super::power_of_two::PowerOfTwo;
use super::spec::mesh_declared;
use super::view::View;
use super::weighted_round_robin::WeightedRoundRobin;
use crate::domain::{Attempt, Fleet, Outcome, ServerId, ServerSet, Timestamp};
use crate::strategy::declared::Range;
use crate::strategy::{Notes, SWITCHES_KEPT, Switch};

mesh_declared! {
    name: "adaptive",
    idea: "switches between the three by uneven load, failures and latency, as learned",
    build: |spec, fleet, rng| Mesh::new(spec.watch(), Adaptive::new(spec, fleet), fleet, rng),
    pub struct AdaptiveSpec {
        /// outcomes over which signals are measured
        window: u32 = 32, Range::whole(1, 1_000_000, (8, 256));
        /// windows that a choice is kept at least
        dwell: u32 = 5, Range::whole(0, 1_000_000, (0, 50));
        /// standard deviations above its own mean at which a signal counts as high
        enter: f64 = 3.0, Range::number(0.0, 1e3, (1.0, 6.0));
        /// standard deviations above its own mean at which it no longer does
        leave: f64 = 1.0, Range::number(-1e3, 1e3, (0.0, 3.0));
    }
}

/// A way of choosing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    RoundRobin,
    LeastConnections,
    PowerOfTwo,
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "weighted-round-robin",
            Self::LeastConnections => "least-connections",
            Self::PowerOfTwo => "power-of-two",
        }
    }
}

/// Switches between balancers.
#[derive(Debug)]
pub struct Adaptive {
    round_robin: WeightedRoundRobin,
    least_connections: LeastConnections,
    power_of_two: PowerOfTwo,
    way: Way,
    window: Window,
    dwell: u32,
    /// Windows since the last switch.
    stayed: u32,
    bounds: Bounds,
    variance: Signal,
    failures: Signal,
    latency: Signal,
    switched: u64,
    switches: Vec<Switch>,
}

impl Adaptive {
    /// Begins with round robin.
    pub fn new(spec: AdaptiveSpec, fleet: &Fleet) -> Self {
        Self {
            round_robin: WeightedRoundRobin::new(1, fleet),
            least_connections: LeastConnections::new(false),
            power_of_two: PowerOfTwo::new(true),
            way: Way::RoundRobin,
            window: Window::new(spec.window.max(1)),
            dwell: spec.dwell,
            stayed: 0,
            bounds: Bounds { enter: spec.enter, leave: spec.leave.min(spec.enter) },
            variance: Signal::default(),
            failures: Signal::default(),
            latency: Signal::default(),
            switched: 0,
            switches: Vec::new(),
        }
    }

    /// A window is full: what it says, and whether that calls for another way.
    fn judge(&mut self, now: Timestamp, seen: &Windowed) {
        self.variance.observe(seen.load_variance, 0.0, self.bounds);
        self.failures.observe(seen.failure_share, seen.failure_noise(), self.bounds);
        if let Some(trend) = seen.latency_trend {
            self.latency.observe(trend, LEAST_TREND_SD, self.bounds);
        }
        self.stayed = self.stayed.saturating_add(1);
        let to = if self.failures.is_high() || self.latency.is_high() {
            Way::PowerOfTwo
        } else if self.variance.is_high() {
            Way::LeastConnections
        } else {
            Way::RoundRobin
        };
        if to != self.way && self.stayed >= self.dwell {
            self.switch(now, to);
        }
    }

    fn switch(&mut self, now: Timestamp, to: Way) {
        if self.switches.len() < SWITCHES_KEPT {
            let reason = self.reason();
            let (from, to) = (self.way.name(), to.name());
            self.switches.push(Switch { at: now, from, to, reason });
        }
        self.switched += 1;
        self.stayed = 0;
        self.way = to;
    }

    /// The signals that are high, with the bound that they passed.
    fn reason(&self) -> String {
        let signals = [
            ("failure share", &self.failures),
            ("latency trend", &self.latency),
            ("load variance", &self.variance),
        ];
        let high: Vec<String> = signals
            .iter()
            .filter(|(_, signal)| signal.is_high())
            .map(|(name, signal)| format!("{name} {}", signal.in_words(self.bounds)))
            .collect();
        if high.is_empty() { "all signals as usual again".to_owned() } else { high.join("; ") }
    }
}

/// The trend of latency is not told from none below this standard deviation: 5 %.
const LEAST_TREND_SD: f64 = 0.05;

impl Pick for Adaptive {
    fn pick(&mut self, view: &View, tried: &ServerSet, rng: &mut ChaCha8Rng) -> ServerId {
        match self.way {
            Way::RoundRobin => self.round_robin.pick(view, tried, rng),
            Way::LeastConnections => self.least_connections.pick(view, tried, rng),
            Way::PowerOfTwo => self.power_of_two.pick(view, tried, rng),
        }
    }

    fn on_sent(&mut self, view: &View) {
        self.window.add_load(view.load_variance());
    }

    fn on_outcome(&mut self, now: Timestamp, attempt: &Attempt, outcome: Outcome) {
        if let Some(seen) = self.window.add_outcome(outcome, now.since(attempt.sent_at)) {
            self.judge(now, &seen);
        }
    }

    fn notes(&self, notes: Notes) -> Notes {
        Notes { switched: self.switched, switches: self.switches.clone(), ..notes }
    }
}

#[cfg(test)]
mod tests;
