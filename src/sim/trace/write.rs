//! Writing a trace in the format that [`Row::read`] takes.

use std::borrow::Cow;
use std::io;
use std::io::Write;

use crate::trace::cells::Row;
use crate::trace::columns::Column;

/// Writes a header and one line for each row; cells that a row does not know stay empty. The last
/// columns, `refused` and `start`, are there only if some row has them.
///
/// Numbers are written so that they read back to the same bits. `out` need not be buffered.
pub fn write(out: impl Write, rows: &[Row]) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    let refused = rows.iter().any(|row| row.refused.is_some()).then_some(Column::Refused);
    let start = rows.iter().any(|row| row.start.is_some()).then_some(Column::Start);
    let more = [refused, start];
    header(&mut writer, more)?;
    for row in rows {
        line(&mut writer, row, more)?;
    }
    writer.flush()
}

/// Writes rows one by one, as they come to be known, with the column `refused` and without `start`.
///
/// When not to use it: for rows that are all at hand; [`write()`] takes fewer calls of the system.
#[derive(Debug)]
pub struct RowWriter<W: Write>(csv::Writer<W>);

/// The columns of a [`RowWriter`] beside those of every trace.
const ONE_BY_ONE: [Option<Column>; 2] = [Some(Column::Refused), None];

impl<W: Write> RowWriter<W> {
    /// Writes the header.
    pub fn new(out: W) -> io::Result<Self> {
        let mut writer = csv::Writer::from_writer(out);
        header(&mut writer, ONE_BY_ONE)?;
        writer.flush()?;
        Ok(Self(writer))
    }

    /// Writes a line, which has left this process when this returns.
    pub fn write(&mut self, row: &Row) -> io::Result<()> {
        line(&mut self.0, row, ONE_BY_ONE)?;
        self.0.flush()
    }
}

/// Those that every trace has, then `more`.
fn columns(more: [Option<Column>; 2]) -> impl Iterator<Item = Column> {
    let always = Column::ALL.into_iter().take_while(|column| *column <= Column::RateLimited);
    always.chain(more.into_iter().flatten())
}

fn header(writer: &mut csv::Writer<impl Write>, more: [Option<Column>; 2]) -> io::Result<()> {
    Ok(writer.write_record(columns(more).map(Column::name))?)
}

fn line(
    writer: &mut csv::Writer<impl Write>,
    row: &Row,
    more: [Option<Column>; 2],
) -> io::Result<()> {
    for column in columns(more) {
        writer.write_field(cell(row, column).as_bytes())?;
    }
    Ok(writer.write_record(None::<&[u8]>)?)
}

fn cell(row: &Row, column: Column) -> Cow<'_, str> {
    match column {
        Column::SessionId => row.session_id.as_deref().unwrap_or_default().into(),
        // Servers of somebody's own are of no config.
        Column::ConfigTarget if row.config.server_index(row.server_port).is_none() => "".into(),
        Column::ConfigTarget => row.config.target().into(),
        Column::RequestNumber => row.request_number.to_string().into(),
        Column::AttemptNumber => row.attempt_number.to_string().into(),
        Column::RequestId => row.request_id.as_str().into(),
        Column::Strategy => row.strategy.as_str().into(),
        Column::Timestamp => row.timestamp.to_string().into(),
        Column::ServerPort => row.server_port.to_string().into(),
        Column::Success => truth(row.success).into(),
        Column::LatencyMs => row.latency_ms.to_string().into(),
        Column::RequestComplete => truth(row.request_complete).into(),
        Column::RequestSuccess => truth(row.request_success).into(),
        Column::RateLimited => row.rate_limited.map_or("", truth).into(),
        Column::Refused => row.refused.map_or("", truth).into(),
        Column::Start => row.start.as_deref().unwrap_or_default().into(),
        Column::LatencyS => (row.latency_ms / 1000.0).to_string().into(),
        Column::LatencyUs => (row.latency_ms * 1000.0).to_string().into(),
        Column::LatencyNs => (row.latency_ms * 1_000_000.0).to_string().into(),
    }
}

const fn truth(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::group::Config;

    fn row(number: u32, config: Config, rate_limited: Option<bool>) -> Row {
        Row {
            session_id: number.is_multiple_of(2).then(|| "a, \"quoted\" session".to_owned()),
            config,
            request_number: u64::from(number),
            attempt_number: number,
            request_id: format!("request{number:017}"),
            strategy: "v4".to_owned(),
            timestamp: 1_768_909_729.239_888 + f64::from(number) / 3.0,
            server_port: config.first_port() + 7,
            success: number == 1,
            latency_ms: 1.0 / f64::from(number),
            request_complete: number == 1,
            request_success: number == 1,
            rate_limited,
            refused: None,
            start: None,
        }
    }

    #[test]
    fn what_is_written_reads_back_bit_for_bit() {
        let mut rows = vec![
            row(1, Config::ALL[0], Some(false)),
            row(2, Config::ALL[1], Some(true)),
            row(3, Config::ALL[2], None),
        ];
        rows[2].refused = Some(true);
        let file = tempfile::NamedTempFile::new().unwrap();
        write(file.as_file(), &rows).unwrap();
        assert_eq!(Row::read(file.path()).unwrap(), rows);
    }

    #[test]
    fn rows_written_one_by_one_are_the_same_file() {
        let mut rows = [row(1, Config::ALL[0], Some(false)), row(2, Config::ALL[1], Some(true))];
        rows.iter_mut().for_each(|row| row.refused = Some(false));
        let (mut whole, mut one_by_one) = (Vec::new(), Vec::new());
        write(&mut whole, &rows).unwrap();
        let mut writer = RowWriter::new(&mut one_by_one).unwrap();
        for row in &rows {
            writer.write(row).unwrap();
        }
        drop(writer);
        assert_eq!(String::from_utf8(one_by_one).unwrap(), String::from_utf8(whole).unwrap());
    }

    #[test]
    fn a_port_of_no_config_has_no_target() {
        let mut out = Vec::new();
        let own = Row { server_port: 8080, ..row(1, Config::ALL[0], None) };
        write(&mut out, &[own]).unwrap();
        let text = String::from_utf8(out).unwrap();
        let expected = "session_id,config_target,request_number,attempt_number,request_id,strategy,\
                        timestamp,server_port,success,latency_ms,request_complete,request_success,\
                        rate_limited\n,,1,1,";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn starts_are_the_last_column_and_only_where_some_row_has_one() {
        let mut rows = vec![row(1, Config::ALL[0], None), row(2, Config::ALL[0], None)];
        rows[1].start = Some("boot, 2".to_owned());
        let file = tempfile::NamedTempFile::new().unwrap();
        write(file.as_file(), &rows).unwrap();
        assert_eq!(Row::read(file.path()).unwrap(), rows);
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert!(text.lines().next().unwrap().ends_with(",rate_limited,start"));
    }
}
