//! The hidden truth. What servers really do, when requests arrive, and who knows it.
//!
//! [`Model`] says what we believe of servers in general; an [`Instance`] is one draw from it, the
//! truth of one replication; a [`LuckTape`] is the luck that attempts meet there, the same for
//! every strategy, and [`Stations`] are its servers at work. [`Scenario`] adds traffic and rules.
//! The [`Oracle`] is the one strategy that is shown the truth.

mod conditions;
mod document;
mod error_rate;
mod family;
mod file;
mod instance;
mod latency;
mod limiter;
mod model;
mod oracle;
mod overhead;
mod posterior;
mod scenario;
mod station;
mod tables;

pub use self::conditions::{Capacity, Conditions, Outage, OutageKind, ServerOverride};
#[cfg(test)]
pub(crate) use self::document::assert_refused;
pub(crate) use self::document::check_schema;
pub use self::document::{Document, DocumentError, Violation};
pub use self::error_rate::{Draw, ErrorFamily, ErrorRate, ErrorRateKind};
pub use self::family::{Families, Family, Holds, Key, Range, Values};
pub(crate) use self::family::{Field, unknown};
pub use self::file::ModelTables;
pub use self::instance::{Instance, Luck, LuckStream, LuckTape};
pub use self::latency::{Latency, LatencyFamily, LatencyKind, LogNormal, LogNormals};
pub use self::limiter::{LimitKind, Limiter, RateLimit};
pub use self::model::{Declared, Model, Ports};
pub use self::oracle::Oracle;
pub use self::overhead::{BETWEEN_PROCESSES_SD, Overhead, RequestOverhead};
pub use self::posterior::{Posterior, REPLICATIONS_PER_DRAW};
pub use self::scenario::{
    Arrivals, Scenario, Spike, Traffic, check_rate, check_requests, check_rules, check_traffic,
};
pub use self::station::Stations;
