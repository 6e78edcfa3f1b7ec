//! What holds for every input: no panic, and no dependence on the order of rows.

use proptest::prelude::*;

use super::*;
use crate::domain::{Purpose, Streams};
use rand::Rng;

/// Values that are likely to hit a special case somewhere.
const CELLS: [&str; 24] = [
    "",
    "-",
    "0",
    "1",
    "000",
    "200",
    "429",
    "True",
    "False",
    "4000",
    "5009",
    "65536",
    "a:1, b:2",
    "a : b",
    "502, 200",
    "0.1, 0.2",
    "1e11",
    "1e-320",
    "99999999999999999999",
    "\"",
    "\r",
    "2026-01-20T06:48:48Z",
    "\u{fc}\u{0}",
    "T1",
];

/// Requests with one to three attempts, each at a time of its own, within a second.
fn requests(attempts_of_each: &[u32]) -> Vec<String> {
    let mut rows = Vec::new();
    for (request, attempts) in (1..).zip(attempts_of_each) {
        for attempt in 1..=*attempts {
            let at_s = 100.0 + rows.len() as f64 / 256.0;
            rows.push(row(
                request,
                attempt,
                at_s,
                4000 + rows.len() as u16 % 7,
                attempt == *attempts,
            ));
        }
    }
    rows
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for options in [options("", None), options("port=a,latency_s=b", Some("api"))] {
            let _ = parse(Path::new("x.csv"), bytes.as_slice(), &options, &mut Names::default());
        }
    }

    #[test]
    fn arbitrary_cells_never_panic(
        rows in proptest::collection::vec(proptest::collection::vec(0..CELLS.len(), 12), 1..6)
    ) {
        let header = "timestamp,server_port,success,latency_s,request_id,attempt_number,\
                      request_number,strategy,rate_limited,request_complete,start,session_id";
        let quoted = |row: &Vec<usize>| {
            let cells = row.iter().map(|i| format!("\"{}\"", CELLS[*i].replace('"', "\"\"")));
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
        let expected = read(&file(&rows)).unwrap();
        let mut recording = read(&file(&shuffled)).unwrap();
        recording.warnings.clear();
        prop_assert_eq!(recording, expected);
    }
}

#[test]
fn a_long_file_in_no_order_at_all_is_sorted_not_cut_into_clock_jumps() {
    let mut rng = Streams::new(4).stream(Purpose::Analysis, 0, 0);
    let mut rows: Vec<String> =
        (1..=500).map(|i| row(i, 1, 100.0 + 0.1 * f64::from(i), 4000, true)).collect();
    let expected = read(&file(&rows)).unwrap();
    for last in (1..rows.len()).rev() {
        rows.swap(last, (rng.next_u64() % (last as u64 + 1)) as usize);
    }
    let mut recording = read(&file(&rows)).unwrap();
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
