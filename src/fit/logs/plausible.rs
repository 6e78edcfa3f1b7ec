//! Whether what was read can be what it was taken for: asked before anything is fitted.
//!
//! A wrong column or unit gives numbers that look like any others. What no log of attempts can say is
//! an error, as going on would lie; what is only unlikely is a warning. Each names the way out.
//!
//! When not to use it: for recordings of our own, whose columns and units are known.

use std::collections::BTreeSet;
use std::path::Path;

use csv::{ReaderBuilder, StringRecord};
use flakelab_sim::trace::{Observed, Recording, TraceError, printable};

/// Fewer attempts than this may be odd by chance.
const FEW: usize = 20;

/// Refuses tables of something else than attempts, by their header.
///
/// # Errors
/// The reason and the way out.
pub(super) fn table(path: &Path, head: &[u8]) -> Result<(), TraceError> {
    let text = String::from_utf8_lossy(head);
    let first = text.trim_start_matches('\u{feff}').lines().next().unwrap_or_default();
    let has = |name: &str| first.split([',', '\t']).any(|there| there.trim_matches('"') == name);
    let problem = if text.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
        "JSON that no known program writes\nhelp: known are nginx (upstream_addr, upstream_status), \
         Envoy (start_time, response_code, upstream_host) and k6; write others as CSV"
    } else if first.starts_with("metric_name,") {
        "a row for each metric of a request, as k6 writes it, not for each attempt\nhelp: leave out \
         --map: k6 is read as it is"
    } else if has("Request Count") || has("User Count") || has("Occurrences") {
        "sums over many requests (Locust), in which nothing can be told apart\nhelp: log every \
         request, with server, status and latency"
    } else {
        return Ok(());
    };
    Err(TraceError::Content(format!("{}: {problem}", path.display())))
}

/// What is odd about a recording, as sentences that open with the file. `head`: the first bytes, if
/// it was a table whose columns the user named.
///
/// # Errors
/// What cannot be.
pub(super) fn recording(
    recording: &Recording,
    head: Option<&[u8]>,
) -> Result<Vec<String>, TraceError> {
    let attempts = &recording.attempts;
    let mut warnings = final_attempts(attempts).map_err(|problem| at(recording, &problem))?;
    if attempts.len() >= FEW {
        warnings.extend(outcomes(attempts, head.is_some()).map_err(|p| at(recording, &p))?);
        if recording.tells_latency {
            warnings.extend(latencies(attempts, head.is_some()).map_err(|p| at(recording, &p))?);
        }
        if let ([server], Some(head)) = (&recording.group.servers[..], head) {
            one_server(server, head).map_err(|problem| at(recording, &problem))?;
        }
        warnings.extend(group_name(recording));
    }
    let file = recording.file();
    Ok(warnings.into_iter().map(|warning| format!("{file}: {warning}")).collect())
}

fn at(recording: &Recording, problem: &str) -> TraceError {
    TraceError::Content(format!("{}: {problem}", recording.path.display()))
}

/// In a log of all attempts as many second ones stand as first ones failed; one of final attempts
/// shows second ones whose firsts nobody saw.
fn final_attempts(attempts: &[Observed]) -> Result<Vec<String>, String> {
    /// Of the first requests of a log some may have begun before it.
    const SHARE: f64 = 0.01;
    const SOME: u64 = 3;
    let requests = attempts.iter().map(|a| a.request as usize + 1).max().unwrap_or(0);
    let mut begun = vec![false; requests];
    for attempt in attempts {
        begun[attempt.request as usize] |= attempt.attempt == 1;
    }
    // Of each number the attempts whose request is not there from its beginning, and those that
    // others should follow.
    let most = attempts.iter().map(|a| a.attempt).max().unwrap_or(1);
    let mut rows = vec![(0_u64, 0_u64); usize::from(most) + 1];
    for attempt in attempts {
        let (late, not_succeeded) = &mut rows[usize::from(attempt.attempt)];
        *late += u64::from(!begun[attempt.request as usize]);
        *not_succeeded += u64::from(attempt.failed() || attempt.refused());
    }
    let unseen: u64 = rows.windows(2).skip(1).map(|pair| pair[1].0.saturating_sub(pair[0].1)).sum();
    let share = unseen as f64 / attempts.len() as f64;
    if unseen == 0 {
        return Ok(Vec::new());
    }
    let said = format!("{unseen} attempts are retries of attempts that the log does not show");
    if unseen < SOME || share <= SHARE {
        return Ok(vec![format!("{said}; error rates come out a little too low.")]);
    }
    Err(format!(
        "only final attempts: rates are not identified ({said})\nhelp: let the proxy log every \
         attempt (nginx: the upstream_* variables; Envoy: an access log of the router's upstream), \
         or switch retries off while it records"
    ))
}

