//! Recordings that people have, read: ours and foreign ones, good and bad.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rand::Rng;

use super::*;
use flakelab_core::domain::{Outcome, Purpose, Streams};

/// The columns of the oldest recordings.
const HEADER: &str = "request_number,attempt_number,request_id,strategy,timestamp,server_port,\
                      success,latency_ms,request_complete,request_success";

/// The recordings in a text that is called x.csv.
fn read_with(text: &str, options: &ReadOptions) -> Result<Vec<Recording>, TraceError> {
    let mut reading = Reading::new(options);
    reading.csv(Path::new("traces/x.csv"), text.as_bytes())?;
    Ok(reading.finish().0)
}

/// The only recording in a text with our columns.
fn trace_read(text: &str) -> Result<Recording, TraceError> {
    let mut all = read_with(text, &ReadOptions::default())?;
    assert_eq!(all.len(), 1);
    Ok(all.remove(0))
}

/// The message about a text with our columns that cannot be read.
fn error(text: &str) -> String {
    trace_read(text).unwrap_err().to_string()
}

/// The message about a log of somebody else's servers.
fn log_error(text: &str, map: &str) -> String {
    read_with(text, &options(map, Some("api"))).unwrap_err().to_string()
}

fn options(map: &str, group: Option<&str>) -> ReadOptions {
    let group = group.map(str::to_owned);
    ReadOptions { columns: map.parse().unwrap(), group, ..ReadOptions::default() }
}

/// A row with our columns.
fn row(request: u32, attempt: u32, at_s: f64, port: u16, success: bool) -> String {
    let truth = if success { "True" } else { "False" };
    format!("{request},{attempt},{request:024},v4,{at_s},{port},{truth},1.5,{truth},{truth}")
}

/// A file with our columns.
fn file(rows: &[String]) -> String {
    format!("{HEADER}\n{}\n", rows.join("\n"))
}

#[test]
fn messages_hold_no_control_characters_and_no_whole_files() {
    assert_eq!(printable("a\x1b[2Jb\0\u{9b}\u{fc}"), "a\\u{1b}[2Jb\\u{0}\\u{9b}\u{fc}");
    assert_eq!(printable(&"a".repeat(1000)).len(), QUOTED + 3);
}

// ---- Every kind of bad data once, with its message.

/// Twenty requests, ten a second, the third with two attempts.
fn sound() -> Vec<String> {
    let mut rows: Vec<String> =
        (1..=20).map(|i| row(i, 1, 100.0 + 0.1 * f64::from(i), 4000, i != 3)).collect();
    rows.insert(3, row(3, 2, 100.31, 4001, true));
    rows
}

/// The only warning about a file that is sound but for one change, and the recording without it.
fn warned(change: impl FnOnce(&mut Vec<String>)) -> (String, Recording) {
    let mut rows = sound();
    change(&mut rows);
    let mut recording = trace_read(&file(&rows)).unwrap();
    assert_eq!(recording.warnings.len(), 1, "{:?}", recording.warnings);
    assert!(recording.attempts.is_sorted_by(|a, b| a.at_s <= b.at_s));
    (recording.warnings.remove(0), recording)
}

#[test]
fn a_sound_file_has_no_warnings() {
    assert_eq!(trace_read(&file(&sound())).unwrap().warnings, [""; 0]);
}

#[test]
fn rows_out_of_order_are_sorted_and_exact_copies_dropped() {
    let expected = trace_read(&file(&sound())).unwrap();
    let (warning, recording) = warned(|rows| {
        rows.swap(7, 8);
        rows.swap(1, 2);
    });
    let out_of_order = "2 rows were sent before a row further up, this is the first";
    assert_eq!(warning, format!("x.csv:4: {out_of_order}; sorted by time."));
    assert_eq!(recording, expected);
    let (warning, recording) = warned(|rows| rows.extend(rows.clone()));
    let copies = "21 rows stand there twice, this is the first";
    assert_eq!(warning, format!("x.csv:23: {copies}; the copies were dropped."));
    assert_eq!(recording, expected);
}

#[test]
fn the_same_attempt_with_other_values_is_an_error_that_names_both_lines() {
    let mut rows = sound();
    rows.push(row(3, 2, 100.31, 4002, true));
    let expected = "traces/x.csv:23: attempt 2 of the same request stands here and on line 5, with \
                    other values; requests are told apart by session_id, request_number and \
                    request_id\nhelp: keep the row that is right and delete the other";
    assert_eq!(error(&file(&rows)), expected);
}

#[test]
fn missing_attempts_contradictions_and_odd_identifiers_are_warned_of() {
    let biased = "If attempts were left out because of how they ended, error rates are biased and \
                  the likelihood no longer holds.";
    let gap =
        format!("x.csv:4: 1 request lacks an attempt (such as attempt 2 without 1). {biased}");
    assert_eq!(warned(|rows| drop(rows.remove(2))).0, gap);
    let after = format!("x.csv:4: 1 request goes on after a success. {biased}");
    assert_eq!(warned(|rows| rows.insert(2, row(2, 2, 100.25, 4001, true))).0, after);
    let (warning, _) =
        warned(|rows| rows[4] = rows[4].replace("000000000000000000000004", "short"));
    assert_eq!(warning, "x.csv:6: 1 row has a request_id that is not 24 letters and digits.");
    let (warning, _) = warned(|rows| rows[2] = rows[2].replace("False,False", "False,True"));
    assert!(warning.contains("row has request_success without success and"), "{warning}");
}

