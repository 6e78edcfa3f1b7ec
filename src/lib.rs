//! flakelab, a laboratory for load-balancing strategies on flaky servers.
//!
//! Data flows one way: model -> scenario -> replication -> rows -> tables and charts.
//!
//! | Layer | Module | What it is for |
//! |---|---|---|
//! | L0 | [`domain`] | nouns: time, server, request, attempt, outcome, rules, score, streams |
//! | L0 | [`stats`] | pure numerics: intervals, quantiles, comparison, special functions |
//! | L1 | [`strategy`] | decides from observations only; one file a strategy |
//! | L2 | [`balancer`] | the life of a request, without I/O |
//! | L2 | [`world`] | the hidden truth: errors, rate limits, latency, traffic, the oracle |
//! | L2 | [`trace`] | logs of attempts: read, check, write |
//! | L2 | [`metrics`] | the metrics file: what a running proxy says about itself |
//! | L3 | [`fit`] | traces -> model, with goodness of fit |
//! | L3 | [`sim`] | the driver in virtual time: one replication |
//! | L3 | `live` | real time and real sockets: proxy, load, stand-in servers, probe (feature `cli`) |
//! | L4 | [`experiment`] | strategies x replications in parallel, rows to a sink, summaries |
//! | L5 | [`validate`] | are real runs predicted? one step ahead and as a whole |
//! | L5 | `report` | tables, files, charts (feature `cli`) |
//! | L6 | `watch` | the viewer of a metrics file, a process of its own (feature `cli`) |
//! | L7 | `cli` | one file a subcommand (feature `cli`) |
//!
//! A *server* is one downstream target; a *request* is one identifier to deliver, an *attempt*
//! one send of it; an *outcome* is what the client saw of an attempt. A *strategy* is the
//! complete decision rule, a *model* what we believe the servers do, a *scenario* a model with
//! traffic, rules and horizon, an *experiment* scenarios x strategies x replications with a
//! master seed, and a *replication* one seeded run of one strategy in one scenario.

pub mod balancer;
pub mod domain;
pub mod experiment;
pub mod fit;
pub mod metrics;
pub mod sim;
pub mod stats;
pub mod strategy;
pub mod trace;
pub mod validate;
pub mod world;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
pub mod live;
#[cfg(feature = "cli")]
pub mod report;
#[cfg(feature = "cli")]
pub mod watch;
