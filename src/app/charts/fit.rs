//! Charts of a fit: what was found of the servers, and how sure it is.
//!
//! | Chart | Shows |
//! |---|---|
//! | `fit-rates` | each server's error rate: posterior, and the raw share beside it |
//! | `fit-population` | the population of rates against the servers' posteriors |
//! | `fit-limit` | how likely each refill rate is; how likely each kind of limit |
//! | `fit-latency` | quantiles of latency, fitted against observed |
//! | `fit-starts` | runs on a time line, and where servers were started anew |

use crate::charts::draw::{
    ACCENT, Anchor, Chart, Mark, RULE, TEXT, drawn, fitted, palette_colour, readable_on, width,
};
use crate::charts::number::{fixed, percent};
use crate::charts::page::{Axis, MARGIN, Page, Panel, Plot, SMALL, WIDTH, range};
use crate::report::{counted, thousands};
use flakelab_core::stats::quantile;
use flakelab_fit::{ConfigFit, Place, QqPoint, RunSummary, ServerSummary, Tally};
use flakelab_sim::world::ErrorFamily;

pub(crate) const NAMES: [&str; 5] =
    ["fit-rates", "fit-population", "fit-limit", "fit-latency", "fit-starts"];

/// Draws all five charts, in the order of the module's table.
pub fn draw_fit(fit: &ConfigFit) -> anyhow::Result<Vec<Chart>> {
    drawn([rates_chart, population_chart, limit_chart, latency_chart, starts_chart], fit)
}

/// What a fit rests on: `10 runs, 1,416 attempts, 6 starts of the servers`.
pub fn fit_data(fit: &ConfigFit) -> String {
    let attempts: usize = fit.runs.iter().map(|run| run.attempts).sum();
    format!(
        "{}, {} attempts, {} of the servers",
        counted(fit.runs.len() as u64, "run"),
        thousands(attempts as u64),
        counted(fit.starts.starts.len() as u64, "start")
    )
}

fn page(heading: &str, fit: &ConfigFit, reading: &str) -> Page {
    Page::of_config(heading, &fit.group.name, &fit_data(fit), reading)
}

fn latency_chart(fit: &ConfigFit) -> anyhow::Result<Chart> {
    let reading = "A dot on the line: the fitted family has that quantile as observed. Band: where \
                   95 % of samples of this size would lie";
    let mut page = page("Latency of attempts", fit, reading);
    let positive = |ms: &f64| ms.is_finite() && *ms > 0.0;
    let success = fit.latency.as_ref().map(|latency| &latency.success);
    let caption =
        success.map_or(String::new(), |of| format!("Fitted: {}. {}", of.family(), of.misses()));
    let pairs: Vec<&QqPoint> = success
        .iter()
        .flat_map(|of| &of.qq)
        .filter(|q| positive(&q.fitted_ms) && positive(&q.observed_ms))
        .collect();
    let ends = range(pairs.iter().flat_map(|q| [q.fitted_ms, q.observed_ms]));
    let (Some(ends), true) = (ends, pairs.len() > 1) else {
        page.nothing("too few attempts");
        return page.finish("fit-latency", caption);
    };
    let panel = Panel::new(
        &mut page,
        420.0,
        Axis::log("fitted quantile (ms, log scale)", Some(ends)),
        Axis::log("observed quantile (ms, log scale)", Some(ends)),
    );
    let band: Vec<(f64, (f64, f64))> = pairs
        .iter()
        .filter(|q| positive(&q.band_ms.low) && positive(&q.band_ms.high))
        .map(|q| (q.fitted_ms, (q.band_ms.low, q.band_ms.high)))
        .collect();
    panel.band(&mut page, &band, ACCENT.faint(0.2));
    page.scene.line(panel.at(ends.0, ends.0), panel.at(ends.1, ends.1), RULE, 2.0);
    for pair in pairs {
        let at = panel.at(pair.fitted_ms, pair.observed_ms);
        Mark::Circle.draw_plain(&mut page.scene, at, 2.6, TEXT);
    }
    page.finish("fit-latency", caption)
}

// ---- The rate limit: how likely each kind is, and how likely each refill rate of a bucket of one.

