//! Writing a trace in the format that [`Trace::read`](super::Trace::read) takes.

use std::io::{self, Write};

use super::Row;

/// The columns, in the order in which they are written.
const COLUMNS: [&str; 13] = [
    "session_id",
    "config_target",
    "request_number",
    "attempt_number",
    "request_id",
    "strategy",
    "timestamp",
    "server_port",
    "success",
    "latency_ms",
    "request_complete",
    "request_success",
    "rate_limited",
];

/// Writes a header and one line for each row; cells that a row does not know stay empty.
///
/// Numbers are written so that they read back to the same bits. `out` need not be buffered.
///
/// # Errors
/// Those of `out`.
pub fn write(out: impl Write, rows: &[Row]) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(COLUMNS)?;
    for row in rows {
        writer.write_record([
            row.session_id.as_deref().unwrap_or_default(),
            row.config.target(),
            &row.request_number.to_string(),
            &row.attempt_number.to_string(),
            &row.request_id,
            &row.strategy,
            &row.timestamp.to_string(),
            &row.server_port.to_string(),
            truth(row.success),
            &row.latency_ms.to_string(),
            truth(row.request_complete),
            truth(row.request_success),
            row.rate_limited.map_or("", truth),
        ])?;
    }
    writer.flush()
}

const fn truth(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Config, Trace};

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
        }
    }

    #[test]
    fn what_is_written_reads_back_bit_for_bit() {
        let rows = vec![
            row(1, Config::ALL[0], Some(false)),
            row(2, Config::ALL[1], Some(true)),
            row(3, Config::ALL[2], None),
        ];
        let file = tempfile::NamedTempFile::new().unwrap();
        write(file.as_file(), &rows).unwrap();
        let trace = Trace::read(file.path()).unwrap();
        assert_eq!(trace.rows, rows);
        assert_eq!((trace.line(0), trace.line(2)), (2, 4));
    }

    #[test]
    fn the_header_is_that_of_the_design() {
        let mut out = Vec::new();
        write(&mut out, &[]).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "session_id,config_target,request_number,attempt_number,request_id,strategy,\
             timestamp,server_port,success,latency_ms,request_complete,request_success,\
             rate_limited\n"
        );
    }
}
