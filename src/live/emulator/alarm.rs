//! Wakes tasks at exact times.
//!
//! Tokio's timer counts in whole milliseconds, which is as long as most servers take to answer.
//! Here one thread sleeps until the earliest deadline on a condition variable, which the system
//! serves to within microseconds once its timer slack is taken off (prctl(2), PR_SET_TIMERSLACK:
//! 50 microseconds unless a thread asks for less).
//!
//! When not to use it: for times where a millisecond does not matter.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use tokio::sync::oneshot;

/// A thread that wakes tasks. Ends when it is dropped; tasks that still wait are woken then.
#[derive(Debug)]
pub(super) struct Alarm {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    /// Tasks that wait, by when they are due; numbers tell those of one moment apart.
    waiting: BTreeMap<(Instant, u64), oneshot::Sender<()>>,
    numbered: u64,
    ended: bool,
}

impl Alarm {
    pub(super) fn start() -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let of_thread = Arc::clone(&shared);
        let run = move || {
            no_timer_slack();
            of_thread.run();
        };
        let thread = thread::Builder::new().name("alarm".to_owned()).spawn(run)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Resolves at `due`.
    pub(super) async fn wait_until(&self, due: Instant) {
        // An alarm that ended wakes by hanging up.
        let _ = self.register(due).await;
    }

    fn register(&self, due: Instant) -> oneshot::Receiver<()> {
        let (wake, woken) = oneshot::channel();
        let mut queue = self.shared.lock();
        queue.numbered += 1;
        let place = (due, queue.numbered);
        queue.waiting.insert(place, wake);
        let earliest = queue.waiting.first_key_value().is_some_and(|(first, _)| *first == place);
        drop(queue);
        if earliest {
            self.shared.changed.notify_one();
        }
        woken
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It has no way to panic, and nothing would depend on it any more.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// The queue. Nothing that holds the lock can fail halfway, so a poisoned one is whole.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut queue = self.lock();
        while !queue.ended {
            let now = Instant::now();
            let due = queue.waiting.first_key_value().map(|((due, _), _)| *due);
            queue = match due {
                Some(due) if due <= now => {
                    if let Some((_, wake)) = queue.waiting.pop_first() {
                        // Nobody waits any more when the connection was given up.
                        let _ = wake.send(());
                    }
                    queue
                }
                Some(due) => {
                    let waited = self.changed.wait_timeout(queue, due - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
        queue.waiting.clear();
    }
}

#[cfg(target_os = "linux")]
fn no_timer_slack() {
    // Without it, tasks are woken some 50 microseconds late; no reason to stop.
    let _ = nix::sys::prctl::set_timerslack(1);
}

#[cfg(not(target_os = "linux"))]
fn no_timer_slack() {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn tasks_are_woken_in_the_order_they_are_due_and_never_early() {
        let alarm = Alarm::start().unwrap();
        let begin = Instant::now();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let woken = std::cell::RefCell::new(Vec::new());
        let sleep = async |ms: u64| {
            let due = begin + Duration::from_millis(ms);
            alarm.wait_until(due).await;
            assert!(Instant::now() >= due);
            woken.borrow_mut().push(ms);
        };
        runtime.block_on(async { tokio::join!(sleep(40), sleep(5), sleep(20), sleep(0)) });
        assert_eq!(woken.take(), [0, 5, 20, 40]);
    }

    #[test]
    fn an_alarm_that_ends_leaves_nobody_waiting() {
        let alarm = Arc::new(Alarm::start().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let shared = Arc::clone(&alarm.shared);
        thread::spawn(move || {
            while shared.lock().waiting.is_empty() {
                thread::yield_now();
            }
            shared.lock().ended = true;
            shared.changed.notify_one();
        });
        runtime.block_on(alarm.wait_until(Instant::now() + Duration::from_secs(3600)));
    }
}
