//! Heat maps: where the attempts went, by server rank and strategy; and who is never far behind in
//! any scenario. And the picture of a search for better parameters.

use crate::charts::draw::{
    Anchor, Chart, Ink, Mark, RULE, TEXT, fitted, palette_colour, ramp, readable_on, ready, width,
};
use crate::charts::number::{fixed, percent};
use crate::charts::page::{
    Axis, LABEL_ROOM, MARGIN, Page, Panel, SMALL, WIDTH, cell, contenders, left_of_plot, names,
    range, share_scale,
};
use crate::report::{config_name, counted, fixed as plain};
use flakelab_sim::experiment::{
    ContenderSummary, Dimension, PER_REQUESTS, Place, Robustness, Scale, ScenarioSummary,
    SettingSummary, Tuned,
};

const ATTEMPT_SHARE_ROW: f64 = 44.0;

/// More servers than this share columns.
const MOST_COLUMNS: usize = 50;

pub(crate) fn attempt_share_chart(scenario: &ScenarioSummary) -> anyhow::Result<Chart> {
    let reading = "Share of a strategy's attempts in %; servers ranked by true error rate in each replication";
    let mut page = Page::new("Where the attempts went", scenario, reading);
    let (listed, rows) = contenders(scenario, |_| Some(Vec::new()));
    let servers =
        scenario.contenders.iter().map(|c| c.attempt_share_by_rank.len()).max().unwrap_or(0);
    if servers == 0 {
        page.nothing("no attempts were made");
        return page.finish("attempt-share", attempt_share_caption(scenario));
    }
    let together = servers.div_ceil(MOST_COLUMNS);
    let columns = servers.div_ceil(together);
    let shares: Vec<Vec<f64>> =
        listed.iter().map(|c| grouped(&c.attempt_share_by_rank, together)).collect();
    let finite = shares.iter().flatten().copied().filter(|s| s.is_finite());
    let highest = finite.fold(0.0, f64::max).max(1e-9);
    let left = left_of_plot(&rows);
    let right = WIDTH - MARGIN;
    let width = (right - left) / columns as f64;
    let name = match together {
        1 => "server by true error rate".to_owned(),
        _ => format!("servers by true error rate, {together} together"),
    };
    page.centred(&name, (left + right) / 2.0, page.y + 12.0);
    page.y += 16.0;
    ranks(&mut page, columns, left, width);
    page.y += 26.0;
    let (centres, bottom) = names(&mut page, &rows, ATTEMPT_SHARE_ROW, right);
    for (shares, y) in shares.iter().zip(&centres) {
        for (rank, share) in shares.iter().enumerate() {
            let from = left + rank as f64 * width;
            let texts = [(in_cell(*share), y + 5.5)];
            cell(&mut page, (from, width), (*y, ATTEMPT_SHARE_ROW), ramp(share / highest), &texts);
        }
    }
    page.y = bottom + 14.0;
    share_scale(&mut page, left, right, "0 %", &fitted(&percent(highest), SMALL, 90.0));
    page.finish("attempt-share", attempt_share_caption(scenario))
}

/// Sums over so many neighbours each.
fn grouped(shares: &[f64], together: usize) -> Vec<f64> {
    shares.chunks(together.max(1)).map(|group| group.iter().sum()).collect()
}

/// Without the sign, which the heading has.
fn in_cell(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        _ if percent > 0.0 && percent < 0.05 => "<0.1".to_owned(),
        _ => fixed(percent, usize::from(percent < 9.95 && percent != 0.0)),
    }
}

/// `best`, `2`, ..., `worst` above the columns, as many as fit.
fn ranks(page: &mut Page, servers: usize, left: f64, cell: f64) {
    let ends = width("worst", SMALL).max(width("best", SMALL)) + 10.0;
    let middle = width(&servers.to_string(), SMALL) + 8.0;
    let every = (middle / cell).ceil().max(1.0) as usize;
    for rank in 0..servers {
        let centre = left + (rank as f64 + 0.5) * cell;
        let at = (centre, page.y + 20.0);
        if rank == 0 {
            page.text("best", at, Anchor::Middle);
        } else if rank + 1 == servers {
            page.text("worst", at, Anchor::Middle);
        } else {
            let reach = (ends + middle) / 2.0;
            let clear = rank as f64 * cell >= reach && (servers - 1 - rank) as f64 * cell >= reach;
            if clear && (rank + 1).is_multiple_of(every) {
                page.text(&(rank + 1).to_string(), at, Anchor::Middle);
            }
        }
    }
}

