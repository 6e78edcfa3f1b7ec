//! Where everything stands.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};

use crate::watch::follow::{Seen, headline};
use crate::watch::panels;
use crate::watch::view::{App, Theme};
use flakelab_live::Metrics;

/// The smallest screen with tables.
const LEAST: (u16, u16) = (78, 20);

/// The smallest screen with two columns.
const WIDE: (u16, u16) = (120, 30);

const GAP: u16 = 2;

pub(crate) fn screen(frame: &mut Frame, seen: &Seen, app: &mut App, theme: Theme) {
    let area = frame.area();
    let fits = |(width, height): (u16, u16)| area.width >= width && area.height >= height;
    match &seen.metrics {
        _ if !fits(LEAST) => small(frame, area, seen, app, theme),
        None => nothing_yet(frame, area, seen, app, theme),
        Some(metrics) if fits(WIDE) => wide(frame, area, metrics, seen, app, theme),
        Some(metrics) => standard(frame, area, metrics, seen, app, theme),
    }
    if app.help {
        panels::help(frame, area);
    }
}

fn standard(f: &mut Frame, area: Rect, m: &Metrics, seen: &Seen, app: &mut App, theme: Theme) {
    let prediction = panels::heights(seen).0;
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
    panels::title_line(f, title, seen, app, theme);
    panels::numbers(f, headline, m, theme);
    if chart == 0 {
        panels::sparkline(f, spark, m, theme);
    } else {
        panels::chart(f, plot, m, theme);
    }
    let left = panels::WIDTH.max(middle.width * 3 / 5);
    let [left, right] = Layout::horizontal([Constraint::Length(left), Constraint::Min(20)])
        .spacing(GAP)
        .areas(middle);
    panels::servers(f, left, m, app, theme);
    panels::last_answers(f, right, m, theme);
    panels::two_columns(f, below, m, seen, theme);
    panels::keys(f, keys, theme);
}

fn wide(f: &mut Frame, area: Rect, m: &Metrics, seen: &Seen, app: &mut App, theme: Theme) {
    let [title, headline, body, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Min(10),
        Constraint::Length(1),
    ])
    .areas(area);
    panels::title_line(f, title, seen, app, theme);
    panels::numbers(f, headline, m, theme);
    let [left, right] = Layout::horizontal([Constraint::Percentage(48), Constraint::Min(60)])
        .spacing(GAP)
        .areas(body);
    let wanted = u16::try_from(m.per_server.len()).unwrap_or(u16::MAX).saturating_add(3);
    let table = wanted.min(left.height.saturating_sub(8));
    let [upper, lower] =
        Layout::vertical([Constraint::Length(table), Constraint::Min(4)]).areas(left);
    panels::servers(f, upper, m, app, theme);
    panels::last_answers(f, lower, m, theme);
    let [upper, lower] =
        Layout::vertical([Constraint::Length(panels::heights(seen).1), Constraint::Min(6)])
            .areas(right);
    panels::table(f, upper, m, seen, theme);
    panels::chart(f, lower, m, theme);
    panels::keys(f, keys, theme);
}

