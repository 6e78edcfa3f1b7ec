//! Where everything stands.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Wrap};

use crate::watch::follow::{Seen, headline as pairs};
use flakelab_live::Metrics;

/// The smallest screen with tables.
const LEAST: (u16, u16) = (78, 20);

/// The smallest screen with two columns.
const WIDE: (u16, u16) = (120, 30);

/// Columns between neighbours.
const GAP: u16 = 2;

/// Draws the whole screen.
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
        crate::watch::panels::draw_help(frame, area);
    }
}

fn standard(f: &mut Frame, area: Rect, m: &Metrics, seen: &Seen, app: &mut App, theme: Theme) {
    let prediction = crate::watch::panels::height_in_two_columns(seen);
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
    crate::watch::panels::headline_title(f, title, seen, app, theme);
    crate::watch::panels::numbers(f, headline, m, theme);
    if chart == 0 {
        crate::watch::panels::sparkline(f, spark, m, theme);
    } else {
        crate::watch::panels::chart(f, plot, m, theme);
    }
    let left = crate::watch::panels::WIDTH.max(middle.width * 3 / 5);
    let [left, right] = Layout::horizontal([Constraint::Length(left), Constraint::Min(20)])
        .spacing(GAP)
        .areas(middle);
    crate::watch::panels::draw_servers(f, left, m, app, theme);
    crate::watch::panels::draw_events(f, right, m, theme);
    crate::watch::panels::two_columns(f, below, m, seen, theme);
    crate::watch::panels::keys(f, keys, theme);
}

fn wide(f: &mut Frame, area: Rect, m: &Metrics, seen: &Seen, app: &mut App, theme: Theme) {
    let [title, headline, body, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Min(10),
        Constraint::Length(1),
    ])
    .areas(area);
    crate::watch::panels::headline_title(f, title, seen, app, theme);
    crate::watch::panels::numbers(f, headline, m, theme);
    let [left, right] = Layout::horizontal([Constraint::Percentage(48), Constraint::Min(60)])
        .spacing(GAP)
        .areas(body);
    let wanted = u16::try_from(m.per_server.len()).unwrap_or(u16::MAX).saturating_add(3);
    let table = wanted.min(left.height.saturating_sub(8));
    let [upper, lower] =
        Layout::vertical([Constraint::Length(table), Constraint::Min(4)]).areas(left);
    crate::watch::panels::draw_servers(f, upper, m, app, theme);
    crate::watch::panels::draw_events(f, lower, m, theme);
    let [upper, lower] = Layout::vertical([
        Constraint::Length(crate::watch::panels::height_of_table(seen)),
        Constraint::Min(6),
    ])
    .areas(right);
    crate::watch::panels::table(f, upper, m, seen, theme);
    crate::watch::panels::chart(f, lower, m, theme);
    crate::watch::panels::keys(f, keys, theme);
}

fn nothing_yet(frame: &mut Frame, area: Rect, seen: &Seen, app: &App, theme: Theme) {
    let [title, _, text, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(area);
    crate::watch::panels::headline_title(frame, title, seen, app, theme);
    let trouble = seen.trouble.as_deref().unwrap_or("waiting for metrics");
    frame.render_widget(Paragraph::new(trouble).wrap(Wrap { trim: true }), text);
    crate::watch::panels::keys(frame, keys, theme);
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

// ---- What keys do. Knows nothing of terminals.

/// How the viewer was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// By `q`, or because it was told to end.
    Quit,
    /// By Ctrl-C or a signal.
    Interrupted,
}

/// In which order servers stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Order {
    /// As in the model.
    #[default]
    Model,
    /// Most attempts first.
    Attempts,
}

/// What the viewer's user has chosen.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct App {
    /// The screen stands still.
    pub paused: bool,
    /// The keys and words are explained.
    pub help: bool,
    /// Order of the servers.
    pub order: Order,
    /// Servers above the first one shown; the drawing keeps it within bounds.
    pub scroll: usize,
}

/// Rows that Page Up and Page Down move by.
const PAGE: usize = 10;

