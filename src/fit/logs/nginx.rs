//! Access logs of nginx, and of the ingress controller that it is in.
//!
//! The combined format names no server; logs that do append `$upstream_addr`, `$upstream_status` and
//! `$upstream_response_time` as `key="value"`, or are JSON. Each of them is a list with one element
//! an attempt, `, ` between attempts and ` : ` where an internal redirect began another group of
//! upstreams (ngx_http_upstream_module, "Embedded Variables"). Everybody names the keys himself: the
//! usual ones are known. ingress-nginx writes the lists bare, in places of its own
//! (kubernetes/ingress-nginx, "Log format").
//!
//! Times are those of writing, the end of the request. An attempt began when it and those after it
//! had still to take their time; what the client was slow with before is not of the servers.
//!
//! When not to use it: for lists in places of somebody's own without keys.

use std::borrow::Cow;

use super::json;
use super::request::{Answer, Line, Request, Stamp, Try, duration_ms, quoted, status};

/// How to log what is needed.
pub(super) const HELP: &str = "log the servers, with this in nginx.conf: log_format upstream \
    '$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent msec=$msec \
    upstream_addr=\"$upstream_addr\" upstream_status=\"$upstream_status\" \
    upstream_response_time=\"$upstream_response_time\" request_id=$request_id';";

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Addresses,
    /// Addresses, unless it is the user agent or the name of a group.
    PerhapsAddresses,
    Statuses,
    Times,
    Id,
    Status,
    /// A time: the one that may be most exact, at the lowest place, wins.
    Time(usize),
}

/// The usual names.
fn role(key: &str) -> Option<Role> {
    Some(match key {
        "upstream_addr" | "upstream_address" | "uaddr" => Role::Addresses,
        "ua" | "addr" | "upstream" => Role::PerhapsAddresses,
        "upstream_status" | "ustatus" | "us" | "ust" => Role::Statuses,
        "upstream_response_time" | "upstream_time" | "urt" | "ut" | "utime" => Role::Times,
        "request_id" | "req_id" | "reqid" | "rid" => Role::Id,
        "status" => Role::Status,
        "msec" => Role::Time(0),
        "time_iso8601" | "time" | "ts" | "timestamp" | "@timestamp" | "t" => Role::Time(1),
        "time_local" => Role::Time(2),
        _ => return None,
    })
}

/// The fields of a line that matter.
#[derive(Debug, Clone, PartialEq, Default)]
struct Fields<'a> {
    addresses: Option<Cow<'a, str>>,
    statuses: Option<Cow<'a, str>>,
    times: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    status: Option<u16>,
    written: [Option<Cow<'a, str>>; 3],
}

impl<'a> Fields<'a> {
    fn put(&mut self, role: Role, value: Cow<'a, str>) {
        let place = match role {
            Role::Addresses => &mut self.addresses,
            Role::PerhapsAddresses => {
                if self.addresses.is_none() && is_addresses(&value) {
                    self.addresses = Some(value);
                }
                return;
            }
            Role::Statuses => &mut self.statuses,
            Role::Times => &mut self.times,
            Role::Id => &mut self.id,
            Role::Status => {
                self.status = self.status.or(status(&value));
                return;
            }
            Role::Time(place) => {
                self.written[place].get_or_insert(value);
                return;
            }
        };
        *place = Some(value);
    }

    /// The most exact time. A small number is a duration that somebody calls `time`.
    fn at(&self) -> Option<Stamp> {
        const LEAST_S: f64 = 1e8;
        let mut stamps = self.written.iter().flatten().filter_map(|text| Stamp::of(text));
        stamps.find(|stamp| stamp.at_s >= LEAST_S)
    }
}

/// Whether a list holds servers, or nothing, and not a user agent.
fn is_addresses(value: &str) -> bool {
    elements(value).iter().all(|element| matches!(*element, "" | "-") || is_server(element))
        || elements(value).first().is_some_and(|first| is_server(first))
}

/// `ip:port`, `[v6]:port`, `unix:/path`; a group's name has no port.
fn is_server(address: &str) -> bool {
    let port = address.rsplit_once(':').map(|(_, port)| port);
    address.starts_with("unix:") || port.is_some_and(|port| port.parse::<u16>().is_ok())
}

