//! A child that ends with its supervisor: the supervisor holds the other end of the child's
//! standard input, and the system closes that however the supervisor ends, kill -9 included.
//!
//! When not to use it: for a process whose standard input is a terminal or a file.

use std::io::Read;
use std::thread;

/// Calls `end` once, from a thread of its own, when standard input ends.
///
/// # Errors
/// When the system gives no thread.
pub fn when_stdin_ends(end: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let wait = move || {
        let (mut stdin, mut buffer) = (std::io::stdin().lock(), [0; 256]);
        while matches!(stdin.read(&mut buffer), Ok(1..)) {}
        end();
    };
    thread::Builder::new().name("supervised".to_owned()).spawn(wait).map(drop)
}
