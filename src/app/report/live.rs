//! The files of a live run's results folder, all but those that are written while it runs.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde::Serialize;

use crate::charts::{Chart, LiveRuns, draw_live};
use crate::report::folder::Manifest;
use crate::report::live_page::{LiveMade, LivePage, LiveRow, bases};
use crate::report::live_table::{
    live_heading, live_verdict, markdown_of, markdown_table, no_ranking,
};
use crate::report::numbers::{fixed, thousands};
use crate::report::records::{Record, csv_of};
use crate::report::sweep::{Files, ResultsError, add_charts, slug};
use crate::report::table::Table;
use crate::report::text::{capital, escaped, figure};
use flakelab_core::balancer::ServerCounts;
use flakelab_fit::{
    Basis, Judgement, LiveRun, PredictedConfig, RequestEnd, RunMetric, TestedMetric, Verdict,
};

/// All these files. PNG beside every SVG where `png`.
///
/// # Errors
/// When a chart cannot be drawn or a summary cannot be written.
pub fn live_files(pages: &[LivePage], made: &LiveMade, png: bool) -> Result<Files, ResultsError> {
    let mut files = vec![
        ("summary.csv".to_owned(), live_summary_csv(pages)?.into_bytes()),
        ("summary.json".to_owned(), live_summary_json(pages)?.into_bytes()),
    ];
    let mut taken = BTreeSet::new();
    let mut drawn = Vec::new();
    for page in pages {
        let LivePage { prediction, runs, servers, interrupted, .. } = *page;
        let charts = draw_live(&LiveRuns { prediction, runs, servers, interrupted })?;
        drawn.push(add_charts(&mut files, &slug(page.config, &mut taken), charts, png)?);
    }
    files.push(("report.md".to_owned(), report(pages, made, &drawn).into_bytes()));
    let manifest = Manifest {
        argv: made.argv.clone(),
        interrupted: made.interrupted,
        live: true,
        ..Manifest::new(&made.spec_hash, made.seed, made.planned, made.finished)
    };
    files.push((Manifest::FILE.to_owned(), manifest.to_json().into_bytes()));
    Ok(files)
}

// ---- `report.md` of a live run: verdict, table, charts, every comparison, and how it was made.

/// The page. `charts` holds, for each page, its charts with the paths of their files.
pub fn report(pages: &[LivePage], made: &LiveMade, charts: &[Vec<(String, Chart)>]) -> String {
    let mut text = format!("# {}\n", escaped(&made.name));
    if made.interrupted {
        let _ = write!(
            text,
            "\n**Interrupted: {} of {} runs were played to the end.**\n",
            made.finished, made.planned
        );
    }
    for (i, page) in pages.iter().enumerate() {
        let of_page = charts.get(i).map_or(&[][..], Vec::as_slice);
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
    for note in page.notes {
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
    if let Some(verdict) = page.verdict {
        for basis in bases(verdict) {
            let _ = write!(
                text,
                "\n### Live against predicted: {}\n\n{}",
                escaped(basis.name()),
                markdown_of(verdict, basis)
            );
        }
    }
    text + &reconciliation(page)
}

/// The counts of the three sides.
fn reconciliation<'p>(page: &LivePage<'p>) -> String {
    let runs = page.reconciliation;
    if runs.is_empty() {
        return String::new();
    }
    let each = |run: &'p Reconciliation| run.counts.iter().map(move |c| (&*run.strategy, c));
    let count = |n: Option<u64>| n.map_or("-".to_owned(), thousands);
    let table = Table::of(runs.iter().flat_map(each))
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
        made.argv.join(" ").replace('`', "'"),
        made.seed,
        escaped(&made.servers)
    );
    for page in pages {
        let p = page.prediction;
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
- A single run of each strategy is mostly luck: `flakelab sweep` ranks strategies, over thousands \
of runs.\n";

// ---- Three sides count the same run: the load generator, the proxy, the servers. Do they agree?
//
// What disagrees is a bug or a fault on the way (an attempt that timed out before the server
// wrote it down, say), never luck.

/// The counts of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reconciliation {
    /// The strategy's label.
    pub strategy: String,
    /// What was counted.
    pub counts: Vec<ReconciledCount>,
}

/// One thing that more than one side counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReconciledCount {
    /// What, in words.
    pub what: String,
    /// By the load generator; none if it cannot know.
    pub load_generator: Option<u64>,
    /// By the proxy.
    pub proxy: Option<u64>,
    /// By the servers' log; none without such a log.
    pub servers: Option<u64>,
    /// Whether all that counted it found the same.
    pub agree: bool,
}

