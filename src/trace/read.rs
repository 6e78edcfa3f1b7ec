//! Reading a trace: columns by name, typed cells, errors that point.

use std::fs::File;
use std::path::Path;

use csv::{ErrorKind, ReaderBuilder, StringRecord, Terminator, Trim};

use super::{Config, Row, Trace, TraceError};

/// Names nearer to a missing column than this (Jaro-Winkler, 0 to 1) are worth suggesting.
const LIKENESS: f64 = 0.75;

impl Trace {
    /// Reads a trace file.
    ///
    /// Columns may stand in any order; `session_id`, `config_target` and `rate_limited` may be
    /// absent, columns with other names are ignored.
    ///
    /// # Errors
    /// A file that cannot be read, an empty one, a missing or repeated column, and the first
    /// cell that does not hold what its column needs: see [`TraceError`].
    pub fn read(path: &Path) -> Result<Self, TraceError> {
        let name = path.display().to_string();
        let file =
            File::open(path).map_err(|source| TraceError::Read { path: name.clone(), source })?;
        let (rows, lines) = read_rows(&name, file)?;
        Ok(Self { path: path.to_owned(), rows, lines })
    }
}

/// Rows and their lines, from CSV text; `path` is what errors call it.
fn read_rows(path: &str, input: impl std::io::Read) -> Result<(Vec<Row>, Vec<u64>), TraceError> {
    // Records end at the line feed; trimming takes the carriage return that may stand before it.
    // The default, which ends a record at either, counts lines wrong when files have both.
    let terminator = Terminator::Any(b'\n');
    let mut reader = ReaderBuilder::new()
        .trim(Trim::All)
        .terminator(terminator)
        .flexible(true)
        .from_reader(input);
    let header = reader.headers().map_err(|e| csv_error(path, e))?.clone();
    if header.iter().all(str::is_empty) {
        return Err(TraceError::Empty { path: path.to_owned(), problem: "the file is empty" });
    }
    let columns = Columns::find(path, &header)?;
    let (mut rows, mut lines) = (Vec::new(), Vec::new());
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|e| csv_error(path, e))? {
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() == 1 && record[0].is_empty() {
            // A blank line that ends in a carriage return.
            continue;
        }
        if record.len() != header.len() {
            let problem = format!(
                "expected {} cells as in the header, got {}; a row that was cut off can be deleted",
                header.len(),
                record.len()
            );
            return Err(TraceError::Row { path: path.to_owned(), line, problem });
        }
        rows.push(Cells { path, line, record: &record }.row(&columns)?);
        lines.push(line);
    }
    if rows.is_empty() {
        let problem = "there is no row below the header";
        return Err(TraceError::Empty { path: path.to_owned(), problem });
    }
    Ok((rows, lines))
}

/// Where each column stands.
struct Columns {
    session_id: Option<usize>,
    config_target: Option<usize>,
    request_number: usize,
    attempt_number: usize,
    request_id: usize,
    strategy: usize,
    timestamp: usize,
    server_port: usize,
    success: usize,
    latency_ms: usize,
    request_complete: usize,
    request_success: usize,
    rate_limited: Option<usize>,
}

impl Columns {
    fn find(path: &str, header: &StringRecord) -> Result<Self, TraceError> {
        let error = |problem: String, help: String| TraceError::Header {
            path: path.to_owned(),
            problem,
            columns: header.iter().collect::<Vec<_>>().join(", "),
            help,
        };
        let optional = |name: &str| {
            let mut places = header.iter().enumerate().filter(|(_, column)| *column == name);
            match (places.next(), places.next()) {
                (Some(_), Some(_)) => {
                    Err(error(format!("column {name} stands there twice"), String::new()))
                }
                (place, _) => Ok(place.map(|(i, _)| i)),
            }
        };
        let required = |name: &str| {
            optional(name)?
                .ok_or_else(|| error(format!("column {name} is missing"), help(header, name)))
        };
        Ok(Self {
            session_id: optional("session_id")?,
            config_target: optional("config_target")?,
            request_number: required("request_number")?,
            attempt_number: required("attempt_number")?,
            request_id: required("request_id")?,
            strategy: required("strategy")?,
            timestamp: required("timestamp")?,
            server_port: required("server_port")?,
            success: required("success")?,
            latency_ms: required("latency_ms")?,
            request_complete: required("request_complete")?,
            request_success: required("request_success")?,
            rate_limited: optional("rate_limited")?,
        })
    }
}

/// The likely reason why a column is missing.
fn help(header: &StringRecord, name: &str) -> String {
    let (mut best, mut closest) = (LIKENESS, None);
    for column in header {
        let likeness = strsim::jaro_winkler(&column.to_lowercase(), name);
        if likeness > best {
            (best, closest) = (likeness, Some(column));
        }
    }
    match closest {
        _ if header.len() == 1 => "\nhelp: cells must be separated by commas".to_owned(),
        Some(column) => format!("\nhelp: is `{column}` the column? Then name it `{name}`"),
        None => String::new(),
    }
}

/// One record on its way to becoming a row.
struct Cells<'a> {
    path: &'a str,
    line: u64,
    record: &'a StringRecord,
}

