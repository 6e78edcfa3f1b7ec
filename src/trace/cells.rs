//! The cells of one row, typed: the one place where text becomes values.
//!
//! A row of an access log may hold several attempts of one request, as nginx writes them
//! (`$upstream_addr`, `$upstream_status`, `$upstream_response_time`): `a:80, b:80` with
//! `502, 200` and `0.010, 0.002`; ` : ` separates groups of upstreams that were tried in turn.
//! (ngx_http_upstream_module, "Embedded Variables".)
//!
//! When not to use it: for what several rows say together; see `requests` and `clock`.

use std::cell::Cell;

use csv::StringRecord;

use super::attempt::{Attempt, NONE, Server};
use super::column::Column;
use super::error::printable;
use super::header::Columns;
use super::{Config, TraceError, instant};

/// More upstreams than this in one row are a mistake.
const MOST_UPSTREAMS: usize = 100;
/// The longest latency, one day: whoever waits longer for an answer has other troubles.
const LONGEST_MS: f64 = 86_400_000.0;
/// Columns that hold one value for each upstream of a row.
const LISTS: [Column; 5] =
    [Column::ServerPort, Column::Success, Column::LatencyMs, Column::LatencyS, Column::RateLimited];

/// What the column `success` of a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    /// `True`, `False`.
    Truths,
    /// HTTP status codes.
    Codes,
}

/// How the rows of a file are to be understood.
pub(super) struct Manner {
    /// Logs that were not written for this program.
    pub(super) foreign: bool,
    /// Rows belong to a group of somebody's own.
    pub(super) own_group: bool,
    /// Decided by the first row that tells.
    pub(super) answers: Cell<Option<Answers>>,
}

/// One record on its way to becoming attempts.
pub(super) struct Cells<'a> {
    pub(super) path: &'a str,
    pub(super) line: u64,
    pub(super) record: &'a StringRecord,
    pub(super) columns: &'a Columns,
    pub(super) manner: &'a Manner,
}

impl<'a> Cells<'a> {
    /// How many attempts stand in this row; none if it names no server.
    pub(super) fn count(&self) -> Result<usize, TraceError> {
        if !self.manner.foreign {
            return Ok(1);
        }
        let servers = self.text(Column::ServerPort, None);
        if matches!(servers, "" | NONE) {
            return Ok(0);
        }
        let count = parts(servers).count();
        if count == 1 {
            return Ok(1);
        }
        if count > MOST_UPSTREAMS {
            let problem = format!("{count} servers in one row; at most {MOST_UPSTREAMS}");
            return Err(self.row_error(problem));
        }
        for column in LISTS {
            let text = self.text(column, None);
            let there = parts(text).count();
            let silent = column == Column::RateLimited && text.is_empty();
            if self.columns.place(column).is_some() && there != count && !silent {
                let name = self.columns.name(column);
                let problem = format!(
                    "{count} servers but {there} values of {name} (\"{}\"); expected one for \
                     each server\nhelp: nginx writes them as $upstream_status and \
                     $upstream_response_time",
                    printable(text)
                );
                return Err(self.row_error(problem));
            }
        }
        Ok(count)
    }

    /// Refuses control characters in the columns that are read: they would reach terminals.
    pub(super) fn check_text(&self) -> Result<(), TraceError> {
        // C1 characters begin with this byte, as do letters: a look at bytes sorts out most rows.
        let suspect = |byte: &u8| byte.is_ascii_control() || *byte == 0xc2;
        if !self.record.as_slice().as_bytes().iter().any(suspect) {
            return Ok(());
        }
        for column in Column::ALL {
            let text = self.text(column, None);
            if text.contains(char::is_control) {
                let help = if text.contains('\n') {
                    "a quote that is opened in a row must be closed in it"
                } else {
                    ""
                };
                return Err(self.error(column, text, "text without control characters", help));
            }
        }
        Ok(())
    }

