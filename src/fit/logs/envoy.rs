//! Access logs of Envoy: its default text, that of Istio, and JSON.
//!
//! `[START] "METHOD PATH PROTOCOL" CODE FLAGS RECEIVED SENT DURATION SERVICE_TIME "FORWARDED" "AGENT"
//! "ID" "AUTHORITY" "UPSTREAM_HOST"` (Envoy, "Access logging", default format string). Istio has
//! three fields more behind the flags, and six more at the end. What clients send is not escaped, so
//! the quoted fields are counted from the right. Keys of JSON are the operators in lower case, as in
//! Istio's format.
//!
//! Times are the start of the request and whole milliseconds; SERVICE_TIME, to the headers of the
//! answer, is taken where it is there. Both contain earlier attempts, of which the line does not
//! tell; an access log of the router's upstream has a line for each, with its count.
//!
//! When not to use it: for gRPC, which answers 200 whatever comes of it.

use super::json;
use super::request::{Answer, Line, Request, Stamp, Try, duration_ms};

/// How to log what is needed.
pub(super) const HELP: &str = "Envoy names servers by %UPSTREAM_HOST% in its format; as JSON under \
     the keys start_time, response_code, response_flags, duration, upstream_service_time, \
     upstream_host, request_id and upstream_request_attempt_count";

/// Flags of a server that did not answer: connection failed, timeout, connection ended, reset, no
/// HTTP.
const SILENT: [&str; 5] = ["UF", "UT", "UC", "UR", "UPE"];

/// Flags of an answer of Envoy's own, without a server: none healthy, circuit breaker, no route, no
/// cluster, rate limit, not authorised, injected fault.
const OWN: [&str; 7] = ["UH", "UO", "NR", "NC", "RL", "UAEX", "FI"];

/// Flags of a client that left, or spoke no HTTP.
const CLIENT: [&str; 2] = ["DC", "DPE"];

/// The fields that matter, as texts.
#[derive(Debug, Default)]
struct Fields {
    start: String,
    code: String,
    flags: String,
    duration: String,
    service_time: String,
    host: String,
    id: String,
    count: String,
}

/// Whether a first line is of this format.
pub(super) fn recognised(line: &str) -> bool {
    fields(line).is_some()
}

fn fields(line: &str) -> Option<Fields> {
    if line.starts_with('{') { of_json(line) } else { of_text(line) }
}

fn of_json(line: &str) -> Option<Fields> {
    let (mut fields, mut flags, mut host) = (Fields::default(), false, false);
    let mut put = |key: &str, value: &str| {
        let place = match key {
            "start_time" => &mut fields.start,
            "response_code" => &mut fields.code,
            "response_flags" => {
                flags = true;
                &mut fields.flags
            }
            "duration" => &mut fields.duration,
            "upstream_service_time" => &mut fields.service_time,
            "upstream_host" => {
                host = true;
                &mut fields.host
            }
            "request_id" => &mut fields.id,
            "upstream_request_attempt_count" => &mut fields.count,
            _ => return,
        };
        value.clone_into(place);
    };
    json::each(line, &mut put).ok()?;
    let is_envoy = !fields.start.is_empty() && !fields.code.is_empty() && (flags || host);
    is_envoy.then_some(fields)
}

