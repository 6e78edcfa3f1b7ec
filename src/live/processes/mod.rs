//! Processes that are started, watched and ended: none outlives its supervisor.
//!
//! ```text
//! supervisor --stdin held--> child of ours: ends itself when its stdin ends
//!            \-stdin held--> guard --> a program that does not know us, in a group of its own
//! ```
//!
//! A supervisor that is killed with -9 cannot end anybody, but the system closes its end of the
//! pipes then. A child of ours ends by that; for a program that knows nothing of it, or that is
//! stopped or ignores signals, the [`guard`] does it. Every child has a process group of its own,
//! so that the terminal's Ctrl-C reaches the supervisor alone, which then ends them in order.
//!
//! When not to use it: for programs that are to go on after their supervisor.

mod child;
mod guard;
mod ports;

pub use self::child::{Child, Launch, StartError, when_stdin_ends};
pub use self::guard::{ask_to_end, guard};
pub use self::ports::{PortsTaken, check_free, wait_until_open};
