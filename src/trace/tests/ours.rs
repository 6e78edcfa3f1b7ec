//! Files that were written for this program: strict about values, lenient about columns.

use super::*;
use crate::domain::Outcome;
use crate::trace::{Row, Trace};

const TEXT: &str = "\
request_number,attempt_number,request_id,strategy,timestamp,server_port,success,latency_ms,request_complete,request_success
1,1,Io7IWBOKOr9OxHm0EzITEe6C,v1,1768909729.239888,4003,True,3.3625,True,True
2,1,TemVSx0sSUxK0lysYZRN4pIN,v1,1768909729.335136,4000,false,1.88,False,False
";

/// Rows as `Trace::read` gives them.
fn rows(text: &str) -> Result<Vec<Row>, TraceError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    Trace::read(file.path()).map(|trace| trace.rows)
}

fn error(from: &str, to: &str) -> String {
    assert!(TEXT.contains(from));
    read(&TEXT.replacen(from, to, 1)).unwrap_err().to_string()
}

#[test]
fn lines_are_counted_right_with_either_line_ending() {
    let broken = TEXT.replace("false", "perhaps");
    for text in [broken.clone(), broken.replace('\n', "\r\n")] {
        let message = read(&text).unwrap_err().to_string();
        assert!(message.starts_with("traces/x.csv:3: column success"), "{message}");
    }
    let with_blank_line = format!("{TEXT}\n").replace('\n', "\r\n");
    assert_eq!(read(&with_blank_line).unwrap(), read(TEXT).unwrap());
    assert_eq!(read(&format!("\u{feff}{TEXT}")).unwrap(), read(TEXT).unwrap());
}

#[test]
fn a_file_without_the_optional_columns_is_read_and_the_port_names_the_config() {
    let rows = rows(TEXT).unwrap();
    assert_eq!((rows.len(), rows[0].config.number(), rows[0].server_index()), (2, 0, Some(3)));
    assert_eq!((rows[1].success, rows[1].rate_limited), (false, None));
    assert_eq!(rows[0].timestamp, 1_768_909_729.239_888);
    let recording = read(TEXT).unwrap();
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
    let rows = rows(text).unwrap();
    assert_eq!((rows[0].config.number(), rows[0].rate_limited), (1, Some(true)));
    let recording = read(text).unwrap();
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
fn a_trace_and_its_file_give_the_same_recording() {
    let text = file(&[row(1, 1, 10.0, 4004, false), row(1, 2, 10.5, 4001, true)]);
    let trace = Trace::new("traces/x.csv", rows(&text).unwrap());
    assert_eq!(Recording::of_trace(&trace).unwrap(), [read(&text).unwrap()]);
}

#[test]
fn a_change_of_start_is_declared() {
    let names = ["", "a", "a", "", "b", "a"];
    let rows =
        (1..).zip(names).map(|(i, name)| format!("{},{name}", row(i, 1, f64::from(i), 4000, true)));
    let text = format!("{HEADER},start\n{}", rows.collect::<Vec<_>>().join("\n"));
    let expected = [(0, "a"), (4, "b"), (5, "a")].map(|(i, name)| (i, name.to_owned()));
    assert_eq!(read(&text).unwrap().declared_starts, expected);
    // Rows keep their starts when they are sorted.
    let mut lines: Vec<&str> = text.lines().skip(1).collect();
    lines.reverse();
    let reversed = format!("{HEADER},start\n{}", lines.join("\n"));
    assert_eq!(read(&reversed).unwrap().declared_starts, expected);
    assert_eq!(read(TEXT).unwrap().declared_starts, []);
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
        let got = error(from, to);
        assert!(got.contains(message), "{to}: {got}");
    }
    assert!(read(&TEXT.replace(',', ";")).unwrap_err().to_string().contains("by commas"));
}

#[test]
fn a_target_that_contradicts_the_port_is_an_error() {
    let text = TEXT.replace("request_success\n", "request_success,config_target\n");
    let text = text.replace("True,True\n", "True,True,T1\n");
    let got = read(&text.replace("False,False\n", "False,False,T2\n")).unwrap_err().to_string();
    assert!(got.contains("x.csv:3: column config_target: expected the config of port 4000"));
    assert!(got.contains("T2 has the ports 5000-5009"), "{got}");
    let got = read(&text.replace("False,False\n", "False,False,2\n")).unwrap_err().to_string();
    assert!(got.contains("expected T1, T2 or T3, got \"2\""), "{got}");
}

#[test]
fn a_success_cannot_have_been_refused() {
    let text = TEXT.replace("request_success\n", "request_success,rate_limited\n");
    let text = text.replace("True,True\n", "True,True,True\n");
    let text = text.replace("False,False\n", "False,False,\n");
    let got = read(&text).unwrap_err().to_string();
    assert!(got.contains("x.csv:2: column rate_limited: expected False beside success = True"));
}

#[test]
fn files_without_rows_say_so() {
    for (text, problem) in [("", "the file is empty"), ("\n\n", "the file is empty")] {
        assert!(read(text).unwrap_err().to_string().contains(problem));
    }
    let header = TEXT.lines().next().unwrap();
    let got = read(header).unwrap_err().to_string();
    assert!(got.contains("no row below the header"), "{got}");
    for missing in [
        Trace::read(Path::new("/no/such/file.csv")).unwrap_err().to_string(),
        Recording::read(Path::new("/no/such/file.csv"), &ReadOptions::default())
            .unwrap_err()
            .to_string(),
    ] {
        assert_eq!(missing, "cannot read /no/such/file.csv");
    }
}
