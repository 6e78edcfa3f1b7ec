//! The keys at the bottom, and the page that explains them and the words.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::theme::Theme;

const KEYS: [(&str, &str); 5] =
    [("q", "quit"), ("p", "pause"), ("s", "sort servers"), ("↑↓", "scroll"), ("?", "help")];

const WORDS: [&str; 17] = [
    "q quit    p pause    s servers by port or by attempts",
    "↑ ↓ PgUp PgDn Home End scroll the servers    ? close",
    "",
    "score      requests answered 200 minus penalties",
    "success    answered 200 as a share of all answered",
    "regret     requests answered, but not with 200",
    "retries    attempts beyond the first of their request",
    "penalty    points lost to attempts beyond the free ones",
    "429s       attempts that a server's rate limit refused",
    "p50, p99   latency of the last requests at the proxy",
    "share      a server's part of all attempts",
    "belief     the success rate the strategy would bet on",
    "at pace    the value at the end if it goes on like this",
    "predicted  95 % of simulated runs lie in this interval",
    "",
    "✓ success  ✗ failure  :429 refused  late timed out  ",
    "Early values scatter; the verdict comes after the run.",
];

/// The line of keys.
pub(super) fn keys(frame: &mut Frame, area: Rect, theme: Theme) {
    let spans = KEYS.into_iter().flat_map(|(key, does)| {
        [Span::styled(key, theme.strong()), Span::styled(format!(" {does}   "), theme.quiet())]
    });
    frame.render_widget(Paragraph::new(spans.collect::<Line>()), area);
}

/// The page, in a box in the middle of the screen.
pub(super) fn draw(frame: &mut Frame, area: Rect) {
    let lines: Vec<Line> = WORDS.into_iter().map(|text| Line::from(format!(" {text}"))).collect();
    let (width, height) = (62.min(area.width), (WORDS.len() as u16 + 2).min(area.height));
    let (x, y) = (area.x + (area.width - width) / 2, area.y + (area.height - height) / 2);
    let place = Rect { x, y, width, height };
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" help ")), place);
}
