//! The report of a live run: what happened, and whether it had been predicted.
//!
//! ```text
//! LivePage (one a config) --+-> live_table, live_compared, live_verdict, live_counts    for the terminal
//!                           +-> live_files                                              for the results folder
//! ```
//!
//! When not to use it: to rank strategies. One run of each is mostly luck; `flakelab sweep`
//! ranks.

use serde::Serialize;

use crate::report::live::Reconciliation;
use crate::report::numbers::{fixed, percent, significant};
use crate::report::text::config_name;
use flakelab_core::stats::{Interval, quantile};
use flakelab_fit::{
    Basis, Judgement, LiveRun, PredictedConfig, RequestEnd, RunMetric, TestedMetric, Verdict,
};

/// What there is to report of one config.
#[derive(Debug, Clone, Copy)]
pub struct LivePage<'a> {
    /// The config's number, or the model's name.
    pub config: &'a str,
    /// Names of the servers, in the model's order: their ports in the model.
    pub servers: &'a [String],
    /// The runs that were played, the last one perhaps in part.
    pub runs: &'a [LiveRun],
    /// What was predicted.
    pub prediction: &'a PredictedConfig,
    /// The verdict; none if it cannot be given, as after an interruption.
    pub verdict: Option<&'a Verdict>,
    /// Whether the runs were interrupted.
    pub interrupted: bool,
    /// Counts of the three sides, one entry a run where they are known.
    pub reconciliation: &'a [Reconciliation],
    /// What else to keep in mind, whole sentences.
    pub notes: &'a [String],
}

/// How a live run was made.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveMade {
    /// The results folder's name, which is the report's heading.
    pub name: String,
    /// The command line, the program's place left out: `flakelab live --config 0`.
    pub argv: Vec<String>,
    /// Tells this run from all others, for [`ResultsFolder`](crate::report::folder::ResultsFolder).
    pub spec_hash: String,
    /// Seed of servers, strategies and predictions.
    pub seed: u64,
    /// Runs that were to be played, over all configs.
    pub planned: u64,
    /// Runs played to the end.
    pub finished: u64,
    /// Whether it was interrupted.
    pub interrupted: bool,
    /// What the servers were, in a sentence.
    pub servers: String,
    /// What else lies in the folder: name and meaning.
    pub other_files: Vec<(String, String)>,
}

impl LivePage<'_> {
    pub(crate) fn title(&self) -> String {
        config_name(self.config)
    }
}

/// The bases of a verdict, the sharpest last.
pub fn bases(verdict: &Verdict) -> Vec<Basis> {
    let mut bases: Vec<Basis> = verdict.tests.iter().map(|t| t.basis).collect();
    bases.sort_unstable();
    bases.dedup();
    bases
}

// ---- How the values of a metric are written, the same in tables, sentences and charts, and why some
// are not judged.

/// The heading of a metric's column. Shares are written in percent.
pub const fn heading(metric: RunMetric) -> &'static str {
    match metric {
        RunMetric::SuccessRate => "success %",
        RunMetric::RateLimited => "429",
        RunMetric::BusiestShare => "busiest %",
        RunMetric::Score
        | RunMetric::Attempts
        | RunMetric::Penalty
        | RunMetric::LatencyP50
        | RunMetric::LatencyP99 => metric.name(),
    }
}

/// A value that was observed, or an end of an interval.
pub fn value(metric: RunMetric, x: f64) -> String {
    match metric {
        RunMetric::SuccessRate | RunMetric::BusiestShare => percent(x, 1),
        RunMetric::LatencyP50 | RunMetric::LatencyP99 => significant(x),
        RunMetric::Score | RunMetric::Attempts | RunMetric::Penalty | RunMetric::RateLimited => {
            count(x)
        }
    }
}

/// A mean over simulated runs.
pub fn mean(metric: RunMetric, x: f64) -> String {
    match metric {
        RunMetric::Score | RunMetric::Attempts | RunMetric::Penalty | RunMetric::RateLimited => {
            fixed(x, 1)
        }
        _ => value(metric, x),
    }
}

/// `80 to 97`.
pub fn span(metric: RunMetric, interval: Interval) -> String {
    format!("{} to {}", value(metric, interval.low), value(metric, interval.high))
}

/// `96 [80, 97]`: what was seen and where 95 % of simulated runs lie, as short as it can be told.
pub fn seen_in(metric: RunMetric, observed: f64, interval: Interval) -> String {
    let shown = |x: f64| match metric {
        // Percents of percents are only worth telling of a narrow interval.
        RunMetric::BusiestShare => fixed(x * 100.0, usize::from(interval.width() < 0.04)),
        _ => value(metric, x),
    };
    format!("{} [{}, {}]", shown(observed), shown(interval.low), shown(interval.high))
}

/// One digit after the point, none where it is 0 or the number large.
pub fn count(x: f64) -> String {
    let text = fixed(x, usize::from(x.abs() < 99.95));
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// The unit of a metric's values, behind them.
pub fn unit(metric: RunMetric) -> &'static str {
    match metric {
        RunMetric::SuccessRate | RunMetric::BusiestShare => " %",
        RunMetric::LatencyP50 | RunMetric::LatencyP99 => " ms",
        RunMetric::Score | RunMetric::Attempts | RunMetric::Penalty | RunMetric::RateLimited => "",
    }
}

/// The strategies of these tests, each once, in their order.
pub fn strategies_of<'t>(tests: impl Iterator<Item = &'t TestedMetric>) -> Vec<&'t str> {
    let mut found: Vec<&str> = Vec::new();
    for test in tests {
        if !found.contains(&test.strategy.as_str()) {
            found.push(&test.strategy);
        }
    }
    found
}

