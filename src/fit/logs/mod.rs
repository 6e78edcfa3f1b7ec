//! Logs that people have -> recordings: our CSV, and what other programs write, packed or not.
//!
//! A format is recognised by the first lines, or named. Each has a file that says what a line means;
//! attempts then go the way of those of our own CSV, with the same checks, order and warnings.
//!
//! When not to use it: for summaries (Locust, `wrk`), which have no rows; and for logs that name no
//! server, which say nothing of servers.

mod alb;
mod envoy;
mod haproxy;
mod json;
mod k6;
mod nginx;
mod plausible;
mod request;
mod source;

use std::fmt;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use flakelab_core::domain::Outcome;
use flakelab_sim::trace::{
    Attempt, Oddity, ReadOptions, Reading, Recording, Sample, Sink, SuccessRule, TraceError,
    printable,
};

use self::request::{Answer, Line, Request};
use self::source::Source;

/// A format of logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Rows of attempts with a header: our own, or with `--map`.
    Csv,
    /// Access logs of nginx, text or JSON.
    Nginx,
    /// HTTP logs of HAProxy.
    Haproxy,
    /// Access logs of Envoy and Istio, text or JSON.
    Envoy,
    /// Access logs of Amazon's Application Load Balancers.
    Alb,
    /// Results of k6, CSV or JSON.
    K6,
}

impl LogFormat {
    /// All of them, the most peculiar first: so they are tried.
    pub const ALL: [Self; 6] =
        [Self::Alb, Self::Haproxy, Self::Envoy, Self::K6, Self::Nginx, Self::Csv];

    /// What the command line calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Alb => "alb",
            Self::K6 => "k6",
        }
    }

    /// Whether a first line is of this format.
    fn recognises(self, line: &str) -> bool {
        match self {
            Self::Csv => false,
            Self::Nginx => nginx::recognised(line),
            Self::Haproxy => haproxy::recognised(line),
            Self::Envoy => envoy::recognised(line),
            Self::Alb => alb::recognised(line),
            Self::K6 => k6::recognised(line),
        }
    }

    /// The format that most of the first lines are of; CSV if none is.
    fn of(head: &[u8]) -> Self {
        /// Lines that are looked at.
        const LINES: usize = 200;
        let text = String::from_utf8_lossy(head);
        let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).take(LINES).collect();
        let count = |format: &Self| lines.iter().filter(|line| format.recognises(line)).count();
        if lines.first().is_some_and(|first| k6::is_header(first)) {
            return Self::K6;
        }
        Self::ALL.into_iter().find(|format| 2 * count(format) > lines.len()).unwrap_or(Self::Csv)
    }

    /// What its lines mean; `None` where rows are read otherwise.
    fn parser(self) -> Option<Parser> {
        let parser = |line, dated_at_end, help| Some(Parser { line, dated_at_end, help });
        match self {
            Self::Csv => None,
            Self::Nginx => parser(nginx::line, true, nginx::HELP),
            Self::Haproxy => parser(haproxy::line, false, haproxy::HELP),
            Self::Envoy => parser(envoy::line, false, envoy::HELP),
            Self::Alb => parser(alb::line, false, alb::HELP),
            Self::K6 => parser(k6::line, true, k6::HELP),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|format| format.name() == text);
        known.ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.into_iter().map(Self::name).collect();
            format!("the formats are: {}", names.join(", "))
        })
    }
}

/// How lines of a format are read.
#[derive(Clone, Copy)]
struct Parser {
    line: fn(&str) -> Result<Line, String>,
    /// Whether its times are those of writing, the end of a request.
    dated_at_end: bool,
    /// What to switch on in the program that writes it, where no line names a server.
    help: &'static str,
}

/// What was read.
#[derive(Debug)]
pub struct Logs {
    /// One for each file, and of the configs one for each group in it.
    pub recordings: Vec<Recording>,
    /// For each file of other people a sentence that shows how it was understood.
    pub read_as: Vec<String>,
}

/// Reads files, or standard input where one is called `-`; `format` is that of all of them, if it is
/// known.
///
/// # Errors
/// What cannot be read or believed, with file, line, what was expected and how to mend it.
pub fn read(
    paths: &[PathBuf],
    format: Option<LogFormat>,
    options: &ReadOptions,
) -> Result<Logs, TraceError> {
    let mut reading = Reading::new(options);
    let mut files = Vec::new();
    for path in paths {
        let source = source::open(path)?;
        // Who names columns says that there are columns.
        let known = format.or((!options.columns.is_empty()).then_some(LogFormat::Csv));
        let format = known.unwrap_or_else(|| LogFormat::of(&source.head));
        let name = PathBuf::from(source::name(path));
        let head = (format == LogFormat::Csv).then(|| source.head.clone());
        read_file(path, source, format, options, &mut reading)?;
        files.push((name, format, head));
    }
    let (mut recordings, samples) = reading.finish();
    if !options.is_foreign() {
        return Ok(Logs { recordings, read_as: Vec::new() });
    }
    let mut read_as: Vec<String> = files
        .iter()
        .zip(&samples)
        .map(|((_, format, _), sample)| read_as(*format, sample))
        .collect();
    if samples.iter().any(|sample| sample.status.is_some()) {
        let rule = &options.success_when;
        read_as.push(format!(
            "counted: {rule} is a success, 429 a refusal, 499 and 460 (the client left) nothing, all \
             else and no answer a failure of the server; another rule with --success-when"
        ));
    }
    for recording in &mut recordings {
        let file = files.iter().find(|(name, _, _)| *name == recording.path);
        let head = file.and_then(|(_, _, head)| head.as_deref());
        recording.warnings.extend(plausible::recording(recording, head)?);
    }
    Ok(Logs { recordings, read_as })
}

