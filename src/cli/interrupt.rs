//! Ctrl-C: the first one asks the work to end and keep what it has, the second ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

/// A flag that becomes true at the first Ctrl-C (or SIGTERM).
pub(crate) fn flag() -> anyhow::Result<Arc<AtomicBool>> {
    flag_and(|| {}, || {})
}

/// The same; from a thread of its own `tell` is called at the first one, and `leave` before the
/// second one ends the program.
pub(crate) fn flag_and(
    tell: impl Fn() + Send + 'static,
    leave: impl Fn() + Send + 'static,
) -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&flag);
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::Relaxed) {
            leave();
            std::process::exit(130);
        }
        tell();
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(flag)
}
