//! The last latencies, as a line of small bars or as a chart. Both scales are logarithmic: one
//! attempt that times out takes a thousand times as long as one that succeeds.

use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Paragraph};

use super::theme::{Theme, panel};
use crate::metrics::Metrics;
use crate::watch::figures::{counted, ms, points as whole};
use crate::watch::seen::{is_sound, sound_latencies};

const BARS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

fn ends(values: &[f64]) -> Option<(f64, f64)> {
    let low = values.iter().copied().reduce(f64::min)?;
    let high = values.iter().copied().reduce(f64::max)?;
    Some((low, high))
}

/// One line: a bar a request, the newest at the right.
pub(super) fn sparkline(frame: &mut Frame, area: Rect, metrics: &Metrics, theme: Theme) {
    let values = sound_latencies(metrics);
    let width = usize::from(area.width);
    // The legend takes up to 40 columns, one request needs one.
    let fits = width.saturating_sub(40);
    let shown = values.get(values.len().saturating_sub(fits)..).unwrap_or(&[]);
    let Some((low, high)) = ends(shown) else {
        frame.render_widget(Paragraph::new("latency: none yet").style(theme.quiet()), area);
        return;
    };
    let (from, to) = (libm::log(low), libm::log(high).max(libm::log(low) + 1e-9));
    let bar = |x: &f64| {
        let level = (libm::log(*x) - from) / (to - from) * (BARS.len() - 1) as f64;
        *BARS.get(level.round() as usize).unwrap_or(&"█")
    };
    let line = Line::from(vec![
        Span::styled("latency, log ", theme.quiet()),
        Span::raw(shown.iter().map(bar).collect::<String>()),
        Span::styled(
            format!(" {} to {} ms, last {}", ms(low), ms(high), shown.len()),
            theme.quiet(),
        ),
    ]);
    frame.render_widget(Paragraph::new(line), area);
}

/// The logarithms of 1, 2 or 5 times a power of ten around these values.
fn round_ends(low: f64, high: f64) -> (f64, f64) {
    const DIGITS: [f64; 4] = [1.0, 2.0, 5.0, 10.0];
    let logs = |x: f64| {
        let decade = libm::floor(libm::log10(x));
        DIGITS.map(|digit| decade + libm::log10(digit))
    };
    let (least, most) = (libm::log10(low), libm::log10(high));
    let below = logs(low).into_iter().rfind(|x| *x <= least + 1e-9);
    let above = logs(high).into_iter().find(|x| *x >= most - 1e-9);
    let (from, to) = (below.unwrap_or(least), above.unwrap_or(most));
    (from, to.max(from + libm::log10(2.0)))
}

/// A number of milliseconds without needless decimals.
fn label(x: f64) -> String {
    let round = (x - x.round()).abs() < 1e-9 * x;
    if round { whole(x) } else { ms(x) }
}

/// A chart of all latencies that the file has, with lines at p50 and p99.
pub(super) fn chart(frame: &mut Frame, area: Rect, metrics: &Metrics, theme: Theme) {
    let values = sound_latencies(metrics);
    let kept = counted(metrics.latencies.len() as u64, "answer");
    let title = format!("latency in ms, log scale, last {kept}");
    let inner = panel(frame, area, &title, theme);
    let Some((low, high)) = ends(&values) else {
        frame.render_widget(Paragraph::new("none yet").style(theme.quiet()), inner);
        return;
    };
    let (from, to) = round_ends(low, high);
    let span = (values.len().max(2) - 1) as f64;
    let points: Vec<(f64, f64)> =
        values.iter().enumerate().map(|(i, x)| (i as f64, libm::log10(*x))).collect();
    let level = |x: f64| match is_sound(&x) {
        true => vec![(0.0, libm::log10(x)), (span, libm::log10(x))],
        false => Vec::new(),
    };
    let (p50, p99) = (level(metrics.latency_p50), level(metrics.latency_p99));
    let line = |data, style| {
        Dataset::default()
            .data(data)
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(style)
    };
    let dots = Dataset::default().data(&points).marker(Marker::Dot);
    // Labels stand at equal distances: at the decades where those are the ends.
    let is_whole = |x: f64| (x - x.round()).abs() < 1e-9;
    let per_decade = if is_whole(from) && is_whole(to) && to - from > 1.5 { 1.0 } else { 2.0 };
    let decades = ((to - from) * per_decade).round().clamp(1.0, 6.0) as usize;
    let step = (to - from) / decades as f64;
    let labels = (0..=decades).map(|i| label(libm::pow(10.0, from + step * i as f64)));
    let y = Axis::default()
        .bounds([from, to])
        .labels(labels.map(|text| format!("{text:>6}")).collect::<Vec<_>>())
        .labels_alignment(Alignment::Right)
        .style(theme.quiet());
    let x = Axis::default().bounds([0.0, span]).style(theme.quiet());
    let chart = Chart::new(vec![line(&p50, theme.good()), line(&p99, theme.warn()), dots])
        .legend_position(None)
        .x_axis(x)
        .y_axis(y);
    let height = inner.height.saturating_sub(1);
    frame.render_widget(chart, Rect { height, ..inner });
    let note = format!(
        "       oldest to newest; lines: p50 {} ms, p99 {} ms",
        ms(metrics.latency_p50),
        ms(metrics.latency_p99)
    );
    let below = Rect { y: inner.y + height, height: inner.height - height, ..inner };
    frame.render_widget(Paragraph::new(note).style(theme.quiet()), below);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_ends_at_round_numbers_and_is_never_empty() {
        let ends = |low, high| {
            let (from, to) = round_ends(low, high);
            (label(libm::pow(10.0, from)), label(libm::pow(10.0, to)))
        };
        assert_eq!(ends(0.65, 4.8), ("0.50".into(), "5".into()));
        assert_eq!(ends(1.0, 1000.0), ("1".into(), "1000".into()));
        assert_eq!(ends(3.0, 3.0), ("2".into(), "5".into()));
        assert_eq!(ends(2.0, 2.0), ("2".into(), "4".into()));
    }
}
