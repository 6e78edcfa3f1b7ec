//! The last answers: request, its attempts one after the other, `500` if all was in vain, latency.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::theme::{Theme, panel};
use crate::metrics::{Metrics, RecentEvent};
use crate::watch::figures::{clean, count, duration, ms};

/// From this width on, an event says when it was.
const WITH_TIME: u16 = 50;

/// Draws as many as fit, the newest first.
pub(super) fn draw(frame: &mut Frame, area: Rect, metrics: &Metrics, theme: Theme) {
    let inner = panel(frame, area, "last answers, ms", theme);
    if metrics.events.is_empty() {
        frame.render_widget(Paragraph::new("none yet").style(theme.quiet()), inner);
        return;
    }
    let lines = metrics.events.iter().rev().take(usize::from(inner.height));
    let lines: Vec<Line> =
        lines.map(|e| line(e, metrics.started, usize::from(inner.width), theme)).collect();
    frame.render_widget(Paragraph::new(lines), inner);
}

fn line(event: &RecentEvent, started: f64, width: usize, theme: Theme) -> Line<'static> {
    let mut head = format!("{:>5} ", format!("#{}", count(event.request)));
    if width >= usize::from(WITH_TIME) {
        head = format!("{:>7} ", duration(event.at - started)) + &head;
    }
    let latency = format!("{:>5}", ms(event.latency_ms));
    let answer = if event.ok { "" } else { "500 " };
    let room = width.saturating_sub(head.chars().count() + latency.len());
    let chain = chain(&event.attempts, room.saturating_sub(answer.len()), theme);
    let used: usize = chain.iter().map(Span::width).sum::<usize>() + answer.len();
    let mut spans = vec![Span::styled(head, theme.quiet())];
    spans.extend(chain);
    spans.push(Span::styled(answer, theme.bad()));
    spans.push(Span::raw(" ".repeat(room.saturating_sub(used))));
    spans.push(Span::styled(latency, theme.quiet()));
    Line::from(spans)
}

/// The attempts that fit, from the last back; those left out are counted.
fn chain(attempts: &[(u16, String)], room: usize, theme: Theme) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    let mut used = 0;
    for (i, (port, outcome)) in attempts.iter().enumerate().rev() {
        let (mark, style) = match outcome.as_str() {
            "success" => ("✓".to_owned(), theme.good()),
            "failure" => ("✗".to_owned(), theme.bad()),
            "rate_limited" => (":429".to_owned(), theme.warn()),
            "timed_out" => (":late".to_owned(), theme.bad()),
            other => (format!(":{}", clean(other)), theme.warn()),
        };
        let text = format!("{port}{mark} ");
        let width = text.chars().count();
        // Room for the count of those before, except before the first.
        let reserve = if i == 0 { 0 } else { format!("+{i} ").len() };
        if used + width + reserve > room {
            spans.push(Span::styled(format!("+{} ", i + 1), theme.quiet()));
            break;
        }
        used += width;
        spans.push(Span::styled(text, style));
    }
    spans.reverse();
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(outcomes: &[&str], room: usize) -> String {
        let attempts: Vec<(u16, String)> =
            (4000..).zip(outcomes).map(|(port, o)| (port, (*o).to_owned())).collect();
        let spans = chain(&attempts, room, Theme { color: false });
        spans.iter().map(|s| s.content.as_ref()).collect()
    }

    #[test]
    fn a_chain_keeps_its_end_and_counts_what_is_left_out() {
        let outcomes = ["failure", "rate_limited", "timed_out", "success"];
        assert_eq!(shown(&outcomes, 40), "4000✗ 4001:429 4002:late 4003✓ ");
        assert_eq!(shown(&outcomes, 21), "+2 4002:late 4003✓ ");
        assert_eq!(shown(&outcomes, 3), "+4 ");
        assert_eq!(shown(&["teapot\u{1b}"], 20), "4000:teapot ");
    }
}
