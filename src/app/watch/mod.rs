//! The viewer of a metrics file, a process of its own.
//!
//! ```text
//! metrics.json    ->  Follow (looks 10 times a second, settles)  ->  Seen  ->  screen | plain | svg
//! prediction.json ->
//! ```
//!
//! It shares nothing with the proxy but the two files, so it can come and go, fail and be started
//! again while a run goes on. Time is counted in ticks of [`TICK`] that a thread hands out: the
//! viewer needs to know how long ago something changed, never what time it is.
//!
//! When not to use it: to judge a run. It compares the numbers so far with the prediction; the
//! verdict is `validate`'s.

mod compare;
mod figures;
mod follow;
mod panels;
mod screen;
mod svg;
mod terminal;
#[cfg(test)]
mod testing;
mod view;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use crate::watch::follow::{Follow, answered, running_s, success_rate, title};
use flakelab_live::Metrics;

pub(crate) use self::figures::{count, duration, ms, percent, points};
pub use self::follow::Files;
pub use self::svg::svg;
pub use self::terminal::{restore_terminal, screen};
pub use self::view::Leave;

// ---- One line a second, for logs and pipes.
//
// When not to use it: to feed another program; that reads the metrics file itself.

/// Ticks between two lines: a second.
const EVERY: u32 = 10;

/// Prints a line a second when something has changed, until the run has ended (true) or `stop` is
/// set (false). With `beyond_end` it waits for another run to take the file. What it waits for goes
/// to `note`, which no result is.
pub fn plain(
    files: Files,
    beyond_end: bool,
    stop: &AtomicBool,
    mut print: impl FnMut(&str) -> anyhow::Result<()>,
    mut note: impl FnMut(&str),
) -> anyhow::Result<bool> {
    let mut lines = Lines::new(files);
    until_ended(beyond_end, stop, || {
        let (line, ended) = lines.tick();
        lines.follow.complaint().iter().for_each(|trouble| note(trouble));
        line.map_or(Ok(()), |line| print(&line))?;
        Ok(ended)
    })
}

/// The lines, tick by tick.
struct Lines {
    follow: Follow,
    /// What the last line said.
    printed: Option<Metrics>,
    /// Ticks until a line may be printed.
    wait: u32,
}

impl Lines {
    fn new(files: Files) -> Self {
        Self { follow: Follow::new(files), printed: None, wait: 0 }
    }

    /// What is to be printed, and whether the run has ended.
    fn tick(&mut self) -> (Option<String>, bool) {
        self.follow.tick();
        let seen = self.follow.seen();
        self.wait = self.wait.saturating_sub(1);
        let metrics = seen.metrics.as_ref().filter(|_| seen.trouble.is_none());
        let ended = metrics.is_some_and(|m| m.ended);
        let changed = metrics.filter(|m| self.printed.as_ref().is_none_or(|p| differs(p, m)));
        let line = changed.filter(|_| self.wait == 0 || ended).map(|metrics| {
            let first = self.printed.as_ref().is_none_or(|p| p.started != metrics.started);
            self.printed = Some(metrics.clone());
            self.wait = EVERY;
            if first { format!("{}\n{}", title(metrics), line(metrics)) } else { line(metrics) }
        });
        (line, ended)
    }
}

/// Whether anything but the time of writing differs.
fn differs(a: &Metrics, b: &Metrics) -> bool {
    let last_update = b.last_update;
    *b != Metrics { last_update, ..a.clone() }
}

fn line(metrics: &Metrics) -> String {
    let latency = |x: f64| if metrics.latencies.is_empty() { "-".to_owned() } else { ms(x) };
    format!(
        "{}  requests {}  answered {}  success {} %  score {}  regret {}  attempts {}  retries {}  \
         penalty {}  429s {}  timed out {}  waiting {}  in service {}  p50 {} ms  p99 {} ms{}",
        running_s(metrics).map_or("-".to_owned(), duration),
        metrics.total_requests,
        answered(metrics),
        success_rate(metrics).map_or("-".to_owned(), percent),
        points(metrics.best_guess_score),
        points(metrics.global_regret),
        metrics.total_attempts,
        metrics.total_retries,
        points(metrics.total_penalty),
        metrics.total_rate_limited,
        metrics.total_timed_out,
        count(metrics.waiting as u64),
        count(metrics.in_service as u64),
        latency(metrics.latency_p50),
        latency(metrics.latency_p99),
        if metrics.ended { "  ended" } else { "" },
    )
}

// ---- A thread that says when the next tick is due.
//
// Waiting for keys with a timeout would not do: whoever holds a key down, or drags the corner of
// the window, would keep the timeout from ever being reached.

/// The viewer looks at its files this often.
pub const TICK: Duration = Duration::from_millis(100);

/// Sends `message` every [`TICK`] until nobody listens. A receiver that is late misses ticks.
pub(crate) fn start<T>(to: SyncSender<T>, message: fn() -> T) -> std::io::Result<()>
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
pub(crate) fn until_ended(
    beyond_end: bool,
    stop: &AtomicBool,
    mut tick: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<bool> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::write_atomically;
    use crate::watch::testing;

    #[test]
    fn a_line_says_everything_in_words() {
        assert_eq!(
            line(&testing::ended()),
            "0:10  requests 100  answered 100  success 98.0 %  score 85  regret 2  attempts 131  \
             retries 31  penalty 13  429s 2  timed out 1  waiting 0  in service 0  p50 1.2 ms  \
             p99 24 ms  ended"
        );
        assert!(line(&testing::waiting_for_first()).contains("success - %  score 0"));
        assert!(!line(&testing::huge()).contains('\u{1b}'));
    }

    #[test]
    fn one_line_a_second_and_none_when_nothing_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.json");
        let mut lines = Lines::new(Files::new(path.clone(), None));
        let mut metrics = testing::middle();
        let (mut printed, mut ended) = (Vec::new(), Vec::new());
        for tick in 0..120 {
            // Changes every tick for the first 6 seconds, then only the time of writing.
            metrics.total_requests += u64::from(tick < 60);
            metrics.last_update += 0.1;
            metrics.ended = tick >= 110;
            write_atomically(&path, &serde_json::to_vec(&metrics).unwrap()).unwrap();
            let (line, has_ended) = lines.tick();
            printed.extend(line.map(|line| (tick, line)));
            ended.extend(has_ended.then_some(tick));
        }
        let gaps: Vec<i32> = printed.windows(2).map(|p| p[1].0 - p[0].0).collect();
        assert!(gaps.iter().all(|gap| *gap >= 10), "{gaps:?}");
        assert_eq!(printed.iter().filter(|(tick, _)| *tick > 70).count(), 1, "{printed:?}");
        assert!(printed.iter().filter(|(tick, _)| *tick <= 70).count() >= 5, "{printed:?}");
        assert!(printed.last().unwrap().1.ends_with("  ended"));
        assert!(ended.first().is_some_and(|tick| *tick <= 117), "{ended:?}");
        assert!(printed[0].1.starts_with("V4 thompson, config 0\n"));
    }
}
