//! Files that are wrong or odd in ways that have a cure: the message names it, and no control
//! character of a file reaches a terminal.

use super::*;

/// Thirty rows, sent when `time` says.
fn timed(time: impl Fn(u32) -> f64) -> String {
    file(&(1..=30).map(|i| row(i, 1, time(i), 4000, true)).collect::<Vec<_>>())
}

fn error(text: &str) -> String {
    read(text).unwrap_err().to_string()
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
        assert!(read(&other).is_ok());
    }
    let log = "timestamp,server_port,success\n1,a\x1bb,200\n";
    let got = read_with(log, &options("", Some("api"))).unwrap_err().to_string();
    assert!(got.contains("column server_port") && got.ends_with("got \"a\\u{1b}b\""), "{got}");
    assert_eq!(read(&text.replace(",v4,", ",\u{fc}\u{a0}b,")).unwrap().warnings, [""; 0]);
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
    assert!(
        got.contains("column request_number is missing, and 9 more; the columns are:"),
        "{got}"
    );
    assert!(
        got.ends_with("`--name NAME --map time=timestamps,port=COLUMN,status=status`"),
        "{got}"
    );
    let got = error("timestamp,server_port,success\n1,a,200\n");
    assert!(got.ends_with("and status: `--name NAME`"), "{got}");
    let got = read_with("a,b\n", &options("", Some("api"))).unwrap_err().to_string();
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
    assert!(
        got.contains("column request_success") && got.contains("must be closed in it"),
        "{got}"
    );
    assert!(got.len() < 400, "{got}");
}

#[test]
fn text_that_is_not_utf_8_is_said_once() {
    let text = timed(|i| 100.5 + f64::from(i)).replacen(",v4,", ",v?,", 1);
    let mut bytes = text.into_bytes();
    let mark = bytes.iter().position(|byte| *byte == b'?').unwrap();
    bytes[mark] = 0xe9;
    let options = ReadOptions::default();
    let got = parse(Path::new("x.csv"), &bytes[..], &options, &mut Names::default());
    let got = got.unwrap_err().to_string();
    assert_eq!(got, "x.csv:2: cell 4 is not UTF-8\nhelp: save the file as UTF-8");
}

#[test]
fn a_clock_of_whole_seconds_is_warned_of_once() {
    let warnings = |text: &str| read(text).unwrap().warnings;
    let expected = "x.csv:2: times have a resolution of 1 s: rate limits and the order within a \
                    second cannot be seen.";
    assert_eq!(warnings(&timed(|i| f64::from(1000 + i / 3))), [expected]);
    assert_eq!(warnings(&timed(|i| f64::from(1000 + i))), [""; 0], "one a second");
    assert_eq!(warnings(&timed(|i| f64::from(1000 + i / 3) + 0.25)), [""; 0]);
}
