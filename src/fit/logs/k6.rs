//! Results of k6, as CSV or JSON (`k6 run --out csv=FILE`, `--out json=FILE`).
//!
//! There is a row for each metric of a request (grafana.com, k6, "Results output"); the one of
//! `http_req_duration` is the attempt: its value in milliseconds, without connecting. The time is the
//! end, in CSV of whole seconds unless K6_CSV_TIME_FORMAT says otherwise. The server is the address
//! that was asked where the system tag `ip` is on, else the host of the URL.
//!
//! When not to use it: for a proxy behind one URL; its own log knows the servers.

use std::io::Read;

use csv::{ReaderBuilder, StringRecord};

use super::json;
use super::request::{Answer, Line, Request, Stamp, Try, duration_ms, status};
use flakelab_sim::trace::host;

/// How to log what is needed.
pub(super) const HELP: &str =
    "no row of http_req_duration has a url; k6 names it by the system tags url and ip";

/// The metric that an attempt is.
const METRIC: &str = "http_req_duration";

/// Whether a text begins as CSV of k6 does.
pub(super) fn is_header(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').starts_with("metric_name,")
}

/// Whether a first line is of this format, as JSON.
pub(super) fn recognised(line: &str) -> bool {
    line.starts_with('{') && Fields::of_json(line).is_some_and(|fields| !fields.kind.is_empty())
}

/// The fields that matter, as texts.
#[derive(Debug, Default)]
struct Fields {
    kind: String,
    metric: String,
    time: String,
    value: String,
    status: String,
    url: String,
    ip: String,
}

impl Fields {
    fn of_json(line: &str) -> Option<Self> {
        let mut fields = Self::default();
        let mut put = |path: &str, value: &str| {
            let place = match path {
                "type" => &mut fields.kind,
                "metric" => &mut fields.metric,
                "data.time" => &mut fields.time,
                "data.value" => &mut fields.value,
                "data.tags.status" => &mut fields.status,
                "data.tags.url" => &mut fields.url,
                "data.tags.ip" => &mut fields.ip,
                _ => return,
            };
            value.clone_into(place);
        };
        json::each(line, &mut put).ok()?;
        (matches!(fields.kind.as_str(), "Point" | "Metric") && !fields.metric.is_empty())
            .then_some(fields)
    }

    fn request(self) -> Result<Line, String> {
        let wrong = |what: &str, got: &str| Err(format!("{what}, got \"{got}\""));
        let Some(at) = Stamp::of(&self.time) else {
            return wrong("timestamp: expected a point in time", &self.time);
        };
        let Some(latency_ms) = duration_ms(&self.value, 1.0) else {
            return wrong("metric_value: expected milliseconds from 0 to 86400000", &self.value);
        };
        let answer = match self.status.as_str() {
            "" | "0" => Answer::Silence(0),
            text => match status(text) {
                Some(status) => Answer::Status(status),
                None => return wrong("status: expected an HTTP status such as 200", text),
            },
        };
        let url = host(&self.url);
        let server = if self.ip.is_empty() { url } else { &self.ip }.to_owned();
        let mut request = Request { at, ..Request::default() };
        if !server.is_empty() {
            request.attempts.push(Try { server, answer, latency_ms: Some(latency_ms) });
        }
        Ok(Line::Request(request))
    }
}

/// Reads a line of JSON.
///
/// # Errors
/// Values that are none.
pub(super) fn line(line: &str) -> Result<Line, String> {
    match Fields::of_json(line) {
        None => Ok(Line::Other),
        Some(fields) if fields.kind == "Point" && fields.metric == METRIC => fields.request(),
        Some(_) => Ok(Line::Beside),
    }
}

