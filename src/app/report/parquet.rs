//! `replications.parquet`: one row a replication, streamed in row groups of fixed size, so that
//! memory does not grow with the number of replications and the bytes do not depend on how the
//! work was split.

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};

use polars::prelude::{Column, DataFrame, PolarsError};
use polars_io::parquet::write::{BatchedWriter, ParquetCompression, ParquetWriter};
use tempfile::NamedTempFile;

use crate::report::folder::{WriteError, commit, temporary_beside};
use flakelab_sim::experiment::{Contender, Plan, Row, RowNotes, RowSink};

const ROW_GROUP: usize = 65_536;

/// Writes rows under a temporary name, until [`ParquetSink::finish`].
pub struct ParquetSink {
    configs: Vec<String>,
    strategies: Vec<String>,
    /// Whether some strategy of the plan tells of load and health; there are columns for it then.
    with_notes: bool,
    path: PathBuf,
    file: NamedTempFile,
    writer: BatchedWriter<File>,
    rows: Vec<Row>,
}

impl ParquetSink {
    /// A sink for the rows of `plan` that ends up as the file `path`.
    pub fn create(path: &Path, plan: &Plan) -> Result<Self, WriteError> {
        let file = temporary_beside(path)?;
        let handle = file.as_file().try_clone().map_err(|e| WriteError::new(path, e))?;
        let configs: Vec<String> = plan.scenarios.iter().map(|s| s.name.clone()).collect();
        let strategies: Vec<String> = plan.contenders.iter().map(|c| c.label.clone()).collect();
        let with_notes = plan.contenders.iter().any(Contender::has_notes);
        let writer = columns(&configs, &strategies, with_notes, &[])
            .and_then(|empty| {
                ParquetWriter::new(handle)
                    .with_compression(ParquetCompression::Snappy)
                    .set_parallel(true)
                    .batched(empty.schema())
            })
            .map_err(|e| WriteError::new(path, std::io::Error::other(e)))?;
        let path = path.to_owned();
        Ok(Self { configs, strategies, with_notes, path, file, writer, rows: Vec::new() })
    }

    /// Writes what is left; what it gives puts the file in its place.
    pub fn finish(
        mut self,
    ) -> Result<impl FnOnce() -> Result<(), WriteError> + Send + use<>, WriteError> {
        let result = self.write_group(self.rows.len()).and_then(|()| self.writer.finish());
        result.map_err(|e| WriteError::new(&self.path, std::io::Error::other(e)))?;
        Ok(move || commit(self.file, &self.path))
    }

    fn write_group(&mut self, n: usize) -> Result<(), PolarsError> {
        if n > 0 {
            let group = columns(&self.configs, &self.strategies, self.with_notes, &self.rows[..n])?;
            self.writer.write_batch(&group)?;
            self.rows.drain(..n);
        }
        Ok(())
    }
}

impl RowSink for ParquetSink {
    fn push(&mut self, rows: &[Row]) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.rows.extend_from_slice(rows);
        while self.rows.len() >= ROW_GROUP {
            self.write_group(ROW_GROUP)
                .map_err(|e| WriteError::new(&self.path, std::io::Error::other(e)))?;
        }
        Ok(())
    }
}

fn columns(
    configs: &[String],
    strategies: &[String],
    with_notes: bool,
    rows: &[Row],
) -> Result<DataFrame, PolarsError> {
    let texts = |name: &str, cell: &dyn Fn(&Row) -> String| {
        Column::new(name.into(), rows.iter().map(cell).collect::<Vec<String>>())
    };
    let counts = |name: &str, cell: &dyn Fn(&Row) -> u64| {
        Column::new(name.into(), rows.iter().map(cell).collect::<Vec<u64>>())
    };
    let reals = |name: &str, cell: &dyn Fn(&Row) -> f64| {
        Column::new(name.into(), rows.iter().map(cell).collect::<Vec<f64>>())
    };
    let mut columns = vec![
        texts("config", &|r| configs[r.scenario].clone()),
        texts("strategy", &|r| strategies[r.contender].clone()),
        counts("replication", &|r| r.replication),
        counts("requests", &|r| r.requests),
        counts("answered_ok", &|r| r.answered_ok),
        counts("answered_error", &|r| r.answered_error),
        counts("attempts", &|r| r.attempts),
        counts("retries", &|r| r.retries),
        counts("extra_attempts", &|r| r.extra_attempts),
        counts("rate_limited", &|r| r.rate_limited),
        counts("timed_out", &|r| r.timed_out),
        counts("best_server_attempts", &|r| r.best_server_attempts),
        reals("penalty", &|r| r.penalty),
        reals("score", &|r| r.score),
        reals("oracle_regret", &|r| r.oracle_regret),
        reals("latency_p50_ms", &|r| r.latency_p50_ms),
        reals("latency_p99_ms", &|r| r.latency_p99_ms),
    ];
    if with_notes {
        columns.extend(columns_of_notes(rows));
    }
    DataFrame::new_infer_height(columns)
}

