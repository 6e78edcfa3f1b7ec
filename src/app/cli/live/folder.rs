//! The results folder of a live run: what lies where.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::report::{Manifest, ResultsFolder, write_atomically};
use flakelab_live::{LoadLog, Metrics, load};
use flakelab_sim::world::Model;

/// Folders that a live run fills while it lasts.
const PARTS: [&str; 7] = ["traces", "requests", "events", "metrics", "servers", "path", "logs"];

/// What lies in these, for the report.
pub(crate) const MEANINGS: [(&str, &str); 9] = [
    ("prediction.json", "what was predicted, written before the first request"),
    ("metrics.json", "the last state of the last proxy; `flakelab watch` reads it"),
    ("traces/", "every attempt, one file a run; `flakelab fit` reads them"),
    ("requests/", "every request as the load generator saw it"),
    ("events/", "every event and decision of the proxy, enough to replay them"),
    ("metrics/", "the last metrics of each run"),
    ("servers/", "the stand-in servers' own log, and what they drew"),
    (
        "path/",
        "the runs against a null server that measured the path, before and beside the others",
    ),
    ("logs/", "messages of the processes"),
];

pub(crate) struct Folder {
    results: ResultsFolder,
    spec_hash: String,
    is_new: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct RunFiles {
    pub(crate) trace: PathBuf,
    pub(crate) events: PathBuf,
    /// What a replay of the events needs beside them.
    pub(crate) setup: PathBuf,
    pub(crate) requests: PathBuf,
    pub(crate) metrics: PathBuf,
    last_metrics: PathBuf,
}

impl Folder {
    /// The folder that was asked for, empty of an earlier run's files.
    pub(crate) fn open(out: Option<&PathBuf>, force: bool, seed: u64) -> anyhow::Result<Self> {
        let path = out.cloned().unwrap_or_else(|| {
            let name = flakelab_live::name(flakelab_live::unix_seconds());
            PathBuf::from("results").join(format!("live-{name}"))
        });
        let is_new = !path.exists();
        let earlier = Manifest::read(&path);
        if earlier.is_some() && !force {
            bail!(
                "{} holds the results of an earlier run, and no live run is like another; choose \
                 another folder with --out, or replace it with --force",
                path.display()
            );
        }
        let spec_hash = format!("{seed:016x}");
        let results = ResultsFolder::open(&path, &spec_hash, force)?;
        let folder = Self { results, spec_hash, is_new };
        // What lies in a folder that is not of a live run is not ours to remove.
        let is_ours = earlier.is_some_and(|manifest| manifest.live);
        for file in ["prediction.json", "metrics.json", "live.svg", "report.txt"] {
            let file = folder.path().join(file);
            let shown = file.display();
            if is_ours && file.exists() {
                fs::remove_file(&file).with_context(|| format!("cannot remove {shown}"))?;
            }
        }
        for part in PARTS {
            let part = folder.path().join(part);
            let shown = part.display();
            if is_ours && part.is_dir() {
                fs::remove_dir_all(&part).with_context(|| format!("cannot clear {shown}"))?;
            }
            if fs::read_dir(&part).is_ok_and(|mut files| files.next().is_some()) {
                bail!("{shown} is not empty; choose another folder with --out");
            }
            fs::create_dir_all(&part).with_context(|| format!("cannot make {shown}"))?;
        }
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.results.path()
    }

    /// What tells this run from others.
    pub(crate) fn spec_hash(&self) -> &str {
        &self.spec_hash
    }

    pub(crate) fn name(&self) -> String {
        let name = self.path().file_name().unwrap_or(self.path().as_os_str());
        name.to_string_lossy().into_owned()
    }

    pub(crate) fn run(&self, name: &str) -> RunFiles {
        let file = |part: &str, kind: &str| self.path().join(part).join(format!("{name}.{kind}"));
        RunFiles {
            trace: file("traces", "csv"),
            events: file("events", "csv"),
            setup: file("events", "json"),
            requests: file("requests", "csv"),
            metrics: self.metrics(),
            last_metrics: file("metrics", "json"),
        }
    }

    /// The files of the measurement of the path.
    pub(crate) fn measurement(&self, name: &str) -> RunFiles {
        let file = |kind: &str| self.path().join("path").join(format!("{name}-{kind}"));
        RunFiles {
            trace: file("trace.csv"),
            events: file("events.csv"),
            setup: file("events.json"),
            requests: file("requests.csv"),
            metrics: file("metrics.json"),
            last_metrics: file("metrics.json"),
        }
    }

    /// The metrics file that viewers watch.
    pub(crate) fn metrics(&self) -> PathBuf {
        self.path().join("metrics.json")
    }

    pub(crate) fn log(&self, process: &str) -> PathBuf {
        self.path().join("logs").join(format!("{process}.log"))
    }

    /// The stand-in servers' own log, for one start.
    pub(crate) fn servers_log(&self, start: u64) -> PathBuf {
        self.path().join("servers").join(format!("start-{start}.csv"))
    }

    /// What the stand-in servers drew at one start.
    pub(crate) fn truth(&self, start: u64) -> PathBuf {
        self.path().join("servers").join(format!("start-{start}"))
    }

    pub(crate) fn write_model(&self, file: &str, model: &Model) -> anyhow::Result<PathBuf> {
        let path = self.path().join("path").join(file);
        write_atomically(&path, model.to_toml().as_bytes())?;
        Ok(path)
    }

    pub(crate) fn write_requests(&self, files: &RunFiles, log: &LoadLog) -> anyhow::Result<()> {
        let mut csv = Vec::new();
        load::write_requests(&mut csv, log).context("cannot write the requests")?;
        write_atomically(&files.requests, &csv)?;
        Ok(())
    }

    /// Keeps the metrics of a run that has ended.
    pub(crate) fn keep_metrics(&self, files: &RunFiles) -> anyhow::Result<Metrics> {
        let metrics = Metrics::read(&files.metrics)?;
        if files.metrics != files.last_metrics {
            fs::copy(&files.metrics, &files.last_metrics)
                .with_context(|| format!("cannot write {}", files.last_metrics.display()))?;
        }
        Ok(metrics)
    }

    pub(crate) fn write_prediction(&self, json: &[u8]) -> anyhow::Result<()> {
        write_atomically(&self.path().join("prediction.json"), json)?;
        Ok(())
    }

    /// Writes the results, the manifest last, and what was printed.
    pub(crate) fn write_results(
        &self,
        files: &[(String, Vec<u8>)],
        printed: &str,
    ) -> anyhow::Result<()> {
        self.results.begin()?;
        self.results.write("report.txt", format!("{printed}\n").as_bytes())?;
        self.results.write_all(files)?;
        Ok(())
    }

    /// Removes the folder of a run that did not come to its first request, if it made it.
    pub(crate) fn remove_if_unused(&self) {
        let path = self.path();
        let played =
            fs::read_dir(path.join("traces")).is_ok_and(|mut files| files.next().is_some());
        if self.is_new && !played {
            // Leftovers are no reason to hide the error that is about to be told.
            let _ = fs::remove_dir_all(path);
        }
    }
}
