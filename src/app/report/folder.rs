//! The results folder of one sweep, search or live run, its manifest, and files that are written
//! whole or not at all.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, bail};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::charts;

/// A folder that belongs to one experiment.
#[derive(Debug)]
pub struct ResultsFolder {
    path: PathBuf,
    /// Folders that did not exist before, outermost first.
    created: Vec<PathBuf>,
    /// Held as long as this lives, so that nobody else writes here meanwhile.
    lock: Option<File>,
}

impl ResultsFolder {
    /// Makes the folder ready for results with that spec hash, and checks that it can be
    /// written to, before any work is done.
    pub fn open(path: &Path, spec_hash: &str, force: bool) -> anyhow::Result<Self> {
        let shown = path.display();
        if !force {
            match Manifest::read(path).map(|m| m.spec_hash) {
                Some(theirs) if theirs != spec_hash => bail!(
                    "{shown} holds the results of another experiment (spec {theirs:.8}, this one \
                     is {spec_hash:.8}); choose another folder with --out, or replace it with \
                     --force"
                ),
                None if holds_something_else(path) => bail!(
                    "{shown} is not empty and holds no results of flakelab; choose another folder \
                     with --out, or write into it with --force"
                ),
                Some(_) | None => {}
            }
        }
        let mut created: Vec<PathBuf> =
            path.ancestors().take_while(|p| !p.exists()).map(Path::to_owned).collect();
        created.reverse();
        let mut folder = Self { path: path.to_owned(), created, lock: None };
        let ready = fs::create_dir_all(folder.charts()).and_then(|()| {
            // Root may write anywhere but not on a read-only disk: try it.
            tempfile::tempfile_in(path).map(drop)
        });
        if let Err(error) = ready {
            folder.remove_if_unused();
            return Err(error).with_context(|| {
                format!("cannot write into the results folder {shown}; choose another with --out")
            });
        }
        // Where folders cannot be opened (Windows), sweeps are trusted to keep out of each
        // other's way.
        if let Ok(lock) = File::open(path) {
            match lock.try_lock() {
                Err(TryLockError::WouldBlock) => bail!(
                    "another run is writing into {shown}; wait for it, or choose another with --out"
                ),
                Ok(()) | Err(TryLockError::Error(_)) => folder.lock = Some(lock),
            }
        }
        // What a killed sweep left half-written; not worth an error if it cannot be removed.
        for folder in [path, &folder.charts()] {
            for name in file_names(folder).filter(|name| is_temporary(name)) {
                let _ = fs::remove_file(folder.join(name));
            }
        }
        Ok(folder)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn charts(&self) -> PathBuf {
        self.path.join("charts")
    }

    /// Whether results of the same spec on at least so many replications lie here already.
    pub fn holds_as_much(&self, spec_hash: &str, finished: u64) -> bool {
        Manifest::read(&self.path)
            .is_some_and(|m| m.spec_hash == spec_hash && m.finished >= finished)
    }

    /// Makes way for new results: from here until the new manifest is written, the folder has
    /// none.
    pub fn begin(&self) -> Result<(), WriteError> {
        remove(&self.path.join(Manifest::FILE))
    }

    /// Writes these files: the first one first, the last one last, those between all at once. Charts
    /// of an earlier run that are not among them go, so that none of them is taken for one of this.
    pub fn write_all(&self, files: &[(String, Vec<u8>)]) -> Result<(), WriteError> {
        let charts = files.iter().filter_map(|(name, _)| name.strip_prefix("charts/"));
        let current: BTreeSet<&str> = charts.collect();
        file_names(&self.charts())
            .filter(|name| charts::is_chart_file(name) && !current.contains(name.as_str()))
            .try_for_each(|name| remove(&self.charts().join(name)))?;
        let write = |(name, bytes): &(String, Vec<u8>)| self.write(name, bytes);
        let [first, between @ .., last] = files else { return files.iter().try_for_each(write) };
        write(first)?;
        between.par_iter().try_for_each(write)?;
        write(last)
    }

    /// Writes one file of the folder; `name` may hold one subfolder.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
        write_atomically(&self.path.join(name), bytes)
    }

