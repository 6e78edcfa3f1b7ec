//! Every metric of every run on what was predicted of it: small multiples, one a metric.
//!
//! A run's predictions lie one above the other, that which knew least on top; the upright line
//! through them is what was seen.

use crate::charts::draw::{Anchor, Chart, GRID, Ink, Point, TEXT, fitted, width};
use crate::charts::live::{BELOW, beside, page, panel};
use crate::charts::number::significant;
use crate::charts::page::{Axis, LABEL_ROOM, MARGIN, Page, Plot, SMALL, WIDTH, name_font, range};
use crate::report::{LivePage, counted, list, sorted};
use flakelab_core::stats::Interval;
use flakelab_fit::{Basis, LiveRun, MetricForecast, RunMetric};

/// Panels in a row.
const ACROSS: usize = 3;

const GAP: f64 = 34.0;

/// Height of one prediction.
const BAR: f64 = 11.0;

/// Between strategies.
const APART: f64 = 13.0;

/// A latency whose values span more than so many times gets a logarithmic axis.
const WIDE: f64 = 12.0;

pub(crate) fn predicted_chart(of: &LivePage) -> anyhow::Result<Chart> {
    let reading = "Bars: what simulated runs gave, 95 % of them (pale) and the middle half (dark). \
                   Upright line with mark: what was seen";
    let mut page = page("Live against predicted", of, reading);
    let bases = of.bases();
    if of.runs.is_empty() || bases.is_empty() {
        page.nothing("no run with a prediction");
        return page.finish("live-predicted", String::new());
    }
    legend(&mut page, &bases);
    let (looks, labels) = (of.looks(), of.labels());
    let row = row(&bases);
    let height = of.runs.len() as f64 * row;
    let font = name_font(labels.iter().map(String::as_str));
    let names = labels.iter().map(|label| width(label, font)).fold(60.0, f64::max);
    let left = MARGIN + 28.0 + names.min(LABEL_ROOM) + 16.0;
    let (left_out, metrics): (Vec<RunMetric>, Vec<RunMetric>) =
        RunMetric::ALL.into_iter().partition(|metric| all_the_same(of, *metric));
    if metrics.is_empty() {
        page.nothing("every simulated run gave the very numbers that were seen");
    }
    for line in metrics.chunks(ACROSS) {
        let first = beside(&page, (left, WIDTH - MARGIN), (0, ACROSS), height, GAP);
        for (i, label) in labels.iter().enumerate() {
            let y = first.top + (i as f64 + 0.5) * row;
            looks[i].mark.draw(&mut page.scene, (MARGIN + 10.0, y), 7.0, looks[i].ink);
            let label = fitted(label, font, LABEL_ROOM);
            page.scene.text(&label, (MARGIN + 28.0, y + 6.0), Anchor::Start, font, TEXT);
        }
        for (n, metric) in line.iter().enumerate() {
            let plot = beside(&page, (left, WIDTH - MARGIN), (n, ACROSS), height, GAP);
            draw(&mut page, of, &bases, *metric, &plot);
        }
        page.y = first.bottom + BELOW + 8.0;
    }
    page.finish("live-predicted", predicted_caption(of, &bases, &left_out))
}

/// Height of a strategy's row.
fn row(bases: &[Basis]) -> f64 {
    (bases.len() as f64 * BAR + APART).max(30.0)
}

/// One tone for what lies between the quantiles, a darker one for the middle half.
fn tones(basis: Basis) -> (Ink, Ink) {
    match basis {
        Basis::Model => (Ink::solid(0xDD, 0xDD, 0xDD), Ink::solid(0x99, 0x99, 0x99)),
        Basis::OtherRuns => (Ink::solid(0xB9, 0xD9, 0xEE), Ink::solid(0x56, 0xA4, 0xD0)),
        Basis::TrueRates => (Ink::solid(0x9E, 0xB6, 0xD2), Ink::solid(0x1F, 0x4E, 0x8C)),
    }
}

fn legend(page: &mut Page, bases: &[Basis]) {
    let mut x = MARGIN;
    let y = page.y + 8.0;
    page.text("predicted from:", (x, y + 5.5), Anchor::Start);
    x += width("predicted from:", SMALL) + 14.0;
    for basis in bases {
        let (pale, dark) = tones(*basis);
        page.scene.rectangle((x, y - 6.0), (x + 44.0, y + 6.0), pale);
        page.scene.rectangle((x + 13.0, y - 6.0), (x + 31.0, y + 6.0), dark);
        page.text(basis.name(), (x + 52.0, y + 5.5), Anchor::Start);
        x += 52.0 + width(basis.name(), SMALL) + 20.0;
    }
    page.y += 24.0;
}

