//! `requests.csv`: a line for every request of a load, in the order in which they were due.
//!
//! When not to use it: to fit a model; it knows requests, not attempts. The trace of the proxy
//! does.

use std::io::{self, Write};

use super::{End, LoadLog};

const HEADER: [&str; 8] =
    ["number", "request_id", "due_s", "drift_ms", "latency_ms", "status", "attempts", "end"];

/// Writes a header and the requests. Cells that are not known stay empty: latency and status of
/// a lost request, attempts where the answer did not tell them.
///
/// `end` is `ok`, `error`, `refused` or `lost: ` and why.
///
/// # Errors
/// Those of `out`.
pub fn write_requests(out: impl Write, log: &LoadLog) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(HEADER)?;
    for sent in &log.sent {
        let ms = |length: std::time::Duration| (length.as_nanos() as f64 / 1e6).to_string();
        let end = match &sent.end {
            End::Ok => "ok".to_owned(),
            End::Error => "error".to_owned(),
            End::Refused(_) => "refused".to_owned(),
            End::Lost(loss) => format!("lost: {loss}"),
        };
        writer.write_record([
            sent.number.to_string(),
            sent.identifier.to_string(),
            (sent.due.as_nanos() as f64 / 1e9).to_string(),
            ms(sent.drift),
            sent.latency.map(ms).unwrap_or_default(),
            sent.end.status().map(|status| status.to_string()).unwrap_or_default(),
            sent.attempts.map(|attempts| attempts.to_string()).unwrap_or_default(),
            end,
        ])?;
    }
    writer.flush()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::Identifier;
    use crate::live::load::{Loss, Sent};

    #[test]
    fn every_request_is_a_line_and_what_is_not_known_stays_empty() {
        let identifier = Identifier::from_bytes(b"abcdefghijklmnopqrstuvWX").unwrap();
        let sent = |number, end: End, latency, attempts| Sent {
            number,
            identifier,
            due: Duration::from_millis(100 * number),
            drift: Duration::from_micros(50),
            latency,
            end,
            attempts,
        };
        let log = LoadLog {
            started_unix_s: 1.8e9,
            stopped: false,
            sent: vec![
                sent(0, End::Ok, Some(Duration::from_micros(1_500)), Some(2)),
                sent(1, End::Refused(503), Some(Duration::from_millis(3)), None),
                sent(2, End::Lost(Loss::NoAnswer("reset, by \"peer\"".to_owned())), None, None),
            ],
        };
        let mut bytes = Vec::new();
        write_requests(&mut bytes, &log).unwrap();
        let expected = "\
number,request_id,due_s,drift_ms,latency_ms,status,attempts,end
0,abcdefghijklmnopqrstuvWX,0,0.05,1.5,200,2,ok
1,abcdefghijklmnopqrstuvWX,0.1,0.05,3,503,,refused
2,abcdefghijklmnopqrstuvWX,0.2,0.05,,,,\"lost: no answer: reset, by \"\"peer\"\"\"
";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}
