//! The cells of one row, typed: the one place where text becomes values.
//!
//! A row of an access log may hold several attempts of one request, as nginx writes them
//! (`$upstream_addr`, `$upstream_status`, `$upstream_response_time`): `a:80, b:80` with
//! `502, 200` and `0.010, 0.002`; ` : ` separates groups of upstreams that were tried in turn.
//! (ngx_http_upstream_module, "Embedded Variables".)
//!
//! When not to use it: for what several rows say together; see `collect` and `recording`.

use std::cell::Cell;
use std::net::IpAddr;
use std::str::FromStr;

use csv::StringRecord;

use crate::trace::columns::{Column, Columns};
use crate::trace::group::Config;
use crate::trace::status::{Counted, SuccessRule};
use crate::trace::{TraceError, instant, printable};
use flakelab_core::domain::Outcome;

/// More upstreams than this in one row are a mistake.
const MOST_UPSTREAMS: usize = 100;

/// The longest latency, one day: whoever waits longer for an answer has other troubles.
const LONGEST_MS: f64 = 86_400_000.0;

/// Columns that hold one value for each upstream of a row.
const LISTS: [Column; 8] = [
    Column::ServerPort,
    Column::Success,
    Column::LatencyMs,
    Column::LatencyS,
    Column::LatencyUs,
    Column::LatencyNs,
    Column::RateLimited,
    Column::Refused,
];

/// What the column `success` of a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    /// `True`, `False`.
    Truths,
    /// HTTP status codes.
    Codes,
}

/// How the rows of a file are to be understood.
pub(crate) struct Manner<'a> {
    /// Logs that were not written for this program.
    pub(crate) foreign: bool,
    /// Rows belong to a group of somebody's own.
    pub(crate) own_group: bool,
    /// Which statuses are successes.
    pub(crate) success_when: &'a SuccessRule,
    /// Decided by the first row that tells.
    pub(crate) answers: Cell<Option<Answers>>,
}

/// One record on its way to becoming attempts.
pub(crate) struct Cells<'a> {
    pub(crate) path: &'a str,
    pub(crate) line: u64,
    pub(crate) record: &'a StringRecord,
    pub(crate) columns: &'a Columns,
    pub(crate) manner: &'a Manner<'a>,
}

impl<'a> Cells<'a> {
    /// How many attempts stand in this row; none if it names no server.
    pub(crate) fn count(&self) -> Result<usize, TraceError> {
        if !self.manner.foreign {
            return Ok(1);
        }
        let servers = self.text(Column::ServerPort, None);
        if NO_SERVER.iter().any(|none| none.eq_ignore_ascii_case(servers)) {
            return Ok(0);
        }
        let count = parts(servers).count();
        if count == 1 {
            return Ok(1);
        }
        if count > MOST_UPSTREAMS {
            let problem = format!("{count} servers in one row; at most {MOST_UPSTREAMS}");
            return Err(TraceError::at(self.path, self.line, &problem));
        }
        for column in LISTS {
            let text = self.text(column, None);
            let there = parts(text).count();
            let may_be_silent = matches!(column, Column::RateLimited | Column::Refused);
            let silent = may_be_silent && text.is_empty();
            if self.columns.place(column).is_some() && there != count && !silent {
                let name = self.columns.name(column);
                let problem = format!(
                    "{count} servers but {there} values of {name} (\"{}\"); expected one for \
                     each server\nhelp: nginx writes them as $upstream_status and \
                     $upstream_response_time",
                    printable(text)
                );
                return Err(TraceError::at(self.path, self.line, &problem));
            }
        }
        Ok(count)
    }

    /// Whether the server at a position of the row is none: where nginx found no live server in a
    /// group, it writes the group's name; servers have a port there, or begin with `unix:`.
    pub(crate) fn names_a_group(&self, part: Option<usize>) -> bool {
        self.manner.foreign
            && self.columns.name(Column::ServerPort) == "upstream_addr"
            && !self.text(Column::ServerPort, part).contains(':')
            && self.text(Column::ServerPort, part).parse::<IpAddr>().is_err()
    }