/// Whether every simulated run and every run seen gave one number: a panel of it shows nothing.
fn all_the_same(of: &LivePage, metric: RunMetric) -> bool {
    range(values(of, metric)).is_some_and(|(low, high)| low == high)
}

/// All values that a panel of a metric shows. What was seen of a part of a run is not among them.
fn values(of: &LivePage, metric: RunMetric) -> Vec<f64> {
    let mut values = Vec::new();
    for run in &of.runs {
        values.extend(of.is_whole(run).then(|| run.value(metric)));
        let forecasts = of.forecasts(run, metric).into_iter();
        values.extend(forecasts.flat_map(|(_, f)| [f.interval.low, f.interval.high]));
    }
    values
}

fn heading(metric: RunMetric) -> &'static str {
    match metric {
        RunMetric::Score => "score (points)",
        RunMetric::SuccessRate => "success (%)",
        RunMetric::Attempts => "attempts",
        RunMetric::Penalty => "penalty (points)",
        RunMetric::RateLimited => "answers 429",
        RunMetric::LatencyP50 => "latency p50 (ms)",
        RunMetric::LatencyP99 => "latency p99 (ms)",
        RunMetric::BusiestShare => "busiest server (%)",
    }
}

/// In the unit of the plot.
fn scaled(metric: RunMetric, value: f64) -> f64 {
    match metric {
        RunMetric::SuccessRate | RunMetric::BusiestShare => value * 100.0,
        _ => value,
    }
}

fn draw(page: &mut Page, of: &LivePage, bases: &[Basis], metric: RunMetric, plot: &Plot) {
    let ends = range(values(of, metric).into_iter().map(|value| scaled(metric, value)));
    let axis = match ends {
        Some((low, high)) if metric.is_latency() && low > 0.0 && high / low > WIDE => {
            Axis::log("", ends)
        }
        _ => Axis::linear("", ends),
    };
    let name = if ends.is_some() {
        heading(metric).to_owned()
    } else {
        format!("{}: unknown", heading(metric))
    };
    panel(page, plot, &name, &axis);
    let x = |value: f64| plot.x(&axis, scaled(metric, value));
    let looks = of.looks();
    let row = row(bases);
    let half = bases.len() as f64 * BAR / 2.0;
    for (i, run) in of.runs.iter().enumerate() {
        let y = plot.top + (i as f64 + 0.5) * row;
        if i > 0 {
            let between = y - row / 2.0;
            page.scene.line((plot.left, between), (plot.right, between), GRID, 1.0);
        }
        for (basis, forecast) in of.forecasts(run, metric) {
            let Some(place) = bases.iter().position(|b| *b == basis) else { continue };
            let top = y - half + place as f64 * BAR;
            let (pale, dark) = tones(basis);
            for (interval, ink) in [(forecast.interval, pale), (middle_half(forecast), dark)] {
                if interval.low.is_finite() && interval.high.is_finite() {
                    // What has no width is still to be seen.
                    let (from, to) = (x(interval.low), x(interval.high));
                    let (from, to) = if to - from < 3.0 {
                        ((from + to) / 2.0 - 1.5, (from + to) / 2.0 + 1.5)
                    } else {
                        (from, to)
                    };
                    page.scene.rectangle((from, top + 1.0), (to, top + BAR - 1.0), ink);
                }
            }
        }
        let observed = run.value(metric);
        if observed.is_finite() && of.is_whole(run) {
            let (x, half) = (x(observed), half + 2.0);
            page.scene.line((x, y - half), (x, y + half), TEXT, 2.0);
            looks[i].mark.draw(&mut page.scene, (x, y), 5.0, looks[i].ink);
        }
    }
}

fn middle_half(forecast: &MetricForecast) -> Interval {
    let quantile = |percent: usize| forecast.quantiles.get(percent).copied().unwrap_or(f64::NAN);
    Interval { low: quantile(25), high: quantile(75) }
}

