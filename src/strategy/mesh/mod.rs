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
mod considered;
mod health;
mod least_connections;
mod load;
mod mesh_strategy;
mod power_of_two;
mod server;
mod spec;
mod view;
mod weighted_round_robin;

pub use adaptive::AdaptiveSpec;
pub use least_connections::LeastConnectionsSpec;
pub use power_of_two::PowerOfTwoSpec;
pub use spec::Watch;
pub use weighted_round_robin::WeightedRoundRobinSpec;