    /// Removes the folders that [`ResultsFolder::open`] made, as far as they are empty.
    pub fn remove_if_unused(&self) {
        let _ = fs::remove_dir(self.charts());
        for folder in self.created.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Names of what is in a folder, none if it cannot be read.
fn file_names(folder: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

/// Whether a folder without a manifest holds more than a killed sweep may have left: temporary
/// files and our charts, and the summaries only beside what is written first.
fn holds_something_else(folder: &Path) -> bool {
    let first = ["replications.parquet", "tune.json"];
    let later = ["summary.csv", "summary.json", "report.md", "candidates.csv"];
    let has_first = first.iter().any(|name| folder.join(name).exists());
    let foreign_chart = |name: String| !charts::is_chart_file(&name) && !is_temporary(&name);
    file_names(folder).any(|name| match name.as_str() {
        "charts" => file_names(&folder.join("charts")).any(foreign_chart),
        name if first.contains(&name) => false,
        name if later.contains(&name) => !has_first,
        name => !is_temporary(name),
    })
}

fn remove(path: &Path) -> Result<(), WriteError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(WriteError::new(path, error)),
        _ => Ok(()),
    }
}

/// A file that could not be written. The old file, if there was one, is as it was.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}")]
pub struct WriteError {
    pub path: String,
    pub source: io::Error,
}

impl WriteError {
    pub(crate) fn new(path: &Path, source: io::Error) -> Self {
        Self { path: path.display().to_string(), source }
    }
}

/// How the names of temporary files begin.
const TEMPORARY: &str = ".flakelab-";

/// Whether a file's name is that of a temporary one, which a killed process may have left.
fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY)
}

/// Puts `bytes` into the file at `path`, whatever was there before; it is whole or not there: written
/// under a temporary name, synced, renamed. A link is followed; a device or
/// a pipe is written to and stays what it is.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let path = target.as_path();
    if fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        return fs::write(path, bytes).map_err(|e| WriteError::new(path, e));
    }
    let mut file = temporary_beside(path)?;
    file.write_all(bytes).map_err(|e| WriteError::new(path, e))?;
    commit(file, path)
}

/// An empty temporary file in the folder of `path`, removed unless [`commit`]ted.
pub(crate) fn temporary_beside(path: &Path) -> Result<NamedTempFile, WriteError> {
    let folder = folder_of(path);
    tempfile::Builder::new()
        .prefix(TEMPORARY)
        .tempfile_in(folder)
        .map_err(|e| WriteError::new(path, e))
}

/// Gives a finished temporary file its name; it and its folder are synced.
pub(crate) fn commit(file: NamedTempFile, path: &Path) -> Result<(), WriteError> {
    let error = |e| WriteError::new(path, e);
    readable_as_others(&file).map_err(error)?;
    file.as_file().sync_all().map_err(error)?;
    file.persist(path).map_err(|e| error(e.error))?;
    // Not every system lets folders be opened; where it does, the rename is made durable.
    if let Ok(folder) = File::open(folder_of(path)) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// Temporary files are private at first; results should be as readable as any other file.
fn readable_as_others(file: &NamedTempFile) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// `manifest.json`: which command and which build made the results. Of a sweep, the only result
/// file that may differ between two runs of the same spec; written last, so its presence says that
/// the rest is complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub argv: Vec<String>,
    /// SHA-256 of everything that the results depend on.
    pub spec_hash: String,
    pub master_seed: u64,
    /// Whether parameters were drawn from the models' posteriors, where they have one.
    #[serde(default)]
    pub parameter_uncertainty: bool,
    /// Replications asked for, of every scenario; for a live run the runs of all configs,
    /// for a search the fresh ones.
    pub replications: u64,
    /// Replications finished, over all scenarios; for a live run the runs played to the end.
    pub finished: u64,
    /// Whether it was interrupted; the results then rest on fewer replications or runs.
    pub interrupted: bool,
    pub version: String,
    pub git_hash: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub live: bool,
}