fn outcomes(attempts: &[Observed], columns_were_named: bool) -> Result<Vec<String>, String> {
    let failed = attempts.iter().filter(|a| a.failed() || a.refused()).count();
    if failed == 0 {
        return Ok(vec![
            "no attempt failed. If some did, the column of outcomes is another, or \
                        --success-when takes too much for a success."
                .to_owned(),
        ]);
    }
    if failed < attempts.len() {
        return Ok(Vec::new());
    }
    let problem = format!("none of {failed} attempts succeeded");
    if columns_were_named {
        return Err(format!(
            "{problem}: the column does not hold outcomes\nhelp: name the column of HTTP statuses, \
             or of true and false, with --map success=COLUMN"
        ));
    }
    Ok(vec![format!("{problem}.")])
}

fn latencies(attempts: &[Observed], columns_were_named: bool) -> Result<Vec<String>, String> {
    /// Whoever measures whole requests over a network does not see less.
    const LEAST_MS: f32 = 0.02;
    /// A burst of requests may take longer than it took to send them; so long it does not.
    const LONG_MS: f32 = 10_000.0;
    let mut all: Vec<f32> = attempts.iter().map(|a| a.latency_ms).collect();
    all.sort_unstable_by(f32::total_cmp);
    let (least, median, most) = (all[0], all[all.len() / 2], all[all.len() - 1]);
    let span_ms = (attempts[attempts.len() - 1].at_s - attempts[0].at_s) * 1000.0;
    if columns_were_named && f64::from(median) > span_ms {
        let said = format!(
            "half of the attempts took more than {median} ms, and all were sent within {span_ms:.0} ms"
        );
        let mend = "latency_us=COLUMN (millionths of a second) or latency_ns=COLUMN (billionths)";
        if median < LONG_MS {
            return Ok(vec![format!("{said}. Is that their unit? If not, say in --map {mend}.")]);
        }
        return Err(format!("{said}: the latencies have another unit\nhelp: say in --map {mend}"));
    }
    if least == most {
        return Ok(vec![format!("every attempt took {least} ms: that was hardly measured.")]);
    }
    if columns_were_named && median > 0.0 && median < LEAST_MS {
        return Ok(vec![format!(
            "half of the attempts took less than {median} ms. If these are seconds, say \
             latency_s=COLUMN in --map."
        )]);
    }
    Ok(Vec::new())
}

/// Where all rows name one server, another column may be what tells servers apart.
fn one_server(server: &str, head: &[u8]) -> Result<(), String> {
    const TELLING: [&str; 9] =
        ["port", "addr", "host", "url", "upstream", "backend", "target", "server", "instance"];
    const OTHERS: [&str; 5] = ["client", "remote", "time", "status", "code"];
    /// More values than this are no servers.
    const MOST: usize = 64;
    // The last row may be cut short.
    let end = head.iter().rposition(|byte| *byte == b'\n').unwrap_or(head.len());
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(&head[..end]);
    let Ok(header) = reader.headers().cloned() else { return Ok(()) };
    let rows: Vec<StringRecord> = reader.records().map_while(Result::ok).collect();
    for (i, name) in header.iter().enumerate() {
        let lower = name.to_lowercase();
        let values: BTreeSet<&str> = rows.iter().filter_map(|row| row.get(i)).collect();
        let tells = TELLING.iter().any(|word| lower.contains(word))
            && !OTHERS.iter().any(|word| lower.contains(word));
        if tells && (2..=MOST).contains(&values.len()) && !values.contains(server) {
            let examples: Vec<String> = values.iter().take(3).map(|v| printable(v)).collect();
            let name = printable(name.trim());
            return Err(format!(
                "all attempts went to one server ({}), but the column {name} varies ({}, ...)\nhelp: \
                 if it tells servers apart, say --map port={name}; else delete that column",
                printable(server),
                examples.join(", ")
            ));
        }
    }
    Ok(())
}