#[test]
fn a_probe_goes_on_after_a_success_on_purpose() {
    let mut rows = sound();
    rows.insert(2, row(2, 2, 100.25, 4001, true));
    let probed: Vec<String> = rows.iter().map(|row| row.replace(",v4,", ",probe,")).collect();
    assert_eq!(trace_read(&file(&probed)).unwrap().warnings, [""; 0]);
}

#[test]
fn a_clock_that_was_set_back_keeps_the_order_of_the_file() {
    let (warning, recording) = warned(|rows| {
        for i in 21..=40 {
            rows.push(row(i, 1, 95.0 + 0.1 * f64::from(i), 4002, true));
        }
    });
    assert!(warning.starts_with("x.csv:23: 1 time the clock was set back; rows stay"), "{warning}");
    assert_eq!(recording.clock_jumps, [21]);
    assert!(recording.attempts[..21].iter().all(|a| a.server < 2));
    assert!(recording.attempts[21..].iter().all(|a| a.server == 2));
    // The time line goes on where it stood, at its own pace.
    let at = |i: usize| recording.attempts[i].at_s;
    assert_eq!((at(20), at(21)), (102.0, 102.0));
    assert!((at(40) - 103.9).abs() < 1e-9, "{}", at(40));
}

#[test]
fn one_late_row_or_one_wrong_time_is_no_jump_of_the_clock() {
    let (warning, recording) = warned(|rows| rows.insert(15, row(30, 1, 100.05, 4002, true)));
    assert!(warning.contains("1 row was sent before a row further up"), "{warning}");
    assert_eq!((recording.clock_jumps.len(), recording.attempts[0].server), (0, 2));
    let (warning, recording) = warned(|rows| rows.insert(15, row(30, 1, 500.0, 4002, true)));
    assert!(warning.contains("rows were sent before a row"), "{warning}");
    assert_eq!((recording.clock_jumps.len(), recording.attempts[21].server), (0, 2));
}

#[test]
fn a_gap_of_more_than_an_hour_may_be_a_clock_set_forward() {
    let (warning, recording) = warned(|rows| {
        rows.push(row(21, 1, 3800.0, 4000, true));
        rows.push(row(22, 1, 3800.1, 4000, true));
    });
    let expected = "x.csv:23: 1 gap of more than 1 h: no attempts, or the clock was set forward.";
    assert_eq!(warning, expected);
    assert_eq!(recording.clock_jumps, [21]);
    assert_eq!(recording.attempts[21].at_s, 3800.0);
}

#[test]
fn more_servers_or_strategies_than_fit_are_an_error() {
    let rows: Vec<String> = (0..129).map(|i| format!("{i},host-{i},200")).collect();
    let text = format!("timestamp,server_port,success\n{}\n", rows.join("\n"));
    let got = log_error(&text, "");
    assert!(got.starts_with("traces/x.csv:130: more than 128 servers in one group\nhelp: "));
    assert!(got.contains("`--map port=COLUMN`"), "{got}");
    let rows: Vec<String> = (0..257).map(|i| format!("{i},a,200,s{i}")).collect();
    let text = format!("timestamp,server_port,success,strategy\n{}\n", rows.join("\n"));
    let got = log_error(&text, "");
    assert!(got.starts_with("traces/x.csv:258: more than 256 strategies"), "{got}");
}

// ---- Logs of other people: their names, status codes, addresses, several upstreams in a row.

const NGINX: &str = "\
time,upstream,status,request_time,id
2026-01-20T06:48:48.100Z,10.0.0.2:80,200,0.012,a
2026-01-20T06:48:48.200+00:00,\"10.0.0.2:80, 10.0.0.1:80\",\"502, 200\",\"0.010, 0.002\",b
1768891728300,10.0.0.1:80 : 10.0.0.2:80,429 : 503,0.001 : 0.004,c
1768891728.4,10.0.0.1:80,000,0.5,d
1768891728.5,-,-,-,e
";

const MAP: &str = "time=time,port=upstream,status=status,latency_s=request_time";

/// The only recording in a text with columns of others.
fn read(text: &str, map: &str) -> Result<Recording, TraceError> {
    let mut all = read_with(text, &options(map, Some("api")))?;
    assert_eq!(all.len(), 1);
    Ok(all.remove(0))
}

