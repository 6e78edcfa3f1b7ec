//! CSV for programs: rows whose cells keep all their digits, each with the name of its column.
//!
//! When not to use it: for people; that is [`Table`](super::Table).

use serde::Serialize;

/// A row in the making.
#[derive(Debug, Default)]
pub struct Record {
    headings: Vec<String>,
    cells: Vec<Cell>,
}

/// A value as CSV writes it; nothing is an empty cell.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A count.
    Whole(u64),
    /// A number.
    Real(f64),
    /// Yes or no.
    Flag(bool),
    /// What is not known.
    Nothing,
}

impl Record {
    /// Adds a cell; all rows of a file have the same columns.
    pub fn cell(mut self, heading: impl Into<String>, value: impl Into<Cell>) -> Self {
        self.headings.push(heading.into());
        self.cells.push(value.into());
        self
    }
}

/// The content of a file of these rows; empty without a row.
///
/// # Errors
/// When a row has more or fewer cells than the first.
pub fn csv_of(records: impl IntoIterator<Item = Record>) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for (i, record) in records.into_iter().enumerate() {
        if i == 0 {
            writer.write_record(&record.headings)?;
        }
        writer.serialize(record.cells)?;
    }
    let bytes = writer.into_inner().map_err(|e| csv::Error::from(e.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

macro_rules! cells_from {
    ($($from:ty: $value:ident => $cell:expr;)*) => {
        $(impl From<$from> for Cell {
            fn from($value: $from) -> Self {
                $cell
            }
        })*
    };
}

cells_from! {
    &str: text => Self::Text(text.to_owned());
    String: text => Self::Text(text);
    u64: count => Self::Whole(count);
    usize: count => Self::Whole(count as u64);
    f64: x => Self::Real(x);
    bool: flag => Self::Flag(flag);
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Into::into)
    }
}