impl App {
    /// Takes a key; says whether to leave.
    pub(crate) fn on_key(&mut self, key: KeyEvent) -> Option<Leave> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'C') if control => return Some(Leave::Interrupted),
            _ if control => {}
            KeyCode::Char('q' | 'Q') => return Some(Leave::Quit),
            KeyCode::Esc | KeyCode::Char('?' | 'h') if self.help => self.help = false,
            KeyCode::Char('?' | 'h') => self.help = true,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('s') => {
                self.scroll = 0;
                self.order = match self.order {
                    Order::Model => Order::Attempts,
                    Order::Attempts => Order::Model,
                };
            }
            KeyCode::Down | KeyCode::Char('j') => self.scroll = self.scroll.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::PageDown => self.scroll = self.scroll.saturating_add(PAGE),
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(PAGE),
            KeyCode::Home => self.scroll = 0,
            KeyCode::End => self.scroll = usize::MAX,
            _ => {}
        }
        None
    }
}

// ---- Styles by meaning, and the frame of all panels. Without colour every meaning is still there: in a
// word, a mark or a place.

/// Which styles may be used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Theme {
    /// Whether colours may.
    pub color: bool,
}

impl Theme {
    /// What was hoped for.
    pub(crate) fn good(self) -> Style {
        self.paint(Color::Green)
    }

    /// What needs a look.
    pub(crate) fn bad(self) -> Style {
        self.paint(Color::Red)
    }

    /// Neither: refused, paused, unchanged for long.
    pub(crate) fn warn(self) -> Style {
        self.paint(Color::Yellow)
    }

