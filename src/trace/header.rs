//! Where the columns of a file stand, by their names in its header.
//!
//! When not to use it: for files without a header.

use csv::StringRecord;

use super::column::{Column, ColumnMap};
use super::{ReadOptions, TraceError};

/// Names nearer to a missing column than this (Jaro-Winkler, 0 to 1) are worth suggesting.
const LIKENESS: f64 = 0.75;

/// Where each column stands, and what the file calls it.
pub(super) struct Columns {
    places: [Option<usize>; Column::ALL.len()],
    names: [String; Column::ALL.len()],
}

impl Columns {
    /// Finds the columns in a header.
    ///
    /// # Errors
    /// A column that is missing or stands there twice.
    pub(super) fn find(
        path: &str,
        header: &StringRecord,
        options: &ReadOptions,
    ) -> Result<Self, TraceError> {
        let find = Find { path, header, map: &options.columns };
        let mut places = [None; Column::ALL.len()];
        for column in Column::ALL {
            places[column as usize] = find.place(column)?;
        }
        let latencies = [Column::LatencyMs, Column::LatencyS].map(|c| places[c as usize]);
        if let [Some(_), Some(_)] = latencies {
            let problem = "latency_ms and latency_s are both there".to_owned();
            return Err(find.error(problem, "\nhelp: delete one of them".to_owned()));
        }
        for column in Column::ALL {
            let needed = if options.is_foreign() {
                column.in_every_log() || options.columns.names(column)
            } else {
                !column.is_optional()
            };
            let in_seconds = column == Column::LatencyMs && latencies[1].is_some();
            if needed && !in_seconds && places[column as usize].is_none() {
                return Err(find.missing(column));
            }
        }
        let names = Column::ALL.map(|column| options.columns.name_of(column).to_owned());
        Ok(Self { places, names })
    }

    pub(super) fn place(&self, column: Column) -> Option<usize> {
        self.places[column as usize]
    }

    /// What the file calls it.
    pub(super) fn name(&self, column: Column) -> &str {
        &self.names[column as usize]
    }
}

struct Find<'a> {
    path: &'a str,
    header: &'a StringRecord,
    map: &'a ColumnMap,
}

impl Find<'_> {
    fn place(&self, column: Column) -> Result<Option<usize>, TraceError> {
        let name = self.map.name_of(column);
        let mut places = self
            .header
            .iter()
            .enumerate()
            .filter(|(_, there)| there.trim() == name)
            .map(|(i, _)| i);
        match (places.next(), places.next()) {
            (Some(_), Some(_)) => {
                Err(self.error(format!("column {name} stands there twice"), String::new()))
            }
            (place, _) => Ok(place),
        }
    }

    fn missing(&self, column: Column) -> TraceError {
        let name = self.map.name_of(column);
        let mapped = if name == column.name() {
            String::new()
        } else {
            format!(" (it was to hold {})", column.name())
        };
        self.error(format!("column {name}{mapped} is missing"), self.help(column, name))
    }

    /// The likely reason why a column is missing.
    fn help(&self, column: Column, name: &str) -> String {
        let (mut best, mut closest) = (LIKENESS, None);
        for there in self.header {
            let likeness = strsim::jaro_winkler(&there.trim().to_lowercase(), name);
            if likeness > best {
                (best, closest) = (likeness, Some(there.trim()));
            }
        }
        let ours = column.name();
        match closest {
            _ if self.header.len() == 1 => "\nhelp: cells must be separated by commas".to_owned(),
            Some(there) => {
                format!("\nhelp: is `{there}` the column? Then say `--map {ours}={there}`")
            }
            None => format!("\nhelp: name the column that holds it with `--map {ours}=COLUMN`"),
        }
    }

    fn error(&self, problem: String, help: String) -> TraceError {
        TraceError::Header {
            path: self.path.to_owned(),
            problem,
            columns: self.header.iter().map(str::trim).collect::<Vec<_>>().join(", "),
            help,
        }
    }
}