fn attempt_share_caption(scenario: &ScenarioSummary) -> String {
    let best_server = |c: &ContenderSummary| c.attempt_share_by_rank.first().copied();
    let mut ranked: Vec<(&ContenderSummary, f64)> = scenario
        .ranked()
        .filter_map(|(c, _)| best_server(c).map(|share| (c, share)))
        .filter(|(_, share)| share.is_finite())
        .collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    let Some((most, share)) = ranked.first() else {
        return "No ranked strategy made an attempt.".to_owned();
    };
    let mut caption =
        format!("{} sent {} of its attempts to the best server", most.strategy, percent(*share));
    if let (Some((least, share)), true) = (ranked.last(), ranked.len() > 1) {
        caption += &format!(", {} only {}", least.strategy, percent(*share));
    }
    let oracle = scenario.references().find(|c| c.strategy == "oracle").and_then(best_server);
    if let Some(oracle) = oracle {
        caption += &format!("; the oracle {}", percent(oracle));
        if scenario.has_rate_limit {
            caption += ", because the best server refuses part of the traffic";
        }
    }
    caption.push('.');
    caption
}

// ---- The robustness map: strategies down, scenarios across, the loss against the best as a colour.
// Colours follow the logarithm of the loss, so that a tenth of a point and a thousand of them can
// be told apart; the number stands in the cell, and a sign marks what is too close to call.

pub(crate) const ROBUSTNESS: &str = "robustness";
const ROBUSTNESS_ROW: f64 = 32.0;
const GAP: f64 = 14.0;
const LINE: f64 = 22.0;

/// Losses from here on have the darkest colour.
const DARKEST: f64 = PER_REQUESTS;

pub fn draw_robustness(map: &Robustness) -> anyhow::Result<Chart> {
    ready()?;
    let what = format!("{} strategies in {} scenarios", map.rows.len(), map.scenarios.len());
    let reading = "Points lost against the best strategy of the scenario, for 1,000 requests; 0 is \
                   the best, ≈ cannot be told from it. Rows by mean rank.";
    let title = format!("Robustness map: {what}");
    let mut page = Page::headed("Who is never far behind", title, &what, reading);
    let widest = map.rows.iter().map(|row| width(&row.strategy, SMALL)).fold(60.0, f64::max);
    let left = MARGIN + widest.min(LABEL_ROOM) + GAP;
    let right = WIDTH - MARGIN;
    let column = (right - left) / map.scenarios.len() as f64;
    for number in 0..map.scenarios.len() {
        let centre = left + (number as f64 + 0.5) * column;
        let text = (number + 1).to_string();
        page.text(&text, (centre, page.y + 14.0), Anchor::Middle);
    }
    page.y += 24.0;
    for row in &map.rows {
        let middle = page.y + ROBUSTNESS_ROW / 2.0;
        let label = fitted(&row.strategy, SMALL, LABEL_ROOM);
        page.text(&label, (MARGIN, middle + 5.5), Anchor::Start);
        for (number, place) in row.places.iter().enumerate() {
            let from = left + number as f64 * column;
            let ink = ramp(shade(place.loss));
            let (top, low) = (page.y + 1.0, page.y + ROBUSTNESS_ROW - 1.0);
            page.scene.rectangle((from + 1.0, top), (from + column - 1.0, low), ink);
            let text = fitted(&loss_cell(*place), SMALL, column - 2.0);
            let at = (from + column / 2.0, middle + 5.5);
            page.scene.text(&text, at, Anchor::Middle, SMALL, readable_on(ink));
        }
        page.y += ROBUSTNESS_ROW;
    }
    page.y += 14.0;
    share_scale(&mut page, left, right, "0", "1,000 points or more (logarithmic)");
    legend(&mut page, &map.scenarios);
    page.finish(ROBUSTNESS, robustness_caption(map))
}

/// What the numbers above the columns stand for, in two columns, read downwards.
fn legend(page: &mut Page, scenarios: &[String]) {
    let per_column = scenarios.len().div_ceil(2);
    let room = (WIDTH - 2.0 * MARGIN) / 2.0;
    page.y += 8.0;
    for (i, name) in scenarios.iter().enumerate() {
        let x = MARGIN + if i < per_column { 0.0 } else { room };
        let y = page.y + LINE * ((i % per_column) + 1) as f64;
        let text = fitted(&format!("{} {name}", i + 1), SMALL, room - GAP);
        page.quiet(&text, (x, y), Anchor::Start);
    }
    page.y += LINE * per_column as f64;
}

