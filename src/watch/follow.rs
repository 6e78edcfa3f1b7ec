//! Two files, looked at ten times a second and read when their changes have settled.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::seen::{Predicted, Seen};
use super::settle::Settle;
use crate::metrics::{Metrics, MetricsError};
use crate::validate::forecast::PredictionFile;

/// The files to watch.
#[derive(Debug, Clone)]
pub struct Files {
    /// The metrics of a proxy.
    pub metrics: PathBuf,
    /// The prediction made before it started; neither file needs to exist yet.
    pub prediction: PathBuf,
}

impl Files {
    /// A metrics file, and the prediction in that file or else in `prediction.json` beside it.
    #[must_use]
    pub fn new(metrics: PathBuf, prediction: Option<PathBuf>) -> Self {
        let beside = || metrics.with_file_name("prediction.json");
        let prediction = prediction.unwrap_or_else(beside);
        Self { metrics, prediction }
    }
}

/// What tells one state of a file from another: time of modification, length, and the file's
/// number, which changes when another file takes the name. None if there is no file.
type Stamp = Option<(Option<SystemTime>, u64, u64)>;

/// Follows both files.
#[derive(Debug)]
pub(super) struct Follow {
    files: Files,
    metrics: Settle<Stamp>,
    prediction: Settle<Stamp>,
    seen: Seen,
    /// What was last complained of.
    complained: Option<String>,
}

impl Follow {
    /// Nothing is read before the first [`Follow::tick`].
    pub(super) fn new(files: Files) -> Self {
        let (metrics, prediction) = (Settle::new(), Settle::new());
        Self { files, metrics, prediction, seen: Seen::default(), complained: None }
    }

    /// What is known.
    pub(super) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// What is wrong now and was not said before.
    pub(super) fn complaint(&mut self) -> Option<String> {
        if self.seen.trouble == self.complained {
            return None;
        }
        self.complained.clone_from(&self.seen.trouble);
        self.complained.clone()
    }

    /// One tick passes; true if a file was read.
    pub(super) fn tick(&mut self) -> bool {
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
            MetricsError::Read { source, .. } if source.kind() == ErrorKind::NotFound => {
                if had_some {
                    format!("{path} is gone: waiting until it is back")
                } else {
                    format!("waiting for {path}: the proxy writes it when it starts")
                }
            }
            MetricsError::Read { source, .. } => {
                format!("{path} cannot be read ({source}): trying again")
            }
            MetricsError::Form { source, .. } if source.is_eof() => {
                format!("{path} is half-written: waiting for the rest")
            }
            MetricsError::Form { source, .. } => {
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

#[cfg(test)]
mod tests;
