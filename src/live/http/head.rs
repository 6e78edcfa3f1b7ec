//! The head of a request: what it may hold, and what it is refused for.

use super::{HttpResponse, Method};

/// A head that is as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) json: bool,
    /// Bytes of the body.
    pub(super) length: usize,
}

/// More header lines than this are refused.
pub(super) const MOST_HEADERS: usize = 64;
/// More bytes of a body than this are refused; an identifier in JSON takes some forty.
const LONGEST_BODY: usize = 1024;

/// Parses a head, its empty line included.
pub(super) fn parse(bytes: &[u8]) -> Result<Head, HttpResponse> {
    let refused = |status, reason: &str| Err(HttpResponse::refusal(status, reason));
    if !has_plain_lines(bytes) {
        return refused(400, "lines of a head end with CR LF, and it begins with the method");
    }
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(end)) if end == bytes.len() => {}
        Err(httparse::Error::TooManyHeaders) => return refused(431, "too many headers"),
        Ok(_) | Err(_) => return refused(400, "this is no HTTP/1.1 request"),
    }
    if request.version != Some(1) {
        return refused(400, "expected HTTP/1.1");
    }
    let method = match request.method {
        Some("GET") => Method::Get,
        Some("POST") => Method::Post,
        _ => {
            let refusal = HttpResponse::refusal(405, "expected GET or POST");
            return Err(refusal.with_header("allow", "GET, POST".to_owned()));
        }
    };
    let path = request.path.unwrap_or_default();
    if !path.starts_with('/') {
        return refused(400, "expected a path that begins with a slash");
    }
    let values = |name: &str| -> Vec<&[u8]> {
        let named = request.headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name));
        named.map(|h| h.value).collect()
    };
    if values("host").len() != 1 {
        return refused(400, "expected one Host header");
    }
    // Web pages send an Origin, clients of a load balancer do not.
    for name in ["transfer-encoding", "upgrade", "origin"] {
        if !values(name).is_empty() {
            return refused(400, &format!("the header {name} is not accepted"));
        }
    }
    if !values("expect").is_empty() {
        return refused(417, "expectations are not met");
    }
    let length = match values("content-length").as_slice() {
        [] if method == Method::Post => return refused(411, "expected a Content-Length"),
        [] => 0,
        [digits] => match length(digits) {
            Some(length) => length,
            None => return refused(400, "a Content-Length is a number in digits"),
        },
        _ => return refused(400, "expected one Content-Length"),
    };
    if length > LONGEST_BODY {
        return refused(413, "the body is too long");
    }
    if method == Method::Get && length > 0 {
        return refused(400, "a GET has no body");
    }
    let json = values("content-type")
        .first()
        .is_some_and(|v| v.to_ascii_lowercase().starts_with(b"application/json"));
    Ok(Head { method, path: path.to_owned(), json, length })
}

/// Whether every line ends with CR LF, no other CR or LF is there, and nothing stands before the
/// method. httparse takes more than that.
fn has_plain_lines(bytes: &[u8]) -> bool {
    let plain = |(i, byte): (usize, &u8)| match byte {
        b'\n' => i > 0 && bytes[i - 1] == b'\r',
        b'\r' => bytes.get(i + 1) == Some(&b'\n'),
        _ => true,
    };
    bytes.first().is_some_and(u8::is_ascii_uppercase) && bytes.iter().enumerate().all(plain)
}

/// A length in digits alone: `+24` is a number for Rust, and a way to smuggle for others.
fn length(digits: &[u8]) -> Option<usize> {
    let plain = !digits.is_empty() && digits.len() <= 9 && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| digits.iter().fold(0, |n, digit| 10 * n + usize::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(head: &str) -> u16 {
        parse(head.as_bytes()).map_or_else(|refusal| refusal.status(), |_| 200)
    }

    fn post(lines: &str) -> u16 {
        status(&format!("POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n"))
    }

    #[test]
    fn what_is_expected_is_taken() {
        let text = "POST /x HTTP/1.1\r\nhost: a\r\ncontent-TYPE: application/json; q\r\n\
                    CONTENT-length: 24\r\nX: y\r\n\r\n";
        let head = parse(text.as_bytes()).unwrap();
        let path = "/x".to_owned();
        assert_eq!(head, Head { method: Method::Post, path, json: true, length: 24 });
        assert_eq!(status("GET /health HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    }

    #[test]
    fn lengths_that_two_programs_may_read_in_two_ways_are_refused() {
        assert_eq!(post("Content-Length: 24\r\n"), 200);
        assert_eq!(post(""), 411);
        assert_eq!(post("Content-Length: 24\r\nContent-Length: 24\r\n"), 400);
        assert_eq!(post("Content-Length: 24\r\ncontent-length: 25\r\n"), 400);
        for bad in ["+24", "24, 24", "0x18", "-1", "", "2 4", "24;", "99999999999999999999"] {
            assert_eq!(post(&format!("Content-Length: {bad}\r\n")), 400, "{bad}");
        }
        assert_eq!(post("Content-Length: 1025\r\n"), 413);
    }

    #[test]
    fn codings_expectations_and_upgrades_are_refused() {
        assert_eq!(post("Transfer-Encoding: chunked\r\n"), 400);
        assert_eq!(post("Transfer-Encoding: chunked\r\nContent-Length: 24\r\n"), 400);
        assert_eq!(post("Content-Length: 24\r\nExpect: 100-continue\r\n"), 417);
        assert_eq!(post("Content-Length: 24\r\nUpgrade: h2c\r\n"), 400);
        assert_eq!(post("Content-Length: 24\r\nOrigin: http://x\r\n"), 400);
    }

    #[test]
    fn lines_and_targets_must_be_plain() {
        assert_eq!(status("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.1\nHost: a\n\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), 400);
        assert_eq!(status("GET http://x/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.0\r\nHost: a\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), 400);
        assert_eq!(status("CONNECT x:1 HTTP/1.1\r\nHost: a\r\n\r\n"), 405);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"), 400);
        let many = "X: y\r\n".repeat(MOST_HEADERS);
        assert_eq!(post(&many), 431);
    }
}
