//! `report.md` of a live run: verdict, table, charts, every comparison, and how it was made.

use std::fmt::Write;

use super::compare::{bases, markdown_of};
use super::table::{heading, markdown_table, no_ranking};
use super::{LiveMade, LivePage, Reconciliation, live_counts, live_verdict};
use crate::report::charts::Chart;
use crate::report::numbers::{fixed, thousands};
use crate::report::table::Table;
use crate::report::text::{capital, escaped, figure};
use crate::validate::forecast::PredictedConfig;

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
        escaped(&heading(page)),
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