/// A server without a port among others with one, which never answered: the name of their group.
fn group_name(recording: &Recording) -> Option<String> {
    let servers = &recording.group.servers;
    let has_port = |name: &String| name.contains(':');
    let lonely = servers.iter().position(|name| !has_port(name))?;
    if servers.len() < 2 || servers.iter().filter(|name| !has_port(name)).count() > 1 {
        return None;
    }
    let mut there = recording.attempts.iter().filter(|a| usize::from(a.server) == lonely);
    there.all(Observed::failed).then(|| {
        format!(
            "{} has no port, as the others do, and never answered. If it is the name of their group, \
             which nginx writes when none of them is live, call the column upstream_addr.",
            printable(&servers[lonely])
        )
    })
}

#[cfg(test)]
mod tests {
    use flakelab_sim::trace::{ReadOptions, Reading};

    use super::*;

    /// What is said of a table; `map` names its columns.
    fn said(map: &str, text: &str) -> Result<Vec<String>, String> {
        let columns = map.parse().unwrap();
        let group = Some("api".to_owned());
        let options = ReadOptions { columns, group, ..ReadOptions::default() };
        let mut reading = Reading::new(&options);
        reading.csv(Path::new("x.csv"), text.as_bytes()).map_err(|error| error.to_string())?;
        let read = reading.finish().0.remove(0);
        recording(&read, Some(text.as_bytes())).map_err(|error| error.to_string())
    }

    /// Forty rows, one in five failed, made by `cells` of number, whether it failed, and latency.
    fn rows(header: &str, cells: impl Fn(u32, bool, f64) -> String) -> String {
        let row = |i: u32| cells(i, i % 5 == 4, 1.5 + f64::from(i % 7)) + "\n";
        format!("{header}\n{}", (0..40).map(row).collect::<String>())
    }

    fn status(failed: bool) -> u32 {
        if failed { 502 } else { 200 }
    }

    #[test]
    fn a_sound_log_is_left_alone() {
        let text = rows("timestamp,server_port,success,latency_ms", |i, failed, ms| {
            format!("{i},s{}:80,{},{ms}", i % 3, status(failed))
        });
        assert_eq!(said("", &text), Ok(Vec::new()));
    }

    #[test]
    fn a_wrong_unit_is_an_error_and_a_likely_one_a_warning() {
        let text = |factor: f64| {
            rows("timestamp,server_port,success,took", |i, failed, ms| {
                format!("{i},s{}:80,{},{}", i % 3, status(failed), ms * factor)
            })
        };
        let error = said("latency_ms=took", &text(1e6)).unwrap_err();
        let expected = "x.csv: half of the attempts took more than 4500000 ms, and all were sent within 39000 ms";
        assert!(error.starts_with(expected) && error.contains("latency_ns=COLUMN"), "{error}");
        assert_eq!(said("latency_ns=took", &text(1e6)), Ok(Vec::new()));
        assert_eq!(said("latency_us=took", &text(1e3)), Ok(Vec::new()));
        let burst = rows("timestamp,server_port,success,latency_ms", |i, failed, ms| {
            format!("1.{i:02},s{}:80,{},{}", i % 3, status(failed), ms * 100.0)
        });
        assert!(said("", &burst).unwrap()[0].contains("within 390 ms. Is that their unit?"));
        let warning = said("latency_ms=took", &text(1e-3)).unwrap();
        assert!(
            warning[0].contains("took less than 0.0045 ms. If these are seconds"),
            "{warning:?}"
        );
        let same = rows("timestamp,server_port,success,latency_ms", |i, failed, _| {
            format!("{i},s{}:80,{},1", i % 3, status(failed))
        });
        assert_eq!(
            said("", &same).unwrap(),
            ["x.csv: every attempt took 1 ms: that was hardly measured."]
        );
    }

