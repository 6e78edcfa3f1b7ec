//! What subcommands share: how results look on stdout, Ctrl-C, threads, the progress bar, how long
//! things took, and commands for people to copy.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Flags that every subcommand takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArguments {
    /// No progress and no messages; errors are still printed
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Say more of what is done, on stderr
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// Colour: auto (on a terminal, unless NO_COLOR is set), always or never
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    #[arg(hide_possible_values = true)]
    pub(crate) color: ColorWhen,
}

/// How a command ended, if not with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Done,
    /// Everything was done, and what was to be checked did not hold.
    DidNotHold,
    /// Ctrl-C; what was finished is kept.
    Interrupted,
}

impl Ending {
    /// That of a command that ends with all done, unless Ctrl-C ended it.
    pub(crate) fn done_unless(interrupted: &AtomicBool) -> Self {
        if interrupted.load(Ordering::Relaxed) { Self::Interrupted } else { Self::Done }
    }
}

/// Writes to stdout; a reader that went away ends the program quietly, as in `flakelab | head`.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.write_all(b"\n")?;
    stdout.flush()?;
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb.
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Table,
    Json,
    Csv,
    Md,
}

/// Characters in a line of the terminal that stdout is; none if it is something else.
pub(crate) fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0))
}

/// Texts with or without colour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    on: bool,
}

impl ColorWhen {
    pub(crate) fn on_stdout(self) -> Style {
        self.on(std::io::stdout().is_terminal())
    }

    pub(crate) fn on_stderr(self) -> Style {
        self.on(std::io::stderr().is_terminal())
    }

    fn on(self, is_terminal: bool) -> Style {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        let on = match self {
            Self::Auto => is_terminal && !unwanted,
            Self::Always => true,
            Self::Never => false,
        };
        Style { on }
    }
}

impl Style {
    pub(crate) fn is_on(self) -> bool {
        self.on
    }

    pub(crate) fn error(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    pub(crate) fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A flag that becomes true at the first Ctrl-C (or SIGTERM): the work is to end and keep what it
/// has. The second one ends the program at once.
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

/// The value of a flag, if it lies in its range.
pub(crate) fn in_range(flag: &str, value: f64, low: f64, high: f64) -> anyhow::Result<f64> {
    if (low..=high).contains(&value) {
        return Ok(value);
    }
    bail!("--{flag} {value} is out of range: expected a number from {low} to {high}")
}

/// A pool of that many threads to compute on, of as many as there are cores without a number.
pub(crate) fn pool(threads: Option<usize>) -> anyhow::Result<rayon::ThreadPool> {
    let threads = match threads {
        Some(n @ 1..=256) => n,
        Some(n) => bail!("{n} threads are not possible: `--threads` expects 1 to 256"),
        // Zero lets rayon choose: RAYON_NUM_THREADS, else all cores.
        None => 0,
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.context("cannot start threads")
}

/// The progress bar of long work: on stderr, on a terminal only, gone when the work is.
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// A bar with speed and ETA over `total` of anything, called `what`; hidden when `quiet` or
    /// off a terminal.
    pub(crate) fn new(total: u64, what: &str, quiet: bool) -> Self {
        let counts = format!("{{bar:30}} {{human_pos}}/{{human_len}} {what}");
        Self::like(&(counts + "  {per_sec}  ETA {eta}  {msg}"), total, quiet)
    }

    pub(crate) fn like(template: &str, total: u64, quiet: bool) -> Self {
        let target =
            if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// Shows how far the work has come, and what there is to say.
    pub(crate) fn at(&self, done: u64, message: String) {
        self.bar.set_position(done);
        self.bar.set_message(message);
    }

    /// Shows that one more is done, and what there is to say.
    pub(crate) fn one_more(&self, message: String) {
        self.at(self.bar.position() + 1, message);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// How long the phases of a command took: what the thread spent that runs it, so that they add up to
/// what people waited.
pub(crate) struct Stopwatch {
    since: Instant,
    phases: Vec<(&'static str, Duration)>,
}

#[allow(clippy::disallowed_methods, reason = "how long it took, for people who wait")]
impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { since: Instant::now(), phases: Vec::new() }
    }

    /// Adds the time since the last call to this phase, which may come again.
    pub(crate) fn lap(&mut self, phase: &'static str) {
        let now = Instant::now();
        let spent = now - std::mem::replace(&mut self.since, now);
        match self.phases.iter_mut().find(|(name, _)| *name == phase) {
            Some((_, sum)) => *sum += spent,
            None => self.phases.push((phase, spent)),
        }
    }

    /// The phases in order of their first lap, `plan 0.00 s, play 2.04 s`.
    pub(crate) fn text(&self) -> String {
        let phases = self.phases.iter();
        let phases = phases.map(|(name, spent)| format!("{name} {:.2} s", spent.as_secs_f64()));
        phases.collect::<Vec<String>>().join(", ")
    }
}

/// A command of this program in the making, for people to copy.
pub(crate) struct CommandLine(String);

impl CommandLine {
    pub(crate) fn new(subcommand: &str) -> Self {
        Self(format!("cargo run -- {subcommand}"))
    }

    pub(crate) fn flag(mut self, name: &str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.0 += &format!(" --{name} {}", quoted(&value.to_string()));
        }
        self
    }

    pub(crate) fn text(self) -> String {
        self.0
    }
}

/// The word, in quotes if it needs them.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:+=@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_spaces_and_quotes_survive_the_shell() {
        assert_eq!(quoted("models/a.toml"), "models/a.toml");
        assert_eq!(quoted("my model's.toml"), r"'my model'\''s.toml'");
    }
}
