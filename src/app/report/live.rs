//! The files of a live run's results folder, all but those that are written while it runs.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde::Serialize;

use crate::charts::{Chart, draw_live};
use crate::report::folder::Manifest;
use crate::report::live_page::{LivePage, LiveRow, Reconciliation, bases, live_counts};
use crate::report::live_table::{
    live_heading, markdown_of, markdown_of_servers, markdown_table, no_ranking,
};
use crate::report::live_verdict::{is_rejected, live_verdict, never_simulated};
use crate::report::numbers::{fixed, thousands};
use crate::report::records::{Record, csv_of};
use crate::report::sweep::{Files, add_charts, slug};
use crate::report::table::Table;
use crate::report::text::{capital, escaped, figure};
use flakelab_fit::{Basis, PredictedConfig, RunMetric, Verdict};

/// How a live run was made.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveMade {
    /// The results folder's name, which is the report's heading.
    pub name: String,
    /// What made it; replications are runs, over all configs.
    pub manifest: Manifest,
    /// What the servers were, in a sentence.
    pub servers: String,
    /// What else lies in the folder: name and meaning.
    pub other_files: Vec<(String, String)>,
}

/// All these files. PNG beside every SVG where `png`.
pub fn live_files(pages: &[LivePage], made: &LiveMade, png: bool) -> anyhow::Result<Files> {
    let mut files = vec![
        ("summary.csv".to_owned(), live_summary_csv(pages)?.into_bytes()),
        ("summary.json".to_owned(), live_summary_json(pages)?.into_bytes()),
    ];
    let mut taken = BTreeSet::new();
    let mut drawn = Vec::new();
    for page in pages {
        let slug = slug(page.config(), &mut taken);
        drawn.push(add_charts(&mut files, &slug, draw_live(page)?, png)?);
    }
    files.push(("report.md".to_owned(), report(pages, made, &drawn).into_bytes()));
    files.push((Manifest::FILE.to_owned(), made.manifest.to_json().into_bytes()));
    Ok(files)
}

/// `report.md`: verdict, table, charts, every comparison, and how it was made. `charts` holds, for
/// each page, its charts with the paths of their files.
pub fn report(pages: &[LivePage], made: &LiveMade, charts: &[Vec<(String, Chart)>]) -> String {
    let mut text = format!("# {}\n", escaped(&made.name));
    if made.manifest.interrupted {
        let _ = write!(
            text,
            "\n**Interrupted: {} of {} runs were played to the end.**\n",
            made.manifest.finished, made.manifest.replications
        );
    }
    for (page, of_page) in pages.iter().zip(charts) {
        text += &section(page, of_page);
    }
    text += &how_made(pages, made);
    text += &files(made, charts);
    text + READING
}

fn section(page: &LivePage, charts: &[(String, Chart)]) -> String {
    let title = escaped(&capital(&page.title()));
    // Writing to a string cannot fail.
    let mut text = format!("\n## {title}\n\n**{}**\n", escaped(&live_verdict(page)));
    for note in &page.notes {
        let _ = write!(text, "\nNote: {}\n", escaped(note));
    }
    let _ = write!(
        text,
        "\n{}.\n\n{}\n{}\n",
        escaped(&live_heading(page)),
        markdown_table(page),
        escaped(&no_ranking(page))
    );
    for (path, chart) in charts {
        text += &figure(path, &chart.title, &chart.caption);
    }
    if let Some(verdict) = &page.verdict {
        for basis in bases(verdict) {
            let _ = write!(
                text,
                "\n### Live against predicted: {}\n\n{}\n{}",
                escaped(basis.name()),
                markdown_of(verdict, basis),
                markdown_of_servers(page, verdict, basis)
            );
        }
        if !verdict.impossible.is_empty() {
            text += "\n### What no server did in any simulated run\n\n";
            for it in &verdict.impossible {
                let _ = writeln!(text, "- {}", escaped(&capital(&never_simulated(page, it))));
            }
        }
    }
    text + &reconciliation(page)
}

