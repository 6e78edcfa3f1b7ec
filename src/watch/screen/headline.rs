//! The title and the numbers below it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::app::App;
use super::theme::Theme;
use crate::metrics::Metrics;
use crate::watch::figures::{count, cut, cut_front, duration};
use crate::watch::seen::{Predicted, Seen, answered, headline, running_s, title as name};
use crate::watch::ticker::TICK;

/// Ticks without a change after which it is said: three seconds.
const QUIET_AFTER: u64 = 30;

/// Who runs and how far it is; or what is wrong with the file.
pub(super) fn title(frame: &mut Frame, area: Rect, seen: &Seen, app: &App, theme: Theme) {
    let Some(metrics) = &seen.metrics else {
        frame.render_widget(Paragraph::new("flakelab watch").style(theme.strong()), area);
        return;
    };
    let quiet = !metrics.ended && seen.quiet_ticks >= QUIET_AFTER;
    let (note, progress) = match &seen.trouble {
        // What is wrong now matters more than how far the run was.
        Some(trouble) if !app.paused => (trouble.clone(), String::new()),
        _ if app.paused => ("paused".to_owned(), progress(metrics, seen)),
        _ if quiet => {
            let seconds = seen.quiet_ticks as f64 * TICK.as_secs_f64();
            (format!("unchanged for {}", duration(seconds)), progress(metrics, seen))
        }
        _ => (String::new(), progress(metrics, seen)),
    };
    let (name, width) = (name(metrics), usize::from(area.width));
    let for_name = name.chars().count().min(width / 3);
    let note = cut_front(&note, width.saturating_sub(for_name + progress.chars().count() + 4));
    let right = Line::from(vec![
        Span::styled(note, theme.warn()),
        Span::raw(if progress.is_empty() { "" } else { "  " }),
        Span::raw(progress),
    ]);
    let left = cut(&name, width.saturating_sub(right.width() + 1));
    frame.render_widget(Paragraph::new(left).style(theme.strong()), area);
    let taken = u16::try_from(right.width()).unwrap_or(u16::MAX).min(area.width);
    let place = Rect { x: area.right() - taken, width: taken, ..area };
    frame.render_widget(Paragraph::new(right), place);
}

fn progress(metrics: &Metrics, seen: &Seen) -> String {
    let predicted = match &seen.prediction {
        Predicted::File(file) => file.configs.iter().find(|c| c.config == metrics.config),
        _ => None,
    };
    let of = predicted.map_or(String::new(), |c| format!(" of {}", count(c.requests)));
    let time = running_s(metrics).map_or(String::new(), |s| format!("  {}", duration(s)));
    let state = if metrics.ended { "ended" } else { "running" };
    format!("{}{of} answered  {state}{time}", count(answered(metrics)))
}

/// Two lines of numbers in columns that keep their places while the numbers grow.
pub(super) fn numbers(frame: &mut Frame, area: Rect, metrics: &Metrics, theme: Theme) {
    const LEAST: [usize; 6] = [12, 14, 10, 11, 10, 12];
    let pairs = headline(metrics);
    let used = |(name, value): &(&str, String)| name.chars().count() + 1 + value.chars().count();
    let rows: Vec<&[(&str, String)]> = pairs.chunks(LEAST.len()).collect();
    let widths: Vec<usize> = (0..LEAST.len())
        .zip(LEAST)
        .map(|(i, least)| {
            rows.iter().filter_map(|row| row.get(i)).map(used).fold(least, usize::max)
        })
        .collect();
    let free = usize::from(area.width).saturating_sub(widths.iter().sum());
    let gap = (free / LEAST.len()).clamp(1, 10);
    let line = |row: &&[(&str, String)]| {
        let cells = row.iter().zip(&widths).flat_map(|(pair, width)| {
            let room = " ".repeat(width.saturating_sub(used(pair)) + gap);
            let (name, value) = pair;
            [
                Span::styled(format!("{name} "), theme.quiet()),
                Span::styled(value.clone(), theme.strong()),
                Span::raw(room),
            ]
        });
        cells.collect::<Line>()
    };
    frame.render_widget(Paragraph::new(rows.iter().map(line).collect::<Vec<_>>()), area);
}
