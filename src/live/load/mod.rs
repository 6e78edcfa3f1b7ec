//! The load generator: an open loop, requests leave when they are due.