/// Likelihoods this far below the best are not told apart.
const LOWEST: f64 = -30.0;

fn limit_chart(fit: &ConfigFit) -> anyhow::Result<Chart> {
    let inference = &fit.rate_limit.inference;
    let conclusion = fit.rate_limit.reason.clone();
    let reading = "Above: probability of each kind of limit, all equally likely beforehand. \
                   Below: ln likelihood of a bucket of one token against no limit, by refill rate";
    let mut page = page("Rate limit", fit, reading);
    let kinds: Vec<(String, f64)> =
        inference.families.iter().map(|f| (f.kind.to_string(), f.probability)).collect();
    let labels = kinds.iter().map(|(name, _)| width(name, SMALL)).fold(60.0, f64::max);
    let (left, right) = (MARGIN + labels + 14.0, WIDTH - MARGIN - 90.0);
    for (name, probability) in &kinds {
        let (top, bottom) = (page.y + 4.0, page.y + 24.0);
        page.text(name, (left - 12.0, bottom - 4.5), Anchor::End);
        let end = left + probability.clamp(0.0, 1.0) * (right - left);
        page.scene.rectangle((left, top), (end.max(left + 1.0), bottom), ACCENT);
        page.text(&percent(*probability), (end + 8.0, bottom - 4.5), Anchor::Start);
        page.y += 30.0;
    }
    page.y += 18.0;
    if inference.curve.len() < 2 {
        page.nothing("no attempt says anything of a refill rate");
        return page.finish("fit-limit", conclusion);
    }
    let best = inference.curve.iter().map(|(_, l)| *l).fold(0.0, f64::max);
    let curve: Vec<(f64, f64)> =
        inference.curve.iter().map(|(rate, l)| (*rate, l.max(best + LOWEST))).collect();
    let x = Axis::log("tokens per second (log scale)", range(curve.iter().map(|(r, _)| *r)));
    let y = range(curve.iter().map(|(_, l)| *l).chain([0.0]));
    let panel = Panel::new(&mut page, 260.0, x, Axis::linear("ln likelihood against no limit", y));
    let ends = range(curve.iter().map(|(r, _)| *r)).unwrap_or((1.0, 10.0));
    page.scene.line(panel.at(ends.0, 0.0), panel.at(ends.1, 0.0), RULE, 2.0);
    let at = panel.at(ends.1, 0.0);
    page.quiet("no limit", (at.0 - 6.0, at.1 - 7.0), Anchor::End);
    panel.curve(&mut page, &curve, ACCENT, 3.0);
    page.finish("fit-limit", conclusion)
}

// ---- The population of error rates against the servers: if the family is right, the average of
// the servers' posteriors follows the population.

/// Rates at which distribution functions are drawn.
const RATES: usize = 101;

/// Populations that the band is made of.
const DRAWS: usize = 256;

fn population_chart(fit: &ConfigFit) -> anyhow::Result<Chart> {
    let reading = "Share of servers with at most this error rate. Band: 95 % of what the traces \
                   leave open of the population";
    let mut page = page("Population of error rates", fit, reading);
    let panel = Panel::new(
        &mut page,
        360.0,
        Axis::between("probability that an attempt fails", 0.0, 1.0),
        Axis::between("share of servers at or below", 0.0, 1.0),
    );
    let draws: Vec<ErrorFamily> = fit.rates.draws(DRAWS);
    let band_at = |rate: f64| {
        let mut shares: Vec<f64> = draws.iter().map(|draw| draw.cdf(rate)).collect();
        shares.sort_by(f64::total_cmp);
        (quantile(&shares, 0.025), quantile(&shares, 0.975))
    };
    let rates = fit.servers.iter().map(|server| &server.rate);
    let servers: Vec<_> = rates.filter(|rate| rate.tally.attempts() > 0).collect();
    let of_servers = |rate: f64| {
        servers.iter().map(|server| server.cdf(rate)).sum::<f64>() / servers.len().max(1) as f64
    };
    let fitted = |rate: f64| fit.prior.posterior_cdf(Tally::default(), rate);
    let rates = || (0..RATES).map(|i| i as f64 / (RATES - 1) as f64);
    let curve = |share: &dyn Fn(f64) -> f64| -> Vec<(f64, f64)> {
        rates().map(|rate| (rate, share(rate))).collect()
    };
    let band: Vec<(f64, (f64, f64))> = rates().map(|rate| (rate, band_at(rate))).collect();
    panel.band(&mut page, &band, ACCENT.faint(0.22));
    panel.curve(&mut page, &curve(&fitted), ACCENT, 3.5);
    panel.curve(&mut page, &curve(&of_servers), TEXT, 2.0);
    panel.legend(&mut page, 0, "fitted population", ACCENT, 3.5);
    panel.legend(&mut page, 1, "average of the servers' posteriors", TEXT, 2.0);
    page.finish("fit-population", population_caption(fit))
}