/// How many lie within, and which lies farthest out.
fn predicted_caption(of: &LivePage, bases: &[Basis], left_out: &[RunMetric]) -> String {
    let mut counted = Vec::new();
    for basis in bases {
        let (mut inside, mut all) = (0, 0);
        for run in of.runs.iter().filter(|run| of.is_whole(run)) {
            // Latencies are not always judged; what is made of them is said elsewhere.
            for metric in RunMetric::ALL.into_iter().filter(|metric| !metric.is_latency()) {
                let observed = run.value(metric);
                let forecasts = of.forecasts(run, metric).into_iter();
                for (_, forecast) in forecasts.filter(|(known, _)| known == basis) {
                    // A certainty that came true tests nothing.
                    let tests = forecast.interval.width() > 0.0 || forecast.mean != observed;
                    if observed.is_finite() && tests {
                        all += 1;
                        inside += usize::from(forecast.interval.contains(observed));
                    }
                }
            }
        }
        if all > 0 {
            counted.push(format!("{inside} of {all} by {}", source(*basis)));
        }
    }
    let mut text =
        format!("Numbers but latencies seen within their 95 % interval: {}. ", list(&counted));
    if counted.is_empty() {
        text.clear();
    }
    text += "One in twenty lies outside by chance.";
    let left_out: Vec<String> = left_out.iter().map(|metric| metric.name().to_owned()).collect();
    let partial = of.stopped_early();
    if !partial.is_empty() {
        text += &format!(" Stopped early and so not compared: {}.", list(&partial));
    }
    if !left_out.is_empty() {
        text +=
            &format!(" Left out, the same in every run, simulated or not: {}.", list(&left_out));
    }
    text
}

fn source(basis: Basis) -> &'static str {
    match basis {
        Basis::Model => "the model",
        Basis::OtherRuns => "the other runs against this start",
        Basis::TrueRates => "the true rates of this start",
    }
}

// ---- Quantiles of request latency, a panel a strategy, both axes logarithmic: as many pixels from
// 90 to 99 % as from 0 to 90 %, because the slow few are what p99 is about.

const HEIGHT: f64 = 190.0;
const LATENCY_GAP: f64 = 30.0;

/// Room for the labels of the vertical axis.
const LEFT: f64 = MARGIN + 52.0;

/// Most points of a curve.
const POINTS: usize = 300;

const QUANTILES: [(RunMetric, f64); 2] =
    [(RunMetric::LatencyP50, 0.5), (RunMetric::LatencyP99, 0.99)];

pub(crate) fn latency_chart(of: &LivePage) -> anyhow::Result<Chart> {
    let reading = "Line: share of requests answered within so long, from when they were due. Bars: \
                   95 % of the simulated p50 and p99, by the sharpest prediction; upright tick: \
                   what was seen of them";
    let mut page = page("Request latency", of, reading);
    let positive = |ms: &f64| ms.is_finite() && *ms > 0.0;
    let latencies: Vec<Vec<f64>> = of
        .runs
        .iter()
        .map(|run| sorted(run.requests.iter().filter_map(|request| request.latency_ms)))
        .collect();
    let most = latencies.iter().map(Vec::len).max().unwrap_or(0);
    let bars = of.runs.iter().flat_map(|run| predicted(of, run));
    let bars = bars.flat_map(|(_, interval, _)| [interval.low, interval.high]);
    let ends = range(latencies.iter().flatten().copied().chain(bars).filter(positive));
    if most == 0 {
        page.nothing("no request was answered");
        return page.finish("live-latency", latency_caption(of, &latencies));
    }
    let axis = Axis::log("request latency (ms, log scale)", ends);
    let top = rank(1.0 - 0.4 / most.max(50) as f64);
    let shares = Axis::between("requests answered", 0.0, top);
    let name = "requests answered within";
    page.quiet(name, (MARGIN, page.y + 14.0), Anchor::Start);
    page.y += 20.0;
    let indices: Vec<usize> = (0..of.runs.len()).collect();
    let (looks, labels) = (of.looks(), of.labels());
    let mut right = LEFT;
    for line in indices.chunks(ACROSS) {
        let mut bottom = page.y;
        for (n, i) in line.iter().enumerate() {
            let plot = beside(&page, (LEFT, WIDTH - MARGIN), (n, ACROSS), HEIGHT, LATENCY_GAP);
            (bottom, right) = (plot.bottom, right.max(plot.right));
            panel(&mut page, &plot, &labels[*i], &axis);
            levels(&mut page, &plot, &shares, n == 0);
            let predicted = predicted(of, &of.runs[*i]);
            curve(&mut page, &plot, (&axis, &shares), &latencies[*i], &predicted, looks[*i].ink);
        }
        page.y = bottom + BELOW + 6.0;
    }
    page.centred(&axis.name, (LEFT + right) / 2.0, page.y + 8.0);
    page.y += 14.0;
    page.finish("live-latency", latency_caption(of, &latencies))
}

