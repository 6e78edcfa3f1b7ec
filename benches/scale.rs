//! How the cost of an attempt grows with the number of servers, for every strategy there is.
//!
//! An attempt is what a strategy does for it: `decide`, `on_sent`, `on_outcome`. There is no world
//! around it, which would grow with the number of servers as well. Requests are served one at a
//! time, attempts take 1 ms and fail with probability 0.3, a request has four attempts at most.
//! The strategy has met every server four times before the clock starts.
//!
//! Prints a table of nanoseconds per attempt: strategies x numbers of servers, the median of
//! several samples. `cargo bench -p flakelab-sim --bench scale [-- FILTER]` runs the
//! strategies whose name contains the filter. Criterion's statistics are not needed for growth by
//! factors of ten, and its minimum time per case is too long for so many cases.

#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use flakelab_core::domain::{
    Attempt, AttemptId, Fleet, Outcome, PendingRequest, Purpose, Request, RequestId, ServerId,
    Span, Streams, Timestamp,
};
use flakelab_core::stats::uniform01;
use flakelab_core::strategy::{Decision, Strategy, StrategySpec};
use rand_chacha::ChaCha8Rng;

const SERVERS: [usize; 4] = [10, 100, 1_000, 10_000];

/// Time for one case; a case stops early when it has this many attempts.
const LIMIT: Duration = Duration::from_millis(1_500);
const ATTEMPTS: u64 = 200_000;

/// The median is over samples of so many attempts, or fewer where they are slow.
const SAMPLE: u64 = 1_000;

/// Plays requests one after the other on a strategy.
struct Player {
    strategy: Box<dyn Strategy>,
    luck: ChaCha8Rng,
    now: Timestamp,
    attempts: u64,
    requests: u64,
    pending: PendingRequest,
}

impl Player {
    fn new(spec: &StrategySpec, servers: usize) -> Self {
        let streams = Streams::new(42);
        let strategy =
            spec.build(&Fleet::uniform(servers), streams.stream(Purpose::Strategy, 0, 0));
        let luck = streams.stream(Purpose::World, 0, 0);
        let request = Request { id: RequestId(0), arrived_at: Timestamp::ZERO };
        let pending = PendingRequest::new(request, 3);
        let mut player =
            Self { strategy, luck, now: Timestamp::ZERO, attempts: 0, requests: 0, pending };
        for _ in 0..4 {
            ServerId::all(servers).for_each(|server| player.send(server));
        }
        player
    }

    /// One attempt of the current request.
    fn attempt(&mut self) {
        match self.strategy.decide(self.now, &self.pending) {
            Decision::Send(server) => self.send(black_box(server)),
            Decision::WaitUntil(at) => self.now = at.max(self.now + Span::from_millis_f64(1.0)),
        }
    }

    fn send(&mut self, server: ServerId) {
        let attempt = Attempt {
            id: AttemptId(self.attempts),
            request: self.pending.id,
            number: self.pending.attempts,
            server,
            sent_at: self.now,
        };
        self.attempts += 1;
        self.pending.record_attempt(server);
        self.strategy.on_sent(self.now, &attempt);
        self.now = self.now + Span::from_millis_f64(1.0);
        let failed = uniform01(&mut self.luck) < 0.3;
        let outcome = if failed { Outcome::Failure } else { Outcome::Success };
        self.strategy.on_outcome(self.now, &attempt, outcome);
        if !failed || self.pending.attempts == 4 {
            self.requests += 1;
            let request = Request { id: RequestId(self.requests), arrived_at: self.now };
            self.pending = PendingRequest::new(request, 3);
        }
    }
}

/// Median nanoseconds per attempt.
fn time(spec: &StrategySpec, servers: usize) -> f64 {
    let mut player = Player::new(spec, servers);
    let begin = Instant::now();
    let mut samples = Vec::new();
    let mut made = 0;
    while made < ATTEMPTS && begin.elapsed() < LIMIT {
        let start = Instant::now();
        let mut n = 0;
        while n < SAMPLE && (n % 16 != 0 || start.elapsed() < LIMIT / 8) {
            player.attempt();
            n += 1;
        }
        samples.push(start.elapsed().as_secs_f64() * 1e9 / n as f64);
        made += n;
    }
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn main() {
    // Cargo hands its own flags on; what is no flag is the filter.
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    println!("nanoseconds per attempt (decision, sending, outcome), by number of servers\n");
    let headings: Vec<String> = SERVERS.iter().map(usize::to_string).collect();
    println!("| strategy | {} |", headings.join(" | "));
    println!("|---|---:|---:|---:|---:|");
    for spec in StrategySpec::all_with_defaults() {
        if filter.as_ref().is_some_and(|filter| !spec.name().contains(filter)) {
            continue;
        }
        let cells: Vec<String> =
            SERVERS.iter().map(|n| format!("{:.0}", time(&spec, *n))).collect();
        println!("| {} | {} |", spec.label(), cells.join(" | "));
    }
}