    /// The attempt at a position of the row. `part` is `None` where the row holds only one.
    pub(super) fn attempt(&self, part: Option<usize>) -> Result<Attempt<'a>, TraceError> {
        let (server, config) = self.server(part)?;
        let (success, code_refused) = self.success(part)?;
        let rate_limited = match (self.rate_limited(part, success)?, code_refused) {
            (Some(limited), code) => Some(limited || code == Some(true)),
            (None, code) => code,
        };
        let number = self.attempt_number()?;
        Ok(Attempt {
            line: self.line,
            session_id: self.text(Column::SessionId, None),
            config,
            server,
            request_number: self.request_number()?,
            request_id: self.some_text(Column::RequestId)?,
            attempt_number: number.map(|n| n.saturating_add(part.unwrap_or(0) as u16)),
            strategy: self.some_text(Column::Strategy)?.filter(|s| *s != NONE).unwrap_or("unknown"),
            at_s: self.time()?,
            success,
            rate_limited,
            latency_ms: self.latency_ms(part)?,
            request_complete: self.flag(Column::RequestComplete)?,
            request_success: self.flag(Column::RequestSuccess)?,
            start: self.text(Column::Start, None),
        })
    }

    /// What stands in a column; nothing where the column is absent.
    fn text(&self, column: Column, part: Option<usize>) -> &'a str {
        let place = self.columns.place(column);
        let text = place.and_then(|i| self.record.get(i)).unwrap_or_default().trim();
        match part.filter(|_| LISTS.contains(&column)) {
            Some(part) => parts(text).nth(part).unwrap_or_default(),
            None => text,
        }
    }

    fn has(&self, column: Column) -> bool {
        self.columns.place(column).is_some()
    }

    fn row_error(&self, problem: String) -> TraceError {
        TraceError::Row { path: self.path.to_owned(), line: self.line, problem }
    }

    fn error(&self, column: Column, got: &str, expected: &str, help: &str) -> TraceError {
        TraceError::Value {
            path: self.path.to_owned(),
            line: self.line,
            column: self.columns.name(column).into(),
            value: printable(got),
            expected: expected.to_owned(),
            help: if help.is_empty() { String::new() } else { format!("\nhelp: {help}") },
        }
    }

    fn server(&self, part: Option<usize>) -> Result<(Server<'a>, Option<Config>), TraceError> {
        let text = self.text(Column::ServerPort, part);
        if self.manner.own_group {
            if matches!(text, "" | NONE) {
                return Err(self.error(Column::ServerPort, text, "a port or an address", ""));
            }
            return Ok((Server::Own(text), None));
        }
        let port = text.parse::<u16>().ok().filter(|_| is_digits(text));
        let Some((port, config)) = port.and_then(|p| Some((p, Config::from_port(p)?))) else {
            let expected = "a port in 4000-4009, 5000-5009 or 6000-6009";
            let help = "if these are servers of your own, say `--name NAME`";
            return Err(self.error(Column::ServerPort, text, expected, help));
        };
        let target = self.text(Column::ConfigTarget, None);
        if !target.is_empty() {
            self.check_target(target, port, config)?;
        }
        Ok((Server::Port(port), Some(config)))
    }

    fn check_target(&self, target: &str, port: u16, by_port: Config) -> Result<(), TraceError> {
        let column = Column::ConfigTarget;
        let Some(named) = Config::from_target(target) else {
            return Err(self.error(column, target, "T1, T2 or T3", ""));
        };
        if named == by_port {
            return Ok(());
        }
        let first = named.first_port();
        let help = format!("{target} has the ports {first}-{}", first + named.servers() - 1);
        Err(self.error(column, target, &format!("the config of port {port}"), &help))
    }

    /// Whether the answer was 2xx and, where status codes tell, whether it was 429.
    fn success(&self, part: Option<usize>) -> Result<(bool, Option<bool>), TraceError> {
        let column = Column::Success;
        let text = self.text(column, part);
        let (answers, value) = match text {
            "True" | "true" => (Answers::Truths, (true, None)),
            "False" | "false" => (Answers::Truths, (false, None)),
            // No answer: the connection was refused or broke off.
            "" | NONE | "0" | "000"
                if self.manner.foreign || self.manner.answers.get() == Some(Answers::Codes) =>
            {
                (Answers::Codes, (false, Some(false)))
            }
            _ if text.len() == 3 && is_digits(text) => {
                (Answers::Codes, (text.starts_with('2'), Some(text == "429")))
            }
            _ => {
                let expected = match self.manner.answers.get() {
                    Some(Answers::Codes) => "an HTTP status such as 200 or 503",
                    Some(Answers::Truths) => "True or False",
                    None => "True or False, or an HTTP status",
                };
                return Err(self.error(column, text, expected, ""));
            }
        };
        match self.manner.answers.get() {
            None => self.manner.answers.set(Some(answers)),
            Some(before) if before == answers => {}
            Some(Answers::Truths) => {
                return Err(self.error(column, text, "True or False as further up", ""));
            }
            Some(Answers::Codes) => {
                return Err(self.error(column, text, "an HTTP status as further up", ""));
            }
        }
        Ok(value)
    }

    fn rate_limited(&self, part: Option<usize>, ok: bool) -> Result<Option<bool>, TraceError> {
        let text = self.text(Column::RateLimited, part);
        if text.is_empty() {
            return Ok(None);
        }
        let limited = self.truth(Column::RateLimited, text)?;
        if limited && ok {
            let help = "an attempt that was refused cannot have succeeded";
            let expected = "False beside success = True";
            return Err(self.error(Column::RateLimited, text, expected, help));
        }
        Ok(Some(limited))
    }

    fn truth(&self, column: Column, text: &str) -> Result<bool, TraceError> {
        match text {
            "True" | "true" => Ok(true),
            "False" | "false" => Ok(false),
            _ => Err(self.error(column, text, "True or False", "")),
        }
    }

    fn flag(&self, column: Column) -> Result<Option<bool>, TraceError> {
        let text = self.text(column, None);
        if !self.has(column) || (self.manner.foreign && text.is_empty()) {
            return Ok(None);
        }
        self.truth(column, text).map(Some)
    }

    /// Text that must not be empty where the column is there; other people's logs say `-` then.
    fn some_text(&self, column: Column) -> Result<Option<&'a str>, TraceError> {
        match self.text(column, None) {
            "" if self.has(column) && self.manner.foreign => Ok(Some(NONE)),
            "" if self.has(column) => Err(self.error(column, "", "some text", "")),
            "" => Ok(None),
            text => Ok(Some(text)),
        }
    }

    fn request_number(&self) -> Result<Option<u64>, TraceError> {
        let column = Column::RequestNumber;
        let text = self.text(column, None);
        if !self.has(column) {
            return Ok(None);
        }
        // `parse` alone would take "+1".
        match text.parse() {
            Ok(number) if is_digits(text) => Ok(Some(number)),
            _ => Err(self.error(column, text, "a whole number of at least 0", "")),
        }
    }

    fn attempt_number(&self) -> Result<Option<u16>, TraceError> {
        let column = Column::AttemptNumber;
        let text = self.text(column, None);
        if !self.has(column) {
            return Ok(None);
        }
        match text.parse() {
            Ok(number) if is_digits(text) && number > 0 => Ok(Some(number)),
            _ => Err(self.error(column, text, "a whole number from 1 to 65535", "")),
        }
    }

    fn time(&self) -> Result<f64, TraceError> {
        let text = self.text(Column::Timestamp, None);
        instant::unix_seconds(text).ok_or_else(|| {
            let help = instant::help(text).unwrap_or_default();
            self.error(Column::Timestamp, text, instant::EXPECTED, &help)
        })
    }

    /// `None` where the log does not say.
    fn latency_ms(&self, part: Option<usize>) -> Result<Option<f64>, TraceError> {
        let (column, unit, per_unit) = if self.has(Column::LatencyS) {
            (Column::LatencyS, "seconds", 1000.0)
        } else {
            (Column::LatencyMs, "milliseconds", 1.0)
        };
        let text = self.text(column, part);
        if !self.has(column) || (self.manner.foreign && matches!(text, "" | NONE)) {
            return Ok(None);
        }
        match text.parse::<f64>().map(|number| number * per_unit) {
            Ok(number) if (0.0..=LONGEST_MS).contains(&number) => Ok(Some(number)),
            _ => {
                let most = LONGEST_MS / per_unit;
                let help = if matches!(text, "" | NONE) {
                    "logs without some latencies are read with `--name NAME`"
                } else {
                    ""
                };
                Err(self.error(column, text, &format!("{unit} from 0 to {most} (a day)"), help))
            }
        }
    }
}

/// The values of a cell that holds one for each upstream.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').flat_map(|group| group.split(" : ")).map(str::trim)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
