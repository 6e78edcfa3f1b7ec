//! Layer 2: the hidden truth. What servers really do, when requests arrive, and who knows it.
//!
//! [`Model`] says what we believe of servers in general; an [`Instance`] is one draw from it,
//! the truth of one replication; a [`LuckTape`] is the luck that attempts meet there, the same
//! for every strategy, and [`Stations`] are its servers at work. [`Scenario`] adds traffic and rules. The [`Oracle`] is the one strategy
//! that is shown the truth.

mod capacity;
mod conditions;
mod declared;
mod document;
mod error_rate;
mod example;
mod family;
mod instance;
mod latency;
mod limiter;
mod lognormals;
mod luck;
mod model;
mod model_file;
mod oracle;
mod outage;
mod overhead;
mod posterior;
mod rate_limit;
mod scenario;
mod station;
mod traffic;

pub use capacity::Capacity;
pub use conditions::{Conditions, ServerOverride};
pub use declared::Declared;
pub use document::{Document, DocumentError, Violation};
pub use error_rate::{Draw, ErrorFamily, ErrorRate, ErrorRateKind};
pub use family::{Families, Family, Holds, Key, Range, Values};
pub use instance::Instance;
pub use latency::{Latency, LatencyFamily, LatencyKind, LogNormal};
pub use limiter::Limiter;
pub use lognormals::LogNormals;
pub use luck::{Luck, LuckStream, LuckTape};
pub use model::{Model, Ports};
pub use model_file::ModelTables;
pub use oracle::Oracle;
pub use outage::{Outage, OutageKind};
pub use overhead::{BETWEEN_PROCESSES_SD, Overhead, RequestOverhead};
pub use posterior::{Posterior, REPLICATIONS_PER_DRAW};
pub use rate_limit::{LimitKind, RateLimit};
pub use scenario::{Scenario, check_rate, check_requests, check_rules, check_traffic};
pub use station::Stations;
pub use traffic::{Arrivals, Spike, Traffic};
