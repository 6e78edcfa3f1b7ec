//! The files of a proxy: begun before anything is served, so that one that cannot be written is
//! known while there is still time.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::metrics::Metrics;

/// Which files a proxy writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// The metrics file; one that is there is replaced.
    pub metrics: Option<PathBuf>,
    /// The trace.
    pub trace: Option<PathBuf>,
    /// The events log.
    pub events: Option<PathBuf>,
    /// Whether trace and events log may take the place of files that are there.
    pub force: bool,
}

/// A file that is not written, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Somebody may still want it.
    #[error("{0} is there already; name another file or add --force")]
    Exists(String),
    /// It cannot be begun.
    #[error("cannot write {path}")]
    Begin {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It could not be written in the middle.
    #[error("cannot write all of {path}; it is not complete")]
    End {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
}

impl FileError {
    pub(super) fn begin(path: &Path, source: io::Error) -> Self {
        let path = path.display().to_string();
        match source.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists(path),
            _ => Self::Begin { path, source },
        }
    }
}

/// A file that is taken away again unless it is kept, as when another cannot be begun.
#[derive(Debug)]
pub(super) struct Begun(Option<(PathBuf, File)>);

impl Begun {
    pub(super) fn create(path: &Path, force: bool) -> Result<Self, FileError> {
        let mut options = OpenOptions::new();
        options.write(true);
        if force {
            options.create(true).truncate(true)
        } else {
            options.create_new(true)
        };
        let file = options.open(path).map_err(|source| FileError::begin(path, source))?;
        Ok(Self(Some((path.to_owned(), file))))
    }

    /// The file, to stay.
    pub(super) fn keep(mut self) -> Option<(PathBuf, File)> {
        self.0.take()
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        // No devices, which `--force` may name.
        if let Some((path, _)) = self.0.take().filter(|(path, _)| path.is_file()) {
            // It is empty, and an error with more to say is on its way.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Replaces the file at `path` by these metrics, whole: renamed, so that a reader never sees half
/// of it, and not synced, since it is replaced twenty times a second and worth nothing after a
/// crash of the machine.
pub(super) fn replace(path: &Path, metrics: &Metrics) -> io::Result<()> {
    let bytes = serde_json::to_vec(metrics)?;
    // One writer a file, so the name need not be unique; the prefix is that of temporary files of
    // results folders, which are cleared away there.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".flakelab-{name}-{}", std::process::id()));
    let written = std::fs::write(&temporary, bytes);
    let replaced = written.and_then(|()| std::fs::rename(&temporary, path));
    if replaced.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_kept_is_gone_and_one_that_was_there_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.csv");
        drop(Begun::create(&path, false).unwrap());
        assert!(!path.exists());
        assert!(Begun::create(&path, false).unwrap().keep().is_some());
        std::fs::write(&path, "precious").unwrap();
        let error = Begun::create(&path, false).unwrap_err();
        assert!(matches!(error, FileError::Exists(_)) && error.to_string().contains("--force"));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn metrics_are_replaced_whole_and_leave_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.json");
        for total_requests in 0..3 {
            let metrics = Metrics { total_requests, ..Metrics::default() };
            replace(&path, &metrics).unwrap();
            assert_eq!(Metrics::read(&path).unwrap(), metrics);
        }
        assert!(replace(&folder.path().join("nowhere/m.json"), &Metrics::default()).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