/// A loss as cells show it: `0`, `≈0.3`, `12`, `4,631`.
pub fn loss_cell(place: Place) -> String {
    if place.rank == 1 {
        return "0".to_owned();
    }
    let number = plain(place.loss, usize::from(place.loss < 9.95));
    if place.tied { format!("≈{number}") } else { number }
}

/// How dark a loss is, 0 to 1.
fn shade(loss: f64) -> f64 {
    (libm::log1p(loss) / libm::log1p(DARKEST)).clamp(0.0, 1.0)
}

fn robustness_caption(map: &Robustness) -> String {
    let scenarios = map.scenarios.len();
    let Some(most) = map.rows.iter().max_by_key(|row| row.best_or_tied) else {
        return "No strategy was ranked.".to_owned();
    };
    let worst = map.rows.iter().min_by(|a, b| a.worst_loss.total_cmp(&b.worst_loss));
    let mut caption = format!(
        "{} is the best or cannot be told from it in {} of {scenarios} scenarios, more often than \
         or as often as any other.",
        most.strategy, most.best_or_tied
    );
    if let Some(worst) = worst {
        let loss = fixed(worst.worst_loss, usize::from(worst.worst_loss < 9.95));
        caption += &format!(
            " {} has the smallest worst loss: at most {loss} points of 1,000 anywhere.",
            worst.strategy
        );
    }
    caption
}

// ---- The picture of a search for better parameters: one panel a parameter, one mark a setting.
//
// Heights are paired differences: a setting's mean score minus that of the setting found, over the
// replications that both played. Plain means would not do: settings that left early played fewer
// replications, and the luck of those would move them all up or down together.

pub(crate) const SEARCH: &str = "tune-search";
const PANEL: f64 = 250.0;

/// Half of the width over which the settings of a switch are spread.
const SPREAD: f64 = 0.36;

/// The chart, with what came of the search in words.
pub fn draw_search(tuned: &Tuned, verdict: &str) -> anyhow::Result<Chart> {
    ready()?;
    let heading = format!("Search for better parameters of {}", tuned.label);
    let config = config_name(&tuned.config);
    let settings = counted(tuned.settings.len() as u64, "setting");
    let runs = counted(tuned.runs, "run");
    let what = format!(
        "{config} · {} each · {settings} · {runs} in {} rounds",
        counted(tuned.requests, "request"),
        tuned.rounds.len()
    );
    let title = format!("{heading}: {config}, {settings}, {runs}");
    let reading = "Height: mean score minus that of the setting found, over the replications that \
                   both played";
    let mut page = Page::headed(&heading, title, &what, reading);
    let looks = Looks::new(tuned);
    looks.legend(&mut page);
    let lowest = lowest_shown(tuned);
    for dimension in &tuned.searched {
        panel(&mut page, tuned, dimension, lowest, &looks);
    }
    let below = tuned.settings.iter().filter(|s| s.from_found < lowest).count();
    let mut caption = verdict.to_owned();
    if below > 0 {
        caption += &format!(
            " {} more than {} points below the setting found: a triangle at the lower edge.",
            if below == 1 { "One setting is".to_owned() } else { format!("{below} settings are") },
            fixed(-lowest, 1)
        );
    }
    page.finish(SEARCH, caption)
}

/// Settings that left after the first round may be hopeless; they must not flatten the rest.
fn lowest_shown(tuned: &Tuned) -> f64 {
    let stayed = tuned.settings.iter().filter(|s| s.rounds > 1 || s.is_default);
    range(stayed.map(|s| s.from_found)).map_or(-1.0, |(low, _)| low * 1.5).min(-1e-3)
}