fn reconciliation(page: &LivePage) -> String {
    let runs = &page.reconciliation;
    if runs.is_empty() {
        return String::new();
    }
    let counts = runs.iter().flat_map(|run| run.counts.iter().map(move |c| (&*run.strategy, c)));
    let count = |n: Option<u64>| n.map_or("-".to_owned(), thousands);
    let table = Table::of(counts)
        .text("strategy", |(strategy, _)| (*strategy).to_owned())
        .text("count", |(_, c)| c.what.clone())
        .number("load generator", |(_, c)| count(c.load_generator))
        .number("proxy", |(_, c)| count(c.proxy))
        .number("servers' log", |(_, c)| count(c.servers))
        .number("agree", |(_, c)| if c.agree { "yes" } else { "**no**" }.to_owned())
        .markdown();
    format!(
        "\n### Independent counts\n\n{}\n\n{}",
        escaped(&live_counts(page)),
        table.replace("\\*\\*no\\*\\*", "**no**")
    )
}

fn how_made(pages: &[LivePage], made: &LiveMade) -> String {
    let mut text = format!(
        "\n## How this was made\n\n- Command: `{}`\n- Seed: {}\n- Servers: {}\n",
        made.manifest.argv.join(" ").replace('`', "'"),
        made.manifest.master_seed,
        escaped(&made.servers)
    );
    for page in pages {
        let p = &page.prediction;
        let _ = writeln!(
            text,
            "- {}: {} simulated runs for each strategy and basis, seed {}. The predictions from the \
             model and from true rates were written before the first request; those from the other \
             runs, and latencies over the path as it was during each run, were made after the runs. \
             {}",
            escaped(&page.title()),
            thousands(p.replications),
            p.seed,
            overhead(p)
        );
    }
    text
}

/// What the machine itself adds to latencies.
fn overhead(prediction: &PredictedConfig) -> String {
    prediction.overhead.map_or_else(
        || "What client and proxy add to latencies on this machine was not measured.".to_owned(),
        |o| {
            format!(
                "Overhead of client and proxy on this machine, measured with {} requests before \
                 the run (medians): {} ms for a first attempt, {} ms for a further one, {} ms for \
                 a request beside its attempts.",
                thousands(o.requests as u64),
                fixed(o.first_attempt_p50_ms, 2),
                fixed(o.retry_p50_ms, 2),
                fixed(o.request_p50_ms, 2)
            )
        },
    )
}

fn files(made: &LiveMade, charts: &[Vec<(String, Chart)>]) -> String {
    let mut text = "\n## Files in this folder\n\n".to_owned();
    let ours = [
        ("report.md", "this page"),
        ("summary.csv", "one row a config and strategy: the table above and the verdict"),
        ("summary.json", "the same with every comparison and the counts of the three sides"),
        ("manifest.json", "command, version, seed, and whether it was interrupted"),
    ];
    for (name, meaning) in ours {
        let _ = writeln!(text, "- `{name}`: {meaning}");
    }
    if charts.iter().any(|of_page| !of_page.is_empty()) {
        text += "- `charts/`: the pictures of this page\n";
    }
    for (name, meaning) in &made.other_files {
        let _ = writeln!(text, "- `{}`: {}", name.replace('`', "'"), meaning);
    }
    text
}

const READING: &str = "\n## How to read this\n\n\
- Score is requests answered 200 minus penalties. A request's latency runs from when it was due to \
its answer.\n\
- PIT is where the observed number falls among the simulated ones, from 0 (below all) to 1 (above \
all); ties are broken at random. p is 2 min(PIT, 1 - PIT); p (Holm) is adjusted for the number of \
comparisons of the config. 0.01 or less rejects.\n\
- \"model\" knows the servers' model alone; \"this start, by the other runs\" has learnt from what \
the other strategies met at the same servers; \"this start, by its true rates\" knows the true \
error rates, which only our own stand-in servers tell.\n\
- Of the servers, the one that stands out most is shown: p is the chance that in a run as predicted \
some server stands out as much.\n\
- A single run of each strategy is mostly luck: `flakelab sweep` ranks strategies, over thousands \
of runs.\n";