fn of_text(line: &str) -> Option<Fields> {
    let (_, line) = line.split_once("[20")?;
    let (start, rest) = line.split_once("] \"")?;
    // The request ends where the code begins, whatever it holds.
    let behind = rest.match_indices("\" ").map(|(i, _)| &rest[i + 2..]);
    let is_code = |text: &&str| {
        let code = text.split(' ').next().unwrap_or_default();
        code == "0" || code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut words = behind.into_iter().find(is_code)?.splitn(4, ' ');
    let (code, flags, next, mut rest) =
        (words.next()?, words.next()?, words.next()?, words.next()?);
    if !next.bytes().all(|byte| byte.is_ascii_digit()) {
        // Istio: details, how the connection ended, why the transport failed.
        let (_, behind) = rest.split_once(" \"")?;
        rest = behind.split_once("\" ")?.1.split_once(' ')?.1;
    }
    let mut words = rest.splitn(4, ' ');
    let (_sent, duration, service_time) = (words.next()?, words.next()?, words.next()?);
    let quoted = words.next()?;
    let mut last = quoted[..quoted.rfind('"')?].rsplitn(4, "\" \"");
    let (host, _authority, id) = (last.next()?, last.next()?, last.next()?);
    let own = str::to_owned;
    Some(Fields {
        start: format!("20{start}"),
        code: own(code),
        flags: own(flags),
        duration: own(duration),
        service_time: own(service_time),
        host: own(host),
        id: own(id),
        count: String::new(),
    })
}

/// Reads a line.
///
/// # Errors
/// Values that are none.
pub(super) fn line(line: &str) -> Result<Line, String> {
    let Some(fields) = fields(line) else { return Ok(Line::Other) };
    let wrong = |what: &str, got: &str| Err(format!("{what}, got \"{got}\""));
    let Some(at) = Stamp::of(&fields.start) else {
        return wrong(
            "start_time: expected a time such as 2026-01-05T09:30:10.500Z",
            &fields.start,
        );
    };
    let mut request = Request { at, ..Request::default() };
    request.id = Some(fields.id).filter(|id| !matches!(id.as_str(), "" | "-"));
    let host = fields.host.trim_start_matches("tcp://");
    let has = |flags: &[&str]| fields.flags.split(',').any(|flag| flags.contains(&flag));
    if matches!(host, "" | "-") || fields.count == "0" || has(&OWN) {
        return Ok(Line::Request(request));
    }
    let Ok(code) = fields.code.parse::<u16>() else {
        return wrong("response_code: expected an HTTP status such as 503, got", &fields.code);
    };
    let answer = if has(&SILENT) {
        Answer::Silence(code)
    } else if code == 0 || has(&CLIENT) {
        Answer::ClientLeft
    } else {
        Answer::Status(code)
    };
    let times = [fields.service_time, fields.duration];
    let time = times.iter().find(|time| !matches!(time.as_str(), "" | "-"));
    let latency_ms = match time {
        None => None,
        Some(time) => match duration_ms(time, 1.0) {
            None => return wrong("duration: expected milliseconds from 0 to 86400000", time),
            latency_ms => latency_ms,
        },
    };
    request.number = fields.count.parse().ok();
    request.hides_attempts = request.number.is_none() && has(&["URX"]);
    request.attempts.push(Try { server: host.to_owned(), answer, latency_ms });
    Ok(Line::Request(request))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Request {
        assert!(recognised(text), "{text}");
        match line(text) {
            Ok(Line::Request(request)) => request,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn text(code: &str, flags: &str, times: &str, agent: &str, host: &str) -> String {
        format!(
            "[2026-01-05T09:30:10.500Z] \"GET /a\" b HTTP/1.1\" {code} {flags} 0 91 {times} \"-\" \
             \"{agent}\" \"7f-1\" \"shop\" \"{host}\""
        )
    }

    #[test]
    fn text_json_and_istio_say_the_same() {
        let plain = text("503", "UF", "12 -", "an \" \"agent\" 200 x", "tcp://192.0.2.1:90");
        let json = r#"{"start_time":"2026-01-05T09:30:10.500Z","response_code":503,"response_flags":"UF","duration":12,"upstream_service_time":null,"upstream_host":"192.0.2.1:90","request_id":"7f-1"}"#;
        let istio = "[2026-01-05T09:30:10.500Z] \"GET /a HTTP/1.1\" 503 UF upstream_reset - \"delayed \
            connect\" 0 91 12 - \"-\" \"x\" \"7f-1\" \"shop\" \"192.0.2.1:90\" outbound|80||shop - - - - default";
        let attempts = [Try {
            server: "192.0.2.1:90".to_owned(),
            answer: Answer::Silence(503),
            latency_ms: Some(12.0),
        }];
        for line in [&plain, json, istio] {
            let got = request(line);
            assert_eq!(got.attempts, attempts, "{line}");
            assert_eq!(got.id.as_deref(), Some("7f-1"));
            assert!((got.at.at_s - 1_767_605_410.5).abs() < 1e-6);
        }
    }

    #[test]
    fn flags_say_whose_fault_it_was() {
        let tried = |code: &str, flags: &str| {
            let got = request(&text(code, flags, "12 9", "x", "192.0.2.1:90"));
            (got.attempts[0].answer, got.attempts[0].latency_ms, got.hides_attempts)
        };
        assert_eq!(tried("200", "-"), (Answer::Status(200), Some(9.0), false));
        assert_eq!(tried("504", "UT"), (Answer::Silence(504), Some(9.0), false));
        assert_eq!(tried("503", "URX,UF"), (Answer::Silence(503), Some(9.0), true));
        assert_eq!(tried("0", "DC"), (Answer::ClientLeft, Some(9.0), false));
        assert_eq!(tried("404", "-"), (Answer::Status(404), Some(9.0), false));
        for (flags, host) in [("UH", "-"), ("-", "-"), ("UO", "192.0.2.1:90")] {
            assert_eq!(request(&text("503", flags, "0 -", "x", host)).attempts, []);
        }
    }

    #[test]
    fn the_count_of_an_attempt_is_its_number() {
        let json = |count: u32| {
            request(&format!(
                r#"{{"start_time":"2026-01-05T09:30:10.500Z","response_code":"200","upstream_host":"a:1","upstream_request_attempt_count":{count}}}"#
            ))
        };
        assert_eq!((json(2).number, json(2).attempts[0].latency_ms), (Some(2), None));
        assert_eq!((json(0).number, json(0).attempts.len()), (None, 0));
    }

    #[test]
    fn what_is_wrong_is_said_and_other_lines_are_other() {
        let wrong = text("200", "-", "12 soon", "x", "a:1");
        assert!(line(&wrong).unwrap_err().ends_with("got \"soon\""));
        let wrong = wrong.replace("2026-01-05T", "2026-31-05T");
        assert!(line(&wrong).unwrap_err().starts_with("start_time: expected a time such as"));
        for text in ["[2026-01-05 09:30:10.500][1][info] started", "{\"start_time\":1}", "{", "[20"]
        {
            assert_eq!((recognised(text), line(text)), (false, Ok(Line::Other)), "{text}");
        }
    }
}