/// The elements of a list; a bare colon stands inside an address.
fn elements(list: &str) -> Vec<&str> {
    if !list.contains(' ') {
        return vec![list];
    }
    list.split(", ").flat_map(|group| group.split(" : ")).map(str::trim).collect()
}

/// Whether a first line is of this format.
pub(super) fn recognised(line: &str) -> bool {
    if line.starts_with('{') {
        let (mut upstream, mut others) = (false, false);
        keys_of_json(line, &mut |key, _| {
            upstream |= key.starts_with("upstream_addr") || matches!(key, "uaddr" | "urt");
            others |= matches!(key, "start_time" | "upstream_host" | "metric");
        });
        return upstream && !others;
    }
    let has_request = line.contains("] \"");
    let fields = fields(line);
    fields.at().is_some() && (has_request || fields.addresses.is_some())
}

/// Reads a line.
///
/// # Errors
/// Lists that do not fit together, and values that are none.
pub(super) fn line(line: &str) -> Result<Line, String> {
    let fields = fields(line);
    let Some(at) = fields.at() else { return Ok(Line::Other) };
    let id = fields.id.filter(|id| !matches!(&**id, "" | "-")).map(Cow::into_owned);
    let mut request = Request { id, at, ..Request::default() };
    let Some(addresses) = fields.addresses.filter(|list| !matches!(&**list, "" | "-")) else {
        return Ok(Line::Request(request));
    };
    let addresses = elements(&addresses);
    let statuses = fields.statuses.as_deref().ok_or(
        "upstream_addr without upstream_status\nhelp: log it beside the servers, as \
         upstream_status=\"$upstream_status\"",
    )?;
    let statuses = elements(statuses);
    let times = fields.times.as_deref().map(elements);
    let fits = |name: &str, list: &[&str]| {
        let (servers, there) = (addresses.len(), list.len());
        if servers == there {
            return Ok(());
        }
        Err(format!("{servers} servers but {there} values of {name}; expected one for each server"))
    };
    fits("upstream_status", &statuses)?;
    fits("upstream_response_time", times.as_deref().unwrap_or(&addresses))?;
    for (i, (address, code)) in addresses.iter().zip(statuses).enumerate() {
        let answer = match code {
            "" | "-" if fields.status == Some(499) => Answer::ClientLeft,
            "" | "-" | "000" => Answer::Silence(0),
            _ => Answer::Status(status(code).ok_or_else(|| {
                format!("upstream_status: expected an HTTP status such as 502, got \"{code}\"")
            })?),
        };
        let time = times.as_ref().map_or("-", |times| times[i]);
        let latency_ms = match time {
            "" | "-" => None,
            _ => Some(duration_ms(time, 1000.0).ok_or_else(|| {
                format!("upstream_response_time: expected seconds from 0 to 86400, got \"{time}\"")
            })?),
        };
        // No live upstream: the group's name stands where no server was asked.
        if is_server(address) {
            let server = (*address).to_owned();
            request.attempts.push(Try { server, answer, latency_ms });
        }
    }
    Ok(Line::Request(request))
}

fn fields(line: &str) -> Fields<'_> {
    let mut fields = Fields::default();
    if line.starts_with('{') {
        keys_of_json(line, &mut |key, value| {
            if let Some(role) = role(key) {
                fields.put(role, value.to_owned().into());
            }
        });
        return fields;
    }
    // Keys inside of quotes, which clients may have sent, are not keys.
    let (mut rest, mut at_start, mut after_request) = (line, true, false);
    let mut quotes = 0;
    while let Some(letter) = rest.chars().next() {
        if letter == '"' {
            let Some((_, after)) = quoted(rest) else { break };
            rest = after;
            quotes += 1;
            after_request = quotes == 1;
            if quotes == 3 {
                ingress(rest, &mut fields);
            }
        } else if letter == '[' {
            let (inside, after) = rest[1..].split_once(']').unwrap_or((&rest[1..], ""));
            fields.put(Role::Time(2), inside.into());
            rest = after;
        } else if at_start && letter.is_ascii_alphanumeric() {
            let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            let end = rest.bytes().position(|byte| !is_word(byte)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            rest = after;
            if let Some(value) = after.strip_prefix('=') {
                let (value, after) = quoted(value).unwrap_or_else(|| bare_list(value));
                if let Some(role) = role(word) {
                    fields.put(role, value.into());
                }
                rest = after;
            } else if after_request {
                fields.put(Role::Status, word.into());
                after_request = false;
            } else if rest.len() + word.len() == line.len() {
                // A line may begin with `$msec` or `$time_iso8601`.
                let first = line.split(' ').next().unwrap_or_default();
                if first.len() > word.len() || word.len() >= 10 {
                    fields.put(Role::Time(1), first.into());
                }
            }
        } else {
            at_start = matches!(letter, ' ' | '\t' | '|' | ',' | ';');
            rest = &rest[letter.len_utf8()..];
            continue;
        }
        at_start = false;
    }
    fields
}