fn panel(page: &mut Page, tuned: &Tuned, dimension: &Dimension, lowest: f64, looks: &Looks) {
    let name = |log: bool| {
        let scale = if log { ", log scale" } else { "" };
        format!("{}: {}{scale}", dimension.key, dimension.meaning)
    };
    let axis = |low: f64, high: f64, log: bool| match log {
        true => Axis::log(name(true), Some((low, high))),
        false => Axis::linear(name(false), Some((low, high))),
    };
    let x = match dimension.scale {
        Scale::Switch => Axis::names(name(false), &["false", "true"]),
        Scale::Whole { low, high, log } => axis(low as f64, high as f64, log),
        Scale::Number { low, high, log } => axis(low, high, log),
    };
    page.y += 10.0;
    let y = Axis::linear("points from the setting found", Some((lowest, 0.0)));
    let panel = Panel::new(page, PANEL, x, y);
    let (from, to) = (panel.at(f64::MIN, 0.0), panel.at(f64::MAX, 0.0));
    page.scene.line(from, to, RULE, 2.0);
    let mut order: Vec<usize> = (0..tuned.settings.len()).collect();
    // Those that stayed longest on top, the default and the one found above all.
    let rank =
        |i: usize| (i == tuned.found, tuned.settings[i].is_default, tuned.settings[i].rounds);
    order.sort_by_key(|i| rank(*i));
    for i in order {
        let setting = &tuned.settings[i];
        let at = panel.at(place(tuned, i, dimension), setting.from_found.max(lowest));
        looks.draw(page, setting, i == tuned.found, setting.from_found < lowest, at);
    }
    page.y += 8.0;
}

/// Where a setting stands on the axis of a parameter.
fn place(tuned: &Tuned, i: usize, dimension: &Dimension) -> f64 {
    let Some(value) = tuned.settings[i].values.get(dimension.key) else { return f64::NAN };
    if let Some(on) = value.as_bool() {
        // Spread in order of number, which is as good as at random, so that marks do not hide each
        // other.
        let share = (i as f64 + 0.5) / tuned.settings.len() as f64;
        return f64::from(u8::from(on)) + SPREAD * (2.0 * share - 1.0);
    }
    value.as_float().or(value.as_integer().map(|n| n as f64)).unwrap_or(f64::NAN)
}

/// How settings look: darker and larger the longer they stayed.
struct Looks {
    rounds: usize,
}

impl Looks {
    fn new(tuned: &Tuned) -> Self {
        Self { rounds: tuned.rounds.len() }
    }

    fn of_round(&self, rounds: usize) -> (Ink, f64) {
        let steps = self.rounds.saturating_sub(1).max(1) as f64;
        let share = rounds.saturating_sub(1) as f64 / steps;
        (ramp(0.3 + 0.6 * share), 4.0 + 3.0 * share)
    }

    fn draw(
        &self,
        page: &mut Page,
        setting: &SettingSummary,
        found: bool,
        low: bool,
        at: (f64, f64),
    ) {
        let (ink, radius) = self.of_round(setting.rounds);
        if found {
            Mark::Diamond.draw(&mut page.scene, at, 8.5, palette_colour(3));
        } else if low && !setting.is_default {
            Mark::TriangleDown.draw(&mut page.scene, at, 4.5, ink);
        } else if !setting.is_default {
            Mark::Circle.draw(&mut page.scene, at, radius, ink);
        }
        if setting.is_default {
            let radius = if found { 13.0 } else { 8.0 };
            Mark::Square.draw_ring(&mut page.scene, at, radius, TEXT);
            if !found {
                Mark::Circle.draw_plain(&mut page.scene, at, 3.0, TEXT);
            }
        }
    }

    /// One line of marks and words.
    fn legend(&self, page: &mut Page) {
        let y = page.y + 12.0;
        let mut x = MARGIN + 10.0;
        let mut entry = |page: &mut Page, text: &str, draw: &dyn Fn(&mut Page, (f64, f64))| {
            draw(page, (x, y - 5.0));
            page.text(text, (x + 16.0, y), Anchor::Start);
            x += width(text, SMALL) + 44.0;
        };
        entry(page, "left after round 1", &|page, at| {
            let (ink, radius) = self.of_round(1);
            Mark::Circle.draw(&mut page.scene, at, radius, ink);
        });
        let last = format!("stayed to round {}", self.rounds);
        entry(page, &last, &|page, at| {
            let (ink, radius) = self.of_round(self.rounds);
            Mark::Circle.draw(&mut page.scene, at, radius, ink);
        });
        entry(page, "found", &|page, at| {
            Mark::Diamond.draw(&mut page.scene, at, 8.5, palette_colour(3));
        });
        entry(page, "default", &|page, at| {
            Mark::Square.draw_ring(&mut page.scene, at, 8.0, TEXT);
            Mark::Circle.draw_plain(&mut page.scene, at, 3.0, TEXT);
        });
        page.y = y + 12.0;
    }
}