/// Hands the rows of a CSV to `take`, each with its line, or what is wrong with it.
///
/// # Errors
/// Those of `take`.
pub(super) fn rows<E>(
    input: impl Read,
    mut take: impl FnMut(u64, Result<Line, String>) -> Result<(), E>,
) -> Result<(), E> {
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(input);
    let header = reader.headers().cloned().unwrap_or_default();
    let place = |name: &str| header.iter().position(|there| there.trim() == name);
    let mut places = [0; 4];
    for (i, name) in ["metric_name", "timestamp", "metric_value", "status"].into_iter().enumerate()
    {
        match place(name) {
            Some(there) => places[i] = there,
            None => return take(1, Err(format!("column {name} is missing; a CSV of k6 has it"))),
        }
    }
    let [metric, time, value, status] = places;
    let (url, ip) = (place("url"), place("ip"));
    let mut record = StringRecord::new();
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => {
                let line = error.position().map_or(1, csv::Position::line);
                return take(line, Err(format!("no CSV: {error}")));
            }
        }
        let line = record.position().map_or(0, csv::Position::line);
        if record.get(metric) != Some(METRIC) {
            take(line, Ok(Line::Beside))?;
            continue;
        }
        let cell = |place: usize| record.get(place).unwrap_or_default().to_owned();
        let fields = Fields {
            time: cell(time),
            value: cell(value),
            status: cell(status),
            url: url.map(cell).unwrap_or_default(),
            ip: ip.map(cell).unwrap_or_default(),
            ..Fields::default()
        };
        take(line, fields.request())?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(text: &str) -> Result<Vec<(u64, Line)>, (u64, String)> {
        let mut lines = Vec::new();
        rows(text.as_bytes(), |number, line| {
            lines.push((number, line.map_err(|problem| (number, problem))?));
            Ok(())
        })?;
        Ok(lines)
    }

    const HEADER: &str = "metric_name,timestamp,metric_value,error_code,ip,status,url\n";

    #[test]
    fn of_the_rows_of_a_request_one_is_the_attempt() {
        let text = format!(
            "{HEADER}http_reqs,1767605410,1.0,,,200,http://h1:90/a\n\
             http_req_duration,1767605410,46.25,,,200,http://h1:90/a\n\
             http_req_duration,1767605411,0,1212,192.0.2.2,0,http://h1:90/a\n"
        );
        let lines = requests(&text).unwrap();
        assert_eq!((lines.len(), &lines[0]), (3, &(2, Line::Beside)));
        let attempt = |at: usize| match &lines[at].1 {
            Line::Request(request) => request.clone(),
            other => panic!("{other:?}"),
        };
        let first = Try {
            server: "h1:90".to_owned(),
            answer: Answer::Status(200),
            latency_ms: Some(46.25),
        };
        assert_eq!(attempt(1).attempts, std::slice::from_ref(&first));
        assert_eq!(attempt(1).at, Stamp { at_s: 1_767_605_410.0, is_whole: true });
        let refused = &attempt(2).attempts[0];
        assert_eq!((refused.server.as_str(), refused.answer), ("192.0.2.2", Answer::Silence(0)));
        let json = r#"{"metric":"http_req_duration","type":"Point","data":{"time":"2026-01-05T09:30:10.5Z","value":46.25,"tags":{"status":"200","url":"http://h1:90/a"}}}"#;
        match line(json) {
            Ok(Line::Request(request)) => {
                assert_eq!((request.attempts, request.at.is_whole), (vec![first], false));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(line(&json.replace(METRIC, "vus")), Ok(Line::Beside));
        assert_eq!(line("{}"), Ok(Line::Other));
        assert!(recognised(json) && is_header(HEADER) && !recognised("{\"type\":\"x\"}"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let (line, problem) = requests("metric_name,timestamp\n").unwrap_err();
        assert!(line == 1 && problem.starts_with("column metric_value is missing"), "{problem}");
        for (row, said) in [
            ("noon,1,,,200,http://a/", "timestamp: expected a point in time, got \"noon\""),
            ("1,-1,,,200,http://a/", "metric_value: expected milliseconds"),
            ("1,1,,,2x0,http://a/", "status: expected an HTTP status such as 200, got \"2x0\""),
        ] {
            let (line, problem) = requests(&format!("{HEADER}{METRIC},{row}\n")).unwrap_err();
            assert!(line == 2 && problem.starts_with(said), "{problem}");
        }
    }
}