impl Reconciliation {
    /// Puts the run's counts side by side with those of the servers' log, one entry a server in
    /// the model's order; none if the servers keep no log that we know.
    #[must_use]
    pub fn new(run: &LiveRun, log: Option<&[ServerCounts]>) -> Self {
        let ends = |end: RequestEnd| run.requests.iter().filter(|r| r.end == end).count() as u64;
        let of_log = |count: fn(&ServerCounts) -> u64| log.map(|log| log.iter().map(count).sum());
        let ledger = &run.ledger;
        // Nobody tells the load generator of the attempts of a request that got no answer.
        let said = (ends(RequestEnd::Lost) == 0)
            .then(|| run.requests.iter().map(|r| u64::from(r.attempts)).sum());
        let ok = |servers: &[ServerCounts]| servers.iter().map(|s| s.successes).sum();
        let counted = ReconciledCount::new;
        let mut counts = vec![
            counted("requests", Some(run.requests.len() as u64), Some(ledger.arrived), None),
            counted("answered 200", Some(ends(RequestEnd::Ok)), Some(ledger.answered_ok), None),
            counted(
                "answered 500",
                Some(ends(RequestEnd::Error)),
                Some(ledger.answered_error),
                None,
            ),
            counted("attempts", said, Some(ledger.attempts), of_log(|s| s.attempts)),
            counted(
                "attempts that succeeded",
                None,
                Some(ok(&ledger.servers)),
                of_log(|s| s.successes),
            ),
            counted(
                "attempts refused with 429",
                None,
                Some(ledger.rate_limited()),
                of_log(|s| s.rate_limited),
            ),
        ];
        if let Some(log) = log {
            // Sums may agree by chance; servers one by one hardly do.
            let by_server = |servers: &[ServerCounts]| -> Vec<u64> {
                servers.iter().map(|s| s.attempts).collect()
            };
            let differ = ReconciledCount {
                what: "servers whose own count of attempts differs".to_owned(),
                load_generator: None,
                proxy: None,
                servers: Some(differences(&by_server(&ledger.servers), &by_server(log))),
                agree: by_server(&ledger.servers) == by_server(log),
            };
            counts.push(differ);
        }
        Self { strategy: run.strategy.label(), counts }
    }

    /// Whether all sides agree on everything.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.counts.iter().all(|count| count.agree)
    }
}

impl ReconciledCount {
    /// `attempts: load generator 114, proxy 114, servers 113`.
    fn told(&self) -> String {
        let sides = [
            ("load generator", self.load_generator),
            ("proxy", self.proxy),
            ("servers", self.servers),
        ];
        let known: Vec<String> = sides
            .iter()
            .filter_map(|(side, count)| count.map(|n| format!("{side} {}", thousands(n))))
            .collect();
        format!("{}: {}", self.what, known.join(", "))
    }

    fn new(
        what: &str,
        load_generator: Option<u64>,
        proxy: Option<u64>,
        servers: Option<u64>,
    ) -> Self {
        let mut known = [load_generator, proxy, servers].into_iter().flatten();
        let first = known.next();
        let agree = known.all(|count| Some(count) == first);
        Self { what: what.to_owned(), load_generator, proxy, servers, agree }
    }
}