/// Where a share lies on the vertical axis: how many tenfold steps from all.
fn rank(share: f64) -> f64 {
    -libm::log10((1.0 - share).max(1e-12))
}

/// Grid lines of round shares.
fn levels(page: &mut Page, plot: &Plot, shares: &Axis, labelled: bool) {
    for (share, label) in
        [(0.0, "0 %"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %")]
    {
        if !shares.contains(rank(share)) {
            continue;
        }
        let y = plot.y(shares, rank(share));
        page.scene.line((plot.left, y), (plot.right, y), GRID, 1.5);
        if labelled {
            page.text(label, (plot.left - 8.0, y + 5.5), Anchor::End);
        }
    }
}

/// What was predicted of p50 and p99 by the sharpest basis, and what was seen; nothing of a part
/// of a run.
fn predicted(of: &LivePage, run: &LiveRun) -> Vec<(f64, Interval, f64)> {
    QUANTILES
        .into_iter()
        .filter_map(|(metric, share)| {
            let interval = of.sharpest(run, metric)?.interval;
            let known = interval.low > 0.0 && interval.high.is_finite();
            known.then(|| (share, interval, run.value(metric)))
        })
        .collect()
}

fn curve(
    page: &mut Page,
    plot: &Plot,
    (axis, shares): (&Axis, &Axis),
    latencies_ms: &[f64],
    predicted: &[(f64, Interval, f64)],
    ink: Ink,
) {
    for (share, interval, _) in predicted {
        let y = plot.y(shares, rank(*share));
        let (low, high) = (plot.x(axis, interval.low), plot.x(axis, interval.high));
        page.scene.rectangle((low, y - 8.0), (high.max(low + 2.0), y + 8.0), ink.faint(0.3));
    }
    let n = latencies_ms.len();
    if n == 0 {
        let at = ((plot.left + plot.right) / 2.0, (plot.top + plot.bottom) / 2.0);
        page.text("no answer", at, Anchor::Middle);
        return;
    }
    // Every point of the tail, few of the rest.
    let every = n.div_ceil(POINTS).max(1);
    let points: Vec<Point> = latencies_ms
        .iter()
        .enumerate()
        .filter(|(i, _)| i.is_multiple_of(every) || n - i <= 50)
        .map(|(i, ms)| {
            let share = (i as f64 + 0.5) / n as f64;
            (plot.x(axis, *ms), plot.y(shares, rank(share)))
        })
        .collect();
    page.scene.stroke(points, ink, 2.5);
    for (share, _, observed) in predicted {
        if observed.is_finite() {
            let (x, y) = (plot.x(axis, *observed), plot.y(shares, rank(*share)));
            page.scene.line((x, y - 11.0), (x, y + 11.0), TEXT, 2.5);
        }
    }
}

fn latency_caption(of: &LivePage, latencies: &[Vec<f64>]) -> String {
    let seen = |metric| range(of.runs.iter().map(|run| run.value(metric)));
    let span = |(low, high): (f64, f64)| {
        let (low, high) = (significant(low), significant(high));
        if low == high { format!("{low} ms") } else { format!("{low} to {high} ms") }
    };
    let Some((p50, p99)) = seen(RunMetric::LatencyP50).zip(seen(RunMetric::LatencyP99)) else {
        return "No request was answered.".to_owned();
    };
    let mut text = format!(
        "Half of the requests were answered within {}, 99 of 100 within {}{}.",
        span(p50),
        span(p99),
        if of.runs.len() > 1 { ", depending on the strategy" } else { "" }
    );
    let sent: usize = of.runs.iter().map(|run| run.requests.len()).sum();
    let unanswered = sent - latencies.iter().map(Vec::len).sum::<usize>();
    if unanswered > 0 {
        text += &format!(
            " {} without an answer {} left out.",
            counted(unanswered as u64, "request"),
            if unanswered == 1 { "is" } else { "are" }
        );
    }
    text
}
