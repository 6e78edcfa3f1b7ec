//! The columns of a trace, and what other people call them.
//!
//! When not to use it: for the cells below them; see `cells`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use csv::StringRecord;

use crate::trace::{ReadOptions, TraceError, printable};
use flakelab_core::domain::closest_name;

/// Declares the columns with their names.
macro_rules! columns {
    ($($column:ident $name:literal,)*) => {
        /// A column that this program knows, in the order in which it writes them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Column {
            $($column,)*
        }

        impl Column {
            pub(crate) const ALL: [Self; [$($name),*].len()] = [$(Self::$column),*];

            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$column => $name,)*
                }
            }
        }
    };
}

columns! {
    SessionId "session_id",
    ConfigTarget "config_target",
    RequestNumber "request_number",
    AttemptNumber "attempt_number",
    RequestId "request_id",
    Strategy "strategy",
    Timestamp "timestamp",
    ServerPort "server_port",
    Success "success",
    LatencyMs "latency_ms",
    RequestComplete "request_complete",
    RequestSuccess "request_success",
    RateLimited "rate_limited",
    Refused "refused",
    Start "start",
    LatencyS "latency_s",
    LatencyUs "latency_us",
    LatencyNs "latency_ns",
}

impl Column {
    /// Those that hold a latency, with the name of the unit and how many milliseconds it has.
    pub(crate) const LATENCIES: [(Self, &'static str, f64); 4] = [
        (Self::LatencyMs, "milliseconds", 1.0),
        (Self::LatencyS, "seconds", 1000.0),
        (Self::LatencyUs, "microseconds", 0.001),
        (Self::LatencyNs, "nanoseconds", 0.000_001),
    ];

    /// The column with this name, or with a short form of it.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "port" => Some(Self::ServerPort),
            "time" => Some(Self::Timestamp),
            "status" => Some(Self::Success),
            _ => Self::ALL.into_iter().find(|column| column.name() == name),
        }
    }

    /// Whether a log that was not written for this program must have it too.
    const fn in_every_log(self) -> bool {
        matches!(self, Self::Timestamp | Self::ServerPort | Self::Success)
    }

    /// Whether a file may lack it even if it was written for this program.
    const fn is_optional(self) -> bool {
        matches!(
            self,
            Self::SessionId
                | Self::ConfigTarget
                | Self::RateLimited
                | Self::Refused
                | Self::Start
                | Self::LatencyS
                | Self::LatencyUs
                | Self::LatencyNs
        )
    }
}

/// What a file calls our columns: `port=upstream,success=status,timestamp=time`.
///
/// `port`, `time` and `status` are short for `server_port`, `timestamp` and `success`. A column
/// that is not named here keeps our name. Latencies in seconds are `latency_s=request_time`,
/// in millionths and billionths of a second `latency_us` and `latency_ns`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnMap {
    theirs: BTreeMap<Column, String>,
}

/// A map of columns that cannot be understood: a part that is no pair, a name that is none of ours,
/// one of ours twice. `Display` is the whole message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ColumnMapError(String);

impl ColumnMap {
    /// Whether every column keeps our name.
    pub fn is_empty(&self) -> bool {
        self.theirs.is_empty()
    }

    /// What the file calls a column.
    fn name_of(&self, column: Column) -> &str {
        self.theirs.get(&column).map_or(column.name(), String::as_str)
    }

    /// Whether it names this column.
    pub(crate) fn names(&self, column: Column) -> bool {
        self.theirs.contains_key(&column)
    }
}

fn unknown(name: &str) -> ColumnMapError {
    let names: Vec<&str> = Column::ALL.into_iter().map(Column::name).collect();
    let known = names.iter().copied().chain(["port", "time", "status"]);
    let suggestion = closest_name(name, known)
        .map_or_else(String::new, |close| format!(", did you mean \"{close}\"?"));
    let columns = names.join(", ");
    ColumnMapError(format!(
        "\"{name}\" is no column of ours{suggestion}; the columns are: {columns}"
    ))
}