    /// Headline numbers and titles.
    pub(crate) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Names and notes.
    pub(crate) fn quiet(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn paint(self, color: Color) -> Style {
        if self.color { Style::new().fg(color) } else { Style::new() }
    }
}

/// Clears an area for a panel with a title rule above; gives what is left.
pub(crate) fn panel(frame: &mut Frame, area: Rect, title: &str, theme: Theme) -> Rect {
    let title = Span::styled(format!(" {title} "), theme.strong());
    let block = Block::new().borders(Borders::TOP).border_style(theme.quiet()).title(title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::follow::{Predicted, Seen};

    use crate::watch::testing;
    use flakelab_live::Metrics;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::style::Color;

    #[test]
    fn keys_do_what_the_screen_says() {
        let mut app = App::default();
        let press = |app: &mut App, c| app.on_key(KeyEvent::from(KeyCode::Char(c)));
        assert_eq!(press(&mut app, '?'), None);
        assert!(app.help);
        app.on_key(KeyEvent::from(KeyCode::Esc));
        assert!(!app.help);
        press(&mut app, 'p');
        assert!(app.paused);
        press(&mut app, 's');
        assert_eq!(app.order, Order::Attempts);
        app.on_key(KeyEvent::from(KeyCode::PageDown));
        press(&mut app, 'k');
        assert_eq!(app.scroll, 9);
        assert_eq!(press(&mut app, 'q'), Some(Leave::Quit));
        let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(app.on_key(ctrl_c), Some(Leave::Interrupted));
    }

    const SMALL: (u16, u16) = (80, 24);

    const LARGE: (u16, u16) = (200, 50);

    fn seen(metrics: Metrics) -> Seen {
        let prediction = Predicted::File(Box::new(testing::prediction()));
        Seen { metrics: Some(metrics), prediction, ..Seen::default() }
    }

    fn drawn(size: (u16, u16), seen: &Seen, app: App, color: bool) -> TestBackend {
        let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
        let mut app = app;
        terminal
            .draw(|frame| crate::watch::screen::screen(frame, seen, &mut app, Theme { color }))
            .unwrap();
        terminal.backend().clone()
    }

    fn text(size: (u16, u16), seen: &Seen) -> String {
        let backend = drawn(size, seen, App::default(), true);
        let buffer = backend.buffer();
        let row = |y| (0..size.0).filter_map(|x| buffer.cell((x, y))).map(|c| c.symbol()).collect();
        let rows: Vec<String> = (0..size.1).map(row).collect();
        rows.iter().map(|row| row.trim_end()).collect::<Vec<_>>().join("\n")
    }

    macro_rules! snapshot {
        ($name:literal, $size:expr, $seen:expr) => {
            insta::assert_snapshot!($name, text($size, $seen))
        };
    }

    #[test]
    fn before_there_is_a_file_the_screen_says_what_it_waits_for() {
        let trouble = "waiting for results/x/metrics.json: the proxy writes it when it starts";
        let seen = Seen { trouble: Some(trouble.to_owned()), ..Seen::default() };
        snapshot!("no_file_80x24", SMALL, &seen);
        snapshot!("no_file_200x50", LARGE, &seen);
        snapshot!("no_file_40x10", (40, 10), &seen);
    }

    #[test]
    fn before_the_first_answer_nothing_is_made_up() {
        let seen = seen(testing::waiting_for_first());
        snapshot!("first_80x24", SMALL, &seen);
        snapshot!("first_200x50", LARGE, &seen);
    }

    #[test]
    fn in_the_middle_of_a_run_everything_is_on_the_screen() {
        let seen = seen(testing::middle());
        snapshot!("middle_80x24", SMALL, &seen);
        snapshot!("middle_200x50", LARGE, &seen);
        snapshot!("middle_120x30", (120, 30), &seen);
        snapshot!("middle_78x20", (78, 20), &seen);
        snapshot!("middle_80x50", (80, 50), &seen);
        snapshot!("middle_200x24", (200, 24), &seen);
        snapshot!("middle_40x10", (40, 10), &seen);
        snapshot!("middle_20x5", (20, 5), &seen);
    }

    #[test]
    fn an_ended_run_stays_on_the_screen_and_says_so() {
        let seen = seen(testing::ended());
        snapshot!("ended_80x24", SMALL, &seen);
        snapshot!("ended_200x50", LARGE, &seen);
    }

    #[test]
    fn a_half_written_file_leaves_the_last_state_with_a_note() {
        let mut seen = seen(testing::middle());
        seen.trouble =
            Some("results/x/metrics.json is half-written: waiting for the rest".to_owned());
        snapshot!("half_written_80x24", SMALL, &seen);
        snapshot!("half_written_200x50", LARGE, &seen);
    }

    #[test]
    fn without_a_prediction_its_place_is_given_to_others() {
        let mut seen = seen(testing::middle());
        seen.prediction = Predicted::Missing("no results/x/prediction.json".to_owned());
        snapshot!("no_prediction_80x24", SMALL, &seen);
        snapshot!("no_prediction_200x50", LARGE, &seen);
    }

    #[test]
    fn one_server_and_128_servers_fit() {
        snapshot!("one_server_80x24", SMALL, &seen(testing::one_server()));
        snapshot!("many_servers_80x24", SMALL, &seen(testing::many_servers()));
        snapshot!("many_servers_200x50", LARGE, &seen(testing::many_servers()));
    }

    #[test]
    fn huge_numbers_and_names_keep_to_their_columns() {
        snapshot!("huge_80x24", SMALL, &seen(testing::huge()));
        snapshot!("huge_200x50", LARGE, &seen(testing::huge()));
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
                    for (help, order) in [(false, Order::Model), (true, Order::Attempts)] {
                        let app = App { paused: help, help, order, scroll: usize::MAX };
                        drawn((width, height), seen, app, true);
                    }
                }
            }
        }
    }

    #[test]
    fn scrolling_ends_with_the_last_server() {
        let app = App { scroll: 1_000, order: Order::Attempts, ..App::default() };
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
    fn outside_is_red_only_at_the_end() {
        let is_red = |metrics| {
            let seen = seen(metrics);
            let shown = drawn(SMALL, &seen, App::default(), true);
            let cells = shown.buffer().content().to_vec();
            // Rows of the comparison.
            cells.iter().skip(80 * 16).take(80 * 6).any(|c| c.fg == Color::Red)
        };
        assert!(!is_red(testing::middle()));
        assert!(is_red(testing::ended()));
    }
}
