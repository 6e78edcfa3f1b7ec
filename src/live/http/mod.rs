//! A strict HTTP/1.1 front: one request a connection, refused unless it is exactly what is expected.
//!
//! Requests are refused, never put right: a length must be there once, in digits, and no transfer
//! coding, expectation or upgrade may. What two programs may read in two ways (RFC 9112, section 11)
//! never gets further than this. Heads are parsed by httparse, hyper's parser; hyper itself takes
//! a length that is sent twice, drops one of them unseen, and leaves slow heads without an answer.
//!
//! When not to use it: for anything that streams, or on an open network.

mod connection;
mod head;
mod message;
mod serve;

pub use message::{HttpRequest, HttpResponse, Method, identifier};
pub use serve::{Limits, serve};