#[test]
fn an_access_log_of_nginx_becomes_attempts() {
    let recording = read(NGINX, MAP).unwrap();
    assert_eq!(recording.group.servers, ["10.0.0.1:80", "10.0.0.2:80"]);
    assert_eq!((recording.group.name.as_str(), recording.group.first_port), ("api", 4000));
    assert!(recording.tells_refusals && recording.tells_latency);
    assert_eq!(recording.strategies, ["unknown"]);
    let got: Vec<_> = recording
        .attempts
        .iter()
        .map(|a| (a.request, a.attempt, a.server, a.outcome, a.latency_ms))
        .collect();
    let expected = [
        (0, 1, 1, Outcome::Success, 12.0),
        (1, 1, 1, Outcome::Failure, 10.0),
        (1, 2, 0, Outcome::Success, 2.0),
        (2, 1, 0, Outcome::RateLimited, 1.0),
        (2, 2, 1, Outcome::Failure, 4.0),
        (3, 1, 0, Outcome::Failure, 500.0),
    ];
    assert_eq!(got, expected);
    let times: Vec<f64> = recording.attempts.iter().map(|a| a.at_s - 1_768_891_728.0).collect();
    for (time, expected) in times.iter().zip([0.1, 0.2, 0.21, 0.3, 0.301, 0.4]) {
        assert!((time - expected).abs() < 1e-6, "{times:?}");
    }
    let expected = "x.csv:6: 1 row names no server; left out, as answered without a server.";
    assert_eq!(recording.warnings, [expected]);
}

#[test]
fn lists_of_different_lengths_are_an_error() {
    let got = log_error(&NGINX.replace("\"502, 200\"", "200"), MAP);
    let expected = "traces/x.csv:3: 2 servers but 1 values of status (\"200\"); expected one for \
                    each server\nhelp: nginx writes them as $upstream_status";
    assert!(got.starts_with(expected), "{got}");
    let many = ["a"; 101].join(" : ");
    let got = log_error(&NGINX.replace("10.0.0.2:80,200", &format!("{many},200")), MAP);
    assert_eq!(got, "traces/x.csv:2: 101 servers in one row; at most 100");
}

#[test]
fn attempts_without_numbers_are_numbered_in_order_of_time() {
    let text =
        "time,upstream,code,id\n12,a,200,r\n10,b,500,r\n11,a,429,r\n11,a,429,r\n11,a,200,s\n";
    let recording = read(text, "time=time,port=upstream,status=code,request_id=id").unwrap();
    let got: Vec<_> = recording.attempts.iter().map(|a| (a.request, a.attempt, a.server)).collect();
    assert_eq!(got, [(0, 1, 1), (0, 2, 0), (1, 1, 0), (0, 3, 0)]);
    assert!(!recording.tells_latency);
    assert!(recording.attempts.iter().all(|a| a.latency_ms == 0.0));
    assert_eq!(recording.warnings.len(), 3, "{:?}", recording.warnings);
    assert!(recording.warnings[0].contains("5 rows have no latency, this is the first; the lat"));
    assert!(recording.warnings[1].contains("1 row stands there twice"));
    assert!(recording.warnings[2].contains("sorted by time"));
}

#[test]
fn a_log_may_leave_cells_empty_and_name_a_server_twice_in_a_row() {
    let text = "timestamp,server_port,success,latency_s,request_id,strategy\n\
                10,a,200,0.1,-,\n10,a,200,0.1,,\n\
                11,\"b, b\",\"502, 502\",\"0.0, 0.0\",r,x\n11,b : b,502 : 502,0.0 : 0.0,r,x\n";
    let recording = read(text, "").unwrap();
    let got: Vec<_> = recording.attempts.iter().map(|a| (a.request, a.attempt)).collect();
    assert_eq!(got, [(0, 1), (1, 1), (2, 1), (2, 2)]);
    assert_eq!(recording.strategies, ["unknown", "x"]);
    assert_eq!(recording.warnings.len(), 1, "{:?}", recording.warnings);
    assert!(recording.warnings[0].starts_with("x.csv:5: 2 rows stand there twice"));
}

#[test]
fn equal_rows_without_identifiers_are_different_requests() {
    let text = "timestamp,server_port,success\n10,a,200\n10,a,200\n11,b,500\n";
    let recording = read(text, "").unwrap();
    let requests: Vec<u32> = recording.attempts.iter().map(|a| a.request).collect();
    assert_eq!(requests, [0, 1, 2]);
    let other = read(&text.replace("500", "200"), "").unwrap();
    assert_ne!(recording.first_identifier, other.first_identifier);
    assert_eq!(recording.first_identifier.len(), 16);
}

#[test]
fn servers_are_in_order_of_port_or_address() {
    let ports = |ports: [&str; 3]| {
        let rows = ports.map(|port| format!("1,{port},200"));
        let text = format!("timestamp,server_port,success\n{}", rows.join("\n"));
        let recording = read(&text, "").unwrap();
        let servers: Vec<u8> = recording.attempts.iter().map(|a| a.server).collect();
        (recording.group.servers, recording.group.first_port, servers)
    };
    let (servers, first, positions) = ports(["10001", "9999", "010000"]);
    assert_eq!((first, positions), (9999, vec![2, 0, 1]));
    assert_eq!(servers, ["9999", "10000", "10001"]);
    assert_eq!(ports(["80", "443", "8080"]).1, 4000, "ports with gaps");
    assert_eq!(ports(["b:1", "a:2", "a:1"]).0, ["a:1", "a:2", "b:1"]);
}

