//! `flakelab proxy` as a process, on real sockets, between servers and clients that misbehave.

mod faults;
mod files;
mod program;
mod servers;