impl Cells<'_> {
    fn row(&self, at: &Columns) -> Result<Row, TraceError> {
        Ok(Row {
            session_id: at
                .session_id
                .map(|i| self.cell(i))
                .filter(|s| !s.is_empty())
                .map(Into::into),
            config: self.config(at)?,
            request_number: self.whole("request_number", at.request_number, 0, u64::MAX)?,
            attempt_number: self.attempt_number(at.attempt_number)?,
            request_id: self.text("request_id", at.request_id)?,
            strategy: self.text("strategy", at.strategy)?,
            timestamp: self.number("timestamp", at.timestamp, "Unix seconds")?,
            server_port: self.port(at.server_port)?,
            success: self.truth("success", at.success)?,
            latency_ms: self.number("latency_ms", at.latency_ms, "milliseconds of at least 0")?,
            request_complete: self.truth("request_complete", at.request_complete)?,
            request_success: self.truth("request_success", at.request_success)?,
            rate_limited: match at.rate_limited.filter(|i| !self.cell(*i).is_empty()) {
                Some(i) => Some(self.rate_limited(i, at.success)?),
                None => None,
            },
        })
    }

    fn cell(&self, index: usize) -> &str {
        self.record.get(index).unwrap_or_default()
    }

    fn error(&self, column: &'static str, index: usize, expected: &str, help: &str) -> TraceError {
        TraceError::Value {
            path: self.path.to_owned(),
            line: self.line,
            column,
            value: self.cell(index).to_owned(),
            expected: expected.to_owned(),
            help: if help.is_empty() { String::new() } else { format!("\nhelp: {help}") },
        }
    }

    fn text(&self, column: &'static str, index: usize) -> Result<String, TraceError> {
        match self.cell(index) {
            "" => Err(self.error(column, index, "some text", "")),
            text => Ok(text.to_owned()),
        }
    }

    fn truth(&self, column: &'static str, index: usize) -> Result<bool, TraceError> {
        match self.cell(index) {
            "True" | "true" => Ok(true),
            "False" | "false" => Ok(false),
            _ => Err(self.error(column, index, "True or False", "")),
        }
    }

    fn rate_limited(&self, index: usize, success: usize) -> Result<bool, TraceError> {
        let limited = self.truth("rate_limited", index)?;
        if limited && self.truth("success", success)? {
            let help = "an attempt that was refused cannot have succeeded";
            return Err(self.error("rate_limited", index, "False beside success = True", help));
        }
        Ok(limited)
    }

    fn whole(
        &self,
        column: &'static str,
        i: usize,
        low: u64,
        high: u64,
    ) -> Result<u64, TraceError> {
        let text = self.cell(i);
        // `parse` alone would take "+1".
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits && (low..=high).contains(&number) => Ok(number),
            _ => Err(self.error(column, i, &format!("a whole number of at least {low}"), "")),
        }
    }

    fn attempt_number(&self, index: usize) -> Result<u32, TraceError> {
        let number = self.whole("attempt_number", index, 1, u64::from(u32::MAX))?;
        // In range by the line above.
        Ok(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// A finite number of at least 0.
    fn number(&self, column: &'static str, i: usize, expected: &str) -> Result<f64, TraceError> {
        match self.cell(i).parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
            _ => Err(self.error(column, i, expected, "")),
        }
    }

    fn port(&self, index: usize) -> Result<u16, TraceError> {
        let expected = "a port in 4000-4009, 5000-5009 or 6000-6009";
        match self.cell(index).parse::<u16>() {
            Ok(port) if Config::from_port(port).is_some() => Ok(port),
            _ => Err(self.error("server_port", index, expected, "")),
        }
    }

    fn config(&self, at: &Columns) -> Result<Config, TraceError> {
        let port = self.port(at.server_port)?;
        let by_port = Config::from_port(port);
        let Some(index) = at.config_target.filter(|i| !self.cell(*i).is_empty()) else {
            let expected = "a port of a known config";
            return by_port.ok_or_else(|| self.error("server_port", at.server_port, expected, ""));
        };
        let Some(target) = Config::from_target(self.cell(index)) else {
            return Err(self.error("config_target", index, "T1, T2 or T3", ""));
        };
        if by_port != Some(target) {
            let first = target.first_port();
            let last = first + target.servers() - 1;
            let expected = format!("the config of port {port}");
            let help = format!("{} has the ports {first}-{last}", target.target());
            return Err(self.error("config_target", index, &expected, &help));
        }
        Ok(target)
    }
}