#[test]
fn a_server_may_be_told_by_a_url() {
    let text = "timestamp,server_port,success\n1,http://b:80/x?y=http://c/,200\n\
                2,https://me:secret@a:443,500\n3,http://b:80,200\n";
    assert_eq!(read(text, "").unwrap().group.servers, ["a:443", "b:80"]);
}

#[test]
fn rows_may_be_dated_when_the_answer_came() {
    let options = ReadOptions { dated_at_end: true, ..options(MAP, Some("api")) };
    let recording = &read_with(NGINX, &options).unwrap()[0];
    let times: Vec<f64> = recording.attempts.iter().map(|a| a.at_s - 1_768_891_728.0).collect();
    // The last one took half a second.
    let expected = [-0.1, 0.088, 0.188, 0.198, 0.295, 0.296];
    assert!(times.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{times:?}");
    assert_eq!(recording.warnings.len(), 1, "{:?}", recording.warnings);
}

#[test]
fn latencies_may_be_in_any_unit() {
    for (column, took) in
        [("latency_ms", 2.5), ("latency_s", 0.0025), ("latency_us", 2500.0), ("latency_ns", 2.5e6)]
    {
        let text = format!("timestamp,server_port,success,took\n1,a,200,{took}\n");
        let recording = read(&text, &format!("{column}=took")).unwrap();
        assert!((recording.attempts[0].latency_ms - 2.5).abs() < 1e-6, "{column}");
    }
}

#[test]
fn what_a_status_says_of_its_server_can_be_told() {
    let text = "timestamp,server_port,success\n1,a,404\n2,a,499\n3,a,301\n4,a,500\n";
    let outcomes = |rule: &str| {
        let options =
            ReadOptions { success_when: rule.parse().unwrap(), ..options("", Some("api")) };
        let recording = read_with(text, &options).unwrap().remove(0);
        assert!(recording.warnings[0].contains("1 attempt was given up by the client (499)"));
        recording.attempts.iter().map(|a| a.outcome).collect::<Vec<_>>()
    };
    use Outcome::{Failure, Success};
    assert_eq!(outcomes("status<500"), [Success, Success, Failure]);
    assert_eq!(outcomes("status<300"), [Failure, Failure, Failure]);
}

#[test]
fn a_header_that_comes_again_is_left_out() {
    let (warning, recording) = warned(|rows| rows.insert(5, HEADER.to_owned()));
    assert_eq!(warning, "x.csv:7: 1 row is the header again; left out.");
    assert_eq!(recording.attempts.len(), 21);
}

#[test]
fn the_group_that_nginx_names_where_no_server_is_live_is_no_server() {
    let text = NGINX.replace(",upstream,", ",upstream_addr,").replace("10.0.0.1:80\"", "pool\"");
    let recording = read(&text, &MAP.replace("=upstream,", "=upstream_addr,")).unwrap();
    assert_eq!(recording.group.servers, ["10.0.0.1:80", "10.0.0.2:80"]);
    assert_eq!(recording.attempts.len(), 5);
    assert!(recording.warnings[0].starts_with("x.csv:3: 2 rows name no server"));
}

#[test]
fn files_of_one_group_share_their_servers() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["a.csv", "b.csv"].map(|name| folder.path().join(name));
    std::fs::write(&paths[0], "timestamp,server_port,success\n1,s3,200\n2,s1,200\n").unwrap();
    std::fs::write(&paths[1], "timestamp,server_port,success\n3,s2,200\n4,s3,200\n").unwrap();
    let recordings = Recording::read_all(&paths, &options("", Some("api"))).unwrap();
    assert_eq!(recordings[0].group.servers, ["s1", "s2", "s3"]);
    assert_eq!(recordings[0].group, recordings[1].group);
    let servers: Vec<u8> = recordings.iter().flat_map(|r| &r.attempts).map(|a| a.server).collect();
    assert_eq!(servers, [2, 0, 1, 2]);
}

#[test]
fn columns_that_every_log_needs_must_be_there_and_mapped_ones_too() {
    let got = log_error("time,upstream,status\n", "time=time,port=upstrem,status=status");
    assert!(got.contains("column upstrem (it was to hold server_port) is missing"), "{got}");
    assert!(got.contains("Then say `--map server_port=upstream`"), "{got}");
    let got = log_error("time,upstream,status\n", "time=time,status=status");
    assert!(got.contains("column server_port is missing"), "{got}");
    assert!(got.contains("with `--map server_port=COLUMN`"), "{got}");
    let got = log_error(&NGINX.replace("id\n", "latency_ms\n"), MAP);
    assert!(got.contains("latency_ms and latency_s are both there"), "{got}");
}

