//! `manifest.json`: which command and which build made the results. Of a sweep, the only result
//! file that may differ between two runs of the same spec; written last, so its presence says that the
//! rest is complete.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// What made the results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The command line.
    pub argv: Vec<String>,
    /// SHA-256 of everything that the results depend on.
    pub spec_hash: String,
    /// Master seed.
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
    /// Version of flakelab.
    pub version: String,
    /// Commit that was built.
    pub git_hash: String,
    /// Whether these are results of a live run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub live: bool,
}

impl Manifest {
    /// The file's name.
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

    /// The manifest of the results in a folder, if there are any.
    pub fn read(folder: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(folder.join(Self::FILE)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// The file's content.
    pub fn to_json(&self) -> String {
        // Texts, numbers and a flag always serialise.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}
