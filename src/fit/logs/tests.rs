//! Whole logs of each format, read as they are; and any bytes, read as anything.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;

fn options() -> ReadOptions {
    ReadOptions { group: Some("api".to_owned()), ..ReadOptions::default() }
}

/// What a text becomes, and how it was understood.
fn read_text(text: &str, options: &ReadOptions) -> Result<(Recording, String), String> {
    let bytes = text.as_bytes().to_vec();
    let mut reading = Reading::new(options);
    let format = LogFormat::of(&bytes);
    let source = Source { head: bytes.clone(), input: Box::new(Cursor::new(bytes)) };
    read_file(Path::new("x.log"), source, format, options, &mut reading)
        .map_err(|error| error.to_string())?;
    let (mut recordings, samples) = reading.finish();
    assert_eq!(recordings.len(), 1);
    Ok((recordings.remove(0), read_as(format, &samples[0])))
}

/// Server, outcome, latency and start (in a second of the day) of each attempt.
fn attempts(recording: &Recording) -> Vec<(&str, Outcome, f32, f64)> {
    let of = |a: &flakelab_sim::trace::Observed| {
        let server = recording.group.servers[usize::from(a.server)].as_str();
        let millis = (a.at_s.rem_euclid(60.0) * 1000.0).round();
        (server, a.outcome, a.latency_ms, millis / 1000.0)
    };
    recording.attempts.iter().map(of).collect()
}

