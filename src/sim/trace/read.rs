//! Reading a trace row by row: columns by name, typed cells, errors that point.
//!
//! One pass; nothing of a row is kept here. When not to use it: for a recording to fit, take
//! [`Recording::read`](super::Recording::read), which keeps 24 bytes an attempt.

use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord, Terminator};

use crate::trace::cells::{Attempt, Cells, Manner, Row};
use crate::trace::columns::Columns;
use crate::trace::notes::{Notes, Oddity};
use crate::trace::{ReadOptions, TraceError};

/// Bytes that are read at once.
const BUFFER: usize = 1 << 16;

impl Row {
    /// Reads the rows of a trace file of the three configs, some 300 bytes each.
    ///
    /// Columns may stand in any order; `session_id`, `config_target`, `rate_limited`, `refused` and
    /// `start` may be absent, columns with other names are ignored.
    ///
    /// # Errors
    /// A file that cannot be read, an empty one, a missing or repeated column, and the first
    /// cell that does not hold what its column needs: see [`TraceError`].
    pub fn read(path: &Path) -> Result<Vec<Self>, TraceError> {
        let name = path.display().to_string();
        let mut rows = Vec::new();
        let options = ReadOptions::default();
        for_each_attempt(&name, open(path)?, &options, &mut Notes::default(), |attempt| {
            rows.extend(attempt.to_row());
            Ok(())
        })?;
        Ok(rows)
    }
}

/// Opens a trace file.
pub(crate) fn open(path: &Path) -> Result<File, TraceError> {
    File::open(path).map_err(|source| TraceError::Read { path: path.display().to_string(), source })
}

/// Hands every attempt of a CSV text to `take`, in the order of the text; `path` is what errors
/// call it.
pub(crate) fn for_each_attempt(
    path: &str,
    input: impl Read,
    options: &ReadOptions,
    notes: &mut Notes,
    mut take: impl FnMut(&Attempt<'_>) -> Result<(), TraceError>,
) -> Result<(), TraceError> {
    // Records end at the line feed; cells are trimmed, which takes the carriage return that may
    // stand before it. The default, which ends a record at either, counts lines wrong when files
    // have both.
    let mut reader = ReaderBuilder::new()
        .terminator(Terminator::Any(b'\n'))
        .flexible(true)
        .buffer_capacity(BUFFER)
        .from_reader(input);
    let columns = columns(path, &mut reader, options)?;
    let header = reader.headers().map_err(|e| csv_error(path, e))?.clone();
    let width = header.len();
    let manner = Manner {
        foreign: options.is_foreign(),
        own_group: options.group.is_some(),
        success_when: &options.success_when,
        answers: Cell::new(None),
    };
    let mut record = StringRecord::new();
    let (mut seen, mut seconds) = (0_u64, Seconds::default());
    while reader.read_record(&mut record).map_err(|e| csv_error(path, e))? {
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() == 1 && record[0].trim().is_empty() {
            // A blank line that ends in a carriage return.
            continue;
        }
        if record.len() != width {
            return Err(TraceError::at(path, line, &wrong_width(&record, width)));
        }
        if record[0] == header[0] && record == header {
            // Files that were put together, or a recorder that was started again.
            notes.add(Oddity::HeaderAgain, line);
            continue;
        }
        let cells = Cells { path, line, record: &record, columns: &columns, manner: &manner };
        cells.check_text()?;
        let count = cells.count()?;
        if count == 0 {
            notes.add(Oddity::NoServer, line);
        }
        // The row's time is taken as that of its first attempt, or of the end of its last one, and
        // every further one as sent when the one before it ended.
        let place = |part| (count > 1).then_some(part);
        let mut elapsed_ms = 0.0;
        if options.dated_at_end {
            for part in 0..count {
                elapsed_ms -= cells.attempt(place(part))?.latency_ms.unwrap_or(0.0);
            }
        }
        for part in 0..count {
            if cells.names_a_group(place(part)) {
                notes.add(Oddity::NoServer, line);
                continue;
            }
            let mut attempt = cells.attempt(place(part))?;
            if part == 0 {
                seconds.record(attempt.at_s);
            }
            attempt.at_s += elapsed_ms / 1000.0;
            elapsed_ms += attempt.latency_ms.unwrap_or(0.0);
            if attempt.left_out {
                notes.add(Oddity::ClientLeft, line);
                continue;
            }
            take(&attempt)?;
            seen += 1;
        }
    }
    if seen == 0 {
        return Err(empty(path, "there is no row below the header that names a server"));
    }
    if seconds.are_too_coarse() {
        notes.add(Oddity::WholeSeconds, 2);
    }
    Ok(())
}

/// What is wrong with a row of too many or too few cells.
fn wrong_width(record: &StringRecord, width: usize) -> String {
    let got = record.len();
    let help = if record.iter().any(|cell| cell.contains('\n')) {
        "a quote (\") is opened in this row and not closed in it: close or remove it"
    } else if got > width {
        "a cell that holds a comma must stand in quotes (\"), and the header needs a name for \
         every column"
    } else {
        "complete the row; only if the recorder was stopped while it wrote it, as may be with \
         the last one, delete it"
    };
    format!("expected {width} cells as in the header, got {got}\nhelp: {help}")
}

/// Whether the clock of a file shows whole seconds only.
#[derive(Default)]
pub(crate) struct Seconds {
    rows: u64,
    /// How often the time differs from that of the row before.
    changes: u64,
    last: Option<f64>,
    fractions: bool,
}

impl Seconds {
    /// Fewer rows than this are whole seconds by chance, or by hand.
    const LEAST_ROWS: u64 = 10;

    pub(crate) fn record(&mut self, at_s: f64) {
        self.rows += 1;
        self.fractions |= at_s.fract() != 0.0;
        self.changes += u64::from(self.last != Some(at_s));
        self.last = Some(at_s);
    }

    /// Rows come more than twice as often as the clock moves.
    pub(crate) fn are_too_coarse(&self) -> bool {
        !self.fractions && self.rows >= Self::LEAST_ROWS && self.rows > 2 * self.changes
    }
}

fn columns(
    path: &str,
    reader: &mut Reader<impl Read>,
    options: &ReadOptions,
) -> Result<Columns, TraceError> {
    let header = reader.headers().map_err(|e| csv_error(path, e))?;
    if header.iter().all(|name| name.trim().is_empty()) {
        return Err(empty(path, "the file is empty"));
    }
    Columns::find(path, header, options)
}

fn empty(path: &str, problem: &str) -> TraceError {
    TraceError::Content(format!(
        "{path}: {problem}; expected a header and one row for each attempt"
    ))
}

fn csv_error(path: &str, error: csv::Error) -> TraceError {
    let line = error.position().map_or(1, csv::Position::line);
    match error.into_kind() {
        ErrorKind::Io(source) => TraceError::Read { path: path.to_owned(), source },
        ErrorKind::Utf8 { err, .. } => {
            let cell = err.field() + 1;
            let problem = format!("cell {cell} is not UTF-8\nhelp: save the file as UTF-8");
            TraceError::at(path, line, &problem)
        }
        kind => TraceError::at(path, line, &format!("no CSV: {kind:?}")),
    }
}