fn nothing_yet(frame: &mut Frame, area: Rect, seen: &Seen, app: &App, theme: Theme) {
    let [title, _, text, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(area);
    panels::title_line(frame, title, seen, app, theme);
    let trouble = seen.trouble.as_deref().unwrap_or("waiting for metrics");
    frame.render_widget(Paragraph::new(trouble).wrap(Wrap { trim: true }), text);
    panels::keys(frame, keys, theme);
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
        let pairs = headline(metrics).into_iter();
        lines.extend(pairs.map(|(name, value)| Line::from(format!("{name} {value}"))));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::follow::Predicted;
    use crate::watch::testing;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::style::Color;

    const SMALL: (u16, u16) = (80, 24);

    const LARGE: (u16, u16) = (200, 50);

    fn seen(metrics: Metrics) -> Seen {
        let prediction = Predicted::File(Box::new(testing::prediction()));
        Seen { metrics: Some(metrics), prediction, ..Seen::default() }
    }

    fn drawn(size: (u16, u16), seen: &Seen, mut app: App, color: bool) -> TestBackend {
        let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
        terminal.draw(|frame| screen(frame, seen, &mut app, Theme { color })).unwrap();
        terminal.backend().clone()
    }

    fn text(size: (u16, u16), seen: &Seen) -> String {
        let backend = drawn(size, seen, App::default(), true);
        let buffer = backend.buffer();
        let row = |y| (0..size.0).filter_map(|x| buffer.cell((x, y))).map(|c| c.symbol()).collect();
        let rows: Vec<String> = (0..size.1).map(row).collect();
        rows.iter().map(|row| row.trim_end()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_state_of_a_run_is_on_the_screen_as_it_was_approved() {
        let waiting = "waiting for results/x/metrics.json: the proxy writes it when it starts";
        let no_file = Seen { trouble: Some(waiting.to_owned()), ..Seen::default() };
        let torn = "results/x/metrics.json is half-written: waiting for the rest";
        let half_written = Seen { trouble: Some(torn.to_owned()), ..seen(testing::middle()) };
        let missing = Predicted::Missing("no results/x/prediction.json".to_owned());
        let no_prediction = Seen { prediction: missing, ..seen(testing::middle()) };
        let of_middle = [SMALL, LARGE, (120, 30), (78, 20), (80, 50), (200, 24), (40, 10), (20, 5)];
        for (name, seen, sizes) in [
            ("no_file", no_file, &[SMALL, LARGE, (40, 10)][..]),
            ("first", seen(testing::waiting_for_first()), &[SMALL, LARGE]),
            ("middle", seen(testing::middle()), &of_middle),
            ("ended", seen(testing::ended()), &[SMALL, LARGE]),
            ("half_written", half_written, &[SMALL, LARGE]),
            ("no_prediction", no_prediction, &[SMALL, LARGE]),
            ("one_server", seen(testing::one_server()), &[SMALL]),
            ("many_servers", seen(testing::many_servers()), &[SMALL, LARGE]),
            ("huge", seen(testing::huge()), &[SMALL, LARGE]),
        ] {
            for (width, height) in sizes {
                let shown = text((*width, *height), &seen);
                insta::assert_snapshot!(format!("{name}_{width}x{height}"), shown);
            }
        }
    }

    #[test]
    fn help_lies_over_the_screen() {
        let app = App { help: true, ..App::default() };
        let shown = drawn(SMALL, &seen(testing::middle()), app, true);
        insta::assert_snapshot!("help_80x24", shown);
    }

    #[test]
    fn no_size_is_a_panic() {
        let states = [
            Seen::default(),
            Seen { metrics: Some(Metrics::default()), ..Seen::default() },
            seen(testing::middle()),
            seen(testing::many_servers()),
            seen(testing::huge()),
        ];
        for seen in &states {
            for width in [0, 1, 2, 5, 19, 20, 40, 75, 76, 80, 119, 120, 121, 200, 500] {
                for height in [0, 1, 2, 3, 5, 10, 19, 20, 24, 29, 30, 31, 50, 120] {
                    for on in [false, true] {
                        let app = App { paused: on, help: on, by_attempts: on, scroll: usize::MAX };
                        drawn((width, height), seen, app, true);
                    }
                }
            }
        }
    }

    #[test]
    fn scrolling_ends_with_the_last_server() {
        let app = App { scroll: 1_000, by_attempts: true, ..App::default() };
        let shown = drawn(SMALL, &seen(testing::many_servers()), app, true).to_string();
        assert!(shown.contains("of 128, by attempts"), "{shown}");
        assert!(shown.contains(" to 128 of 128"), "{shown}");
    }

    #[test]
    fn without_colour_no_cell_has_one_and_the_text_is_the_same() {
        for metrics in [testing::middle(), testing::ended(), testing::huge()] {
            for size in [SMALL, LARGE] {
                let seen = seen(metrics.clone());
                let plain = drawn(size, &seen, App::default(), false);
                let coloured = drawn(size, &seen, App::default(), true);
                assert_eq!(plain.to_string(), coloured.to_string());
                let uncoloured =
                    |c: &ratatui::buffer::Cell| (c.fg, c.bg) == (Color::Reset, Color::Reset);
                assert!(plain.buffer().content().iter().all(uncoloured));
                assert!(!coloured.buffer().content().iter().all(uncoloured));
            }
        }
    }

    #[test]
    fn what_is_outside_is_red_at_every_count() {
        let is_red = |metrics| {
            let seen = seen(metrics);
            let shown = drawn(SMALL, &seen, App::default(), true);
            let cells = shown.buffer().content().to_vec();
            // Rows of the comparison.
            cells.iter().skip(80 * 16).take(80 * 6).any(|c| c.fg == Color::Red)
        };
        let mut inside = testing::middle();
        inside.total_rate_limited = 0;
        assert!(!is_red(inside));
        assert!(is_red(testing::middle()) && is_red(testing::ended()));
    }
}