fn read_file(
    path: &Path,
    source: Source,
    format: LogFormat,
    options: &ReadOptions,
    reading: &mut Reading<'_>,
) -> Result<(), TraceError> {
    let name = PathBuf::from(source::name(path));
    let Some(parser) = format.parser() else {
        plausible::table(&name, &source.head)?;
        return reading.csv(&name, source.input);
    };
    let problem = |problem: &str| TraceError::Content(format!("{}: {problem}", name.display()));
    if options.group.is_none() {
        return Err(problem(&format!(
            "a log of {format}, of servers of your own\nhelp: say what to call them: `--name NAME`"
        )));
    }
    if options.dated_at_end {
        return Err(problem(&format!(
            "--timestamps is for CSV; it is known when {format} takes the time\nhelp: leave it out"
        )));
    }
    reading.collect(&name, true, |sink| {
        let mut lines = Lines::new(&name, format, parser, &options.success_when, sink);
        if format == LogFormat::K6 && k6::is_header(&String::from_utf8_lossy(&source.head)) {
            lines.read_k6(source.input)
        } else {
            lines.read(source.input)
        }
    })
}

/// The longest line: more is no line of a log.
const LONGEST_LINE: usize = 1 << 20;

/// The lines of one file on their way to becoming attempts.
struct Lines<'a, 's> {
    path: String,
    format: LogFormat,
    parser: Parser,
    rule: &'a SuccessRule,
    sink: &'a mut Sink<'s>,
    /// Lines that are requests, and those that are nothing of the format, with the first of these.
    requests: u64,
    others: u64,
    first_other: Option<(u64, String)>,
    attempts: u64,
    /// Requests of one second, whose clock showed no more.
    second: Vec<(u64, Request)>,
    spreads: bool,
}

impl<'a, 's> Lines<'a, 's> {
    fn new(
        path: &Path,
        format: LogFormat,
        parser: Parser,
        rule: &'a SuccessRule,
        sink: &'a mut Sink<'s>,
    ) -> Self {
        Self {
            path: path.display().to_string(),
            format,
            parser,
            rule,
            sink,
            requests: 0,
            others: 0,
            first_other: None,
            attempts: 0,
            second: Vec::new(),
            spreads: false,
        }
    }

    fn read(&mut self, mut input: impl BufRead) -> Result<(), TraceError> {
        let (mut bytes, mut number) = (Vec::new(), 0);
        loop {
            bytes.clear();
            let failed = |source| TraceError::Read { path: self.path.clone(), source };
            let most = LONGEST_LINE as u64;
            if input.by_ref().take(most).read_until(b'\n', &mut bytes).map_err(failed)? == 0 {
                break;
            }
            number += 1;
            if bytes.len() == LONGEST_LINE {
                let problem = format!("a line of more than {LONGEST_LINE} bytes: no log of lines");
                return Err(TraceError::at(&self.path, number, &problem));
            }
            let ends = bytes.ends_with(b"\n");
            let text = String::from_utf8_lossy(&bytes);
            let text = text.trim_start_matches('\u{feff}').trim();
            if text.is_empty() {
                continue;
            }
            match (self.parser.line)(text) {
                Ok(Line::Request(request)) => self.take(number, request)?,
                Ok(Line::Beside) => self.requests += 1,
                Ok(Line::Other) | Err(_) if !ends && self.requests > 0 => {
                    self.sink.note(Oddity::CutShort, number);
                }
                Ok(Line::Other) => self.other(number, text),
                Err(problem) => return Err(TraceError::at(&self.path, number, &problem)),
            }
        }
        self.flush()?;
        self.check()
    }

    /// Rows of k6, which may hold line feeds in quotes.
    fn read_k6(&mut self, input: impl BufRead) -> Result<(), TraceError> {
        let path = self.path.clone();
        k6::rows(input, |number, line| match line {
            Ok(Line::Request(request)) => self.take(number, request),
            Ok(_) => {
                self.requests += 1;
                Ok(())
            }
            Err(problem) => Err(TraceError::at(&path, number, &problem)),
        })?;
        self.flush()?;
        self.check()
    }

