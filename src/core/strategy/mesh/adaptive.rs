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

use rand_chacha::ChaCha8Rng;

use crate::domain::{Attempt, Fleet, Outcome, ServerId, ServerSet, Span, Timestamp};
use crate::strategy::declared::Range;
use crate::strategy::mesh::health::weight_of_new;
use crate::strategy::mesh::least_connections::LeastConnections;
use crate::strategy::mesh::power_of_two::PowerOfTwo;
use crate::strategy::mesh::view::View;
use crate::strategy::mesh::weighted_round_robin::WeightedRoundRobin;
use crate::strategy::mesh::{Mesh, Pick, mesh_declared};
use crate::strategy::{Notes, SWITCHES_KEPT, Switch};

mesh_declared! {
    name: "adaptive",
    idea: "switches between the three by uneven load, failures and latency, as learned",
    build: |spec, fleet, rng| {
        let mut rng = rng;
        let picker = Adaptive::new(spec, fleet, &mut rng);
        Mesh::new(spec.watch(), picker, fleet, rng)
    },
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
    pub fn new(spec: AdaptiveSpec, fleet: &Fleet, rng: &mut ChaCha8Rng) -> Self {
        Self {
            round_robin: WeightedRoundRobin::somewhere(1, fleet, rng),
            least_connections: LeastConnections::new(false, fleet.servers()),
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
    fn follow(&mut self, view: &View) {
        self.round_robin.follow(view);
        self.least_connections.follow(view);
    }

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

// ---- A signal that knows from its own history what is usual, and when it is high.
//
// History is a mean and a variance, equally weighted at first and exponentially weighted once it
// is 64 windows long. A value is compared before it is learned from. While a signal is high, and
// of a value beyond the bound, it learns at an eighth of the rate: a disturbance does not pass for
// usual, but a new state of affairs does in the end (after some hundred windows).

/// Windows before anything counts as high.
const WARM_UP: u32 = 8;

/// Windows of history.
const MEMORY: u32 = 64;

/// How much slower an unusual value is learned from.
const CAUTION: f64 = 8.0;

/// Windows in a row that a change takes.
const CONFIRM: u32 = 2;

/// The standard deviation is this share of the mean at least, so that a signal that was constant
/// does not take any movement for a rise.
const LEAST_RELATIVE_SD: f64 = 0.05;

/// Where a signal rises and falls, in standard deviations above its mean.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    enter: f64,
    /// At most `enter`.
    leave: f64,
}

/// One signal.
#[derive(Debug, Clone, Default)]
struct Signal {
    seen: u32,
    mean: f64,
    variance: f64,
    high: bool,
    /// Windows in a row that spoke for a change.
    streak: u32,
    /// The newest value and what it was compared with.
    last: (f64, f64, f64),
}

impl Signal {
    /// The next window's value; `least_sd` is the least noise that it is known to have.
    fn observe(&mut self, value: f64, least_sd: f64, bounds: Bounds) {
        let sd = self.variance.sqrt().max(least_sd).max(LEAST_RELATIVE_SD * self.mean.abs());
        self.last = (value, self.mean, sd);
        let known = self.seen >= WARM_UP;
        let above = value - self.mean;
        let beyond = known && above > bounds.enter * sd;
        let speaks_for_change = known && if self.high { above < bounds.leave * sd } else { beyond };
        self.streak = if speaks_for_change { self.streak + 1 } else { 0 };
        if self.streak >= CONFIRM {
            self.high = !self.high;
            self.streak = 0;
        }
        self.learn(value, beyond || self.high);
    }

    fn is_high(&self) -> bool {
        self.high
    }

    /// The newest value against the bound that it rose over.
    fn in_words(&self, bounds: Bounds) -> String {
        let (value, mean, sd) = self.last;
        let high_above = mean + bounds.enter * sd;
        format!("{value:.4} (usual {mean:.4}, high above {high_above:.4})")
    }

    fn learn(&mut self, value: f64, unusual: bool) {
        self.seen = self.seen.saturating_add(1);
        let rate = 1.0 / f64::from(self.seen.min(MEMORY));
        let rate = if unusual { rate / CAUTION } else { rate };
        let off = value - self.mean;
        self.mean += rate * off;
        self.variance = (1.0 - rate) * (self.variance + rate * off * off);
    }
}

/// The latency of the past forgets half of itself in so many windows.
const PAST_HALF_LIFE: f64 = 8.0;

/// What a full window says.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Windowed {
    /// Mean over the attempts sent of the variance of load just after.
    load_variance: f64,
    /// Failures and timeouts among the outcomes.
    failure_share: f64,
    /// Log of the mean success latency over that of the windows before; none without successes
    /// or without a past.
    latency_trend: Option<f64>,
    outcomes: u32,
}

impl Windowed {
    /// The binomial standard deviation that a share of so many outcomes has by chance, with one
    /// success and one failure added so that it is never 0.
    fn failure_noise(&self) -> f64 {
        let n = f64::from(self.outcomes);
        let p = (self.failure_share * n + 1.0) / (n + 2.0);
        (p * (1.0 - p) / n).sqrt()
    }
}

/// A stretch of outcomes that is not full yet.
#[derive(Debug, Clone, Default)]
struct Window {
    length: u32,
    outcomes: u32,
    failures: u32,
    /// Milliseconds of the successes.
    latency_ms: f64,
    sent: u32,
    load_variance: f64,
    /// Log of the mean success latency of the past; none before the first window.
    past: Option<f64>,
}

impl Window {
    fn new(length: u32) -> Self {
        Self { length, ..Self::default() }
    }

    fn add_load(&mut self, variance: f64) {
        self.sent += 1;
        self.load_variance += variance;
    }

    /// The window's content if this outcome fills it; a new one begins then.
    fn add_outcome(&mut self, outcome: Outcome, latency: Span) -> Option<Windowed> {
        match outcome {
            Outcome::RateLimited => return None,
            Outcome::Success => self.latency_ms += latency.as_millis_f64(),
            Outcome::Failure | Outcome::TimedOut => self.failures += 1,
        }
        self.outcomes += 1;
        if self.outcomes < self.length {
            return None;
        }
        let successes = self.outcomes - self.failures;
        let log_latency = (successes > 0 && self.latency_ms > 0.0)
            .then(|| libm::log(self.latency_ms / f64::from(successes)));
        let seen = Windowed {
            load_variance: self.load_variance / f64::from(self.sent.max(1)),
            failure_share: f64::from(self.failures) / f64::from(self.outcomes),
            latency_trend: log_latency.zip(self.past).map(|(now, past)| now - past),
            outcomes: self.outcomes,
        };
        let kept = log_latency.map(|now| {
            self.past.map_or(now, |past| past + weight_of_new(PAST_HALF_LIFE) * (now - past))
        });
        *self = Self { past: kept.or(self.past), ..Self::new(self.length) };
        Some(seen)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::stats::uniform01;
    use crate::strategy::testing::Bench;

    const BOUNDS: Bounds = Bounds { enter: 3.0, leave: 1.0 };

    /// Mean and variance of the values so far, written out.
    #[test]
    fn learns_mean_and_variance_of_its_history() {
        let values = [0.2, 0.25, 0.18, 0.22, 0.3, 0.21];
        let mut signal = Signal::default();
        values.iter().for_each(|v| signal.observe(*v, 0.0, BOUNDS));
        let mean = values.iter().sum::<f64>() / 6.0;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 6.0;
        assert!((signal.mean - mean).abs() < 1e-12);
        assert!((signal.variance - variance).abs() < 1e-12);
    }

    #[test]
    fn rises_after_two_high_windows_and_falls_after_two_usual_ones() {
        let mut signal = Signal::default();
        for i in 0..20 {
            signal.observe(if i % 2 == 0 { 0.9 } else { 1.1 }, 0.0, BOUNDS);
        }
        let mut high = Vec::new();
        for value in [2.0, 1.0, 2.0, 2.0, 1.25, 1.0, 1.25, 1.0, 1.0] {
            signal.observe(value, 0.0, BOUNDS);
            high.push(signal.is_high());
        }
        assert_eq!(high, [false, false, false, true, true, true, true, true, false]);
    }

    #[test]
    fn a_constant_signal_takes_no_tremble_for_a_rise() {
        let mut signal = Signal::default();
        (0..100).for_each(|i| signal.observe(1.0 + 0.1 * f64::from(i % 2), 0.0, BOUNDS));
        assert!(!signal.is_high());
        let mut constant = Signal::default();
        (0..100).for_each(|_| constant.observe(0.09, 0.0, BOUNDS));
        (0..5).for_each(|_| constant.observe(0.1, 0.0, BOUNDS));
        assert!(!constant.is_high(), "11 % above is within 15 %");
    }

    #[test]
    fn what_lasts_becomes_usual() {
        let mut signal = Signal::default();
        (0..50).for_each(|i| signal.observe(0.1 + 0.01 * f64::from(i % 3), 0.0, BOUNDS));
        (0..10).for_each(|_| signal.observe(0.5, 0.0, BOUNDS));
        assert!(signal.is_high());
        (0..2_000).for_each(|_| signal.observe(0.5, 0.0, BOUNDS));
        assert!(!signal.is_high());
    }

    #[test]
    fn says_the_share_of_failures_the_mean_variance_and_the_trend() {
        let ms = Span::from_millis_f64;
        let mut window = Window::new(4);
        let mut fill = |latency: f64| {
            window.add_load(0.25);
            window.add_load(0.75);
            assert_eq!(window.add_outcome(Outcome::Failure, ms(0.1)), None);
            assert_eq!(window.add_outcome(Outcome::RateLimited, ms(0.1)), None, "says nothing");
            assert_eq!(window.add_outcome(Outcome::Success, ms(latency)), None);
            assert_eq!(window.add_outcome(Outcome::Success, ms(3.0 * latency)), None);
            window.add_outcome(Outcome::Success, ms(2.0 * latency)).unwrap()
        };
        let first = fill(5.0);
        assert_eq!((first.load_variance, first.failure_share), (0.5, 0.25));
        assert_eq!(first.latency_trend, None, "no past yet");
        let second = fill(10.0);
        assert!((second.latency_trend.unwrap() - 2.0_f64.ln()).abs() < 1e-12, "twice as slow");
    }

    /// What the world does in one stretch.
    struct Weather {
        attempts: usize,
        failure_rate: f64,
        latency_ms: f64,
        /// Attempts stay in flight at server 0 in addition.
        stuck: u32,
    }

    const CALM: Weather =
        Weather { attempts: 3_200, failure_rate: 0.1, latency_ms: 20.0, stuck: 0 };

    /// Plays stretches on five servers, one attempt at a time, and returns the notes.
    fn play(spec: AdaptiveSpec, stretches: &[Weather]) -> Notes {
        let mut bench = Bench::new(spec, &Fleet::uniform(5));
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        for weather in stretches {
            (0..weather.stuck).for_each(|_| bench.sent(0));
            for _ in 0..weather.attempts {
                let server = bench.send(&[]);
                let latency = weather.latency_ms * (0.7 + 0.6 * uniform01(&mut rng));
                bench.wait(latency);
                let failed = uniform01(&mut rng) < weather.failure_rate;
                let outcome = if failed { Outcome::Failure } else { Outcome::Success };
                bench.finish(server, latency, outcome);
            }
            (0..weather.stuck).for_each(|_| bench.finish(0, 1.0, Outcome::RateLimited));
        }
        bench.strategy.notes().unwrap()
    }

    /// 100,000 outcomes of constant weather: at most one excursion. Without hysteresis (one
    /// bound close to the mean, no dwelling) the same noise makes many switches.
    #[test]
    fn noise_does_not_make_it_flap() {
        let weather = [Weather { attempts: 100_000, ..CALM }];
        let steady = play(AdaptiveSpec::default(), &weather);
        assert!(steady.switched <= 2, "{:?}", steady.switches);
        let nervous = AdaptiveSpec { enter: 1.0, leave: 1.0, dwell: 0, ..AdaptiveSpec::default() };
        let flaps = play(nervous, &weather).switched;
        assert!(flaps > 50, "{flaps}");
    }

    #[test]
    fn failures_that_rise_make_it_switch_and_their_end_makes_it_return() {
        let storm = Weather { attempts: 640, failure_rate: 0.5, ..CALM };
        let notes = play(AdaptiveSpec::default(), &[CALM, storm, CALM]);
        let ways: Vec<(&str, &str)> = notes.switches.iter().map(|s| (s.from, s.to)).collect();
        let (robin, two) = ("weighted-round-robin", "power-of-two");
        assert_eq!(ways, [(robin, two), (two, robin)]);
        let first = &notes.switches[0];
        assert!(first.reason.starts_with("failure share 0."), "{}", first.reason);
        let (storm_begins, window) = (3_200.0 * 0.02, 32.0 * 0.02);
        let after = first.at.as_secs_f64() - storm_begins;
        assert!(after > window && after < 6.0 * window, "after {after} s");
        assert_eq!(notes.switches[1].reason, "all signals as usual again");
    }

    #[test]
    fn latency_that_doubles_is_a_trend() {
        let slow = Weather { attempts: 640, latency_ms: 60.0, ..CALM };
        let notes = play(AdaptiveSpec::default(), &[CALM, slow]);
        assert_eq!(notes.switches[0].to, "power-of-two");
        assert!(notes.switches[0].reason.contains("latency trend"), "{:?}", notes.switches[0]);
    }

    #[test]
    fn uneven_load_calls_for_least_connections() {
        let uneven = Weather { attempts: 640, stuck: 10, ..CALM };
        let notes = play(AdaptiveSpec::default(), &[CALM, uneven]);
        assert_eq!(notes.switches[0].to, "least-connections");
        assert!(notes.switches[0].reason.contains("load variance"), "{:?}", notes.switches[0]);
    }

    #[test]
    fn a_choice_is_kept_for_its_dwelling_time() {
        let spec = AdaptiveSpec { enter: 1.0, leave: 1.0, dwell: 7, ..AdaptiveSpec::default() };
        let notes = play(spec, &[Weather { attempts: 20_000, ..CALM }]);
        assert!(notes.switches.len() > 5, "{}", notes.switches.len());
        let least_s = 7.0 * 32.0 * 0.02 * 0.9;
        for pair in notes.switches.windows(2) {
            assert!(pair[1].at.since(pair[0].at).as_secs_f64() > least_s);
        }
    }
}
