//! Every kind of bad data once, with its message.

use super::*;
use crate::trace::Trace;

/// Twenty requests, ten a second, the third with two attempts.
fn sound() -> Vec<String> {
    let mut rows: Vec<String> =
        (1..=20).map(|i| row(i, 1, 100.0 + 0.1 * f64::from(i), 4000, i != 3)).collect();
    rows.insert(3, row(3, 2, 100.31, 4001, true));
    rows
}

/// The only warning about a file that is sound but for one change, and the recording.
fn warned(change: impl FnOnce(&mut Vec<String>)) -> (String, Recording) {
    let mut rows = sound();
    change(&mut rows);
    let recording = read(&file(&rows)).unwrap();
    assert_eq!(recording.warnings.len(), 1, "{:?}", recording.warnings);
    assert!(recording.attempts.is_sorted_by(|a, b| a.at_s <= b.at_s));
    (recording.warnings[0].clone(), recording)
}

#[test]
fn a_sound_file_has_no_warnings() {
    assert_eq!(read(&file(&sound())).unwrap().warnings, [""; 0]);
}

#[test]
fn rows_out_of_order_are_sorted_with_one_warning() {
    let expected = read(&file(&sound())).unwrap();
    let (warning, mut recording) = warned(|rows| {
        rows.swap(7, 8);
        rows.swap(1, 2);
    });
    assert_eq!(
        warning,
        "x.csv:4: 2 rows were sent before a row further up, this is the first; sorted by time."
    );
    recording.warnings.clear();
    assert_eq!(recording, expected);
}

#[test]
fn exact_copies_of_rows_are_dropped() {
    let expected = read(&file(&sound())).unwrap();
    let (warning, mut recording) = warned(|rows| rows.extend(rows.clone()));
    assert_eq!(
        warning,
        "x.csv:23: 21 rows stand there twice, this is the first; the copies were dropped."
    );
    recording.warnings.clear();
    assert_eq!(recording, expected);
}

#[test]
fn the_same_attempt_with_other_values_is_an_error_that_names_both_lines() {
    let mut rows = sound();
    rows.push(row(3, 2, 100.31, 4002, true));
    let got = read(&file(&rows)).unwrap_err().to_string();
    let expected = "traces/x.csv:23: attempt 2 of the same request stands here and on line 5, with \
                    other values; requests are told apart by session_id, request_number and \
                    request_id\nhelp: keep the row that is right and delete the other";
    assert_eq!(got, expected);
}

#[test]
fn missing_attempts_threaten_the_likelihood() {
    let (warning, _) = warned(|rows| {
        rows.remove(2);
    });
    assert_eq!(
        warning,
        "x.csv:4: 1 request lacks an attempt (such as attempt 2 without 1). If attempts were left \
         out because of how they ended, error rates are biased and the likelihood no longer holds."
    );
    let (warning, _) = warned(|rows| rows.insert(2, row(2, 2, 100.25, 4001, true)));
    assert!(warning.starts_with("x.csv:4: 1 request goes on after a success"), "{warning}");
    assert!(warning.ends_with("the likelihood no longer holds."), "{warning}");
}

#[test]
fn a_probe_goes_on_after_a_success_on_purpose() {
    let mut rows = sound();
    rows.insert(2, row(2, 2, 100.25, 4001, true));
    let probed: Vec<String> = rows.iter().map(|row| row.replace(",v4,", ",probe,")).collect();
    assert_eq!(read(&file(&probed)).unwrap().warnings, [""; 0]);
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
    assert_eq!(
        warning,
        "x.csv:23: 1 gap of more than 1 h: no attempts, or the clock was set forward."
    );
    assert_eq!(recording.clock_jumps, [21]);
    assert_eq!(recording.attempts[21].at_s, 3800.0);
}

#[test]
fn odd_identifiers_and_contradictions_are_warned_of() {
    let (warning, _) =
        warned(|rows| rows[4] = rows[4].replace("000000000000000000000004", "short"));
    assert_eq!(warning, "x.csv:6: 1 row has a request_id that is not 24 letters and digits.");
    let (warning, _) = warned(|rows| rows[2] = rows[2].replace("False,False", "False,True"));
    assert!(warning.contains("row has request_success without success and"), "{warning}");
}

#[test]
fn more_servers_or_strategies_than_fit_are_an_error() {
    let rows: Vec<String> = (0..129).map(|i| format!("{i},host-{i},200")).collect();
    let text = format!("timestamp,server_port,success\n{}\n", rows.join("\n"));
    let got = read_with(&text, &options("", Some("api"))).unwrap_err().to_string();
    assert!(
        got.starts_with("traces/x.csv:130: more than 128 servers in one group\nhelp: "),
        "{got}"
    );
    assert!(got.contains("`--map port=COLUMN`"), "{got}");
    let rows: Vec<String> = (0..257).map(|i| format!("{i},a,200,s{i}")).collect();
    let text = format!("timestamp,server_port,success,strategy\n{}\n", rows.join("\n"));
    let got = read_with(&text, &options("", Some("api"))).unwrap_err().to_string();
    assert!(got.starts_with("traces/x.csv:258: more than 256 strategies"), "{got}");
}

#[test]
fn a_port_of_another_config_in_a_trace_is_an_error() {
    let text = file(&sound());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let mut trace = Trace::read(file.path()).unwrap();
    trace.rows[2].server_port = 5000;
    let got = Recording::of_trace(&trace).unwrap_err().to_string();
    assert!(got.ends_with(":4: port 5000 is not of config 0"), "{got}");
}