    #[test]
    fn outcomes_that_are_all_the_same_are_doubted() {
        let text = |value: &str| {
            rows("timestamp,server_port,success", |i, _, _| format!("{i},s{}:80,{value}", i % 3))
        };
        let error = said("", &text("")).unwrap_err();
        assert!(
            error.starts_with("x.csv: none of 40 attempts succeeded: the column does"),
            "{error}"
        );
        assert!(said("", &text("200")).unwrap()[0].starts_with("x.csv: no attempt failed."));
    }

    #[test]
    fn logs_of_final_attempts_are_refused() {
        // Every fifth request needed a second attempt; of the first one nothing is seen.
        let text = rows("timestamp,server_port,success,attempt_number", |i, failed, _| {
            format!("{i},s{}:80,200,{}", i % 3, if failed { 2 } else { 1 })
        });
        let error = said("", &text).unwrap_err();
        assert!(error.contains("rates are not identified (8 attempts are retries of"), "{error}");
        let all = rows("timestamp,server_port,success,attempt_number", |i, failed, _| {
            format!(
                "{i},s{}:80,{},{}",
                i % 3,
                status(failed),
                if i % 5 == 0 && i > 0 { 2 } else { 1 }
            )
        });
        assert_eq!(said("", &all), Ok(Vec::new()));
        // A probe goes on after a success, on purpose.
        let header = "timestamp,server_port,success,attempt_number,request_id";
        let probe = rows(header, |i, failed, _| {
            format!("{i},s{}:80,{},{},{}", i % 3, status(failed), i % 4 + 1, i / 4)
        });
        assert_eq!(said("", &probe), Ok(Vec::new()));
    }

    #[test]
    fn another_column_may_be_what_tells_servers_apart() {
        let text = |name: &str| {
            let header = format!("timestamp,target_ip,{name},success");
            rows(&header, |i, failed, _| format!("{i},10.0.0.1,{},{}", 80 + i % 3, status(failed)))
        };
        let error = said("port=target_ip", &text("target_port")).unwrap_err();
        assert!(error.contains("column target_port varies (80, 81, 82, ...)"), "{error}");
        assert!(error.contains("say --map port=target_port"), "{error}");
        for other in ["client_port", "weekday"] {
            assert_eq!(said("port=target_ip", &text(other)), Ok(Vec::new()));
        }
    }

    #[test]
    fn the_name_of_a_group_is_no_server() {
        let text = rows("timestamp,upstream,success", |i, failed, _| {
            let server = if failed { "pool".to_owned() } else { format!("s{}:80", i % 3) };
            format!("{i},{server},{}", status(failed))
        });
        let warnings = said("port=upstream", &text).unwrap();
        assert!(
            warnings[0].starts_with("x.csv: pool has no port, as the others do"),
            "{warnings:?}"
        );
        let named = text.replace("upstream", "upstream_addr");
        assert!(said("port=upstream_addr", &named).unwrap()[0].contains("no attempt failed"));
    }

    #[test]
    fn tables_of_something_else_are_refused() {
        for (header, reason) in [
            ("metric_name,timestamp,metric_value", "a row for each metric"),
            ("{\"latency\":1}", "JSON that no known program writes"),
            ("Type,Name,Request Count,Failure Count", "sums over many requests (Locust)"),
        ] {
            let error = table(Path::new("x.csv"), header.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("x.csv: {reason}")), "{error}");
        }
        assert!(table(Path::new("x.csv"), b"time,port").is_ok());
    }
}