/// Reads `ours=theirs` pairs, separated by commas; an empty text maps nothing.
impl FromStr for ColumnMap {
    type Err = ColumnMapError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut theirs = BTreeMap::new();
        let parts = text.split(',').map(str::trim).filter(|_| !text.trim().is_empty());
        for part in parts {
            let pair = part.split_once('=').map(|(ours, name)| (ours.trim(), name.trim()));
            let pair = pair.filter(|(ours, name)| !ours.is_empty() && !name.is_empty());
            let (ours, name) = pair.ok_or_else(|| {
                let expected = "expected ours=theirs, such as port=upstream";
                ColumnMapError(format!("{expected}, got \"{part}\""))
            })?;
            let column = Column::from_name(ours).ok_or_else(|| unknown(ours))?;
            if theirs.insert(column, name.to_owned()).is_some() {
                let problem = "stands there twice; one column of the file can hold it";
                return Err(ColumnMapError(format!("{} {problem}", column.name())));
            }
        }
        Ok(Self { theirs })
    }
}

impl fmt::Display for ColumnMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (column, theirs)) in self.theirs.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{}={theirs}", column.name())?;
        }
        Ok(())
    }
}

/// Names nearer to a missing column than this (Jaro-Winkler, 0 to 1) are worth suggesting.
const LIKENESS: f64 = 0.75;

/// Where each column of a file stands, by its name in the header, and what the file calls it.
pub(crate) struct Columns {
    places: [Option<usize>; Column::ALL.len()],
    names: [String; Column::ALL.len()],
}

impl Columns {
    /// Finds the columns in a header.
    ///
    /// # Errors
    /// A column that is missing or stands there twice.
    pub(crate) fn find(
        path: &str,
        header: &StringRecord,
        options: &ReadOptions,
    ) -> Result<Self, TraceError> {
        let find = Find { path, header, options };
        let mut places = [None; Column::ALL.len()];
        for column in Column::ALL {
            places[column as usize] = find.place(column)?;
        }
        let has_one = |(column, _, _): &(Column, _, _)| places[*column as usize].is_some();
        let mut latencies = Column::LATENCIES.into_iter().filter(has_one);
        let latency = latencies.next();
        if let (Some((one, _, _)), Some((other, _, _))) = (latency, latencies.next()) {
            let problem = format!("{} and {} are both there", one.name(), other.name());
            return Err(find.error(problem, "\nhelp: delete one of them".to_owned()));
        }
        let missing = |column: &Column| {
            let column = *column;
            let needed = if options.is_foreign() {
                column.in_every_log() || options.columns.names(column)
            } else {
                !column.is_optional()
            };
            let in_another_unit = column == Column::LatencyMs && latency.is_some();
            needed && !in_another_unit && places[column as usize].is_none()
        };
        let missing: Vec<Column> = Column::ALL.into_iter().filter(missing).collect();
        if let Some(first) = missing.first() {
            return Err(find.missing(*first, &missing));
        }
        let names = Column::ALL.map(|column| options.columns.name_of(column).to_owned());
        Ok(Self { places, names })
    }

    pub(crate) fn place(&self, column: Column) -> Option<usize> {
        self.places[column as usize]
    }

    /// What the file calls it.
    pub(crate) fn name(&self, column: Column) -> &str {
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
            "\nhelp: cells must be separated by commas; a log that is none of CSV is named by \
             --log-format"
                .to_owned()
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
        let columns: Vec<String> = self.header.iter().map(|n| printable(n.trim())).collect();
        let columns = columns.join(", ");
        TraceError::at(self.path, 1, &format!("{problem}; the columns are: {columns}{help}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_names_columns_in_full_or_in_short() {
        let map: ColumnMap = " port=upstream , status = code,time=t".parse().unwrap();
        assert_eq!(map.to_string(), "timestamp=t,server_port=upstream,success=code");
        assert_eq!(map, map.to_string().parse().unwrap());
        assert_eq!(map.name_of(Column::ServerPort), "upstream");
        assert_eq!(map.name_of(Column::Strategy), "strategy");
        assert!("".parse::<ColumnMap>().unwrap().is_empty() && !map.is_empty());
    }

    #[test]
    fn a_map_that_is_wrong_is_told_so() {
        let cases = [
            ("port", "expected ours=theirs, such as port=upstream, got \"port\""),
            ("port=", "got \"port=\""),
            ("port=a,,", "got \"\""),
            ("sucess=ok", "\"sucess\" is no column of ours, did you mean \"success\"?; the col"),
            ("weather=rain", "\"weather\" is no column of ours; the columns are: session_id, "),
            ("port=a,server_port=b", "server_port stands there twice"),
        ];
        for (text, message) in cases {
            let got = text.parse::<ColumnMap>().unwrap_err().to_string();
            assert!(got.contains(message), "{text}: {got}");
        }
    }
}
