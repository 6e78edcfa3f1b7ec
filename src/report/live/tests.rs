//! A live run's report as users get it: tables, files, pages, charts.

use super::sample::{Made, adjust, made, made_of};
use super::*;
use crate::balancer::ServerCounts;
use crate::report::charts::is_chart_file;
use crate::report::charts::tests::assert_well_formed;
use crate::report::manifest::Manifest;
use crate::validate::forecast::{LiveRequest, RequestEnd, RunMetric};

fn made_so() -> LiveMade {
    LiveMade {
        name: "live-test".to_owned(),
        argv: ["flakelab", "live", "--config", "0"].map(str::to_owned).to_vec(),
        spec_hash: "abcd".to_owned(),
        seed: 42,
        planned: 5,
        finished: 5,
        interrupted: false,
        servers: "our own stand-in, config 0".to_owned(),
        other_files: vec![("traces/".to_owned(), "every attempt".to_owned())],
    }
}

fn files(page: LivePage) -> Vec<(String, String)> {
    let files = live_files(&[page], &made_so(), false).unwrap();
    files.into_iter().map(|(name, bytes)| (name, String::from_utf8(bytes).unwrap())).collect()
}

fn file(page: LivePage, name: &str) -> String {
    files(page).into_iter().find(|(found, _)| found == name).unwrap().1
}

/// The headings of the first table.
fn headings(text: &str) -> Vec<&str> {
    let line = text.lines().find(|line| line.starts_with('│')).unwrap();
    line.split(['│', '┆']).map(str::trim).filter(|heading| !heading.is_empty()).collect()
}