const NGINX: &str = r#"
203.0.113.8 - - [05/Jan/2026:09:30:10 +0000] "GET /a HTTP/1.1" 200 7 "-" "x" msec=1767605410.500 ua="192.0.2.1:90" us="200" urt="0.400"
203.0.113.8 - - [05/Jan/2026:09:30:10 +0000] "GET /b HTTP/1.1" 200 7 "-" "x" msec=1767605410.600 ua="192.0.2.2:90, 192.0.2.1:90" us="504, 404" urt="0.100, 0.040"
203.0.113.8 - - [05/Jan/2026:09:30:10 +0000] "GET /c HTTP/1.1" 304 7 "-" "x" msec=1767605410.610 ua="-" us="-" urt="-"
203.0.113.8 - - [05/Jan/2026:09:30:11 +0000] "GET /d HTTP/1.1" 499 7 "-" "x" msec=1767605411.000 ua="192.0.2.2:90" us="-" urt="0.001"
203.0.113.8 - - [05/Jan/2026:09:30:11 +0000] "GET /e HTTP/1.1" 429 7 "-" "x" msec=1767605411.100 ua="192.0.2.2:90" us="429" urt="0.001"
203.0.113.8 - - [05/Jan/2026:09:30:1"#;

#[test]
fn an_access_log_of_nginx_becomes_attempts_with_their_starts() {
    let (recording, read_as) = read_text(NGINX, &options()).unwrap();
    let (a, b) = ("192.0.2.1:90", "192.0.2.2:90");
    let expected = [
        (a, Outcome::Success, 400.0, 10.1),
        (b, Outcome::Failure, 100.0, 10.46),
        (a, Outcome::Success, 40.0, 10.56),
        (b, Outcome::RateLimited, 1.0, 11.099),
    ];
    assert_eq!(attempts(&recording), expected);
    let requests: Vec<_> = recording.attempts.iter().map(|a| (a.request, a.attempt)).collect();
    assert_eq!(requests, [(0, 1), (1, 1), (1, 2), (2, 1)]);
    assert_eq!(
        read_as,
        "read as: nginx, server 192.0.2.2:90, failed (504), 100.0 ms, at 09:30:10.5 UTC"
    );
    assert_eq!(
        recording.warnings,
        [
            "x.log:7: the last line does not end and cannot be read; left out, as the log was cut \
             short there.",
            "x.log:4: 1 row names no server; left out, as answered without a server.",
            "x.log:5: 1 attempt was given up by the client (499); left out, as how it would have \
             ended is unknown.",
        ]
    );
}

#[test]
fn requests_of_one_second_are_spread_over_it_in_their_order() {
    let line = |i: u32| {
        let took = if i == 3 { "0.900" } else { "0.000" };
        format!(
            "10.0.0.1 - - [05/Jan/2026:09:30:{:02} +0000] \"GET / HTTP/1.1\" 200 1 addr=h:{} us=200 urt={took}\n",
            10 + i / 5,
            i % 5
        )
    };
    let text: String = (0..10).map(line).collect();
    let (recording, _) = read_text(&text, &options()).unwrap();
    let starts: Vec<f64> = attempts(&recording).iter().map(|a| a.3).collect();
    assert_eq!(starts, [9.7, 10.0, 10.2, 10.4, 10.8, 11.0, 11.2, 11.4, 11.6, 11.8]);
    assert_eq!(recording.warnings.len(), 1);
    assert!(recording.warnings[0].contains("resolution of 1 s"), "{:?}", recording.warnings);
}

#[test]
fn a_log_that_names_no_server_is_told_what_to_switch_on() {
    let combined =
        "10.0.0.1 - - [05/Jan/2026:09:30:10 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"x\"\n";
    let error = read_text(combined, &options()).unwrap_err();
    assert!(error.starts_with("x.log: no line names a server\nhelp: log the servers"), "{error}");
    let error = read_text(NGINX, &ReadOptions::default()).unwrap_err();
    assert!(error.contains("x.log: a log of nginx, of servers of your own\nhelp: say "), "{error}");
    let strange =
        NGINX.replace("203.0.113.8 - - [05/Jan/2026:09:30:11", "[error]\n203.0.113.8 - - [05/");
    let error = read_text(&strange, &options()).unwrap_err();
    let expected =
        "x.log:5: expected a line of nginx, got \"[error]\" (2 such lines of 7)\nhelp: name";
    assert!(error.starts_with(expected), "{error}");
}

/// Three requests in each format: the first succeeds, the second fails, the third has no server.
const HAPROXY: &str = "\
Jan  5 09:30:10 lb haproxy[7]: Proxy web started.
203.0.113.8:40 [05/Jan/2026:09:30:10.100] web pool/s1 0/0/1/45/90 200 7 - - ---- 2/2/1/1/0 0/0 \"GET /a HTTP/1.1\"
203.0.113.8:41 [05/Jan/2026:09:30:10.200] web pool/s2 0/300/-1/-1/800 503 7 - - SC-- 2/2/1/1/+2 0/0 \"GET /b HTTP/1.1\"
203.0.113.8:42 [05/Jan/2026:09:30:10.300] web pool/<NOSRV> 0/-1/-1/-1/0 503 7 - - SC-- 2/2/1/1/0 0/0 \"GET /c HTTP/1.1\"
";

const ENVOY: &str = r#"
[2026-01-05T09:30:10.100Z] "GET /a HTTP/1.1" 200 - 0 7 90 46 "-" "x" "id-1" "shop" "s1:90"
[2026-01-05T09:30:10.500Z] "GET /b HTTP/1.1" 503 UF 0 7 500 - "-" "x" "id-2" "shop" "s2:90"
[2026-01-05T09:30:10.300Z] "GET /c HTTP/1.1" 503 UH 0 7 0 - "-" "x" "id-3" "shop" "-"
"#;

const ALB: &str = r#"
http 2026-01-05T09:30:10.190000Z app/shop/1f 203.0.113.8:40 s1:90 0.000 0.046 0.000 200 200 34 366 "GET http://shop:80/ HTTP/1.1" "x" - - arn:a "Root=1-2" "-" "-" 0 2026-01-05T09:30:10.100000Z "forward" "-" "-" "s1:90" "200" "-" "-" TID_1
h2 2026-01-05T09:30:11.000000Z app/shop/1f 203.0.113.8:40 s2:90 0.000 -1 -1 502 - 34 366 "GET http://shop:80/ HTTP/1.1" "x" - - arn:a "Root=1-3" "-" "-" 0 2026-01-05T09:30:10.500000Z "forward" "-" "-" "s2:90" "-" "-" "-" TID_2
http 2026-01-05T09:30:11.000000Z app/shop/1f 203.0.113.8:40 - -1 -1 -1 503 - 34 366 "GET http://shop:80/ HTTP/1.1" "x" - - arn:a "Root=1-4" "-" "-" 0 2026-01-05T09:30:10.900000Z "forward" "-" "-" "-" "-" "-" "-" TID_3
"#;

const K6: &str = "metric_name,timestamp,metric_value,error_code,status,url
http_reqs,1767605410146,1,,200,http://s1:90/a
http_req_duration,1767605410146,46,,200,http://s1:90/a
http_req_duration,1767605411000,500,1050,0,http://s2:90/a
iterations,1767605411000,1,,,
";

#[test]
fn the_same_requests_read_the_same_in_every_format() {
    for (name, text, s1, s2) in [
        ("haproxy", HAPROXY, "s1", "s2"),
        ("envoy", ENVOY, "s1:90", "s2:90"),
        ("alb", ALB, "s1:90", "s2:90"),
        ("k6", K6, "s1:90", "s2:90"),
    ] {
        let (recording, read_as) = read_text(text, &options()).unwrap();
        let expected = [(s1, Outcome::Success, 46.0, 10.1), (s2, Outcome::Failure, 500.0, 10.5)];
        assert_eq!(attempts(&recording), expected, "{name}");
        let begin = format!("read as: {name}, server {s2}, failed (");
        assert!(read_as.starts_with(&begin), "{read_as}");
        assert!(read_as.ends_with("), 500.0 ms, at 09:30:10.5 UTC"), "{read_as}");
    }
    let warnings = read_text(HAPROXY, &options()).unwrap().0.warnings;
    assert!(warnings[0].starts_with("x.log:1: 1 line is no request; left out"), "{warnings:?}");
    assert!(warnings[1].starts_with("x.log:4: 1 row names no server"), "{warnings:?}");
    assert!(warnings[2].starts_with("x.log:3: 1 request had earlier attempts"), "{warnings:?}");
}

#[test]
fn formats_are_told_by_their_first_lines_and_known_by_their_names() {
    for (text, format) in [
        (NGINX, LogFormat::Nginx),
        (HAPROXY, LogFormat::Haproxy),
        (ENVOY, LogFormat::Envoy),
        (ALB, LogFormat::Alb),
        (K6, LogFormat::K6),
        ("timestamp,server_port,success\n", LogFormat::Csv),
        ("", LogFormat::Csv),
    ] {
        assert_eq!(LogFormat::of(text.as_bytes()), format);
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    let error = "apache".parse::<LogFormat>().unwrap_err();
    assert_eq!(error, "the formats are: alb, haproxy, envoy, k6, nginx, csv");
}

#[test]
fn files_of_several_formats_are_of_one_group() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["a.gz", "b.log", "c.csv"].map(|name| folder.path().join(name));
    std::fs::write(&paths[0], source::tests::packed(&[ALB])).unwrap();
    std::fs::write(&paths[1], ENVOY).unwrap();
    std::fs::write(&paths[2], "timestamp,server_port,success\n5,s3:90,True\n6,s1:90,False\n")
        .unwrap();
    let logs = read(&paths, None, &options()).unwrap();
    let servers = ["s1:90", "s2:90", "s3:90"];
    assert!(logs.recordings.iter().all(|recording| recording.group.servers == servers));
    assert_eq!(
        logs.read_as,
        [
            "read as: alb, server s2:90, failed (502), 500.0 ms, at 09:30:10.5 UTC",
            "read as: envoy, server s2:90, failed (503), 500.0 ms, at 09:30:10.5 UTC",
            "read as: csv, server s1:90, failed, no latency, at 00:00:06.0 UTC",
            "counted: status<500 is a success, 429 a refusal, 499 and 460 (the client left) nothing, \
             all else and no answer a failure of the server; another rule with --success-when",
        ]
    );
    let missing = read(&["/no/such.log".into()], None, &options()).unwrap_err();
    assert_eq!(missing.to_string(), "cannot read /no/such.log");
}

/// Pieces of lines of all formats.
const PIECES: &str = r#"~{~}~"~[~]~:~,~ ~=~\~-~/~\n~\u{feff}~upstream_addr~us~urt~"msec":~[05/Jan/2026:09:30:10 +0000]~[05/Jan/2026:09:30:10.123]~2026-01-05T09:30:10.123Z~"GET / HTTP/1.1"~200~502~499~-1~0/0/1/2/3~a:1, b:2~ : ~10.0.0.1:80~----~be/s1~http~metric_name,~http_req_duration~{"metric":"http_req_duration","type":"Point","data":{"time":"2026-01-05T09:30:10Z","value":1,"tags":{"url":"http://a/"}}}~UF~1e999~"#;

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        pieces in proptest::collection::vec(0..PIECES.split('~').count(), 0..60),
    ) {
        let all: Vec<&str> = PIECES.split('~').collect();
        let text: String = pieces.iter().map(|i| all[*i].replace("\\n", "\n")).collect();
        for bytes in [bytes, text.into_bytes()] {
            let options = options();
            let _ = LogFormat::of(&bytes);
            for format in LogFormat::ALL {
                let source = Source { head: bytes.clone(), input: Box::new(Cursor::new(bytes.clone())) };
                let _ = read_file(Path::new("x"), source, format, &options, &mut Reading::new(&options));
            }
        }
    }
}

/// Run with `LOG_FILE` naming a log of 10 million lines; `VmHWM` is the peak.
#[test]
#[ignore = "needs a large file"]
fn ten_million_lines_fit_in_a_gigabyte() {
    let Ok(path) = std::env::var("LOG_FILE") else {
        eprintln!("skipped: LOG_FILE does not name a file");
        return;
    };
    let logs = read(&[path.into()], None, &options()).unwrap();
    let attempts: usize = logs.recordings.iter().map(|r| r.attempts.len()).sum();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM unknown");
    eprintln!("{attempts} attempts, {:?}, {peak}", logs.read_as[0]);
    let peak_kb: Option<u64> = peak.split_whitespace().nth(1).and_then(|kb| kb.parse().ok());
    assert!(peak_kb.is_none_or(|kb| kb < 1_000_000), "{peak}");
}