fn population_caption(fit: &ConfigFit) -> String {
    let each: Vec<String> = fit
        .rates
        .families
        .iter()
        .map(|f| format!("{} {}", f.family.name().replace('_', " "), fixed(f.probability, 2)))
        .collect();
    let borrowed = if fit.rates_fitted_on == fit.group.name {
        String::new()
    } else {
        format!(" The population is that of config {}.", fit.rates_fitted_on)
    };
    format!("Probabilities of the families: {}.{borrowed}", each.join(", "))
}

// ---- Each server's error rate: the posterior as a line with its mean, the raw share as a hollow
// mark. Where servers were chosen by their outcomes the raw share misleads, most with few
// attempts; the line says how much is known.

const RATES_ROW: f64 = 21.0;
const START_GAP: f64 = 12.0;
const LEFT: f64 = MARGIN + 170.0;
const RIGHT: f64 = WIDTH - MARGIN - 230.0;

fn rates_chart(fit: &ConfigFit) -> anyhow::Result<Chart> {
    let reading = "Line: 95 % of the posterior; dot: its mean; ring: the raw share of failures, \
                   biased where servers were chosen by their outcomes";
    let mut page = page("Error rates of the servers", fit, reading);
    if fit.servers.is_empty() {
        page.nothing("no server was tried");
        return page.finish("fit-rates", String::new());
    }
    let axis = Axis::between("probability that an attempt fails", 0.0, 1.0);
    for (header, at) in [("failures / attempts", RIGHT + 130.0), ("mean", WIDTH - MARGIN)] {
        page.quiet(header, (at, page.y + 12.0), Anchor::End);
    }
    let top = page.y + 22.0;
    let starts = fit.servers.windows(2).filter(|pair| pair[0].start != pair[1].start).count();
    let bottom = top + RATES_ROW * fit.servers.len() as f64 + START_GAP * starts as f64 + 8.0;
    let plot = Plot { left: LEFT, right: RIGHT, top, bottom };
    plot.grid(&mut page, &axis, 8);
    plot.base(&mut page);
    let x = |rate: f64| plot.x(&axis, rate);
    let mut y = top + RATES_ROW / 2.0 + 2.0;
    let mut last = None;
    for server in &fit.servers {
        if last != Some(server.start) {
            if last.is_some() {
                y += START_GAP;
            }
            let name = format!("start {}", server.start);
            page.text(&name, (MARGIN, y + 5.5), Anchor::Start);
        }
        last = Some(server.start);
        let name = &fit.group.servers[server.server];
        page.quiet(name, (LEFT - 12.0, y + 5.5), Anchor::End);
        let (low, high) = (x(server.rate.interval_95.low), x(server.rate.interval_95.high));
        page.scene.line((low, y), (high, y), ACCENT, 3.0);
        Mark::Circle.draw(&mut page.scene, (x(server.rate.mean), y), 5.0, ACCENT);
        if let Some(raw) = raw(server) {
            Mark::Circle.draw_ring(&mut page.scene, (x(raw), y), 5.5, TEXT);
        }
        let counts = format!("{} / {}", server.rate.tally.failures, server.rate.tally.attempts());
        page.text(&counts, (RIGHT + 130.0, y + 5.5), Anchor::End);
        let mean = fixed(server.rate.mean, 3);
        page.text(&mean, (WIDTH - MARGIN, y + 5.5), Anchor::End);
        y += RATES_ROW;
    }
    plot.name_below(&mut page, &axis);
    page.y = bottom + 56.0;
    page.finish("fit-rates", rates_caption(&fit.servers))
}