/// What strategies that watch load and health tell; null in the rows of others.
fn columns_of_notes(rows: &[Row]) -> Vec<Column> {
    let notes: Vec<Option<&RowNotes>> = rows.iter().map(|r| r.notes.as_deref()).collect();
    let counts = |name: &str, cell: &dyn Fn(&RowNotes) -> u64| {
        let cells = notes.iter().map(|notes| notes.map(cell));
        Column::new(name.into(), cells.collect::<Vec<Option<u64>>>())
    };
    let reals = |name: &str, cell: &dyn Fn(&RowNotes) -> f64| {
        let cells = notes.iter().map(|notes| notes.map(cell));
        Column::new(name.into(), cells.collect::<Vec<Option<f64>>>())
    };
    let selections = notes.iter().map(|notes| {
        let attempts = notes.map(|n| &n.selections).filter(|selections| !selections.is_empty())?;
        Some(attempts.iter().map(u64::to_string).collect::<Vec<String>>().join(" "))
    });
    vec![
        counts("filtered_by_health", &|n| n.filtered_by_health),
        counts("switches", &|n| n.switches),
        reals("load_variance", &|n| n.load_variance),
        reals("busiest_share", &|n| n.busiest_share),
        // Attempts of each server in order of ports, as text: few readers need more.
        Column::new("selections".into(), selections.collect::<Vec<Option<String>>>()),
    ]
}

#[cfg(test)]
mod tests {
    use polars_io::SerReader;
    use polars_io::parquet::read::ParquetReader;

    use super::*;
    use flakelab_core::strategy::StrategySpec;
    use flakelab_sim::world::{Model, Scenario};

    fn plan_of(strategy: &str) -> Plan {
        let model = Model { name: "0".to_owned(), ..Model::of_rates(&[0.1, 0.2]) };
        let contender = Contender::new(StrategySpec::from_name(strategy).unwrap());
        Plan::new("x", vec![Scenario::new(model)], vec![contender], 1, 1).unwrap()
    }

    fn plan() -> Plan {
        plan_of("v2")
    }

    fn row(replication: u64) -> Row {
        Row {
            scenario: 0,
            contender: (replication % 3) as usize,
            replication,
            requests: 10,
            answered_ok: 9,
            answered_error: 1,
            attempts: 12,
            retries: 2,
            extra_attempts: 0,
            rate_limited: 0,
            timed_out: 0,
            penalty: 0.0,
            score: 9.0,
            oracle_regret: replication as f64,
            latency_p50_ms: 1.0,
            latency_p99_ms: 2.0,
            best_server_attempts: 6,
            notes: None,
        }
    }

    #[test]
    fn the_bytes_do_not_depend_on_how_rows_come_in_and_read_back_whole() {
        let folder = tempfile::tempdir().unwrap();
        let rows: Vec<Row> = (0..150_000).map(row).collect();
        let mut files = Vec::new();
        for (name, chunk) in [("a.parquet", 150_000), ("b.parquet", 7_001)] {
            let path = folder.path().join(name);
            let mut sink = ParquetSink::create(&path, &plan()).unwrap();
            for rows in rows.chunks(chunk) {
                sink.push(rows).unwrap();
            }
            let put = sink.finish().unwrap();
            assert!(!path.exists(), "nothing under the final name before the end");
            put().unwrap();
            files.push(std::fs::read(&path).unwrap());
        }
        assert_eq!(files[0], files[1]);
        let file = File::open(folder.path().join("a.parquet")).unwrap();
        let frame = ParquetReader::new(file).finish().unwrap();
        assert_eq!(frame.height(), 150_000);
        let regret = frame.column("oracle_regret").unwrap().f64().unwrap();
        assert_eq!(regret.get(149_999), Some(149_999.0));
        let strategy = frame.column("strategy").unwrap().str().unwrap();
        assert_eq!(strategy.get(2), Some("V2 ucb1"));
    }

    #[test]
    fn load_and_health_get_columns_where_somebody_watches_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let mut sink = ParquetSink::create(&path, &plan_of("power-of-two")).unwrap();
        let notes = RowNotes {
            filtered_by_health: 5,
            switches: 1,
            load_variance: 0.5,
            busiest_share: 0.75,
            selections: vec![3, 9],
        };
        sink.push(&[row(0), Row { notes: Some(Box::new(notes)), ..row(1) }]).unwrap();
        sink.finish().unwrap()().unwrap();
        let frame = ParquetReader::new(File::open(path).unwrap()).finish().unwrap();
        let filtered = frame.column("filtered_by_health").unwrap().u64().unwrap();
        assert_eq!((filtered.get(0), filtered.get(1)), (None, Some(5)));
        let selections = frame.column("selections").unwrap().str().unwrap();
        assert_eq!((selections.get(0), selections.get(1)), (None, Some("3 9")));
    }

    #[test]
    fn a_sink_that_is_dropped_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = ParquetSink::create(&folder.path().join("a.parquet"), &plan()).unwrap();
        sink.push(&[row(0)]).unwrap();
        drop(sink);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
