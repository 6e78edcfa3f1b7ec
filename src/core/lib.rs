//! What decides: the nouns, the statistics, the strategies and the balancer of flakelab.
//!
//! | Module | What it is for |
//! |---|---|
//! | [`domain`] | nouns: time, server, request, attempt, outcome, rules, score, random streams |
//! | [`stats`] | pure numerics: intervals, quantiles, comparison, special functions |
//! | [`strategy`] | decides from observations only; one file a strategy |
//! | [`balancer`] | the life of a request, without I/O |
//!
//! Nothing here knows how servers behave, reads a clock or touches a socket. A strategy cannot see
//! the truth about servers, because the crate that holds it (`flakelab-sim`) depends on this one.
//!
//! # The life of a request
//!
//! A [`Balancer`](balancer::Balancer) is told what happens, and when, and asks for what is to be
//! done. Time is an argument; randomness is handed in once. A simulator takes the next event from
//! a queue, a proxy waits for it: the decisions are the same.
//!
//! ```
//! use flakelab_core::balancer::{Balancer, Command, Event, Seat};
//! use flakelab_core::domain::{
//!     AttemptId, Cause, Fleet, Outcome, Purpose, Request, RequestId, Rules, ServerId, Streams,
//!     Timestamp,
//! };
//! use flakelab_core::strategy::StrategySpec;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // V3 in front of two servers, under the rules of the game, at 10 requests a second.
//! let rng = Streams::new(42).stream(Purpose::Strategy, 0, 0);
//! let strategy = StrategySpec::from_text("ucb-free")?.build(&Fleet::uniform(2), rng);
//! let mut balancer = Balancer::new(Seat::as_given(strategy, 2), Rules::default(), 10.0);
//!
//! // A request arrives. V3 has tried no server yet and sends it to the first.
//! let mut commands = Vec::new();
//! let now = Timestamp::ZERO;
//! let request = Request { id: RequestId(0), arrived_at: now };
//! balancer.handle(now, Event::Arrived(request), &mut commands);
//! assert!(matches!(&commands[..], [Command::Send(first)] if first.server == ServerId(0)));
//!
//! // That attempt fails. The next goes to the other server.
//! commands.clear();
//! let now = Timestamp::from_secs_f64(0.001);
//! let failed = Event::Finished(AttemptId(0), Outcome::Failure, Cause::Status);
//! balancer.handle(now, failed, &mut commands);
//! assert!(matches!(&commands[..], [Command::Send(second)] if second.server == ServerId(1)));
//!
//! // It succeeds, and the request is answered. Two attempts were free, so nothing is lost.
//! commands.clear();
//! let now = Timestamp::from_secs_f64(0.002);
//! let succeeded = Event::Finished(AttemptId(1), Outcome::Success, Cause::Status);
//! balancer.handle(now, succeeded, &mut commands);
//! assert!(matches!(&commands[..], [Command::Answer(_, answer)] if answer.ok));
//! assert_eq!(balancer.ledger().score(&Rules::default()).score(), 1.0);
//! # Ok(())
//! # }
//! ```
//!
//! # A strategy of your own
//!
//! It implements [`Strategy`](strategy::Strategy): one decision, and what it learns of outcomes.
//! [`strategy::testing`] has what its tests need; the crate `flakelab-sim` plays it against the
//! others.
//!
//! ```
//! use flakelab_core::domain::{Attempt, Outcome, PendingRequest, ServerId, Timestamp};
//! use flakelab_core::strategy::testing::{decide, observe};
//! use flakelab_core::strategy::{Decision, Strategy};
//!
//! /// Stay with a server while it answers, go on to the next when it fails.
//! struct WinStay {
//!     servers: u16,
//!     current: u16,
//! }
//!
//! impl Strategy for WinStay {
//!     fn decide(&mut self, _now: Timestamp, _request: &PendingRequest) -> Decision {
//!         Decision::Send(ServerId(self.current))
//!     }
//!
//!     fn on_outcome(&mut self, _now: Timestamp, attempt: &Attempt, outcome: Outcome) {
//!         if !outcome.is_success() && attempt.server == ServerId(self.current) {
//!             self.current = (self.current + 1) % self.servers;
//!         }
//!     }
//! }
//!
//! let mut strategy = WinStay { servers: 3, current: 0 };
//! observe(&mut strategy, 0, Outcome::Success);
//! assert_eq!(decide(&mut strategy, 0, &[]), 0);
//! observe(&mut strategy, 0, Outcome::Failure);
//! assert_eq!(decide(&mut strategy, 0, &[]), 1);
//! ```

pub mod balancer;
pub mod domain;
pub mod stats;
pub mod strategy;