/// Why a number is not judged.
pub const fn why(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::NoSpread => "every simulated run gave this very number",
        Judgement::PathUnknown => "what the path added during the run is not known",
        Judgement::Disturbed => {
            "this machine was busy with other things: requests left late, or the path to the null \
             server stalled as long as the slowest requests take"
        }
        Judgement::Judged => "",
    }
}

// ---- The numbers of one live run, as tables and files show them.
//
// When not to use it: for what a strategy is worth on average; that is
// [`ContenderSummary`](crate::experiment::ContenderSummary), over many replications.

/// One run. What nothing says is NaN, an empty cell in files.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiveRow {
    /// The strategy's label.
    pub strategy: String,
    /// Requests that the load generator sent.
    pub requests: u64,
    /// Requests answered 200 minus penalties.
    pub score: f64,
    /// Requests answered 200, as a share of all.
    pub success_rate: f64,
    /// Attempts.
    pub attempts: u64,
    /// Attempts beyond the first of their request.
    pub retries: u64,
    /// Points lost to attempts beyond the free ones.
    pub penalty: f64,
    /// Attempts refused with 429.
    pub rate_limited: u64,
    /// Attempts without an answer in time.
    pub timed_out: u64,
    /// Requests not answered 200.
    pub regret: u64,
    /// Median of the requests' latencies, milliseconds.
    pub latency_p50_ms: f64,
    /// 90th percentile.
    pub latency_p90_ms: f64,
    /// 99th percentile.
    pub latency_p99_ms: f64,
    /// Attempts at the server that got most, as a share of all attempts.
    pub busiest_share: f64,
    /// 99th percentile of how much later than due requests were sent, milliseconds.
    pub drift_p99_ms: f64,
    /// The largest such delay.
    pub drift_max_ms: f64,
    /// Requests answered with a status that is neither 200 nor 500.
    pub refused: u64,
    /// Requests without any answer.
    pub lost: u64,
}

impl LiveRow {
    /// The numbers of a run.
    pub fn of(run: &LiveRun) -> Self {
        let count = |wanted: &dyn Fn(RequestEnd) -> bool| {
            run.requests.iter().filter(|r| wanted(r.end)).count() as u64
        };
        let requests = run.requests.len() as u64;
        let latencies = latencies(run);
        let drift = sorted(run.requests.iter().map(|r| r.drift_ms).collect());
        Self {
            strategy: run.strategy.label(),
            requests,
            score: run.value(RunMetric::Score),
            success_rate: run.value(RunMetric::SuccessRate),
            attempts: run.ledger.attempts,
            retries: run.ledger.retries,
            penalty: run.value(RunMetric::Penalty),
            rate_limited: run.ledger.rate_limited(),
            timed_out: run.ledger.timed_out(),
            regret: requests - count(&|end| end == RequestEnd::Ok),
            latency_p50_ms: run.value(RunMetric::LatencyP50),
            latency_p90_ms: quantile(&latencies, 0.9),
            latency_p99_ms: run.value(RunMetric::LatencyP99),
            busiest_share: run.value(RunMetric::BusiestShare),
            drift_p99_ms: quantile(&drift, 0.99),
            drift_max_ms: drift.last().copied().unwrap_or(f64::NAN),
            refused: count(&|end| matches!(end, RequestEnd::Refused(_))),
            lost: count(&|end| end == RequestEnd::Lost),
        }
    }
}

/// Latencies of the requests that were answered, ascending.
fn latencies(run: &LiveRun) -> Vec<f64> {
    sorted(run.requests.iter().filter_map(|r| r.latency_ms).collect())
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.retain(|v| v.is_finite());
    values.sort_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charts::{assert_well_formed, is_chart_file};
    use crate::report::folder::Manifest;
    use crate::report::live::{Reconciliation, live_counts, live_files, live_summary_csv};
    use crate::report::live_table::{live_compared, live_table};
    use crate::report::sample::{Made, adjust, made, made_of};
    use flakelab_core::balancer::ServerCounts;
    use flakelab_fit::{LiveRequest, RequestEnd, RunMetric};

    #[test]
    fn values_are_written_as_precisely_as_they_are_meant() {
        assert_eq!(value(RunMetric::Score, 96.0), "96");
        assert_eq!(value(RunMetric::Score, 95.5), "95.5");
        assert_eq!(value(RunMetric::SuccessRate, 0.99), "99.0");
        assert_eq!(value(RunMetric::LatencyP50, 1.2345), "1.23");
        assert_eq!(value(RunMetric::LatencyP99, f64::NAN), "-");
        assert_eq!(mean(RunMetric::Attempts, 123.456), "123.5");
    }

    // ---- A live run's report as users get it: tables, files, pages, charts.

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
            live_compared(&page, None)
                .contains("smallest p <0.0001 after Holm (V1 larkin, p99 ms)")
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
        assert_eq!(
            live_counts(&page),
            "Load generator and proxy agree on every count of every run."
        );
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
            *request =
                LiveRequest { latency_ms: None, end: RequestEnd::Lost, attempts: 0, ..*request };
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
        not_begun.runs[0].ledger = flakelab_core::balancer::Ledger::new(3);
        (not_begun.interrupted, not_begun.verdict) = (true, None);
        odd.push(("nothing was sent", not_begun));
        let mut unpredicted = made(10, 3);
        unpredicted.prediction.runs.clear();
        unpredicted.verdict = None;
        odd.push(("nothing was predicted", unpredicted));
        let mut slow = made(200, 10);
        for (i, request) in slow.runs[0].requests.iter_mut().enumerate() {
            request.latency_ms =
                request.latency_ms.map(|ms| ms * if i > 190 { 400.0 } else { 1.0 });
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
}
