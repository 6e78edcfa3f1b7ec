//! Processes that are started, watched and ended: none outlives its supervisor.

mod stdin;

pub use stdin::when_stdin_ends;