#[test]
fn cells_of_other_logs_are_read_as_strictly() {
    let cases = [
        (",200,", ",OK,", "2: column status: expected True or False, or an HTTP status, got"),
        (",000,", ",OK,", "5: column status: expected an HTTP status such as 200 or 503, got"),
        (",000,", ",True,", "5: column status: expected an HTTP status as further up, got"),
        (
            ",0.5,",
            ",half,",
            "5: column request_time: expected seconds from 0 to 86400 (a day), got",
        ),
        ("1768891728.4", "noon", "5: column time: expected Unix seconds, Unix millisec"),
    ];
    for (from, to, message) in cases {
        let got = log_error(&NGINX.replacen(from, to, 1), MAP);
        assert!(got.contains(&format!("x.csv:{message}")), "{to}: {got}");
    }
    let got = log_error("timestamp,server_port,success\n1,a,True\n2,a,503\n", "");
    assert!(got.contains("x.csv:3: column success: expected True or False as further up"), "{got}");
    let got = log_error("timestamp,server_port,success\n1,-,200\n", "");
    assert!(got.contains("there is no row below the header that names a server"), "{got}");
}

// ---- Files that are wrong or odd in ways that have a cure: the message names it, and no control
// character of a file reaches a terminal.

/// Thirty rows, sent when `time` says.
fn timed(time: impl Fn(u32) -> f64) -> String {
    file(&(1..=30).map(|i| row(i, 1, time(i), 4000, true)).collect::<Vec<_>>())
}

#[test]
fn control_characters_are_refused_where_they_stand_and_shown_escaped() {
    let text = timed(|i| 100.5 + f64::from(i));
    for (bad, shown) in [("\x1b[2J", "\\u{1b}[2J"), ("v\0", "v\\u{0}"), ("\u{9b}1m", "\\u{9b}1m")] {
        let got = error(&text.replacen(",v4,", &format!(",{bad},"), 2));
        let expected = "traces/x.csv:2: column strategy: expected text without control characters";
        assert_eq!(got, format!("{expected}, got \"{shown}\""));
        let got = error(&text.replacen("strategy", bad, 1));
        assert!(got.contains(shown) && !got.replace('\n', "").contains(char::is_control), "{got}");
        // Columns that are not read may hold anything.
        let other = text.replace("success\n", "success,note\n").replace("True\n", "True,\x1b\n");
        assert!(trace_read(&other).is_ok());
    }
    let got = log_error("timestamp,server_port,success\n1,a\x1bb,200\n", "");
    assert!(got.contains("column server_port") && got.ends_with("got \"a\\u{1b}b\""), "{got}");
    assert_eq!(trace_read(&text.replace(",v4,", ",\u{fc}\u{a0}b,")).unwrap().warnings, [""; 0]);
}

#[test]
fn a_missing_column_is_never_one_of_ours() {
    for column in HEADER.split(',') {
        let text = timed(|i| 100.5 + f64::from(i));
        let got = error(&text.replacen(column, "weather", 1));
        assert!(got.contains(&format!("column {column} is missing; the columns")), "{got}");
        assert!(got.ends_with(&format!("with `--map {column}=COLUMN`")), "{got}");
    }
}

#[test]
fn a_log_without_several_of_our_columns_is_told_to_name_its_servers() {
    let got = error("time_local,timestamps,upstream,status\n1,1,a,200\n");
    assert!(got.contains("column request_number is missing, and 9 more; the columns are:"));
    assert!(got.ends_with("`--name NAME --map time=timestamps,port=COLUMN,status=status`"));
    let got = error("timestamp,server_port,success\n1,a,200\n");
    assert!(got.ends_with("and status: `--name NAME`"), "{got}");
    let got = log_error("a,b\n", "");
    for column in ["timestamp", "server_port", "success"] {
        assert!(got.contains(&format!("with `--map {column}=COLUMN`")), "{got}");
    }
}

#[test]
fn rows_of_a_wrong_width_name_the_likely_cause() {
    let text = timed(|i| 100.5 + f64::from(i));
    let got = error(&text.replacen(",v4,", ",\"v4,", 1));
    assert!(got.starts_with("traces/x.csv:2: expected 10 cells as in the header, got 4"), "{got}");
    assert!(got.contains("a quote (\") is opened in this row") && !got.contains("delete"), "{got}");
    let got = error(&text.replacen(",v4,", ",v4,5,", 1));
    assert!(got.contains("got 11\nhelp: a cell that holds a comma must stand in quotes"), "{got}");
    let got = error(&text[..text.len() - 20]);
    assert!(got.contains("traces/x.csv:31:") && got.contains("help: complete the row"), "{got}");
    // An open quote in the last column leaves the number of cells as it should be.
    let got = error(&text.replacen("True\n", "\"True\n", 1));
    assert!(got.contains("column request_success") && got.contains("must be closed in it"));
    assert!(got.len() < 400, "{got}");
}

#[test]
fn text_that_is_not_utf_8_is_said_once() {
    let text = timed(|i| 100.5 + f64::from(i)).replacen(",v4,", ",v?,", 1);
    let mut bytes = text.into_bytes();
    let mark = bytes.iter().position(|byte| *byte == b'?').unwrap();
    bytes[mark] = 0xe9;
    let options = ReadOptions::default();
    let got = Reading::new(&options).csv(Path::new("x.csv"), &bytes[..]);
    assert_eq!(
        got.unwrap_err().to_string(),
        "x.csv:2: cell 4 is not UTF-8\nhelp: save the file as UTF-8"
    );
}

