//! The robustness map: strategies down, scenarios across, the loss against the best as a colour.
//!
//! Colours follow the logarithm of the loss, so that a tenth of a point and a thousand of them can
//! be told apart; the number stands in the cell, and a sign marks what is too close to call.

use super::lettering::{fitted, width};
use super::page::{MARGIN, Page, SMALL, WIDTH};
use super::palette::{QUIET, TEXT, ramp, readable_on};
use super::rows::LABEL_ROOM;
use super::scene::Anchor;
use super::share_scale::share_scale;
use super::{Chart, ChartError, lettering};
use crate::experiment::{PER_REQUESTS, Place, Robustness};
use crate::report::numbers::fixed as plain;

/// The chart's name.
pub(super) const NAME: &str = "robustness";

const ROW: f64 = 32.0;
const GAP: f64 = 14.0;
const LINE: f64 = 22.0;

/// Losses from here on have the darkest colour.
const DARKEST: f64 = PER_REQUESTS;

/// Draws the map.
pub fn draw_robustness(map: &Robustness) -> Result<Chart, ChartError> {
    lettering::ready()?;
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
        page.scene.text(&text, (centre, page.y + 14.0), Anchor::Middle, SMALL, TEXT);
    }
    page.y += 24.0;
    for row in &map.rows {
        let middle = page.y + ROW / 2.0;
        let label = fitted(&row.strategy, SMALL, LABEL_ROOM);
        page.scene.text(&label, (MARGIN, middle + 5.5), Anchor::Start, SMALL, TEXT);
        for (number, place) in row.places.iter().enumerate() {
            let from = left + number as f64 * column;
            let ink = ramp(shade(place.loss));
            let (top, low) = (page.y + 1.0, page.y + ROW - 1.0);
            page.scene.rectangle((from + 1.0, top), (from + column - 1.0, low), ink);
            let text = fitted(&loss_cell(*place), SMALL, column - 2.0);
            let at = (from + column / 2.0, middle + 5.5);
            page.scene.text(&text, at, Anchor::Middle, SMALL, readable_on(ink));
        }
        page.y += ROW;
    }
    page.y += 14.0;
    share_scale(&mut page, left, right, "0", "1,000 points or more (logarithmic)");
    legend(&mut page, &map.scenarios);
    page.finish(NAME, caption(map))
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
        page.scene.text(&text, (x, y), Anchor::Start, SMALL, QUIET);
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

fn caption(map: &Robustness) -> String {
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
        let loss = super::number::fixed(worst.worst_loss, usize::from(worst.worst_loss < 9.95));
        caption += &format!(
            " {} has the smallest worst loss: at most {loss} points of 1,000 anywhere.",
            worst.strategy
        );
    }
    caption
}
