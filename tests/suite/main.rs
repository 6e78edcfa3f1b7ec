//! The integration tests, as one binary so that polars is linked once.
//!
//! Every module tests one promise against answers computed another way. Each statistical test
//! states its false-alarm rate, runs on fixed seeds (so the alarm was risked once, when the seed was
//! chosen) and shows once that it catches a planted bug.

#![allow(clippy::disallowed_methods, reason = "tests of real time read the clock")]

mod anchors;
mod balancer_properties;
mod bayes_optimal;
mod catalogue;
mod catalogue_simulated;
mod catalogue_transcription;
mod cli;
mod closed_forms;
mod common;
mod common_random_numbers;
mod conditions;
mod determinism;
mod failingserver;
mod fit;
mod golden;
mod house;
mod live;
mod live_calibration;
mod load;
mod load_generator;
mod order;
mod own_strategy;
mod parameter_uncertainty;
mod processes;
mod program;
mod proxy;
mod readme;
mod rust_version;
mod scenarios;
mod stations;
mod transcription;
mod tune;
mod watch;