#[test]
fn a_clock_of_whole_seconds_is_warned_of_once() {
    let warnings = |text: &str| trace_read(text).unwrap().warnings;
    let expected = "x.csv:2: times have a resolution of 1 s: rate limits and the order within a \
                    second cannot be seen.";
    assert_eq!(warnings(&timed(|i| f64::from(1000 + i / 3))), [expected]);
    assert_eq!(warnings(&timed(|i| f64::from(1000 + i))), [""; 0], "one a second");
    assert_eq!(warnings(&timed(|i| f64::from(1000 + i / 3) + 0.25)), [""; 0]);
}

// ---- Files that were written for this program: strict about values, lenient about columns.

const TEXT: &str = "\
request_number,attempt_number,request_id,strategy,timestamp,server_port,success,latency_ms,request_complete,request_success
1,1,Io7IWBOKOr9OxHm0EzITEe6C,v1,1768909729.239888,4003,True,3.3625,True,True
2,1,TemVSx0sSUxK0lysYZRN4pIN,v1,1768909729.335136,4000,false,1.88,False,False
";

/// Rows as [`Row::read`] gives them.
fn rows(text: &str) -> Vec<Row> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    Row::read(file.path()).unwrap()
}

#[test]
fn lines_are_counted_right_with_either_line_ending() {
    let broken = TEXT.replace("false", "perhaps");
    for text in [broken.clone(), broken.replace('\n', "\r\n")] {
        assert!(error(&text).starts_with("traces/x.csv:3: column success"));
    }
    let with_blank_line = format!("{TEXT}\n").replace('\n', "\r\n");
    assert_eq!(trace_read(&with_blank_line).unwrap(), trace_read(TEXT).unwrap());
    assert_eq!(trace_read(&format!("\u{feff}{TEXT}")).unwrap(), trace_read(TEXT).unwrap());
}

#[test]
fn a_file_without_the_optional_columns_is_read_and_the_port_names_the_config() {
    let rows = rows(TEXT);
    assert_eq!((rows.len(), rows[0].config.number(), rows[0].server_port), (2, 0, 4003));
    assert_eq!((rows[1].success, rows[1].rate_limited), (false, None));
    assert_eq!(rows[0].timestamp, 1_768_909_729.239_888);
    let recording = trace_read(TEXT).unwrap();
    let [first, second] = recording.attempts[..] else { panic!("two attempts") };
    assert_eq!((first.at_s, first.latency_ms, first.server), (1_768_909_729.239_888, 3.3625, 3));
    assert_eq!((first.request, first.attempt, first.identifier_byte), (0, 1, b'I'));
    assert_eq!((first.outcome, second.outcome), (Outcome::Success, Outcome::Failure));
    assert_eq!((second.request, second.server), (1, 0));
    assert!(recording.tells_latency && !recording.tells_refusals);
    assert_eq!(recording.first_identifier, "Io7IWBOKOr9OxHm0EzITEe6C");
    assert_eq!((recording.group.name.as_str(), recording.strategies.len()), ("0", 1));
    assert_eq!(recording.warnings, [""; 0]);
}

#[test]
fn columns_may_stand_in_any_order_beside_unknown_ones() {
    let text = "success,latency_ms,weather,request_complete,request_success,rate_limited,\
                config_target,server_port,timestamp,strategy,request_id,attempt_number,\
                request_number\nFalse,1.5,rain,False,False,True,T2,5007,1.5,v1,a,1,1\n";
    let rows = rows(text);
    assert_eq!((rows[0].config.number(), rows[0].rate_limited), (1, Some(true)));
    let recording = trace_read(text).unwrap();
    assert!(recording.tells_refusals && recording.attempts[0].refused());
}

#[test]
fn rows_of_several_configs_become_several_recordings() {
    let text = file(&[row(1, 1, 10.0, 6004, true), row(2, 1, 11.0, 4001, true)]);
    let recordings = read_with(&text, &ReadOptions::default()).unwrap();
    let names = recordings.iter().map(|r| (r.group.name.as_str(), r.attempts[0].server));
    assert_eq!(names.collect::<Vec<_>>(), [("0", 1), ("2", 4)]);
}

#[test]
fn a_change_of_start_is_declared() {
    let names = ["", "a", "a", "", "b", "a"];
    let rows =
        (1..).zip(names).map(|(i, name)| format!("{},{name}", row(i, 1, f64::from(i), 4000, true)));
    let text = format!("{HEADER},start\n{}", rows.collect::<Vec<_>>().join("\n"));
    let expected = [(0, "a"), (4, "b"), (5, "a")].map(|(i, name)| (i, name.to_owned()));
    assert_eq!(trace_read(&text).unwrap().declared_starts, expected);
    // Rows keep their starts when they are sorted.
    let mut lines: Vec<&str> = text.lines().skip(1).collect();
    lines.reverse();
    let reversed = format!("{HEADER},start\n{}", lines.join("\n"));
    assert_eq!(trace_read(&reversed).unwrap().declared_starts, expected);
    assert_eq!(trace_read(TEXT).unwrap().declared_starts, []);
}

