//! A thread that says when the next tick is due.
//!
//! Waiting for keys with a timeout would not do: whoever holds a key down, or drags the corner of
//! the window, would keep the timeout from ever being reached.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

/// The viewer looks at its files this often.
pub const TICK: Duration = Duration::from_millis(100);

/// Sends `message` every [`TICK`] until nobody listens. A receiver that is late misses ticks.
pub(super) fn start<T>(to: SyncSender<T>, message: fn() -> T) -> std::io::Result<()>
where
    T: Send + 'static,
{
    let run = move || {
        loop {
            thread::sleep(TICK);
            if let Err(TrySendError::Disconnected(_)) = to.try_send(message()) {
                return;
            }
        }
    };
    thread::Builder::new().name("ticks".to_owned()).spawn(run).map(drop)
}

/// Calls `tick` every [`TICK`] until it says that the run has ended (true) or `stop` is set (false);
/// with `beyond_end` it goes on, for another run may take the files.
pub(super) fn until_ended<E: From<std::io::Error>>(
    beyond_end: bool,
    stop: &AtomicBool,
    mut tick: impl FnMut() -> Result<bool, E>,
) -> Result<bool, E> {
    let (to, ticks) = sync_channel(1);
    start(to, || ())?;
    loop {
        if tick()? && !beyond_end {
            return Ok(true);
        }
        if stop.load(Ordering::Relaxed) || ticks.recv().is_err() {
            return Ok(false);
        }
    }
}
