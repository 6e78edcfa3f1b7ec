//! HTTP logs of HAProxy (`option httplog`).
//!
//! `client:port [date] frontend backend/server TR/Tw/Tc/Tr/Ta status bytes cookies state connections
//! queues "request"` (configuration manual, sections 8.2.3, 8.4 and 8.5). The date is that of the
//! first byte, without a zone: it is read as UTC, as only distances matter. Times are milliseconds,
//! -1 where it did not come so far. An attempt began after TR and Tw, in which earlier attempts of
//! the request are contained, and took Tc and Tr, to the headers of the answer; without an answer,
//! until the proxy gave up (Ta).
//!
//! Two letters of the state say who ended the session, and when: S and s the server, C and c the
//! client.
//!
//! When not to use it: for `option tcplog`, which has no status, and for formats of one's own.

use super::request::{Answer, Line, Request, Stamp, Try, duration_ms, status};

/// How to log what is needed.
pub(super) const HELP: &str = "HAProxy names servers with `option httplog` in its defaults";

/// Whether a first line is of this format.
pub(super) fn recognised(line: &str) -> bool {
    Fields::of(line).is_some()
}

/// The fields that matter.
struct Fields<'a> {
    at: Stamp,
    server: &'a str,
    /// TR, Tw, Tc, Tr, Ta.
    times: Vec<&'a str>,
    status: &'a str,
    state: &'a str,
    retries: &'a str,
}

impl<'a> Fields<'a> {
    fn of(line: &'a str) -> Option<Self> {
        // A prefix of syslog may hold brackets too: `haproxy[123]:`.
        let mut rest = line;
        let (at, rest) = loop {
            let (_, after) = rest.split_once('[')?;
            let (date, behind) = after.split_once(']')?;
            match Stamp::of(&format!("{date} +0000")) {
                Some(at) if date.contains('/') && date.contains('.') => break (at, behind),
                _ => rest = after,
            }
        };
        let mut words = rest.split_ascii_whitespace();
        let (_frontend, backend) = (words.next()?, words.next()?);
        let (_, server) = backend.split_once('/')?;
        let times: Vec<&str> = words.next()?.split('/').collect();
        let (status, _bytes) = (words.next()?, words.next()?);
        let (_request_cookie, _response_cookie) = (words.next()?, words.next()?);
        let (state, connections) = (words.next()?, words.next()?);
        let retries = connections.split('/').nth(4)?;
        let fits = times.len() == 5 && state.len() == 4;
        fits.then_some(Self { at, server, times, status, state, retries })
    }
}