#[test]
fn every_table_fits_on_eighty_columns_and_a_wide_terminal_shows_it_whole() {
    let made = made(100, 10);
    let page = made.page();
    let tables = |text: &str| text.matches('┌').count();
    let (runs, compared) = (live_table(&page, Some(80)), live_compared(&page, Some(80)));
    assert!(tables(&runs) == 2 && tables(&compared) <= 3, "{runs}\n{compared}");
    let text = format!("{runs}\n{compared}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let whole = live_table(&page, Some(200));
    let headings: Vec<&str> = headings(&whole);
    assert_eq!((tables(&whole), headings.len(), headings[1]), (1, 14, "requests"));
    assert!(text.contains("ranks: flakelab sweep --config 0"), "{text}");
}

#[test]
fn a_part_of_a_run_shows_its_number_of_requests_on_a_narrow_terminal_too() {
    let mut made = made(100, 10);
    made.runs.truncate(2);
    made.runs[1].requests.truncate(31);
    (made.interrupted, made.verdict) = (true, None);
    let page = made.page();
    assert!(headings(&live_table(&page, Some(80))).contains(&"requests"));
    assert!(live_table(&page, None).contains("interrupted in run 2 of 5"));
    assert_eq!(live_compared(&page, None), "");
}

#[test]
fn the_csv_has_a_row_a_run_and_empty_cells_for_what_is_not_known() {
    let mut made = made(100, 10);
    for request in &mut made.runs[0].requests {
        (request.latency_ms, request.end, request.attempts) = (None, RequestEnd::Lost, 0);
    }
    made.verdict = None;
    let csv = live_summary_csv(&[made.page()]).unwrap();
    let mut lines = csv.lines();
    assert_eq!(
        lines.next().unwrap(),
        "config,strategy,replications,requests,score_mean,success_rate,attempts_per_request,\
         attempts,retries_mean,penalty_mean,rate_limited_mean,timed_out_mean,regret_mean,\
         latency_p50_ms,latency_p90_ms,latency_p99_ms,busiest_share,drift_p99_ms,drift_max_ms,\
         refused,lost,predicted_from,score_predicted_mean,score_predicted_low,\
         score_predicted_high,judged,rejected,least_p_value,held"
    );
    let first: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert_eq!((first[1], first[3], first[12], first[20]), ("V1 larkin", "100", "100", "100"));
    assert_eq!((first[13], first[15], first[21]), ("", "", "true_rates"));
    assert_eq!(&first[25..], ["", "", "", ""], "nothing was judged");
    assert_eq!(lines.count(), 4);
}

#[test]
fn a_rejection_is_found_in_every_file() {
    let mut made = made(100, 10);
    let verdict = made.verdict.as_mut().unwrap();
    let test = verdict.tests.iter_mut().find(|t| t.metric == RunMetric::LatencyP99).unwrap();
    test.p_value = 1e-6;
    adjust(verdict);
    let page = made.page();
    assert!(
        live_compared(&page, None).contains("smallest p <0.0001 after Holm (V1 larkin, p99 ms)")
    );
    assert!(file(page, "report.md").contains("| rejected |"));
    let csv = file(page, "summary.csv");
    assert!(csv.lines().nth(1).unwrap().ends_with(",false"), "{csv}");
    assert!(csv.lines().nth(2).unwrap().ends_with(",true"), "{csv}");
    let json: serde_json::Value = serde_json::from_str(&file(page, "summary.json")).unwrap();
    assert_eq!(json["configs"][0]["verdict"]["held"], false);
    assert_eq!(json["configs"][0]["runs"][0]["strategy"], "V1 larkin");
}

#[test]
fn three_counts_that_agree_take_a_sentence_and_others_are_pointed_out() {
    let made = made(20, 4);
    let run = &made.runs[0];
    let good = Reconciliation::new(run, Some(&run.ledger.servers));
    assert!(good.agrees(), "{good:?}");
    let mut log: Vec<ServerCounts> = run.ledger.servers.clone();
    log.swap(0, 1);
    let sums_agree = Reconciliation::new(run, Some(&log));
    assert!(!sums_agree.agrees(), "each server is compared, not the sum alone");
    let runs = [good, sums_agree];
    let page = LivePage { reconciliation: &runs[..1], ..made.page() };
    assert!(file(page, "report.md").contains("agree on every count of every run"));
    let page = LivePage { reconciliation: &runs, ..made.page() };
    let report = file(page, "report.md");
    assert!(
        report.contains("do not agree. V1 larkin: servers whose own")
            && report.contains("| **no** |")
    );
    let lonely = [Reconciliation::new(run, None)];
    let page = LivePage { reconciliation: &lonely, ..made.page() };
    assert_eq!(live_counts(&page), "Load generator and proxy agree on every count of every run.");
}

#[test]
fn the_page_says_how_it_was_made_and_the_manifest_comes_last() {
    let made = made(100, 10);
    let written = files(made.page());
    let (name, manifest) = written.last().unwrap();
    assert_eq!(name, Manifest::FILE);
    assert!(manifest.contains("\"live\": true") && manifest.contains("\"flakelab\""));
    let report = &written.iter().find(|(name, _)| name == "report.md").unwrap().1;
    for wanted in [
        "- Command: `flakelab live --config 0`",
        "- Seed: 42",
        "measured with 200 requests before the run (medians): 0.61 ms",
        "- `traces/`: every attempt",
        "### Live against predicted: this start, by its true rates",
    ] {
        assert!(report.contains(wanted), "{wanted}");
    }
    for (name, _) in written.iter().filter(|(name, _)| name.starts_with("charts/")) {
        assert!(report.contains(&format!("]({name})")), "{name}");
        assert!(is_chart_file(name.trim_start_matches("charts/")), "{name}");
    }
    assert_eq!(written, files(made.page()), "the same bytes again");
}

#[test]
fn odd_runs_are_drawn_too() {
    let mut odd: Vec<(&str, Made)> = vec![
        ("one strategy", made_of(&["thompson"], 100, 10)),
        ("one request", made(1, 10)),
        ("128 servers", made(100, 128)),
        ("a reference", made_of(&["random", "larkin"], 30, 3)),
    ];
    let mut no_answer = made(50, 10);
    for request in no_answer.runs.iter_mut().flat_map(|run| &mut run.requests) {
        *request = LiveRequest { latency_ms: None, end: RequestEnd::Lost, attempts: 0, ..*request };
    }
    no_answer.judge();
    odd.push(("no answer at all", no_answer));
    let mut some_lost = made(100, 10);
    for request in some_lost.runs[1].requests.iter_mut().step_by(7) {
        (request.latency_ms, request.end) = (None, RequestEnd::Lost);
    }
    some_lost.runs[2].requests.truncate(40);
    some_lost.runs.truncate(3);
    (some_lost.interrupted, some_lost.verdict) = (true, None);
    odd.push(("lost requests, interrupted", some_lost));
    let mut not_begun = made(10, 3);
    not_begun.runs.truncate(1);
    not_begun.runs[0].requests.clear();
    not_begun.runs[0].ledger = crate::balancer::Ledger::new(3);
    (not_begun.interrupted, not_begun.verdict) = (true, None);
    odd.push(("nothing was sent", not_begun));
    let mut unpredicted = made(10, 3);
    unpredicted.prediction.runs.clear();
    unpredicted.verdict = None;
    odd.push(("nothing was predicted", unpredicted));
    let mut slow = made(200, 10);
    for (i, request) in slow.runs[0].requests.iter_mut().enumerate() {
        request.latency_ms = request.latency_ms.map(|ms| ms * if i > 190 { 400.0 } else { 1.0 });
        request.drift_ms = f64::NAN;
    }
    slow.judge();
    odd.push(("slow answers, no drift", slow));
    let folder = std::env::var_os("FLAKELAB_ODD_CHARTS").map(std::path::PathBuf::from);
    for (what, made) in &odd {
        for (name, bytes) in live_files(&[made.page()], &made_so(), folder.is_some()).unwrap() {
            if name.ends_with(".svg") {
                let svg = String::from_utf8(bytes.clone()).unwrap();
                assert_well_formed(&svg);
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{what}: {name}");
            }
            if let Some(folder) = folder.as_ref().filter(|_| name.ends_with(".png")) {
                let chart = name.rsplit('/').next().unwrap_or(&name);
                let path = folder.join(format!("{} {chart}", what.replace(',', "")));
                std::fs::write(path, bytes).unwrap();
            }
        }
    }
}
