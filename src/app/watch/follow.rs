//! Two files, looked at ten times a second and read when their changes have settled; what is known
//! of them, and in which words it is told.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::watch::figures::{clean, count, ms, percent, points};
use flakelab_fit::PredictionFile;
use flakelab_live::{Metrics, MetricsError};

/// The files to watch.
#[derive(Debug, Clone)]
pub struct Files {
    pub metrics: PathBuf,
    /// The prediction made before it started; neither file needs to exist yet.
    pub prediction: PathBuf,
}

impl Files {
    /// A metrics file, and the prediction in that file or else in `prediction.json` beside it.
    pub fn new(metrics: PathBuf, prediction: Option<PathBuf>) -> Self {
        let beside = || metrics.with_file_name("prediction.json");
        let prediction = prediction.unwrap_or_else(beside);
        Self { metrics, prediction }
    }
}

/// What tells one state of a file from another: time of modification, length, and the file's
/// number, which changes when another file takes the name. None if there is no file.
type Stamp = Option<(Option<SystemTime>, u64, u64)>;

#[derive(Debug)]
pub(crate) struct Follow {
    files: Files,
    metrics: Settle<Stamp>,
    prediction: Settle<Stamp>,
    seen: Seen,
    /// What was last complained of.
    complained: Option<String>,
}

impl Follow {
    /// Nothing is read before the first [`Follow::tick`].
    pub(crate) fn new(files: Files) -> Self {
        let (metrics, prediction) = (Settle::new(), Settle::new());
        Self { files, metrics, prediction, seen: Seen::default(), complained: None }
    }

    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// What is wrong now and was not said before.
    pub(crate) fn complaint(&mut self) -> Option<String> {
        if self.seen.trouble == self.complained {
            return None;
        }
        self.complained.clone_from(&self.seen.trouble);
        self.complained.clone()
    }

    /// One tick passes; true if a file was read.
    pub(crate) fn tick(&mut self) -> bool {
        self.seen.quiet_ticks = self.seen.quiet_ticks.saturating_add(1);
        let predicted = self.prediction.is_due(stamp(&self.files.prediction));
        if predicted {
            self.read_prediction();
        }
        let measured = self.metrics.is_due(stamp(&self.files.metrics));
        if measured {
            self.read_metrics();
        }
        predicted || measured
    }

    fn read_metrics(&mut self) {
        match Metrics::read(&self.files.metrics) {
            Ok(metrics) => {
                if self.seen.metrics.as_ref() != Some(&metrics) {
                    self.seen.quiet_ticks = 0;
                }
                self.seen.metrics = Some(metrics);
                self.seen.trouble = None;
            }
            Err(error) => {
                self.seen.trouble = Some(self.trouble(&error));
                self.metrics.try_again();
            }
        }
    }

    fn trouble(&self, error: &MetricsError) -> String {
        let path = self.files.metrics.display();
        let had_some = self.seen.metrics.is_some();
        match error {
            MetricsError::Read(_, source) if source.kind() == ErrorKind::NotFound => {
                if had_some {
                    format!("{path} is gone: waiting until it is back")
                } else {
                    format!("waiting for {path}: the proxy writes it when it starts")
                }
            }
            MetricsError::Read(_, source) => {
                format!("{path} cannot be read ({source}): trying again")
            }
            MetricsError::Form(_, source) if source.is_eof() => {
                format!("{path} is half-written: waiting for the rest")
            }
            MetricsError::Form(_, source) => {
                format!("{path} holds no metrics ({source}): waiting for some")
            }
        }
    }

    fn read_prediction(&mut self) {
        let path = &self.files.prediction;
        let shown = path.display();
        let predicted = match std::fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Predicted::Missing(format!("no {shown}"))
            }
            Err(error) => Predicted::Unusable(format!("{shown} cannot be read ({error})")),
            Ok(text) => match serde_json::from_slice::<PredictionFile>(&text) {
                Ok(file) if file.schema == 1 => Predicted::File(Box::new(file)),
                Ok(file) => Predicted::Unusable(format!(
                    "{shown} has schema {}, this program knows 1",
                    file.schema
                )),
                Err(error) => Predicted::Unusable(format!("{shown} holds no prediction ({error})")),
            },
        };
        if matches!(predicted, Predicted::Unusable(_)) {
            self.prediction.try_again();
        }
        self.seen.prediction = predicted;
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let number = 0;
    Some((metadata.modified().ok(), metadata.len(), number))
}

/// What the viewer knows: the last good metrics, and what is wrong with the files now.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The last metrics that could be read; none before the first.
    pub metrics: Option<Metrics>,
    /// Why there are no newer ones; none while all is well.
    pub trouble: Option<String>,
    /// The prediction, or why there is none.
    pub prediction: Predicted,
    /// Ticks since something was last seen to change.
    pub quiet_ticks: u64,
}