    fn other(&mut self, number: u64, text: &str) {
        self.others += 1;
        self.sink.note(Oddity::NoRequest, number);
        self.first_other.get_or_insert_with(|| (number, printable(text)));
    }

    /// A file of which more than a tenth is something else was taken for what it is not.
    fn check(&self) -> Result<(), TraceError> {
        const FEW: u64 = 10;
        if let Some((line, text)) = &self.first_other
            && self.others > 1
            && self.others * FEW > self.others + self.requests
        {
            let (format, others) = (self.format, self.others);
            let problem = format!(
                "expected a line of {format}, got \"{text}\" ({others} such lines of {})\nhelp: \
                 name another format with --log-format, or delete these lines; {}",
                self.requests + others,
                self.parser.help
            );
            return Err(TraceError::at(&self.path, *line, &problem));
        }
        if self.attempts == 0 {
            let problem = format!("no line names a server\nhelp: {}", self.parser.help);
            return Err(TraceError::Content(format!("{}: {problem}", self.path)));
        }
        Ok(())
    }

    fn take(&mut self, number: u64, request: Request) -> Result<(), TraceError> {
        self.requests += 1;
        if !request.at.is_whole || !self.parser.dated_at_end {
            return self.hand_over(number, &request);
        }
        if self.second.first().is_some_and(|(_, first)| first.at.at_s != request.at.at_s) {
            self.flush()?;
        }
        self.second.push((number, request));
        Ok(())
    }

    /// Spreads the requests of a second evenly over it, in their order, which is that of their ends:
    /// all at its beginning, those would seem to have started first that took longest.
    fn flush(&mut self) -> Result<(), TraceError> {
        let requests = std::mem::take(&mut self.second);
        let gap_ms = 1000.0 / requests.len().max(1) as f64;
        for (i, (number, mut request)) in requests.into_iter().enumerate() {
            if i > 0 && !self.spreads {
                self.spreads = true;
                self.sink.note(Oddity::SpreadSeconds, number);
            }
            request.at = request.at.later(i as f64 * gap_ms);
            self.hand_over(number, &request)?;
        }
        Ok(())
    }

    /// Gives the attempts of a request to the recording, each with the time of its start.
    fn hand_over(&mut self, number: u64, request: &Request) -> Result<(), TraceError> {
        if request.attempts.is_empty() {
            self.sink.note(Oddity::NoServer, number);
        } else if request.hides_attempts {
            self.sink.note(Oddity::Unseen, number);
        }
        let latency_ms = |i: usize| request.attempts[i].latency_ms.unwrap_or(0.0);
        let mut at = request.at;
        if self.parser.dated_at_end {
            at = at.later(-(0..request.attempts.len()).map(latency_ms).sum::<f64>());
        }
        for (i, one) in request.attempts.iter().enumerate() {
            let status = match one.answer {
                Answer::Status(status) => Some(status),
                Answer::Silence(_) => None,
                Answer::ClientLeft => Some(499),
            };
            let mut attempt = Attempt::new(&one.server, at.at_s, status, self.rule);
            if let Answer::Silence(code) = one.answer {
                attempt.status = Some(code);
            }
            attempt.line = number;
            attempt.request_id = Some(request.id.as_deref().unwrap_or("-"));
            attempt.attempt_number = request.number.map(|first| first.saturating_add(i as u16));
            attempt.latency_ms = one.latency_ms;
            if one.server.contains(char::is_control) {
                let problem =
                    format!("a server with control characters: {}", printable(&one.server));
                return Err(TraceError::at(&self.path, number, &problem));
            }
            self.sink.take(&attempt)?;
            self.attempts += 1;
            at = at.later(latency_ms(i));
        }
        Ok(())
    }
}

/// `read as: nginx, server 10.1.0.11:8080, failed (502), 1.9 ms, at 15:00:00.1`.
fn read_as(format: LogFormat, sample: &Sample) -> String {
    let word = match sample.outcome {
        Outcome::Success => "succeeded",
        Outcome::RateLimited => "refused",
        Outcome::Failure | Outcome::TimedOut => "failed",
    };
    let status = match sample.status {
        Some(0) => " (no answer)".to_owned(),
        Some(status) => format!(" ({status})"),
        None => String::new(),
    };
    let latency = sample.latency_ms.map_or("no latency".to_owned(), |ms| format!("{ms:.1} ms"));
    // Tenths of a second of the day, in UTC.
    let tenths = (sample.at_s.rem_euclid(86_400.0) * 10.0).round() as u64 % 864_000;
    let (hour, minute, second) = (tenths / 36_000, tenths / 600 % 60, tenths / 10 % 60);
    format!(
        "read as: {format}, server {}, {word}{status}, {latency}, at \
         {hour:02}:{minute:02}:{second:02}.{} UTC",
        printable(&sample.server),
        tenths % 10
    )
}

#[cfg(test)]
mod tests;
