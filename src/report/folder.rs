//! The results folder of one sweep.

use std::fs;
use std::path::{Path, PathBuf};

use super::files::{WriteError, write_atomically};
use super::manifest::Manifest;

/// A folder that belongs to one experiment.
#[derive(Debug)]
pub struct ResultsFolder {
    path: PathBuf,
    /// Folders that did not exist before, outermost first.
    created: Vec<PathBuf>,
}

/// A folder that cannot take the results.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It holds the results of something else.
    #[error(
        "{path} holds the results of another experiment (spec {theirs}, this one is {ours}); \
         choose another folder with --out, or replace it with --force"
    )]
    OtherSpec {
        /// The folder.
        path: String,
        /// Start of the spec hash found there.
        theirs: String,
        /// Start of the spec hash of this experiment.
        ours: String,
    },
    /// It holds files but no results.
    #[error(
        "{path} is not empty and holds no results of flakelab; choose another folder with --out, \
         or write into it with --force"
    )]
    NotEmpty {
        /// The folder.
        path: String,
    },
    /// It cannot be made or written to.
    #[error("cannot write into the results folder {path}: {source}; choose another with --out")]
    Unwritable {
        /// The folder.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

impl ResultsFolder {
    /// Makes the folder ready for results with that spec hash, and checks that it can be
    /// written to, before any work is done.
    pub fn open(path: &Path, spec_hash: &str, force: bool) -> Result<Self, FolderError> {
        let shown = || path.display().to_string();
        let unwritable = |source| FolderError::Unwritable { path: shown(), source };
        if !force {
            match Manifest::spec_hash_in(path) {
                Some(theirs) if theirs != spec_hash => {
                    let short = |hash: &str| hash.chars().take(8).collect();
                    return Err(FolderError::OtherSpec {
                        path: shown(),
                        theirs: short(&theirs),
                        ours: short(spec_hash),
                    });
                }
                Some(_) => {}
                None => {
                    if fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
                        return Err(FolderError::NotEmpty { path: shown() });
                    }
                }
            }
        }
        let mut created: Vec<PathBuf> =
            path.ancestors().take_while(|p| !p.exists()).map(Path::to_owned).collect();
        created.reverse();
        let folder = Self { path: path.to_owned(), created };
        let ready = fs::create_dir_all(folder.charts()).and_then(|()| {
            // Root may write anywhere but not on a read-only disk: try it.
            tempfile::tempfile_in(path).map(drop)
        });
        if let Err(error) = ready {
            folder.remove_if_unused();
            return Err(unwritable(error));
        }
        Ok(folder)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of the charts.
    pub fn charts(&self) -> PathBuf {
        self.path.join("charts")
    }

    /// Removes charts of an earlier sweep, so that none of them is taken for one of this.
    pub fn clear_charts(&self) -> Result<(), WriteError> {
        let charts = self.charts();
        let error = |e| WriteError::new(&charts, e);
        for entry in fs::read_dir(&charts).map_err(error)? {
            let path = entry.map_err(error)?.path();
            if path.extension().is_some_and(|e| e == "svg" || e == "png") {
                fs::remove_file(&path).map_err(|e| WriteError::new(&path, e))?;
            }
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_experiments_results_are_not_touched_unless_forced() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("results").join("x");
        let folder = ResultsFolder::open(&path, "aaaa", false).unwrap();
        folder.write("manifest.json", br#"{"spec_hash": "aaaa"}"#).unwrap();
        assert!(ResultsFolder::open(&path, "aaaa", false).is_ok());
        let error = ResultsFolder::open(&path, "bbbb", false).unwrap_err();
        assert!(error.to_string().contains("--force"), "{error}");
        assert!(ResultsFolder::open(&path, "bbbb", true).is_ok());
    }

    #[test]
    fn a_folder_with_other_things_in_it_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("thesis.tex"), "text").unwrap();
        let error = ResultsFolder::open(root.path(), "aaaa", false).unwrap_err();
        assert!(matches!(error, FolderError::NotEmpty { .. }));
    }

    #[test]
    fn a_folder_that_was_not_needed_leaves_no_trace() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a").join("b");
        ResultsFolder::open(&path, "aaaa", false).unwrap().remove_if_unused();
        assert!(!root.path().join("a").exists());
    }

    #[test]
    fn a_file_in_the_way_is_an_error_that_names_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        fs::write(&path, "").unwrap();
        let error = ResultsFolder::open(&path.join("x"), "aaaa", false).unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
    }
}