#[test]
fn every_mistake_names_its_place_and_what_was_expected() {
    let cases = [
        ("4003,True", "4003,yes", "x.csv:2: column success: expected True or False, or an HTTP"),
        ("4003,True", "4003,", "x.csv:2: column success: expected True or False, or an HTTP"),
        ("4000,false", "4000,no", "x.csv:3: column success: expected True or False, got \"no\""),
        ("2,1,Tem", "2,0,Tem", "x.csv:3: column attempt_number: expected a whole number from 1 to"),
        ("2,1,Tem", "2,+1,Tem", "got \"+1\""),
        ("2,1,Tem", "2,65536,Tem", "got \"65536\""),
        ("2,1,Tem", "+2,1,Tem", "column request_number: expected a whole number of at least 0"),
        ("TemVSx0sSUxK0lysYZRN4pIN", "", "x.csv:3: column request_id: expected some text, got"),
        ("1.88", "-1.88", "x.csv:3: column latency_ms: expected milliseconds from 0 to"),
        ("1.88", "86400001", "from 0 to 86400000 (a day), got \"86400001\""),
        ("1.88", "NaN", "got \"NaN\""),
        ("1.88", "", "got \"\"\nhelp: logs without some latencies are read with `--name NAME`"),
        ("1768909729.335136", "2026-02-02 02:40:00", "help: a time without an offset from UTC"),
        ("1768909729.335136", "inf", "column timestamp: expected Unix seconds, Unix milli"),
        ("4003", "4010", "column server_port: expected a port in 4000-4009, 5000-5009"),
        ("4003", "4010", "got \"4010\"\nhelp: if these are servers of your own, say `--name NAME`"),
        (",False,False", ",False", "x.csv:3: expected 10 cells as in the header, got 9"),
        ("latency_ms,", "latency,", "x.csv:1: column latency_ms is missing; the columns are:"),
        ("latency_ms,", "latency,", "`latency` the column? Then say `--map latency_ms=latency`"),
        ("request_id,strategy,", "request_id,strategy,strategy,", "strategy stands there twice"),
    ];
    for (from, to, message) in cases {
        assert!(TEXT.contains(from));
        let got = error(&TEXT.replacen(from, to, 1));
        assert!(got.contains(message), "{to}: {got}");
    }
    assert!(error(&TEXT.replace(',', ";")).contains("by commas"));
}

#[test]
fn a_target_that_contradicts_the_port_is_an_error() {
    let text = TEXT.replace("request_success\n", "request_success,config_target\n");
    let text = text.replace("True,True\n", "True,True,T1\n");
    let got = error(&text.replace("False,False\n", "False,False,T2\n"));
    assert!(got.contains("x.csv:3: column config_target: expected the config of port 4000"));
    assert!(got.contains("T2 has the ports 5000-5009"), "{got}");
    let got = error(&text.replace("False,False\n", "False,False,2\n"));
    assert!(got.contains("expected T1, T2 or T3, got \"2\""), "{got}");
}

#[test]
fn a_success_cannot_have_been_refused() {
    let text = TEXT.replace("request_success\n", "request_success,rate_limited\n");
    let text = text.replace("True,True\n", "True,True,True\n");
    let text = text.replace("False,False\n", "False,False,\n");
    let got = error(&text);
    assert!(got.contains("x.csv:2: column rate_limited: expected False beside success = True"));
}

#[test]
fn a_refused_connection_is_a_failure_without_an_answer() {
    let read = |of_success: &str, of_failure: &str| {
        let text = TEXT.replace("request_success\n", "request_success,rate_limited,refused\n");
        let text = text.replace("True,True\n", &format!("True,True,False,{of_success}\n"));
        text.replace("88,False,False\n", &format!("88,False,False,{of_failure}\n"))
    };
    let text = read("False", "False,True");
    let rows = rows(&text);
    assert_eq!((rows[0].refused, rows[1].refused), (Some(false), Some(true)));
    let recording = trace_read(&text).unwrap();
    assert_eq!(recording.attempts[1].outcome, Outcome::Failure);
    let said = "x.csv:3: 1 attempt met a refused connection; they count as failures";
    assert!(recording.warnings.iter().any(|note| note.contains(said)), "{:?}", recording.warnings);
    let expected = "column refused: expected False beside success = True or rate_limited = True";
    for text in [read("True", "False,True"), read("", "True,True")] {
        assert!(error(&text).contains(expected), "{}", error(&text));
    }
}

#[test]
fn files_without_rows_say_so() {
    assert!(["", "\n\n"].iter().all(|text| error(text).contains("the file is empty")));
    assert!(error(TEXT.lines().next().unwrap()).contains("no row below the header"));
    let missing = Row::read(Path::new("/no/such/file.csv")).unwrap_err().to_string();
    assert_eq!(missing, "cannot read /no/such/file.csv");
}

// ---- What holds for every input: no panic, and no dependence on the order of rows.

/// Values that are likely to hit a special case somewhere, between bars.
const CELLS: &str = "|-|0|1|000|200|429|True|False|4000|5009|65536|a:1, b:2|a : b|502, 200|\
                     0.1, 0.2|1e11|1e-320|99999999999999999999|\"|\r|2026-01-20T06:48:48Z|\
                     \u{fc}\u{0}|T1";