/// Reads a line.
///
/// # Errors
/// Times that are none.
pub(super) fn line(line: &str) -> Result<Line, String> {
    let Some(fields) = Fields::of(line) else { return Ok(Line::Other) };
    let mut times = [None; 5];
    for (time, text) in times.iter_mut().zip(&fields.times) {
        *time = duration_ms(text.trim_start_matches('+'), 1.0);
        if time.is_none() && *text != "-1" {
            let problem = "expected milliseconds such as 0/0/1/45/46";
            return Err(format!("{problem}, got \"{}\"", fields.times.join("/")));
        }
    }
    let [request_ms, queue_ms, connect_ms, headers_ms, total_ms] = times;
    let before_ms = request_ms.unwrap_or(0.0) + queue_ms.unwrap_or(0.0);
    let mut request = Request { at: fields.at.later(before_ms), ..Request::default() };
    // <NOSRV>, <STATS>, <LUA>.
    if fields.server.starts_with('<') {
        return Ok(Line::Request(request));
    }
    let code = status(fields.status);
    // Who ended it, and when: waiting for the request, in the queue, connecting, waiting for the
    // headers, in the data.
    let answer = match (fields.state.as_bytes()[0], fields.state.as_bytes()[1]) {
        (b'S' | b's' | b'D' | b'K', _) => Answer::Silence(code.unwrap_or(0)),
        (b'C' | b'c', b'D' | b'L' | b'-') if code.is_some() => Answer::Status(code.unwrap_or(0)),
        (b'C' | b'c', _) => Answer::ClientLeft,
        _ => code.map_or(Answer::Silence(0), Answer::Status),
    };
    let to_headers_ms = connect_ms.zip(headers_ms).map(|(connect, headers)| connect + headers);
    let latency_ms = to_headers_ms.or(total_ms.map(|total| (total - before_ms).max(0.0)));
    let server = fields.server.to_owned();
    request.attempts.push(Try { server, answer, latency_ms });
    // `3`: connections to the same server that failed; `+3`: the last of them to others.
    let retries = fields.retries.trim_start_matches('+').parse::<u32>();
    request.hides_attempts = retries.is_ok_and(|retries| retries > 0);
    Ok(Line::Request(request))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(backend: &str, times: &str, status: &str, state: &str, retries: &str) -> Request {
        let text = format!(
            "Jan  5 09:30:11 lb haproxy[77]: 203.0.113.8:4000 [05/Jan/2026:09:30:10.500] web~ \
             {backend} {times} {status} 120 - - {state} 2/2/1/1/{retries} 0/0 {{x}} \"GET /a HTTP/1.1\""
        );
        assert!(recognised(&text));
        match line(&text) {
            Ok(Line::Request(request)) => request,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn an_attempt_begins_after_the_queue_and_ends_with_the_headers() {
        let got = request("pool/s1", "10/20/1/45/90", "200", "----", "0");
        let latency_ms = Some(46.0);
        let server = "s1".to_owned();
        assert_eq!(got.attempts, [Try { server, answer: Answer::Status(200), latency_ms }]);
        // 2026-01-05T09:30:10.500Z and 30 ms.
        assert!((got.at.at_s - 1_767_605_410.530).abs() < 1e-6 && !got.hides_attempts);
        let silent = request("pool/s1", "0/0/1/-1/+5001", "504", "sH--", "+1");
        assert_eq!(silent.attempts[0].latency_ms, Some(5001.0));
        assert!(silent.hides_attempts && silent.id.is_none());
    }

    #[test]
    fn the_state_says_whose_fault_it_was() {
        let answer = |status: &str, state: &str| {
            request("pool/s1", "0/0/-1/-1/7", status, state, "0").attempts[0].answer
        };
        assert_eq!(answer("503", "SC--"), Answer::Silence(503));
        assert_eq!(answer("504", "sHVN"), Answer::Silence(504));
        assert_eq!(answer("200", "SD--"), Answer::Silence(200));
        assert_eq!(answer("400", "CH--"), Answer::ClientLeft);
        assert_eq!(answer("-1", "CC--"), Answer::ClientLeft);
        assert_eq!(answer("200", "CD--"), Answer::Status(200));
        assert_eq!(answer("404", "--NI"), Answer::Status(404));
        assert_eq!(answer("502", "PH--"), Answer::Status(502));
        for backend in ["pool/<NOSRV>", "web/<STATS>"] {
            assert_eq!(request(backend, "0/-1/-1/-1/0", "503", "SC--", "0").attempts, []);
        }
    }

    #[test]
    fn what_is_no_http_log_is_other() {
        for text in [
            "Server pool/s1 is DOWN, reason: Layer4 timeout [check]",
            "203.0.113.8:40 [05/Jan/2026:09:30:10.500] web pool/s1 0/1/90 120 -- 2/2/1/1/0 0/0",
            "203.0.113.8 - - [05/Jan/2026:09:30:10 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"x\"",
            "[",
            "",
        ] {
            assert_eq!((recognised(text), line(text)), (false, Ok(Line::Other)), "{text}");
        }
        let wrong = "a [05/Jan/2026:09:30:10.500] w p/s 0/0/x/1/2 200 1 - - ---- 1/1/1/1/0 0/0";
        assert!(line(wrong).unwrap_err().ends_with("such as 0/0/1/45/46, got \"0/0/x/1/2\""));
    }
}