/// A list without quotes, and what follows it.
fn bare_list(text: &str) -> (&str, &str) {
    let mut end = 0;
    loop {
        end += text[end..].find(' ').unwrap_or(text.len() - end);
        let rest = &text[end..];
        if text[..end].ends_with(',') && rest.len() > 1 {
            end += 1;
        } else if rest.starts_with(" : ") {
            end += 3;
        } else {
            return (text[..end].trim_end_matches([',', ';']), rest);
        }
    }
}

/// What ingress-nginx writes behind the agent: length, time, two names in brackets, then lists of
/// servers, lengths, times and statuses, then the request's identifier.
fn ingress<'a>(text: &'a str, fields: &mut Fields<'a>) -> Option<()> {
    let mut rest = text.strip_prefix(' ')?;
    for _ in 0..2 {
        let (number, after) = rest.split_once(' ')?;
        number.parse::<f64>().ok()?;
        rest = after;
    }
    for _ in 0..2 {
        let (_, after) = rest.strip_prefix('[')?.split_once("] ")?;
        rest = after;
    }
    let mut next = || {
        let (list, after) = bare_list(rest);
        rest = after.strip_prefix(' ')?;
        Some(list)
    };
    let (addresses, _, times, statuses) = (next()?, next()?, next()?, next()?);
    fields.put(Role::Addresses, addresses.into());
    fields.put(Role::Times, times.into());
    fields.put(Role::Statuses, statuses.into());
    fields.put(Role::Id, rest.split(' ').next()?.into());
    Some(())
}