fn csv_error(path: &str, error: csv::Error) -> TraceError {
    let path = path.to_owned();
    let line = error.position().map_or(1, csv::Position::line);
    match error.into_kind() {
        ErrorKind::Io(source) => TraceError::Read { path, source },
        ErrorKind::Utf8 { err, .. } => TraceError::Row { path, line, problem: err.to_string() },
        kind => TraceError::Row { path, line, problem: format!("no CSV: {kind:?}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
request_number,attempt_number,request_id,strategy,timestamp,server_port,success,latency_ms,request_complete,request_success
1,1,Io7IWBOKOr9OxHm0EzITEe6C,v1,1768909729.239888,4003,True,3.3625,True,True
2,1,TemVSx0sSUxK0lysYZRN4pIN,v1,1768909729.335136,4000,false,1.88,False,False
";

    fn read(text: &str) -> Result<Vec<Row>, TraceError> {
        Ok(read_rows("traces/x.csv", text.as_bytes())?.0)
    }

    fn error(from: &str, to: &str) -> String {
        assert!(TEXT.contains(from));
        read(&TEXT.replacen(from, to, 1)).unwrap_err().to_string()
    }

    #[test]
    fn lines_are_counted_right_with_either_line_ending() {
        let broken = TEXT.replace("false", "perhaps");
        for text in [broken.clone(), broken.replace('\n', "\r\n")] {
            let message = read(&text).unwrap_err().to_string();
            assert!(message.starts_with("traces/x.csv:3: column success"), "{message}");
        }
        let with_blank_line = format!("{TEXT}\n").replace('\n', "\r\n");
        assert_eq!(read(&with_blank_line).unwrap(), read(TEXT).unwrap());
    }

    #[test]
    fn a_file_without_the_optional_columns_is_read_and_the_port_names_the_config() {
        let rows = read(TEXT).unwrap();
        assert_eq!((rows.len(), rows[0].config.number(), rows[0].server_index()), (2, 0, Some(3)));
        assert_eq!((rows[1].success, rows[1].rate_limited), (false, None));
        assert_eq!(rows[0].timestamp, 1_768_909_729.239_888);
    }

    #[test]
    fn columns_may_stand_in_any_order_beside_unknown_ones() {
        let text = "success,latency_ms,weather,request_complete,request_success,rate_limited,\
                    config_target,server_port,timestamp,strategy,request_id,attempt_number,\
                    request_number\nFalse,1.5,rain,False,False,True,T2,5007,1.5,v1,a,1,1\n";
        let rows = read(text).unwrap();
        assert_eq!((rows[0].config.number(), rows[0].rate_limited), (1, Some(true)));
    }

    #[test]
    fn every_mistake_names_its_place_and_what_was_expected() {
        let cases = [
            (
                "4003,True",
                "4003,yes",
                "x.csv:2: column success: expected True or False, got \"yes\"",
            ),
            ("2,1,Tem", "2,0,Tem", "x.csv:3: column attempt_number: expected a whole number of at"),
            ("2,1,Tem", "2,+1,Tem", "got \"+1\""),
            ("1.88", "-1.88", "x.csv:3: column latency_ms: expected milliseconds of at least 0"),
            ("1.88", "NaN", "got \"NaN\""),
            ("1768909729.335136", "inf", "column timestamp: expected Unix seconds, got \"inf\""),
            ("4003", "4010", "column server_port: expected a port in 4000-4009, 5000-5009"),
            (",False,False", ",False", "x.csv:3: expected 10 cells as in the header, got 9"),
            ("latency_ms,", "latency,", "x.csv:1: column latency_ms is missing; the columns are:"),
            ("latency_ms,", "latency,", "is `latency` the column? Then name it `latency_ms`"),
            (
                "request_id,strategy,",
                "request_id,strategy,strategy,",
                "strategy stands there twice",
            ),
        ];
        for (from, to, message) in cases {
            let got = error(from, to);
            assert!(got.contains(message), "{to}: {got}");
        }
        assert!(read(&TEXT.replace(',', ";")).unwrap_err().to_string().contains("by commas"));
    }

    #[test]
    fn a_target_that_contradicts_the_port_is_an_error() {
        let text = TEXT.replace("request_success\n", "request_success,config_target\n");
        let text = text.replace("True,True\n", "True,True,T1\n");
        let got = read(&text.replace("False,False\n", "False,False,T2\n")).unwrap_err().to_string();
        assert!(got.contains("x.csv:3: column config_target: expected the config of port 4000"));
        assert!(got.contains("T2 has the ports 5000-5009"), "{got}");
        let got = read(&text.replace("False,False\n", "False,False,2\n")).unwrap_err().to_string();
        assert!(got.contains("expected T1, T2 or T3, got \"2\""), "{got}");
    }

    #[test]
    fn a_success_cannot_have_been_refused() {
        let text = TEXT.replace("request_success\n", "request_success,rate_limited\n");
        let text = text.replace("True,True\n", "True,True,True\n");
        let text = text.replace("False,False\n", "False,False,\n");
        let got = read(&text).unwrap_err().to_string();
        assert!(got.contains("x.csv:2: column rate_limited: expected False beside success = True"));
    }

    #[test]
    fn files_without_rows_say_so() {
        for (text, problem) in [("", "the file is empty"), ("\n\n", "the file is empty")] {
            assert!(read(text).unwrap_err().to_string().contains(problem));
        }
        let header = TEXT.lines().next().unwrap();
        let got = read(header).unwrap_err().to_string();
        assert!(got.contains("no row below the header"), "{got}");
        let missing = Trace::read(Path::new("/no/such/file.csv")).unwrap_err().to_string();
        assert_eq!(missing, "cannot read /no/such/file.csv");
    }
}
