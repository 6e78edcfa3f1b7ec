//! The table of servers: who gets the attempts, and what comes of them.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::app::{App, Order};
use super::theme::{Theme, panel};
use crate::metrics::{Metrics, ServerMetrics};
use crate::watch::figures::{count, cut, ms, percent};
use crate::watch::seen::share;

/// Columns without the bar.
const NUMBERS: u16 = 5 + 1 + 4 + 6 + 6 + 7 + 6 + 6;
/// The narrowest table, with a bar of five.
pub(super) const WIDTH: u16 = NUMBERS + 5;

/// Draws it; keeps the scrolling within bounds.
pub(super) fn draw(frame: &mut Frame, area: Rect, metrics: &Metrics, app: &mut App, theme: Theme) {
    let total = metrics.per_server.len();
    let room = usize::from(area.height.saturating_sub(2));
    app.scroll = app.scroll.min(total.saturating_sub(room));
    let mut servers: Vec<&ServerMetrics> = metrics.per_server.iter().collect();
    if app.order == Order::Attempts {
        servers.sort_by_key(|server| std::cmp::Reverse(server.num_requests));
    }
    let shown: Vec<&ServerMetrics> = servers.into_iter().skip(app.scroll).take(room).collect();
    let order = if app.order == Order::Attempts { ", by attempts" } else { "" };
    let title = match shown.len() {
        n if n == total => format!("servers{order}"),
        n => format!("servers {} to {} of {total}{order}", app.scroll + 1, app.scroll + n),
    };
    let inner = panel(frame, area, &title, theme);
    let bar = usize::from(inner.width.saturating_sub(NUMBERS));
    let heading = format!(
        "{:>5} {:<bar$}{:>4}{:>6}{:>6}{:>7}{:>6}{:>6}",
        "port",
        cut("share", bar),
        "%",
        "sent",
        "ok %",
        "belief",
        "429s",
        "ms"
    );
    let mut lines = vec![Line::styled(heading, theme.quiet())];
    lines.extend(shown.into_iter().map(|server| row(server, metrics, bar, theme)));
    frame.render_widget(Paragraph::new(lines), inner);
}

fn row(server: &ServerMetrics, metrics: &Metrics, bar: usize, theme: Theme) -> Line<'static> {
    let part = share(server.num_requests, metrics).unwrap_or(0.0);
    let tried = server.num_requests > 0;
    let known = server.num_success > 0 || server.num_failure > 0 || server.num_rate_limited > 0;
    let or_dash = |text: String| if known { text } else { "-".to_owned() };
    let refused = match server.num_rate_limited {
        0 => Span::raw(format!("{:>6}", 0)),
        n => Span::styled(format!("{:>6}", count(n)), theme.warn()),
    };
    Line::from(vec![
        Span::raw(format!("{:>5} ", server.port)),
        Span::raw(format!("{:<bar$}", bar_of(part, bar))),
        Span::raw(format!("{:>4}", if tried { whole_percent(part) } else { "0".to_owned() })),
        Span::raw(format!("{:>6}", count(server.num_requests))),
        Span::raw(format!("{:>6}", or_dash(percent(server.success_rate)))),
        Span::raw(format!("{:>7}", server.belief.map_or("-".to_owned(), percent))),
        refused,
        Span::raw(format!("{:>6}", or_dash(ms(server.avg_latency_ms)))),
    ])
}

/// A share in whole per cent, which is what the bar shows.
fn whole_percent(share: f64) -> String {
    match (share * 100.0).round() {
        p if p < 1.0 && share > 0.0 => "<1".to_owned(),
        p => format!("{p:.0}"),
    }
}

/// A bar in eighths of a cell.
fn bar_of(share: f64, width: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * 8.0 * width as f64).round() as usize;
    // Whoever got anything gets a mark.
    let eighths = if share > 0.0 { eighths.max(1) } else { eighths };
    let part = PARTS.get(eighths % 8).unwrap_or(&"");
    "█".repeat(eighths / 8) + if width > 0 { part } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_grow_by_eighths_and_fill_their_room() {
        assert_eq!((bar_of(0.0, 4).as_str(), bar_of(1e-9, 4).as_str()), ("", "▏"));
        assert_eq!((bar_of(0.5, 3).as_str(), bar_of(1.0, 4).as_str()), ("█▌", "████"));
        assert_eq!((bar_of(7.0, 2).as_str(), bar_of(1.0, 0).as_str()), ("██", ""));
    }
}
