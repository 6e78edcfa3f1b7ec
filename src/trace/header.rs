//! Where the columns of a file stand, by their names in its header.
//!
//! When not to use it: for files without a header.

use csv::StringRecord;

use super::column::{Column, ColumnMap};
use super::error::printable;
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
        let find = Find { path, header, options };
        let mut places = [None; Column::ALL.len()];
        for column in Column::ALL {
            places[column as usize] = find.place(column)?;
        }
        let latencies = [Column::LatencyMs, Column::LatencyS].map(|c| places[c as usize]);
        if let [Some(_), Some(_)] = latencies {
            let problem = "latency_ms and latency_s are both there".to_owned();
            return Err(find.error(problem, "\nhelp: delete one of them".to_owned()));
        }
        let missing = |column: &Column| {
            let column = *column;
            let needed = if options.is_foreign() {
                column.in_every_log() || options.columns.names(column)
            } else {
                !column.is_optional()
            };
            let in_seconds = column == Column::LatencyMs && latencies[1].is_some();
            needed && !in_seconds && places[column as usize].is_none()
        };
        let missing: Vec<Column> = Column::ALL.into_iter().filter(missing).collect();
        if let Some(first) = missing.first() {
            return Err(find.missing(*first, &missing));
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
    options: &'a ReadOptions,
}

impl Find<'_> {
    fn place(&self, column: Column) -> Result<Option<usize>, TraceError> {
        let name = self.map().name_of(column);
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

    fn missing(&self, column: Column, all: &[Column]) -> TraceError {
        let name = self.map().name_of(column);
        let mapped = if name == column.name() {
            String::new()
        } else {
            format!(" (it was to hold {})", column.name())
        };
        let (name, others) = (printable(name), all.len() - 1);
        let problem = match others {
            0 => format!("column {name}{mapped} is missing"),
            _ => format!("column {name}{mapped} is missing, and {others} more"),
        };
        let help = if self.header.len() == 1 {
            "\nhelp: cells must be separated by commas".to_owned()
        } else if others > 0 && !self.options.is_foreign() {
            self.help_of_foreign()
        } else {
            all.iter().map(|column| self.help(*column)).collect()
        };
        self.error(problem, help)
    }

    /// Several columns are missing from a file that was said to be ours: it is a log of others.
    fn help_of_foreign(&self) -> String {
        let needed = [("time", Column::Timestamp), ("port", Column::ServerPort)];
        let needed = needed.into_iter().chain([("status", Column::Success)]);
        let absent = needed.filter(|(_, column)| !self.has(self.map().name_of(*column)));
        let pairs: Vec<String> = absent
            .map(|(short, column)| {
                let theirs = self.closest(column).unwrap_or("COLUMN");
                format!("{short}={}", printable(theirs))
            })
            .collect();
        let map =
            if pairs.is_empty() { String::new() } else { format!(" --map {}", pairs.join(",")) };
        format!(
            "\nhelp: a log of other servers needs a name for them, and what it calls time, port \
             and status: `--name NAME{map}`"
        )
    }

    /// The likely reason why a column is missing.
    fn help(&self, column: Column) -> String {
        let ours = column.name();
        match self.closest(column) {
            Some(there) => {
                let there = printable(there);
                format!("\nhelp: is `{there}` the column? Then say `--map {ours}={there}`")
            }
            None => format!("\nhelp: name the column that holds it with `--map {ours}=COLUMN`"),
        }
    }

    /// The name in the header that is most like a missing one, and is not known to be another.
    fn closest(&self, column: Column) -> Option<&str> {
        let name = self.map().name_of(column);
        let taken = |there: &str| {
            Column::ALL.iter().any(|c| c.name() == there || self.map().name_of(*c) == there)
        };
        let (mut best, mut closest) = (LIKENESS, None);
        for there in self.header.iter().map(str::trim).filter(|there| !taken(there)) {
            let plain = there.to_lowercase();
            if Column::from_name(&plain) == Some(column) {
                // `time`, `port`, `status`.
                return Some(there);
            }
            let likeness = strsim::jaro_winkler(&plain, name);
            if likeness > best {
                (best, closest) = (likeness, Some(there));
            }
        }
        closest
    }

    fn map(&self) -> &ColumnMap {
        &self.options.columns
    }

    fn has(&self, name: &str) -> bool {
        self.header.iter().any(|there| there.trim() == name)
    }

    fn error(&self, problem: String, help: String) -> TraceError {
        TraceError::Header {
            path: self.path.to_owned(),
            problem,
            columns: self.header.iter().map(|n| printable(n.trim())).collect::<Vec<_>>().join(", "),
            help,
        }
    }
}
