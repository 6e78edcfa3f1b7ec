//! The picture of a search for better parameters: one panel a parameter, one mark a setting.
//!
//! Heights are paired differences: a setting's mean score minus that of the setting found, over the
//! replications that both played. Plain means would not do: settings that left early played fewer
//! replications, and the luck of those would move them all up or down together.

use super::axis::{Axis, range};
use super::lettering::width;
use super::number::fixed;
use super::page::{MARGIN, Page, SMALL, config_name};
use super::palette::{Mark, RULE, TEXT, colour, ramp};
use super::panel::Panel;
use super::scene::{Anchor, Ink};
use super::{Chart, ChartError, lettering};
use crate::experiment::tune::{Dimension, Scale, SettingSummary, Tuned};
use crate::report::numbers::counted;

/// The stem of its file name.
pub(super) const NAME: &str = "tune-search";

const PANEL: f64 = 250.0;
/// Half of the width over which the settings of a switch are spread.
const SPREAD: f64 = 0.36;

/// The chart, with what came of the search in words.
pub fn draw_search(tuned: &Tuned, verdict: &str) -> Result<Chart, ChartError> {
    lettering::ready()?;
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
    page.finish(NAME, caption)
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
            Mark::Diamond.draw(&mut page.scene, at, 8.5, colour(3));
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
            page.scene.text(text, (x + 16.0, y), Anchor::Start, SMALL, TEXT);
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
            Mark::Diamond.draw(&mut page.scene, at, 8.5, colour(3));
        });
        entry(page, "default", &|page, at| {
            Mark::Square.draw_ring(&mut page.scene, at, 8.0, TEXT);
            Mark::Circle.draw_plain(&mut page.scene, at, 3.0, TEXT);
        });
        page.y = y + 12.0;
    }
}
