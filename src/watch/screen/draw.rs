//! Where everything stands.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};

use super::app::App;
use super::theme::Theme;
use super::{events, forecast, headline, help, latency, servers};
use crate::metrics::Metrics;
use crate::watch::seen::{Seen, headline as pairs};

/// The smallest screen with tables.
const LEAST: (u16, u16) = (78, 20);
/// The smallest screen with two columns.
const WIDE: (u16, u16) = (120, 30);
/// Columns between neighbours.
const GAP: u16 = 2;

/// Draws the whole screen.
pub(super) fn screen(frame: &mut Frame, seen: &Seen, app: &mut App, theme: Theme) {
    let area = frame.area();
    let fits = |(width, height): (u16, u16)| area.width >= width && area.height >= height;
    match &seen.metrics {
        _ if !fits(LEAST) => small(frame, area, seen, app, theme),
        None => nothing_yet(frame, area, seen, app, theme),
        Some(metrics) if fits(WIDE) => wide(frame, area, metrics, seen, app, theme),
        Some(metrics) => standard(frame, area, metrics, seen, app, theme),
    }
    if app.help {
        help::draw(frame, area);
    }
}

fn standard(f: &mut Frame, area: Rect, m: &Metrics, seen: &Seen, app: &mut App, theme: Theme) {
    let prediction = forecast::height_in_two_columns(seen);
    // A tall screen has room for a chart below the table, a low one for a line of bars.
    let table = u16::try_from(m.per_server.len()).unwrap_or(u16::MAX).saturating_add(2).max(12);
    let left_over = area.height.saturating_sub(4 + prediction).saturating_sub(table);
    let chart = if left_over >= 8 { left_over } else { 0 };
    let [title, headline, spark, middle, plot, below, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Length(u16::from(chart == 0)),
        Constraint::Min(5),
        Constraint::Length(chart),
        Constraint::Length(prediction),
        Constraint::Length(1),
    ])
    .areas(area);
    headline::title(f, title, seen, app, theme);
    headline::numbers(f, headline, m, theme);
    if chart == 0 {
        latency::sparkline(f, spark, m, theme);
    } else {
        latency::chart(f, plot, m, theme);
    }
    let left = servers::WIDTH.max(middle.width * 3 / 5);
    let [left, right] = Layout::horizontal([Constraint::Length(left), Constraint::Min(20)])
        .spacing(GAP)
        .areas(middle);
    servers::draw(f, left, m, app, theme);
    events::draw(f, right, m, theme);
    forecast::two_columns(f, below, m, seen, theme);
    help::keys(f, keys, theme);
}

fn wide(f: &mut Frame, area: Rect, m: &Metrics, seen: &Seen, app: &mut App, theme: Theme) {
    let [title, headline, body, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Min(10),
        Constraint::Length(1),
    ])
    .areas(area);
    headline::title(f, title, seen, app, theme);
    headline::numbers(f, headline, m, theme);
    let [left, right] = Layout::horizontal([Constraint::Percentage(48), Constraint::Min(60)])
        .spacing(GAP)
        .areas(body);
    let wanted = u16::try_from(m.per_server.len()).unwrap_or(u16::MAX).saturating_add(3);
    let table = wanted.min(left.height.saturating_sub(8));
    let [upper, lower] =
        Layout::vertical([Constraint::Length(table), Constraint::Min(4)]).areas(left);
    servers::draw(f, upper, m, app, theme);
    events::draw(f, lower, m, theme);
    let [upper, lower] =
        Layout::vertical([Constraint::Length(forecast::height_of_table(seen)), Constraint::Min(6)])
            .areas(right);
    forecast::table(f, upper, m, seen, theme);
    latency::chart(f, lower, m, theme);
    help::keys(f, keys, theme);
}

fn nothing_yet(frame: &mut Frame, area: Rect, seen: &Seen, app: &App, theme: Theme) {
    let [title, _, text, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(area);
    headline::title(frame, title, seen, app, theme);
    let trouble = seen.trouble.as_deref().unwrap_or("waiting for metrics");
    frame.render_widget(Paragraph::new(trouble).wrap(Wrap { trim: true }), text);
    help::keys(frame, keys, theme);
}

/// As much as fits, and what would be needed for the rest.
fn small(frame: &mut Frame, area: Rect, seen: &Seen, app: &App, theme: Theme) {
    let mut lines =
        vec![Line::from(format!("too small for tables: {}x{} needed", LEAST.0, LEAST.1))];
    if area.width < 36 {
        lines = vec![Line::from("too small")];
    }
    if app.paused {
        lines.push(Line::styled("paused", theme.warn()));
    }
    if let Some(trouble) = &seen.trouble {
        lines.push(Line::styled(trouble.clone(), theme.warn()));
    }
    if let Some(metrics) = &seen.metrics {
        let pairs = pairs(metrics);
        lines.extend(pairs.into_iter().map(|(name, value)| Line::from(format!("{name} {value}"))));
    }
    frame.render_widget(Paragraph::new(lines), area);
}