/// The content of `summary.csv`: one row a config and strategy, with the columns that
/// results/README.md explains. What is not known is an empty cell.
pub fn live_summary_csv(pages: &[LivePage]) -> Result<String, csv::Error> {
    let of_page = |page: &LivePage| -> Vec<Record> {
        page.runs.iter().map(|run| record(page, &LiveRow::of(run))).collect()
    };
    csv_of(pages.iter().flat_map(of_page))
}

fn record(page: &LivePage, row: &LiveRow) -> Record {
    let known = |x: f64| x.is_finite().then_some(x);
    let predicted = page.prediction.forecasts(&row.strategy, RunMetric::Score).pop();
    let score = predicted.map(|(_, forecast)| forecast);
    let judged: Option<Vec<f64>> = page.verdict.as_ref().map(|verdict| {
        let numbers = verdict.tests.iter().map(|t| (&t.strategy, t.adjusted_p_value));
        let servers = verdict.servers.iter().map(|t| (&t.strategy, t.adjusted_p_value));
        let all = numbers.chain(servers).filter(|(strategy, _)| **strategy == row.strategy);
        all.filter_map(|(_, p)| p).collect()
    });
    let rejected = judged.as_ref().map(|p| p.iter().filter(|p| is_rejected(Some(**p))).count());
    let impossible = page.verdict.as_ref().map_or(0, |verdict| {
        verdict.impossible.iter().filter(|it| it.strategy == row.strategy).count()
    });
    let any = impossible > 0 || judged.as_ref().is_some_and(|p| !p.is_empty());
    let p_values = judged.iter().flatten().copied();
    let basis = predicted.map(|(basis, _)| match basis {
        Basis::Model => "model",
        Basis::OtherRuns => "other_runs",
        Basis::TrueRates => "true_rates",
    });
    Record::default()
        .cell("config", page.config())
        .cell("strategy", row.strategy.as_str())
        .cell("replications", 1_u64)
        .cell("requests", row.requests)
        .cell("score_mean", known(row.score))
        .cell("success_rate", known(row.success_rate))
        .cell("attempts_per_request", known(row.attempts as f64 / row.requests as f64))
        .cell("attempts", row.attempts)
        .cell("retries_mean", row.retries)
        .cell("penalty_mean", known(row.penalty))
        .cell("rate_limited_mean", row.rate_limited)
        .cell("timed_out_mean", row.timed_out)
        .cell("regret_mean", row.regret)
        .cell("latency_p50_ms", known(row.latency_p50_ms))
        .cell("latency_p90_ms", known(row.latency_p90_ms))
        .cell("latency_p99_ms", known(row.latency_p99_ms))
        .cell("busiest_share", known(row.busiest_share))
        .cell("drift_p99_ms", known(row.drift_p99_ms))
        .cell("drift_max_ms", known(row.drift_max_ms))
        .cell("refused", row.refused)
        .cell("lost", row.lost)
        .cell("predicted_from", basis)
        .cell("score_predicted_mean", score.map(|f| f.mean))
        .cell("score_predicted_low", score.map(|f| f.interval.low))
        .cell("score_predicted_high", score.map(|f| f.interval.high))
        .cell("judged", judged.as_ref().map(Vec::len))
        .cell("rejected", rejected)
        .cell("least_p_value", p_values.reduce(f64::min))
        .cell("held", rejected.filter(|_| any).map(|n| n + impossible == 0))
}

#[derive(Serialize)]
struct Summary<'a> {
    schema: u32,
    configs: Vec<ConfigSummary<'a>>,
}

#[derive(Serialize)]
struct ConfigSummary<'a> {
    config: &'a str,
    requests: u64,
    requests_per_second: f64,
    interrupted: bool,
    runs: Vec<LiveRow>,
    conclusion: String,
    verdict: Option<&'a Verdict>,
    reconciliation: &'a [Reconciliation],
    notes: &'a [String],
}

