//! Access logs of Amazon's Application Load Balancers.
//!
//! Fields between spaces, some in quotes: type, time (the end), load balancer, client, target, three
//! processing times in seconds, the balancer's status, the target's status, ... and as the 22nd the
//! time of the request's creation ("Access logs for your Application Load Balancer"); newer logs only
//! append. -1 is a time that there was none of: the target closed the connection or did not answer.
//! Then the attempt took until the balancer answered.
//!
//! When not to use it: for retries, which these logs do not show; they are written with best effort
//! and may lack requests.

use super::request::{Answer, Line, Request, Stamp, Try, duration_ms, quoted, status};

/// How to log what is needed.
pub(super) const HELP: &str =
    "no request of it reached a target; join the files of a time in which some did";

const TYPES: [&str; 6] = ["http", "https", "h2", "grpcs", "ws", "wss"];

/// Whether a first line is of this format.
pub(super) fn recognised(line: &str) -> bool {
    let mut words = line.split(' ');
    let kind = words.next().is_some_and(|kind| TYPES.contains(&kind));
    kind && words.next().and_then(Stamp::of).is_some() && words.next().is_some()
}

/// The fields of a line, quotes taken off.
fn fields(line: &str) -> Vec<&str> {
    let (mut fields, mut rest) = (Vec::with_capacity(30), line);
    while !rest.is_empty() {
        let (field, after) =
            quoted(rest).unwrap_or_else(|| rest.split_at(rest.find(' ').unwrap_or(rest.len())));
        fields.push(field);
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
    fields
}

/// Reads a line.
///
/// # Errors
/// Values that are none.
pub(super) fn line(line: &str) -> Result<Line, String> {
    if !recognised(line) {
        return Ok(Line::Other);
    }
    let fields = fields(line);
    let field = |number: usize| fields.get(number - 1).copied().unwrap_or_default();
    let Some(end) = Stamp::of(field(2)) else { return Ok(Line::Other) };
    // These are whole connections.
    if field(1).starts_with("ws") {
        return Ok(Line::Beside);
    }
    let seconds = |number: usize| {
        let text = field(number);
        match duration_ms(text, 1000.0) {
            None if text != "-1" => Err(format!(
                "field {number}: expected seconds from 0 to 86400 or -1, got \"{text}\""
            )),
            ms => Ok(ms),
        }
    };
    let (before_ms, took_ms, after_ms) = (seconds(6)?, seconds(7)?, seconds(8)?);
    let sum_ms = [before_ms, took_ms, after_ms].iter().flatten().sum::<f64>();
    let created = Stamp::of(field(22)).unwrap_or(end.later(-sum_ms));
    let at = created.later(before_ms.unwrap_or(0.0));
    let mut request = Request { at, ..Request::default() };
    let target = field(5);
    if matches!(target, "" | "-") {
        return Ok(Line::Request(request));
    }
    let code = status(field(9)).unwrap_or(0);
    let answer = match (status(field(10)), code) {
        (Some(status), _) => Answer::Status(status),
        (None, 460) => Answer::ClientLeft,
        (None, code) => Answer::Silence(code),
    };
    let latency_ms = took_ms.unwrap_or_else(|| ((end.at_s - at.at_s) * 1000.0).max(0.0));
    let server = target.to_owned();
    request.attempts.push(Try { server, answer, latency_ms: Some(latency_ms) });
    Ok(Line::Request(request))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(target: &str, times: &str, codes: &str) -> String {
        format!(
            "http 2026-01-05T09:30:10.600000Z app/shop/1f 203.0.113.8:40 {target} {times} {codes} 34 \
             366 \"GET http://shop:80/?\\\" - HTTP/1.1\" \"curl 8\" - - arn:a \"Root=1-2\" \"-\" \"-\" \
             0 2026-01-05T09:30:10.400000Z \"forward\" \"-\" \"-\" \"{target}\" \"200\" \"-\" \"-\" TID_1"
        )
    }

    fn request(text: &str) -> Request {
        match line(text) {
            Ok(Line::Request(request)) => request,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn the_target_is_the_server_and_what_it_took_the_latency() {
        let got = request(&text("192.0.2.1:90", "0.010 0.150 0.000", "200 200"));
        let attempt = |answer, ms: f64| (answer, Some(ms));
        let of = |got: &Request| (got.attempts[0].answer, got.attempts[0].latency_ms);
        assert_eq!(of(&got), attempt(Answer::Status(200), 150.0));
        assert_eq!(got.attempts[0].server, "192.0.2.1:90");
        assert!((got.at.at_s - 1_767_605_410.41).abs() < 1e-6);
        let old = text("192.0.2.1:90", "0.010 0.150 0.040", "200 200");
        let old = &old[..old.find(" \"Root").unwrap()];
        assert!((request(old).at.at_s - 1_767_605_410.41).abs() < 1e-6);
        let silent = request(&text("192.0.2.1:90", "0.000 -1 -1", "504 -"));
        let (answer, latency_ms) = of(&silent);
        assert_eq!(answer, Answer::Silence(504));
        assert!((latency_ms.unwrap() - 200.0).abs() < 0.01);
        let left = request(&text("192.0.2.1:90", "0.000 -1 -1", "460 -"));
        assert_eq!(of(&left).0, Answer::ClientLeft);
        assert_eq!(request(&text("-", "-1 -1 -1", "503 -")).attempts, []);
    }

    #[test]
    fn whole_connections_and_other_lines_are_left_out() {
        let websocket = text("a:1", "0 0 0", "101 101").replacen("http", "wss", 1);
        assert_eq!(line(&websocket), Ok(Line::Beside));
        for other in ["", "http", "http soon app/a", "ftp 2026-01-05T09:30:10Z app/a"] {
            assert_eq!(line(other), Ok(Line::Other), "{other}");
        }
        let wrong = line(&text("a:1", "0 fast 0", "200 200")).unwrap_err();
        assert!(wrong.starts_with("field 7: expected seconds") && wrong.ends_with("\"fast\""));
    }
}