impl Manifest {
    pub const FILE: &str = "manifest.json";

    /// The manifest of what this very command and build made; not of a live run.
    pub fn new(spec_hash: &str, master_seed: u64, asked: u64, finished: u64) -> Self {
        Self {
            // Where the program lies is nobody's business; what it was told is.
            argv: std::iter::once("flakelab".to_owned()).chain(std::env::args().skip(1)).collect(),
            spec_hash: spec_hash.to_owned(),
            master_seed,
            parameter_uncertainty: true,
            replications: asked,
            finished,
            interrupted: false,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git_hash: env!("FLAKELAB_GIT_HASH").to_owned(),
            live: false,
        }
    }

    pub fn read(folder: &Path) -> Option<Self> {
        let text = fs::read_to_string(folder.join(Self::FILE)).ok()?;
        serde_json::from_str(&text).ok()
    }

    pub fn to_json(&self) -> String {
        // Texts, numbers and a flag always serialise.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(spec_hash: &str, finished: u64) -> Manifest {
        Manifest { interrupted: true, ..Manifest::new(spec_hash, 42, 100, finished) }
    }

    #[test]
    fn making_way_removes_what_is_ours_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let folder = ResultsFolder::open(root.path(), "aaaa", false).unwrap();
        let files = ["charts/config-0-score.svg", "charts/mine.svg", "notes.txt"];
        files.iter().for_each(|name| fs::write(root.path().join(name), "x").unwrap());
        folder.write(Manifest::FILE, manifest("aaaa", 7).to_json().as_bytes()).unwrap();
        assert!(folder.holds_as_much("aaaa", 7) && !folder.holds_as_much("aaaa", 8));
        assert!(!folder.holds_as_much("bbbb", 1));
        folder.begin().unwrap();
        folder.write_all(&[]).unwrap();
        assert!(!folder.holds_as_much("aaaa", 1));
        let left: Vec<bool> = files.iter().map(|name| root.path().join(name).exists()).collect();
        assert_eq!(left, [false, true, true]);
    }

    #[test]
    fn what_a_killed_sweep_left_is_no_obstacle() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("charts")).unwrap();
        fs::write(root.path().join(".flakelab-x"), "half").unwrap();
        fs::write(root.path().join("replications.parquet"), "whole").unwrap();
        assert!(ResultsFolder::open(root.path(), "aaaa", false).is_ok());
        assert!(!root.path().join(".flakelab-x").exists());
    }

    #[test]
    fn a_folder_with_other_things_in_it_is_left_alone() {
        // Somebody else's report is not taken for a leftover.
        for file in ["thesis.tex", "report.md"] {
            let root = tempfile::tempdir().unwrap();
            fs::write(root.path().join(file), "mine").unwrap();
            let error = ResultsFolder::open(root.path(), "aaaa", false).unwrap_err();
            assert!(error.to_string().contains("holds no results of flakelab"), "{error}");
        }
    }

    #[test]
    fn a_folder_that_was_not_needed_leaves_no_trace() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a").join("b");
        ResultsFolder::open(&path, "aaaa", false).unwrap().remove_if_unused();
        assert!(!root.path().join("a").exists());
    }

    #[test]
    fn replaces_the_whole_file_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_atomically(&path, b"a longer first version").unwrap();
        write_atomically(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_devices_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.txt"), folder.path().join("link"));
        fs::write(&file, "first").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_atomically(&link, b"second").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"second");
        let null = folder.path().join("null");
        std::os::unix::fs::symlink("/dev/null", &null).unwrap();
        write_atomically(&null, b"gone").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_failure_names_the_file() {
        let error = write_atomically(Path::new("/no/such/folder/x.csv"), b"").unwrap_err();
        assert!(error.to_string().contains("/no/such/folder/x.csv"), "{error}");
    }
}
