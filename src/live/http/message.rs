//! Requests that were understood, and responses.

use serde::Deserialize;

use crate::domain::Identifier;

/// The methods that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Without a body.
    Get,
    /// With one.
    Post,
}

/// A whole request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Its method.
    pub method: Method,
    /// Its target, which begins with a slash; a query is part of it.
    pub path: String,
    /// Whether its content type says JSON.
    pub json: bool,
    /// Its body; empty for [`Method::Get`].
    pub body: Vec<u8>,
}

/// A response with a body that is at hand, always JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl HttpResponse {
    /// A response in JSON.
    pub fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// An error, as `{"status":"refused","reason":"..."}`.
    #[must_use]
    pub fn refusal(status: u16, reason: &str) -> Self {
        let body = serde_json::json!({ "status": "refused", "reason": reason });
        Self::json(status, body.to_string())
    }

    /// The same with one more header; name and value must be such as HTTP allows.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// As it goes over the wire; the connection ends with it.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut text = format!(
            "HTTP/1.1 {} {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\n",
            self.status,
            reason_phrase(self.status),
            self.body.len()
        );
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// RFC 9110, section 15.
fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        417 => "Expectation Failed",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "",
    }
}

/// The identifier that a request carries: 24 letters and digits as they are, or `{"id": "..."}`.
///
/// # Errors
/// The response that refuses anything else.
pub fn identifier(request: &HttpRequest) -> Result<Identifier, HttpResponse> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body<'a> {
        id: &'a str,
    }
    let refused = |reason: &str| HttpResponse::refusal(400, reason);
    let expected = "expected 24 ASCII letters and digits, or {\"id\": \"...\"} with them";
    let bytes = request.body.as_slice();
    if !request.json && bytes.first() != Some(&b'{') {
        return Identifier::from_bytes(bytes).map_err(|_| refused(expected));
    }
    let body: Body = serde_json::from_slice(bytes).map_err(|_| refused(expected))?;
    Identifier::from_bytes(body.id.as_bytes()).map_err(|_| refused(expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: bool, body: &str) -> Result<Identifier, HttpResponse> {
        let body = body.as_bytes().to_vec();
        identifier(&HttpRequest { method: Method::Post, path: "/".to_owned(), json, body })
    }

    #[test]
    fn identifiers_come_plain_or_as_json() {
        let id = "abcdefghijklmnopqrstuvWX";
        assert_eq!(of(false, id).unwrap().as_str(), id);
        let json = format!("{{\"id\": \"{id}\"}}");
        assert_eq!(of(true, &json).unwrap().as_str(), id);
        assert_eq!(of(false, &json).unwrap().as_str(), id);
        let other_key = format!("{{\"id\": \"{id}\", \"x\": 1}}");
        for bad in ["", "abc", &format!("{id}Y"), "{\"id\": 7}", "{\"id\": \"abc\"}", &other_key] {
            assert_eq!(of(true, bad).unwrap_err().status(), 400, "{bad}");
            assert_eq!(of(false, bad).unwrap_err().status(), 400, "{bad}");
        }
    }
}