/// Whether the counts of the runs agree, in a sentence, those that do not one by one; empty
/// where nothing was counted.
#[must_use]
pub fn live_counts(page: &LivePage) -> String {
    let runs = page.reconciliation;
    if runs.is_empty() {
        return String::new();
    }
    let has_log = runs.iter().flat_map(|run| &run.counts).any(|count| count.servers.is_some());
    let sides =
        if has_log { "Load generator, proxy and servers" } else { "Load generator and proxy" };
    let differing: Vec<String> = runs
        .iter()
        .flat_map(|run| run.counts.iter().filter(|c| !c.agree).map(move |c| (run, c)))
        .map(|(run, count)| format!("{}: {}", run.strategy, count.told()))
        .collect();
    match &differing[..] {
        [] => format!("{sides} agree on every count of every run."),
        some => format!("{sides} do not agree. {}.", some.join("; ")),
    }
}

/// Positions at which two lists differ.
fn differences(a: &[u64], b: &[u64]) -> u64 {
    let both = a.iter().zip(b).filter(|(a, b)| a != b).count();
    (both + a.len().abs_diff(b.len())) as u64
}

// ---- `summary.csv`, one row a config and strategy, and `summary.json`, the same with the verdicts.
//
// | Columns of `summary.csv` | Meaning |
// |---|---|
// | `config` to `requests` | which run; `replications` is 1; `requests` are those sent |
// | `score_mean` to `latency_p99_ms` | as in a sweep's `summary.csv`, of this one run |
// | `busiest_share` | attempts at the server that got most, as a share of all, 0 to 1 |
// | `drift_p99_ms`, `drift_max_ms` | how much later than due requests were sent |
// | `refused`, `lost` | requests answered neither 200 nor 500; requests without any answer |
// | `predicted_from` | what the sharpest prediction knew: `model`, `other_runs`, `true_rates` |
// | `score_predicted_mean`, `_low`, `_high` | its mean and 95 % interval of the score |
// | `judged`, `rejected` | comparisons of this strategy that count, and that reject at 1 % |
// | `least_p_value` | the smallest p-value of this strategy, adjusted by Holm over the config |
// | `held` | whether none of this strategy rejects; empty where nothing was judged |
//
// What is not known is an empty cell.

/// The content of `summary.csv`.
///
/// # Errors
/// When a row cannot be written as CSV.
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
    let judged: Option<Vec<&TestedMetric>> = page.verdict.map(|verdict| {
        let counts =
            |t: &&TestedMetric| t.strategy == row.strategy && t.judgement == Judgement::Judged;
        verdict.tests.iter().filter(counts).collect()
    });
    let rejected = judged
        .as_ref()
        .map(|tests| tests.iter().filter(|t| crate::report::live_table::is_rejected(t)).count());
    let any = judged.as_ref().is_some_and(|tests| !tests.is_empty());
    let p_values = judged.iter().flatten().filter_map(|t| t.adjusted_p_value);
    let basis = predicted.map(|(basis, _)| match basis {
        Basis::Model => "model",
        Basis::OtherRuns => "other_runs",
        Basis::TrueRates => "true_rates",
    });
    Record::default()
        .cell("config", page.config)
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
        .cell("held", rejected.filter(|_| any).map(|n| n == 0))
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
    /// The verdict in words.
    conclusion: String,
    verdict: Option<&'a Verdict>,
    reconciliation: &'a [Reconciliation],
    notes: &'a [String],
}

/// The content of `summary.json`; what is not known is `null`.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn live_summary_json(pages: &[LivePage]) -> Result<String, serde_json::Error> {
    let configs = pages.iter().map(|page| ConfigSummary {
        config: page.config,
        requests: page.prediction.requests,
        requests_per_second: page.prediction.requests_per_second,
        interrupted: page.interrupted,
        runs: page.runs.iter().map(LiveRow::of).collect(),
        conclusion: live_verdict(page),
        verdict: page.verdict,
        reconciliation: page.reconciliation,
        notes: page.notes,
    });
    let summary = Summary { schema: 1, configs: configs.collect() };
    Ok(serde_json::to_string_pretty(&summary)? + "\n")
}