/// The keys of a JSON object; of one that nginx wrote wrong too, as it does where a list stands
/// without quotes (`"urt":0.001, 0.229`).
fn keys_of_json(line: &str, take: &mut dyn FnMut(&str, &str)) {
    let mut found = Vec::new();
    if json::each(line, &mut |key, value| found.push((key.to_owned(), value.to_owned()))).is_ok() {
        found.iter().for_each(|(key, value)| take(key, value));
        return;
    }
    let mut rest = line.trim_end().trim_end_matches('}');
    while let Some(at) = rest.find('"') {
        let Some((key, after)) = quoted(&rest[at..]) else { return };
        rest = after;
        let Some(value) = after.trim_start().strip_prefix(':').map(str::trim_start) else {
            continue;
        };
        let (value, after) = quoted(value).unwrap_or_else(|| {
            let end = value.find(",\"").or_else(|| value.find(", \"")).unwrap_or(value.len());
            (value[..end].trim(), &value[end..])
        });
        take(key, value);
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Request {
        match line(text) {
            Ok(Line::Request(request)) => request,
            other => panic!("{text}: {other:?}"),
        }
    }

    /// Server, answer and latency of each attempt.
    fn tries(text: &str) -> Vec<(String, Answer, Option<f64>)> {
        let tries = request(text).attempts.into_iter();
        tries.map(|a| (a.server, a.answer, a.latency_ms)).collect()
    }

    const BEGIN: &str = r#"198.51.100.4 - bob [09/Feb/2026:11:12:13 +0100] "GET /?us=1 HTTP/1.1""#;

    #[test]
    fn retries_of_a_request_are_attempts() {
        let expected = [
            ("10.7.0.1:81".to_owned(), Answer::Status(502), Some(7.0)),
            ("[fd00::2]:81".to_owned(), Answer::Status(200), Some(20.0)),
        ];
        for tail in [
            r#"200 5 "-" "curl" rt=0.030 ua="10.7.0.1:81, [fd00::2]:81" us="502, 200" ut="0.007, 0.020" upstream=pool"#,
            r#"200 5 "-" "upstream_addr=1.2.3.4:5" uaddr="10.7.0.1:81 : [fd00::2]:81" ustatus="502 : 200" urt="0.007 : 0.020" ua="curl/8""#,
            r#"200 5 addr=10.7.0.1:81, [fd00::2]:81 us=502, 200 urt=0.007, 0.020 uct=-, 0.001"#,
            r#"200 5 "-" "a \x22 b" upstream_addr="10.7.0.1:81, [fd00::2]:81, pool" upstream_status="502, 200, 502" upstream_response_time="0.007, 0.020, 0.000""#,
            r#"200 5 "-" "curl" 90 0.03 [shop-web-80] [] 10.7.0.1:81, [fd00::2]:81 0, 5 0.007, 0.020 502, 200 4f0c"#,
        ] {
            assert_eq!(tries(&format!("{BEGIN} {tail}")), expected, "{tail}");
        }
        for json in [
            r#"{"time_iso8601":"2026-02-09T11:12:13+01:00","upstream_addr":"10.7.0.1:81, [fd00::2]:81","upstream_status":"502, 200","upstream_response_time":"0.007, 0.020","agent":"\"us\":\"1\""}"#,
            r#"{"msec":1770631933.250,"uaddr":"10.7.0.1:81, [fd00::2]:81","us":"502, 200","urt":0.007, 0.020,"agent":"x"}"#,
            r#"{"ts":"1770631933.250","ua":"curl","uaddr":"10.7.0.1:81, [fd00::2]:81","us":"502, 200","urt":0.007, 0.020}"#,
        ] {
            assert_eq!(tries(json), expected, "{json}");
        }
    }

    #[test]
    fn the_most_exact_time_is_taken() {
        let coarse = request(&format!("{BEGIN} 200 5 addr=-"));
        assert_eq!(coarse.at, Stamp { at_s: 1_770_631_933.0, is_whole: true });
        let exact = request(&format!("{BEGIN} 200 5 addr=- msec=1770631933.250 request_id=ab"));
        assert_eq!(exact.at, Stamp { at_s: 1_770_631_933.25, is_whole: false });
        assert_eq!((coarse.id, exact.id.as_deref()), (None, Some("ab")));
        assert_eq!(request(&format!("{BEGIN} 200 5 addr=- time=0.250")).at, coarse.at);
        for first in ["1770631933.250", "2026-02-09T10:12:13.250Z"] {
            assert_eq!(request(&format!("{first} addr=10.7.0.1:81 us=200")).at, exact.at);
        }
    }

    #[test]
    fn no_server_is_none_and_no_answer_is_a_failure() {
        for none in [
            "upstream_addr=-",
            "upstream_addr=\"\"",
            "ua=\"curl/8 (x)\"",
            "",
            "upstream_addr=pool upstream_status=502 urt=0.000",
        ] {
            assert_eq!(tries(&format!("{BEGIN} 502 5 {none}")), []);
        }
        let answer = |status: u16, upstream: &str| {
            let text = format!("{BEGIN} {status} 5 addr=unix:/run/a.sock us={upstream} urt=0.5");
            tries(&text)[0].1
        };
        assert_eq!(answer(499, "-"), Answer::ClientLeft);
        assert_eq!(answer(502, "-"), Answer::Silence(0));
        assert_eq!(answer(502, "000"), Answer::Silence(0));
        assert_eq!(answer(200, "404"), Answer::Status(404));
    }

    #[test]
    fn lists_that_do_not_fit_are_errors_and_other_lines_are_other() {
        let error = |tail: &str| line(&format!("{BEGIN} 200 5 {tail}")).unwrap_err();
        let lists = r#"upstream_addr="a:1, b:2" upstream_status="200""#;
        assert!(error(lists).starts_with("2 servers but 1 values of upstream_status"));
        assert!(error("upstream_addr=a:1 us=2x0").contains("got \"2x0\""));
        assert!(error("upstream_addr=a:1 us=200 urt=1e9").contains("got \"1e9\""));
        assert!(error("upstream_addr=a:1").contains("without upstream_status"));
        for other in ["", "2026/02/09 11:12:13 [error] 7#7: *1 connect() failed", "{", "[", "\""] {
            assert_eq!(line(other), Ok(Line::Other), "{other}");
        }
    }
}
