//! `results/reference` is what this program computes, byte for byte. When a change moves seeded
//! numbers, run `make reference`, look at the difference, and label the change `value-breaking`
//! in CHANGELOG.md.

use std::fs;
use std::path::Path;

use super::program::{flakelab, stderr};

#[test]
fn the_committed_reference_is_reproduced_byte_for_byte() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = root.join("results/reference");
    let out = tempfile::tempdir().unwrap();
    let output = flakelab(root)
        .args(["sweep", "--experiment", "experiments/reference.toml", "--force", "--out"])
        .arg(out.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let mut compared = 0;
    for folder in ["", "charts"] {
        for entry in fs::read_dir(committed.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&committed).unwrap();
            // The catalogue is of another experiment, and has a test of its own.
            let other = [Path::new("manifest.json"), Path::new("catalogue.md")];
            if path.is_dir() || other.contains(&name) {
                continue;
            }
            let fresh = fs::read(out.path().join(name)).unwrap();
            let same = fs::read(&path).unwrap() == fresh;
            assert!(same, "{} differs: see the head of this file", name.display());
            compared += 1;
        }
    }
    assert!(compared >= 16, "only {compared} files are committed");
}