    /// Refuses control characters in the columns that are read: they would reach terminals.
    pub(crate) fn check_text(&self) -> Result<(), TraceError> {
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
    pub(crate) fn attempt(&self, part: Option<usize>) -> Result<Attempt<'a>, TraceError> {
        let server = self.server(part)?;
        let (counted, status) = self.success(part)?;
        let success = counted == Counted::Success;
        let rate_limited = self.refusal(Column::RateLimited, part, success)?;
        let refused = self.refusal(Column::Refused, part, success || rate_limited == Some(true))?;
        let told = status.map(|_| counted == Counted::Refusal);
        let rate_limited = match (rate_limited, told) {
            (Some(limited), told) => Some(limited || told == Some(true)),
            (None, told) => told,
        };
        let number = self.whole(Column::AttemptNumber, 1, "a whole number from 1 to 65535")?;
        let request_number =
            self.whole(Column::RequestNumber, 0, "a whole number of at least 0")?;
        Ok(Attempt {
            line: self.line,
            session_id: self.text(Column::SessionId, None),
            server,
            request_number,
            request_id: self.some_text(Column::RequestId)?,
            attempt_number: number.map(|n: u16| n.saturating_add(part.unwrap_or(0) as u16)),
            strategy: self.some_text(Column::Strategy)?.filter(|s| *s != NONE).unwrap_or("unknown"),
            at_s: self.time()?,
            success,
            status,
            left_out: counted == Counted::Nothing,
            rate_limited,
            refused,
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

    /// A cell that does not hold what its column needs.
    fn error(&self, column: Column, got: &str, expected: &str, help: &str) -> TraceError {
        let (column, got) = (self.columns.name(column), printable(got));
        let help = if help.is_empty() { String::new() } else { format!("\nhelp: {help}") };
        let problem = format!("column {column}: expected {expected}, got \"{got}\"{help}");
        TraceError::at(self.path, self.line, &problem)
    }

    fn server(&self, part: Option<usize>) -> Result<Server<'a>, TraceError> {
        let text = self.text(Column::ServerPort, part);
        if self.manner.own_group {
            if matches!(text, "" | NONE) {
                return Err(self.error(Column::ServerPort, text, "a port or an address", ""));
            }
            return Ok(Server::Own(if text.contains("://") { host(text) } else { text }));
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
        Ok(Server::Of(config, port))
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

    /// What the answer counts as and, where status codes tell, its code; 0 for none.
    fn success(&self, part: Option<usize>) -> Result<(Counted, Option<u16>), TraceError> {
        let column = Column::Success;
        let text = self.text(column, part);
        let (answers, value) = match text {
            "True" | "true" => (Answers::Truths, (Counted::Success, None)),
            "False" | "false" => (Answers::Truths, (Counted::Failure, None)),
            // No answer: the connection was refused or broke off.
            "" | NONE | "0" | "000"
                if self.manner.foreign || self.manner.answers.get() == Some(Answers::Codes) =>
            {
                (Answers::Codes, (Counted::Failure, Some(0)))
            }
            _ => {
                let code = text.parse().ok().filter(|_| text.len() == 3 && is_digits(text));
                let counted = code.map(|code| (self.manner.success_when.judge(code), Some(code)));
                if let Some(counted) = counted {
                    return self.answered(Answers::Codes, counted, text);
                }
                let expected = match self.manner.answers.get() {
                    Some(Answers::Codes) => "an HTTP status such as 200 or 503",
                    Some(Answers::Truths) => "True or False",
                    None => "True or False, or an HTTP status",
                };
                return Err(self.error(column, text, expected, ""));
            }
        };
        self.answered(answers, value, text)
    }

    /// A value, if the rows above were answered in the same kind of words.
    fn answered<T>(&self, answers: Answers, value: T, text: &str) -> Result<T, TraceError> {
        match self.manner.answers.get() {
            None => self.manner.answers.set(Some(answers)),
            Some(before) if before == answers => {}
            Some(before) => {
                let expected = match before {
                    Answers::Truths => "True or False as further up",
                    Answers::Codes => "an HTTP status as further up",
                };
                return Err(self.error(Column::Success, text, expected, ""));
            }
        }
        Ok(value)
    }

    /// Whether an attempt was refused, by a rate limit or when it wanted to connect; `answered` is
    /// what excludes it.
    fn refusal(
        &self,
        column: Column,
        part: Option<usize>,
        answered: bool,
    ) -> Result<Option<bool>, TraceError> {
        let text = self.text(column, part);
        if text.is_empty() {
            return Ok(None);
        }
        let refused = self.truth(column, text)?;
        if refused && answered {
            let (expected, help) = if column == Column::Refused {
                let help = "a server that refused the connection gave no answer";
                ("False beside success = True or rate_limited = True", help)
            } else {
                let help = "an attempt that was refused cannot have succeeded";
                ("False beside success = True", help)
            };
            return Err(self.error(column, text, expected, help));
        }
        Ok(Some(refused))
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

    /// A whole number of at least `least`; `None` where the column is absent.
    fn whole<T: FromStr + PartialOrd>(
        &self,
        column: Column,
        least: T,
        expected: &str,
    ) -> Result<Option<T>, TraceError> {
        let text = self.text(column, None);
        if !self.has(column) {
            return Ok(None);
        }
        // `parse` alone would take "+1".
        match text.parse() {
            Ok(number) if is_digits(text) && number >= least => Ok(Some(number)),
            _ => Err(self.error(column, text, expected, "")),
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
        let has_one = |(column, _, _): &(Column, _, _)| self.has(*column);
        let Some((column, unit, per_unit)) = Column::LATENCIES.into_iter().find(has_one) else {
            return Ok(None);
        };
        let text = self.text(column, part);
        if self.manner.foreign && matches!(text, "" | NONE) {
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

/// Host and port of a URL; nothing where it has none.
pub fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What logs write for nothing.
pub(crate) const NONE: &str = "-";

/// What logs write where no server was asked.
const NO_SERVER: [&str; 8] = ["", NONE, "<NOSRV>", "null", "none", "nil", "n/a", "undefined"];

/// Where an attempt was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server<'r> {
    /// A port of a config.
    Of(Config, u16),
    /// A server of somebody's own: a port or an address.
    Own(&'r str),
}

/// One attempt as a file tells it, borrowed from the row that is being read; what the file does not
/// say is `None` or an empty text.
///
/// When not to use it: to keep attempts; [`Row`] owns its text, [`Observed`](super::Observed) is
/// small.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attempt<'r> {
    /// The line that it stands on, from 1.
    pub line: u64,
    /// See [`Row::session_id`].
    pub session_id: &'r str,
    /// Where it was sent.
    pub server: Server<'r>,
    /// See [`Row::request_number`].
    pub request_number: Option<u64>,
    /// What attempts of one request share; `-` for a request of its own.
    pub request_id: Option<&'r str>,
    /// Its number within the request, from 1.
    pub attempt_number: Option<u16>,
    /// Who chose the server.
    pub strategy: &'r str,
    /// When it was sent: Unix time in seconds.
    pub at_s: f64,
    /// Whether the server did its work.
    pub success: bool,
    /// The HTTP status where the file has it; 0 for no answer.
    pub status: Option<u16>,
    /// Whether nobody knows how it would have ended: the client left.
    pub left_out: bool,
    /// See [`Row::rate_limited`].
    pub rate_limited: Option<bool>,
    /// See [`Row::refused`].
    pub refused: Option<bool>,
    /// Time to the answer in milliseconds.
    pub latency_ms: Option<f64>,
    /// See [`Row::request_complete`].
    pub request_complete: Option<bool>,
    /// See [`Row::request_success`].
    pub request_success: Option<bool>,
    /// See [`Row::start`].
    pub start: &'r str,
}

impl<'r> Attempt<'r> {
    /// An attempt of which no more is known than where, when and with what answer it ended: a
    /// status, or `None` for none.
    pub fn new(server: &'r str, at_s: f64, status: Option<u16>, rule: &SuccessRule) -> Self {
        let counted = rule.judge(status.unwrap_or(0));
        Self {
            line: 0,
            session_id: "",
            server: Server::Own(server),
            request_number: None,
            request_id: None,
            attempt_number: None,
            strategy: "unknown",
            at_s,
            success: counted == Counted::Success,
            status: Some(status.unwrap_or(0)),
            left_out: counted == Counted::Nothing,
            rate_limited: Some(counted == Counted::Refusal),
            refused: None,
            latency_ms: None,
            request_complete: None,
            request_success: None,
            start: "",
        }
    }

    /// The row of a trace of our own, in which every column is there; `None` in other logs.
    pub(crate) fn to_row(self) -> Option<Row> {
        let Server::Of(config, server_port) = self.server else { return None };
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Some(Row {
            session_id: text(self.session_id),
            config,
            request_number: self.request_number?,
            attempt_number: u32::from(self.attempt_number?),
            request_id: self.request_id?.to_owned(),
            strategy: self.strategy.to_owned(),
            timestamp: self.at_s,
            server_port,
            success: self.success,
            latency_ms: self.latency_ms?,
            request_complete: self.request_complete?,
            request_success: self.request_success?,
            rate_limited: self.rate_limited,
            refused: self.refused,
            start: text(self.start),
        })
    }
}

/// What the client observed. A 429 of a recorder that does not tell is a `Failure`, and so is an
/// attempt without an answer.
pub(crate) fn outcome(success: bool, rate_limited: Option<bool>) -> Outcome {
    match (success, rate_limited) {
        (true, _) => Outcome::Success,
        (false, Some(true)) => Outcome::RateLimited,
        (false, _) => Outcome::Failure,
    }
}

/// The strategy of rows that a probe sent. It sends several attempts with one identifier on
/// purpose, also after a success, whatever the answers were.
pub const PROBE: &str = "probe";

/// One attempt: a row of a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The recording that it belongs to, where the file says.
    pub session_id: Option<String>,
    /// The group of servers, from `config_target` or else from the port.
    pub config: Config,
    /// The request's number within the run.
    pub request_number: u64,
    /// The attempt's number within its request, from 1.
    pub attempt_number: u32,
    /// The identifier that was sent.
    pub request_id: String,
    /// The strategy that chose the server.
    pub strategy: String,
    /// When it was sent: Unix time in seconds.
    pub timestamp: f64,
    /// The port it was sent to.
    pub server_port: u16,
    /// Whether the answer was 2xx.
    pub success: bool,
    /// Time from sending to the answer in milliseconds, at least 0.
    pub latency_ms: f64,
    /// Whether the request was answered after this attempt, with success or not.
    pub request_complete: bool,
    /// Whether it was answered 200 after this attempt.
    pub request_success: bool,
    /// Whether the answer was 429; `None` where the recorder did not tell 429 from failure.
    pub rate_limited: Option<bool>,
    /// Whether the connection was refused; `None` where the recorder did not tell.
    pub refused: Option<bool>,
    /// The start of the servers that it met, where the file says; any text, a change of which
    /// means that the servers were started anew.
    pub start: Option<String>,
}

impl Row {
    /// What the client observed. A 429 of a recorder without `rate_limited` is a `Failure`, and so
    /// is a timeout, which traces do not mark.
    pub fn outcome(&self) -> Outcome {
        outcome(self.success, self.rate_limited)
    }
}
