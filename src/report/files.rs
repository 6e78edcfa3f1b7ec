//! Files that are whole or not there: written under a temporary name, synced, renamed.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file that could not be written. The old file, if there was one, is as it was.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}")]
pub struct WriteError {
    /// The file.
    pub path: String,
    /// Why.
    pub source: io::Error,
}

impl WriteError {
    pub(super) fn new(path: &Path, source: io::Error) -> Self {
        Self { path: path.display().to_string(), source }
    }
}

/// How the names of temporary files begin.
const TEMPORARY: &str = ".flakelab-";

/// Whether a file's name is that of a temporary one, which a killed process may have left.
pub(super) fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY)
}

/// Puts `bytes` into the file at `path`, whatever was there before. A link is followed; a device or
/// a pipe is written to and stays what it is.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let path = target.as_path();
    if std::fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        return std::fs::write(path, bytes).map_err(|e| WriteError::new(path, e));
    }
    let mut file = temporary_beside(path)?;
    file.write_all(bytes).map_err(|e| WriteError::new(path, e))?;
    commit(file, path)
}

/// An empty temporary file in the folder of `path`, removed unless [`commit`]ted.
pub(super) fn temporary_beside(path: &Path) -> Result<NamedTempFile, WriteError> {
    let folder = folder_of(path);
    tempfile::Builder::new()
        .prefix(TEMPORARY)
        .tempfile_in(folder)
        .map_err(|e| WriteError::new(path, e))
}

/// Gives a finished temporary file its name; it and its folder are synced.
pub(super) fn commit(file: NamedTempFile, path: &Path) -> Result<(), WriteError> {
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
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_the_whole_file_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_atomically(&path, b"a longer first version").unwrap();
        write_atomically(&path, b"second").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_devices_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.txt"), folder.path().join("link"));
        std::fs::write(&file, "first").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_atomically(&link, b"second").unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"second");
        let null = folder.path().join("null");
        std::os::unix::fs::symlink("/dev/null", &null).unwrap();
        write_atomically(&null, b"gone").unwrap();
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_failure_names_the_file() {
        let error = write_atomically(Path::new("/no/such/folder/x.csv"), b"").unwrap_err();
        assert!(error.to_string().contains("/no/such/folder/x.csv"), "{error}");
    }
}
