//! Logs of other people: their names, status codes, addresses, several upstreams in a row.

use super::*;
use crate::domain::Outcome;

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
    let mut servers = Names::default();
    let options = options(map, Some("api"));
    let mut all = parse(Path::new("traces/x.csv"), text.as_bytes(), &options, &mut servers)?;
    super::super::recording::share_servers(&mut all, "api", servers);
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
    let got = read(&NGINX.replace("\"502, 200\"", "200"), MAP).unwrap_err().to_string();
    let expected = "traces/x.csv:3: 2 servers but 1 values of status (\"200\"); expected one for \
                    each server\nhelp: nginx writes them as $upstream_status";
    assert!(got.starts_with(expected), "{got}");
    let many = ["a"; 101].join(" : ");
    let got = read(&NGINX.replace("10.0.0.2:80,200", &format!("{many},200")), MAP);
    let got = got.unwrap_err().to_string();
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
    let got = read("time,upstream,status\n", "time=time,port=upstrem,status=status").unwrap_err();
    let got = got.to_string();
    assert!(got.contains("column upstrem (it was to hold server_port) is missing"), "{got}");
    assert!(got.contains("Then say `--map server_port=upstream`"), "{got}");
    let got = read("time,upstream,status\n", "time=time,status=status").unwrap_err().to_string();
    assert!(got.contains("column server_port is missing"), "{got}");
    assert!(got.contains("with `--map server_port=COLUMN`"), "{got}");
    let text = NGINX.replace("id\n", "latency_ms\n");
    let got = read(&text, MAP).unwrap_err().to_string();
    assert!(got.contains("latency_ms and latency_s are both there"), "{got}");
}

#[test]
fn cells_of_other_logs_are_read_as_strictly() {
    let cases = [
        (",200,", ",OK,", "x.csv:2: column status: expected True or False, or an HTTP status, got"),
        (
            ",000,",
            ",OK,",
            "x.csv:5: column status: expected an HTTP status such as 200 or 503, got",
        ),
        (",000,", ",True,", "x.csv:5: column status: expected an HTTP status as further up, got"),
        (
            ",0.5,",
            ",half,",
            "x.csv:5: column request_time: expected seconds from 0 to 86400 (a day), got",
        ),
        ("1768891728.4", "noon", "x.csv:5: column time: expected Unix seconds, Unix millisec"),
    ];
    for (from, to, message) in cases {
        let got = read(&NGINX.replacen(from, to, 1), MAP).unwrap_err().to_string();
        assert!(got.contains(message), "{to}: {got}");
    }
    let truths = "timestamp,server_port,success\n1,a,True\n2,a,503\n";
    let got = read(truths, "").unwrap_err().to_string();
    assert!(got.contains("x.csv:3: column success: expected True or False as further up"), "{got}");
    let nowhere = "timestamp,server_port,success\n1,-,200\n";
    let got = read(nowhere, "").unwrap_err().to_string();
    assert!(got.contains("there is no row below the header that names a server"), "{got}");
}
