//! The columns of a trace, and what other people call them.
//!
//! When not to use it: for the cells below them; see `cells`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::domain::closest_name;

/// A column that this program knows, in the order in which it writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    SessionId,
    ConfigTarget,
    RequestNumber,
    AttemptNumber,
    RequestId,
    Strategy,
    Timestamp,
    ServerPort,
    Success,
    LatencyMs,
    RequestComplete,
    RequestSuccess,
    RateLimited,
    Start,
    LatencyS,
}

impl Column {
    pub(super) const ALL: [Self; 15] = [
        Self::SessionId,
        Self::ConfigTarget,
        Self::RequestNumber,
        Self::AttemptNumber,
        Self::RequestId,
        Self::Strategy,
        Self::Timestamp,
        Self::ServerPort,
        Self::Success,
        Self::LatencyMs,
        Self::RequestComplete,
        Self::RequestSuccess,
        Self::RateLimited,
        Self::Start,
        Self::LatencyS,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::SessionId => "session_id",
            Self::ConfigTarget => "config_target",
            Self::RequestNumber => "request_number",
            Self::AttemptNumber => "attempt_number",
            Self::RequestId => "request_id",
            Self::Strategy => "strategy",
            Self::Timestamp => "timestamp",
            Self::ServerPort => "server_port",
            Self::Success => "success",
            Self::LatencyMs => "latency_ms",
            Self::RequestComplete => "request_complete",
            Self::RequestSuccess => "request_success",
            Self::RateLimited => "rate_limited",
            Self::Start => "start",
            Self::LatencyS => "latency_s",
        }
    }

    /// The column with this name, or with a short form of it.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "port" => Some(Self::ServerPort),
            "time" => Some(Self::Timestamp),
            "status" => Some(Self::Success),
            _ => Self::ALL.into_iter().find(|column| column.name() == name),
        }
    }

    /// Whether a log that was not written for this program must have it too.
    pub(super) const fn in_every_log(self) -> bool {
        matches!(self, Self::Timestamp | Self::ServerPort | Self::Success)
    }

    /// Whether a file may lack it even if it was written for this program.
    pub(super) const fn is_optional(self) -> bool {
        matches!(
            self,
            Self::SessionId | Self::ConfigTarget | Self::RateLimited | Self::Start | Self::LatencyS
        )
    }
}

/// What a file calls our columns: `port=upstream,success=status,timestamp=time`.
///
/// `port`, `time` and `status` are short for `server_port`, `timestamp` and `success`. A column
/// that is not named here keeps our name. Latencies in seconds are `latency_s=request_time`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnMap {
    theirs: BTreeMap<Column, String>,
}

/// A map of columns that cannot be understood. `Display` is the whole message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColumnMapError {
    /// A part that is not a pair.
    #[error("expected ours=theirs, such as port=upstream, got \"{part}\"")]
    Form {
        /// The part between commas.
        part: String,
    },
    /// A name on the left that is none of ours.
    #[error("\"{name}\" is no column of ours{suggestion}; the columns are: {columns}")]
    Unknown {
        /// The name.
        name: String,
        /// `, did you mean "success"?`, or nothing.
        suggestion: String,
        /// All names.
        columns: String,
    },
    /// One of our columns stands there twice.
    #[error("{name} stands there twice; one column of the file can hold it")]
    Twice {
        /// Our name.
        name: &'static str,
    },
}

impl ColumnMap {
    /// Reads `ours=theirs` pairs, separated by commas; an empty text maps nothing.
    ///
    /// # Errors
    /// A part that is no pair, a name that is none of ours, one of ours twice.
    pub fn parse(text: &str) -> Result<Self, ColumnMapError> {
        let mut theirs = BTreeMap::new();
        let parts = text.split(',').map(str::trim).filter(|_| !text.trim().is_empty());
        for part in parts {
            let form = || ColumnMapError::Form { part: part.to_owned() };
            let (ours, name) = part.split_once('=').ok_or_else(form)?;
            let (ours, name) = (ours.trim(), name.trim());
            if ours.is_empty() || name.is_empty() {
                return Err(form());
            }
            let column = Column::from_name(ours).ok_or_else(|| unknown(ours))?;
            if theirs.insert(column, name.to_owned()).is_some() {
                return Err(ColumnMapError::Twice { name: column.name() });
            }
        }
        Ok(Self { theirs })
    }

    /// Whether every column keeps our name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.theirs.is_empty()
    }

    /// What the file calls a column.
    pub(super) fn name_of(&self, column: Column) -> &str {
        self.theirs.get(&column).map_or(column.name(), String::as_str)
    }

    /// Whether it names this column.
    pub(super) fn names(&self, column: Column) -> bool {
        self.theirs.contains_key(&column)
    }
}

fn unknown(name: &str) -> ColumnMapError {
    let names: Vec<&str> = Column::ALL.into_iter().map(Column::name).collect();
    let known = names.iter().copied().chain(["port", "time", "status"]);
    let suggestion = closest_name(name, known)
        .map_or_else(String::new, |close| format!(", did you mean \"{close}\"?"));
    ColumnMapError::Unknown { name: name.to_owned(), suggestion, columns: names.join(", ") }
}

impl FromStr for ColumnMap {
    type Err = ColumnMapError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_names_columns_in_full_or_in_short() {
        let map = ColumnMap::parse(" port=upstream , status = code,time=t").unwrap();
        assert_eq!(map.to_string(), "timestamp=t,server_port=upstream,success=code");
        assert_eq!(map, map.to_string().parse().unwrap());
        assert_eq!(map.name_of(Column::ServerPort), "upstream");
        assert_eq!(map.name_of(Column::Strategy), "strategy");
        assert!(ColumnMap::parse("").unwrap().is_empty() && !map.is_empty());
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
            let got = ColumnMap::parse(text).unwrap_err().to_string();
            assert!(got.contains(message), "{text}: {got}");
        }
    }
}
