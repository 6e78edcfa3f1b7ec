//! Thompson sampling that tells refusals from failures.
//!
//! A 429 says that a server is busy now, not that it is bad: it closes the server for a while and
//! leaves the belief about its success rate alone. The three differ in how long, and in what they
//! believe.

mod blocking;
mod closures;
mod thompson_masked;
mod thompson_window;

pub use blocking::BlockingSpec;
pub use thompson_masked::ThompsonMaskedSpec;
pub use thompson_window::ThompsonWindowSpec;