/// The content of `summary.json`: the same with every comparison; what is not known is `null`.
pub fn live_summary_json(pages: &[LivePage]) -> Result<String, serde_json::Error> {
    let configs = pages.iter().map(|page| ConfigSummary {
        config: page.config(),
        requests: page.prediction.requests,
        requests_per_second: page.prediction.requests_per_second,
        interrupted: page.interrupted,
        runs: page.runs.iter().map(LiveRow::of).collect(),
        conclusion: live_verdict(page),
        verdict: page.verdict.as_ref(),
        reconciliation: &page.reconciliation,
        notes: &page.notes,
    });
    let summary = Summary { schema: 1, configs: configs.collect() };
    Ok(serde_json::to_string_pretty(&summary)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charts::{assert_well_formed, is_chart_file};
    use crate::report::live_table::{live_compared, live_table};
    use crate::report::sample::{made, made_of};
    use flakelab_core::balancer::{Ledger, ServerCounts};
    use flakelab_fit::{LiveRequest, RequestEnd};

    fn made_so() -> LiveMade {
        LiveMade {
            name: "live-test".to_owned(),
            manifest: Manifest {
                argv: ["flakelab", "live", "--config", "0"].map(str::to_owned).to_vec(),
                live: true,
                ..Manifest::new("abcd", 42, 5, 5)
            },
            servers: "our own stand-in, config 0".to_owned(),
            other_files: vec![("traces/".to_owned(), "every attempt".to_owned())],
        }
    }

    fn files(page: &LivePage) -> Vec<(String, String)> {
        let files = live_files(std::slice::from_ref(page), &made_so(), false).unwrap();
        files.into_iter().map(|(name, bytes)| (name, String::from_utf8(bytes).unwrap())).collect()
    }

    fn file(page: &LivePage, name: &str) -> String {
        files(page).into_iter().find(|(found, _)| found == name).unwrap().1
    }

    fn headings(text: &str) -> Vec<&str> {
        let line = text.lines().find(|line| line.starts_with('│')).unwrap();
        line.split(['│', '┆']).map(str::trim).filter(|heading| !heading.is_empty()).collect()
    }

    #[test]
    fn every_table_fits_on_eighty_columns_and_a_wide_terminal_shows_it_whole() {
        let made = made(100, 10);
        let page = &made.page;
        let tables = |text: &str| text.matches('┌').count();
        let (runs, compared) = (live_table(page, Some(80)), live_compared(page, Some(80)));
        assert!(tables(&runs) == 2 && tables(&compared) <= 3, "{runs}\n{compared}");
        let text = format!("{runs}\n{compared}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let whole = live_table(page, Some(200));
        let headings: Vec<&str> = headings(&whole);
        assert_eq!((tables(&whole), headings.len(), headings[1]), (1, 14, "requests"));
        assert!(text.contains("ranks: flakelab sweep --config 0"), "{text}");
    }

    #[test]
    fn a_part_of_a_run_shows_its_number_of_requests_on_a_narrow_terminal_too() {
        let mut page = made(100, 10).page;
        page.runs.truncate(2);
        page.runs[1].requests.truncate(31);
        (page.interrupted, page.verdict) = (true, None);
        assert!(headings(&live_table(&page, Some(80))).contains(&"requests"));
        assert!(live_table(&page, None).contains("interrupted in run 2 of 5"));
        assert_eq!(live_compared(&page, None), "");
    }

    #[test]
    fn the_csv_has_a_row_a_run_and_empty_cells_for_what_is_not_known() {
        let mut page = made(100, 10).page;
        for request in &mut page.runs[0].requests {
            (request.latency_ms, request.end, request.attempts) = (None, RequestEnd::Lost, 0);
        }
        page.verdict = None;
        let csv = live_summary_csv(&[page]).unwrap();
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
        let mut page = made(100, 10).page;
        let verdict = page.verdict.as_mut().unwrap();
        let test = verdict.tests.iter_mut().find(|t| t.metric == RunMetric::LatencyP99).unwrap();
        test.p_value = 1e-7;
        verdict.adjust();
        assert!(
            live_compared(&page, None)
                .contains("smallest p <0.0001 after Holm (V1 larkin, p99 ms)")
        );
        assert!(file(&page, "report.md").contains("| rejected |"));
        let csv = file(&page, "summary.csv");
        assert!(csv.lines().nth(1).unwrap().ends_with(",false"), "{csv}");
        assert!(csv.lines().nth(2).unwrap().ends_with(",true"), "{csv}");
        let json: serde_json::Value = serde_json::from_str(&file(&page, "summary.json")).unwrap();
        assert_eq!(json["configs"][0]["verdict"]["held"], false);
        assert_eq!(json["configs"][0]["runs"][0]["strategy"], "V1 larkin");
    }

    #[test]
    fn three_counts_that_agree_take_a_sentence_and_others_are_pointed_out() {
        let mut page = made(20, 4).page;
        let run = &page.runs[0];
        let good = Reconciliation::new(run, Some(&run.ledger.servers));
        assert!(good.agrees(), "{good:?}");
        let mut log: Vec<ServerCounts> = run.ledger.servers.clone();
        log.swap(0, 1);
        let sums_agree = Reconciliation::new(run, Some(&log));
        assert!(!sums_agree.agrees(), "each server is compared, not the sum alone");
        let lonely = Reconciliation::new(run, None);
        page.reconciliation = vec![good];
        assert!(file(&page, "report.md").contains("agree on every count of every run"));
        page.reconciliation.push(sums_agree);
        let report = file(&page, "report.md");
        assert!(
            report.contains("do not agree. V1 larkin: servers whose own")
                && report.contains("| **no** |")
        );
        page.reconciliation = vec![lonely];
        assert_eq!(
            live_counts(&page),
            "Load generator and proxy agree on every count of every run."
        );
    }

    #[test]
    fn the_page_says_how_it_was_made_and_the_manifest_comes_last() {
        let page = made(100, 10).page;
        let written = files(&page);
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
        assert_eq!(written, files(&page), "the same bytes again");
    }

    #[test]
    fn odd_runs_are_drawn_too() {
        let mut odd: Vec<(&str, LivePage)> = vec![
            ("one strategy", made_of(&["thompson"], 100, 10).page),
            ("one request", made(1, 10).page),
            ("128 servers", made(100, 128).page),
            ("a reference", made_of(&["random", "larkin"], 30, 3).page),
        ];
        let mut no_answer = made(50, 10);
        for request in no_answer.page.runs.iter_mut().flat_map(|run| &mut run.requests) {
            *request =
                LiveRequest { latency_ms: None, end: RequestEnd::Lost, attempts: 0, ..*request };
        }
        no_answer.judge();
        odd.push(("no answer at all", no_answer.page));
        let mut some_lost = made(100, 10).page;
        for request in some_lost.runs[1].requests.iter_mut().step_by(7) {
            (request.latency_ms, request.end) = (None, RequestEnd::Lost);
        }
        some_lost.runs[2].requests.truncate(40);
        some_lost.runs.truncate(3);
        (some_lost.interrupted, some_lost.verdict) = (true, None);
        odd.push(("lost requests, interrupted", some_lost));
        let mut not_begun = made(10, 3).page;
        not_begun.runs.truncate(1);
        not_begun.runs[0].requests.clear();
        not_begun.runs[0].ledger = Ledger::new(3);
        (not_begun.interrupted, not_begun.verdict) = (true, None);
        odd.push(("nothing was sent", not_begun));
        let mut unpredicted = made(10, 3).page;
        unpredicted.prediction.runs.clear();
        unpredicted.verdict = None;
        odd.push(("nothing was predicted", unpredicted));
        let mut slow = made(200, 10);
        for (i, request) in slow.page.runs[0].requests.iter_mut().enumerate() {
            request.latency_ms =
                request.latency_ms.map(|ms| ms * if i > 190 { 400.0 } else { 1.0 });
            request.drift_ms = f64::NAN;
        }
        slow.judge();
        odd.push(("slow answers, no drift", slow.page));
        for (what, page) in &odd {
            for (name, svg) in files(page).iter().filter(|(name, _)| name.ends_with(".svg")) {
                assert_well_formed(svg);
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{what}: {name}");
            }
        }
    }
}