fn raw(server: &ServerSummary) -> Option<f64> {
    let attempts = server.rate.tally.attempts();
    (attempts > 0).then(|| server.rate.tally.failures as f64 / attempts as f64)
}

fn rates_caption(servers: &[ServerSummary]) -> String {
    let tried: Vec<&ServerSummary> =
        servers.iter().filter(|s| s.rate.tally.attempts() > 0).collect();
    let n = tried.len().max(1) as f64;
    let raw = tried.iter().filter_map(|s| raw(s)).sum::<f64>() / n;
    let mean = tried.iter().map(|s| s.rate.mean).sum::<f64>() / n;
    let few = tried.iter().filter(|s| s.rate.tally.attempts() < 10).count();
    format!(
        "Averaged over the {} servers that were tried, the raw share of failures is {}, the \
         posterior mean {}. {few} of them got fewer than ten attempts.",
        tried.len(),
        percent(raw),
        percent(mean)
    )
}

const STARTS_ROW: f64 = 30.0;
const NAME_ROOM: f64 = 330.0;

fn starts_chart(fit: &ConfigFit) -> anyhow::Result<Chart> {
    let reading = "One bar a run, in order of time; a number and a colour for each start. Right: \
                   probability that the servers were started anew before the run";
    let mut page = page("Starts of the servers", fit, reading);
    let names = fit.runs.iter().map(|run| width(&run.file, SMALL)).fold(60.0, f64::max);
    let left = MARGIN + names.min(NAME_ROOM) + 14.0;
    let right = WIDTH - MARGIN - 110.0;
    let longest = fit.runs.iter().map(|run| run.seconds).fold(1e-3, f64::max);
    let axis = Axis::between("seconds since the run began", 0.0, longest);
    page.quiet("P(restart)", (WIDTH - MARGIN, page.y + 12.0), Anchor::End);
    let (top, rows) = (page.y + 20.0, fit.runs.len() as f64);
    let bottom = top + STARTS_ROW * rows + 4.0;
    let plot = Plot { left, right, top, bottom };
    plot.grid(&mut page, &axis, 8);
    plot.base(&mut page);
    for (i, run) in fit.runs.iter().enumerate() {
        let y = top + STARTS_ROW * i as f64;
        let name = fitted(&run.file, SMALL, NAME_ROOM);
        page.text(&name, (MARGIN, y + 21.0), Anchor::Start);
        for (j, (from, start)) in run.starts.iter().enumerate() {
            let to = run.starts.get(j + 1).map_or(run.seconds, |(next, _)| *next);
            let (from, to) = (plot.x(&axis, *from), plot.x(&axis, to));
            let ink = palette_colour(*start);
            page.scene.rectangle((from, y + 4.0), (to.max(from + 2.0), y + 26.0), ink);
            let at = (from + 8.0, y + 21.0);
            page.scene.text(&start.to_string(), at, Anchor::Start, SMALL, readable_on(ink));
        }
        let before =
            fit.starts.boundaries.iter().find(
                |boundary| matches!(boundary.place, Place::Between { after, .. } if after == i),
            );
        if let Some(probability) = before.map(|boundary| boundary.probability) {
            let text = match probability {
                p if p > 0.999 => "> 0.999".to_owned(),
                p if p < 0.001 => "< 0.001".to_owned(),
                p => fixed(p, 3),
            };
            page.text(&text, (WIDTH - MARGIN, y + 21.0), Anchor::End);
        }
    }
    plot.name_below(&mut page, &axis);
    page.y = bottom + 56.0;
    page.finish("fit-starts", starts_caption(&fit.runs))
}

fn starts_caption(runs: &[RunSummary]) -> String {
    let starts = runs.iter().flat_map(|run| &run.starts).map(|(_, start)| *start).max();
    let within = runs.iter().map(|run| run.starts.len().saturating_sub(1)).sum::<usize>();
    format!(
        "{} met {}; {} restart{} within a run.",
        counted(runs.len() as u64, "run"),
        counted(starts.unwrap_or(0) as u64, "start"),
        if within == 0 { "no".to_owned() } else { within.to_string() },
        if within == 1 { "" } else { "s" }
    )
}