/// The prediction, or why there is none.
#[derive(Debug)]
pub(crate) enum Predicted {
    /// There is no such file; it may come later.
    Missing(String),
    /// The file cannot be used.
    Unusable(String),
    File(Box<PredictionFile>),
}

impl Default for Predicted {
    fn default() -> Self {
        Self::Missing("no prediction.json beside the metrics".to_owned())
    }
}

/// Seconds that a proxy has been running by its own clock; none if it does not say.
pub(crate) fn running_s(metrics: &Metrics) -> Option<f64> {
    let seconds = metrics.last_update - metrics.started;
    (metrics.started > 0.0 && seconds.is_finite()).then_some(seconds.max(0.0))
}

/// Requests that have their answer.
pub(crate) fn answered(metrics: &Metrics) -> u64 {
    metrics.total_success.saturating_add(metrics.total_failure)
}

/// Requests answered 200 as a share of those answered; none before the first answer.
pub(crate) fn success_rate(metrics: &Metrics) -> Option<f64> {
    let answered = answered(metrics);
    (answered > 0).then(|| metrics.total_success as f64 / answered as f64)
}

/// A server's attempts as a share of all; none before the first attempt.
pub(crate) fn share(attempts: u64, metrics: &Metrics) -> Option<f64> {
    let all: f64 = metrics.per_server.iter().map(|s| s.num_requests as f64).sum();
    (all > 0.0).then(|| attempts as f64 / all)
}

/// `config 0`, or the name of a model.
pub(crate) fn config_name(config: &str) -> String {
    crate::report::config_name(&clean(config))
}

/// `V4 thompson, config 0`, as far as the file says.
pub(crate) fn title(metrics: &Metrics) -> String {
    let (strategy, config) = (clean(&metrics.strategy), config_name(&metrics.config));
    match (strategy.is_empty(), config.is_empty()) {
        (true, true) => "a proxy without a name".to_owned(),
        (true, false) => config,
        (false, true) => strategy,
        (false, false) => format!("{strategy}, {config}"),
    }
}

/// Names and values of the headline numbers, the most important first.
pub(crate) fn headline(metrics: &Metrics) -> Vec<(&'static str, String)> {
    let latency = |x: f64| match metrics.latencies.is_empty() {
        true => "-".to_owned(),
        false => format!("{} ms", ms(x)),
    };
    let success = success_rate(metrics).map_or("-".to_owned(), |r| percent(r) + " %");
    vec![
        ("score", points(metrics.best_guess_score)),
        ("success", success),
        ("regret", points(metrics.global_regret)),
        ("penalty", points(metrics.total_penalty)),
        ("p50", latency(metrics.latency_p50)),
        ("p99", latency(metrics.latency_p99)),
        ("attempts", count(metrics.total_attempts)),
        ("retries", count(metrics.total_retries)),
        ("429s", count(metrics.total_rate_limited)),
        ("timed out", count(metrics.total_timed_out)),
        ("waiting", count(metrics.waiting as u64)),
        ("in service", count(metrics.in_service as u64)),
    ]
}

/// Whether it is a latency that a logarithm takes; the others are nonsense or rounded to nothing.
pub(crate) fn is_sound(ms: &f64) -> bool {
    ms.is_finite() && *ms > 0.0
}

/// The last latencies that are sound, oldest first.
pub(crate) fn sound_latencies(metrics: &Metrics) -> Vec<f64> {
    metrics.latencies.iter().copied().filter(is_sound).collect()
}

// ---- When to look again at a file that changes: half a second after the first change that was not
// shown yet.
//
// Waiting until a file has been quiet for half a second would show nothing while a proxy writes
// 20 times a second; drawing at each change would draw half-written states and flicker. Counting
// from the first change settles a burst and bounds the delay of a steady stream.
//
// When not to use it: for events that must not be lost. Only the newest state is seen.

/// Ticks from the first change to the next look: half a second.
const SETTLED_AFTER: u32 = 5;

/// Decides from a file's stamps, one a tick, when to read it.
#[derive(Debug)]
pub(crate) struct Settle<S> {
    /// The stamp when it was last read; none before.
    read_at: Option<S>,
    /// Ticks since the first change after that.
    waited: Option<u32>,
}

impl<S: PartialEq> Settle<S> {
    pub(crate) fn new() -> Self {
        Self { read_at: None, waited: None }
    }

