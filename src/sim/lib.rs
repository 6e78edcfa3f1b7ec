//! What plays: simulated servers, recordings, the event loop, and experiments with it.
//!
//! | Module | What it is for |
//! |---|---|
//! | [`world`] | the hidden truth: error rates, rate limits, latency, traffic, and the oracle |
//! | [`trace`] | logs of attempts: read, check, write |
//! | [`play`] | the driver in virtual time: one replication |
//! | [`experiment`] | strategies x replications in parallel, rows to a sink, summaries, searches |
//!
//! Data flows one way: model -> scenario -> replication -> rows -> summary. Who wants to compare
//! strategies inside a program of his own needs this crate and `flakelab-core`, which knows nothing
//! of the truth that is kept here.
//!
//! # A comparison
//!
//! A [`Model`](world::Model) says what servers do, a [`Scenario`](world::Scenario) adds traffic,
//! rules and length, a [`Plan`](experiment::Plan) says who plays, how often and from which seed.
//! Every replication draws its servers anew, and all strategies meet the same servers and the same
//! random outcomes, so their difference is known better than their scores.
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//!
//! use flakelab_core::strategy::StrategySpec;
//! use flakelab_sim::experiment::{Contender, Plan, sweep};
//! use flakelab_sim::world::{Document, Model, Scenario};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let model = r#"
//!     schema = 1
//!     ports = { first = 4000, count = 10 }
//!     [error_rate]
//!     draw = "per_replication"
//!     family = "uniform"
//!     low = 0.02
//!     high = 0.75
//!     [rate_limit]
//!     kind = "none"
//!     [latency]
//!     family = "lognormal"
//!     median_ms = 1.1
//!     sigma = 0.3
//! "#;
//! let model = Model::parse("mine", &Document::from_text("mine.toml", model))?;
//! let scenario = Scenario { requests: 100, ..Scenario::new(model) };
//!
//! let v1 = Contender::new(StrategySpec::from_text("v1")?);
//! let v4 = Contender::new(StrategySpec::from_text("v4")?);
//! let plan = Plan::new("v1-or-v4", vec![scenario], vec![v1, v4], 50, 42)?;
//! let swept = sweep(&plan, &mut (), &AtomicBool::new(false), |_| ())?;
//!
//! for (contender, ranking) in swept.summary.scenarios[0].ranked() {
//!     println!("{}. {}: {:.2} points", ranking.rank, contender.strategy, contender.score.mean);
//! }
//! # assert_eq!(swept.summary.scenarios[0].ranked().count(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! A strategy of your own plays through
//! [`Contender::from_factory`](experiment::Contender::from_factory); `examples/my_strategy.rs` in
//! the repository does that in 70 lines. [`play`] has the loop for one replication alone.

pub mod experiment;
pub mod play;
pub mod trace;
pub mod world;
