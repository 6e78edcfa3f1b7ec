//! `flakelab proxy` as a process, on real sockets, between servers and clients that misbehave.

mod ending;
mod faults;
mod files;
mod flags;
mod hostile;
mod program;
mod servers;
mod speed;
