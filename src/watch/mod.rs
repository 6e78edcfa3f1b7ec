//! Layer 6: the viewer of a metrics file, a process of its own.
//!
//! ```text
//! metrics.json    ->  Follow (looks 10 times a second, settles)  ->  Seen  ->  screen | plain | svg
//! prediction.json ->
//! ```
//!
//! It shares nothing with the proxy but the two files, so it can come and go, fail and be started
//! again while a run goes on. Time is counted in ticks of [`TICK`] that a thread hands out: the
//! viewer needs to know how long ago something changed, never what time it is.
//!
//! When not to use it: to judge a run. It compares the numbers so far with the prediction; the
//! verdict is `validate`'s.

mod compare;
pub(crate) mod figures;
mod follow;
mod plain;
mod screen;
mod seen;
mod settle;
mod svg;
#[cfg(test)]
mod testing;
mod ticker;
mod units;

pub use follow::Files;
pub use plain::plain;
pub use screen::{Leave, restore_terminal, screen};
pub use svg::{SvgError, svg};
pub use ticker::TICK;