/// Requests with one to three attempts, each at a time of its own, within a second.
fn requests(attempts_of_each: &[u32]) -> Vec<String> {
    let mut rows = Vec::new();
    for (request, attempts) in (1..).zip(attempts_of_each) {
        for attempt in 1..=*attempts {
            let at_s = 100.0 + rows.len() as f64 / 256.0;
            let port = 4000 + rows.len() as u16 % 7;
            rows.push(row(request, attempt, at_s, port, attempt == *attempts));
        }
    }
    rows
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for options in [options("", None), options("port=a,latency_s=b", Some("api"))] {
            let _ = Reading::new(&options).csv(Path::new("x.csv"), bytes.as_slice());
        }
    }

    #[test]
    fn arbitrary_cells_never_panic(
        rows in proptest::collection::vec(proptest::collection::vec(0..CELLS.split('|').count(), 12), 1..6)
    ) {
        let header = "timestamp,server_port,success,latency_s,request_id,attempt_number,\
                      request_number,strategy,rate_limited,request_complete,start,session_id";
        let values: Vec<&str> = CELLS.split('|').collect();
        let quoted = |row: &Vec<usize>| {
            let cells = row.iter().map(|i| format!("\"{}\"", values[*i].replace('"', "\"\"")));
            cells.collect::<Vec<_>>().join(",")
        };
        let text = format!("{header}\n{}", rows.iter().map(quoted).collect::<Vec<_>>().join("\n"));
        for options in [options("", Some("api")), options("port=server_port", None)] {
            let _ = read_with(&text, &options);
        }
    }

    #[test]
    fn shuffled_rows_give_the_same_recording(
        (rows, shuffled) in proptest::collection::vec(1_u32..4, 1..60)
            .prop_map(|attempts| requests(&attempts))
            .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle()))
    ) {
        let expected = trace_read(&file(&rows)).unwrap();
        let mut recording = trace_read(&file(&shuffled)).unwrap();
        recording.warnings.clear();
        prop_assert_eq!(recording, expected);
    }
}

#[test]
fn a_long_file_in_no_order_at_all_is_sorted_not_cut_into_clock_jumps() {
    let mut rng = Streams::new(4).stream(Purpose::Analysis, 0, 0);
    let mut rows: Vec<String> =
        (1..=500).map(|i| row(i, 1, 100.0 + 0.1 * f64::from(i), 4000, true)).collect();
    let expected = trace_read(&file(&rows)).unwrap();
    for last in (1..rows.len()).rev() {
        rows.swap(last, (rng.next_u64() % (last as u64 + 1)) as usize);
    }
    let mut recording = trace_read(&file(&rows)).unwrap();
    assert_eq!((recording.clock_jumps.len(), recording.warnings.len()), (0, 1));
    recording.warnings.clear();
    assert_eq!(recording, expected);
}

/// Run with `TRACE_FILE` naming a file of 10 million rows; `VmHWM` is the peak.
#[test]
#[ignore = "needs a large file"]
fn ten_million_rows_fit_in_half_a_gigabyte() {
    let Ok(path) = std::env::var("TRACE_FILE") else {
        eprintln!("skipped: TRACE_FILE does not name a file");
        return;
    };
    let recordings = Recording::read(Path::new(&path), &ReadOptions::default()).unwrap();
    let attempts: usize = recordings.iter().map(|r| r.attempts.len()).sum();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM unknown");
    eprintln!("{attempts} attempts, {:?}, {peak}", recordings[0].warnings);
    let peak_kb: Option<u64> = peak.split_whitespace().nth(1).and_then(|kb| kb.parse().ok());
    assert!(peak_kb.is_none_or(|kb| kb < 500_000), "{peak}");
}

// ---- The recordings of the real servers, read in both ways. Skipped where they are not there.

#[test]
fn real_files_read_the_same_as_rows_and_as_recordings() {
    let Ok(folder) = std::env::var("FLAKELAB_TRACES") else {
        eprintln!("skipped: FLAKELAB_TRACES does not name a folder with recordings");
        return;
    };
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|e| e == "csv")).collect();
    paths.sort();
    let recordings = Recording::read_all(&paths, &ReadOptions::default()).unwrap();
    assert_eq!(recordings.len(), paths.len());
    let mut attempts = 0;
    for (path, recording) in paths.iter().zip(&recordings) {
        let rows = Row::read(path).unwrap();
        assert_eq!(recording.attempts.len(), rows.len(), "{}", path.display());
        assert_eq!(recording.warnings, [""; 0]);
        assert_eq!(recording.attempts.last().unwrap().request, 99);
        for (attempt, row) in recording.attempts.iter().zip(&rows) {
            assert_eq!(u16::from(attempt.server), row.server_port - row.config.first_port());
            assert_eq!((attempt.at_s, attempt.outcome), (row.timestamp, row.outcome()));
        }
        attempts += rows.len();
    }
    eprintln!("{attempts} attempts in {} files", paths.len());
}