    /// Takes the stamp of this tick; true if the file is to be read now. The first time it is.
    fn is_due(&mut self, stamp: S) -> bool {
        let due = match (&self.read_at, self.waited) {
            (None, _) => true,
            (Some(_), Some(ticks)) => ticks + 1 >= SETTLED_AFTER,
            (Some(read_at), None) if *read_at == stamp => return false,
            (Some(_), None) => false,
        };
        self.waited = if due { None } else { Some(self.waited.map_or(0, |ticks| ticks + 1)) };
        if due {
            self.read_at = Some(stamp);
        }
        due
    }

    /// It could not be read: try again when half a second has passed, changed or not. (A file
    /// may be completed within the same stamp of a coarse clock.)
    fn try_again(&mut self) {
        self.waited = Some(0);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::report::write_atomically;
    use crate::watch::testing;

    /// Ticks at which a file with these stamps is read.
    fn reads(stamps: impl IntoIterator<Item = u32>) -> Vec<usize> {
        let mut settle = Settle::new();
        let due = stamps.into_iter().enumerate().filter(|(_, stamp)| settle.is_due(*stamp));
        due.map(|(tick, _)| tick).collect()
    }

    #[test]
    fn a_file_is_read_at_once_and_half_a_second_after_the_first_of_some_changes() {
        assert_eq!(reads([7; 30]), [0]);
        assert_eq!(reads([7; 3].into_iter().chain([8; 30])), [0, 8]);
        assert_eq!(reads(0..23), [0, 6, 12, 18], "a constant stream");
        assert_eq!(reads([1, 2, 3, 4].into_iter().chain([4; 30])), [0, 6], "a burst");
    }

    #[test]
    fn what_could_not_be_read_is_tried_again_though_nothing_changed() {
        let mut settle = Settle::new();
        assert!(settle.is_due(1));
        settle.try_again();
        let due: Vec<bool> = (0..6).map(|_| settle.is_due(1)).collect();
        assert_eq!(due, [false, false, false, false, true, false]);
    }

    fn follow(folder: &Path) -> Follow {
        Follow::new(Files::new(folder.join("metrics.json"), None))
    }

    fn write(folder: &Path, name: &str, value: &impl serde::Serialize) {
        write_atomically(&folder.join(name), &serde_json::to_vec(value).unwrap()).unwrap();
    }

    /// Ticks until something is read.
    fn next(follow: &mut Follow) {
        assert!((0..7).any(|_| follow.tick()), "nothing was read in 7 ticks");
    }

    #[test]
    fn a_file_may_be_missing_come_be_torn_vanish_be_a_folder_and_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = folder.path().join("metrics.json");
        let mut follow = follow(folder.path());
        assert!(follow.tick());
        assert!(follow.seen().trouble.as_ref().unwrap().starts_with("waiting for "));

        write(folder.path(), "metrics.json", &testing::middle());
        next(&mut follow);
        assert_eq!(follow.seen().metrics.as_ref(), Some(&testing::middle()));
        assert_eq!(follow.seen().trouble, None);

        let whole = serde_json::to_vec(&testing::ended()).unwrap();
        fs::write(&metrics, &whole[..whole.len() / 2]).unwrap();
        next(&mut follow);
        assert!(follow.seen().trouble.as_ref().unwrap().contains("is half-written"));
        assert_eq!(follow.seen().metrics.as_ref(), Some(&testing::middle()), "the last good state");

        fs::remove_file(&metrics).unwrap();
        next(&mut follow);
        assert!(follow.seen().trouble.as_ref().unwrap().contains("is gone"));

        fs::create_dir(&metrics).unwrap();
        next(&mut follow);
        assert!(follow.seen().trouble.as_ref().unwrap().contains("cannot be read"));
        fs::remove_dir(&metrics).unwrap();

        fs::write(&metrics, "\"a text\"").unwrap();
        next(&mut follow);
        assert!(follow.seen().trouble.as_ref().unwrap().contains("holds no metrics"));

        write(folder.path(), "metrics.json", &testing::ended());
        next(&mut follow);
        assert_eq!(follow.seen().metrics.as_ref(), Some(&testing::ended()));
        assert_eq!((&follow.seen().trouble, follow.seen().quiet_ticks), (&None, 0));
    }

    #[test]
    fn a_prediction_may_come_later_and_be_of_another_schema() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "metrics.json", &testing::middle());
        let mut follow = follow(folder.path());
        follow.tick();
        assert!(matches!(follow.seen().prediction, Predicted::Missing(_)));
        let mut file = testing::prediction();
        file.schema = 2;
        write(folder.path(), "prediction.json", &file);
        next(&mut follow);
        assert!(
            matches!(&follow.seen().prediction, Predicted::Unusable(why) if why.contains("schema 2"))
        );
        file.schema = 1;
        write(folder.path(), "prediction.json", &file);
        next(&mut follow);
        assert!(
            matches!(&follow.seen().prediction, Predicted::File(read) if read.configs.len() == 1)
        );
    }
}
