//! Live against predicted.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::theme::{Theme, panel};
use crate::metrics::Metrics;
use crate::stats::Interval;
use crate::validate::forecast::RunMetric;
use crate::watch::compare::{Against, Comparison, Place, against};
use crate::watch::figures::count;
use crate::watch::seen::{Predicted, Seen};
use crate::watch::units::{interval, value};

/// Rows of [`two_columns`].
pub(super) fn height_in_two_columns(seen: &Seen) -> u16 {
    if matches!(seen.prediction, Predicted::File(_)) { 7 } else { 2 }
}

/// Rows of [`table`].
pub(super) fn height_of_table(seen: &Seen) -> u16 {
    if matches!(seen.prediction, Predicted::File(_)) { 13 } else { 3 }
}

fn comparison(metrics: &Metrics, seen: &Seen) -> Result<Against, (String, bool)> {
    match &seen.prediction {
        Predicted::File(file) => against(metrics, file).map_err(|why| (why, true)),
        Predicted::Missing(why) => Err((why.clone(), false)),
        Predicted::Unusable(why) => Err((why.clone(), true)),
    }
}

fn nothing(frame: &mut Frame, area: Rect, (why, is_trouble): (String, bool), theme: Theme) {
    let inner = panel(frame, area, "live against predicted", theme);
    let style = if is_trouble { theme.warn() } else { theme.quiet() };
    frame.render_widget(Paragraph::new(why).style(style).wrap(Wrap { trim: true }), inner);
}

fn title(against: &Against) -> String {
    format!("live against predicted, from {}", basis(against))
}

fn basis(against: &Against) -> &'static str {
    use crate::validate::forecast::Basis;
    match against.basis {
        Basis::Model => "the model",
        Basis::TrueRates => "the servers' true rates",
        Basis::OtherRuns => "the other runs",
    }
}

fn note(against: &Against) -> String {
    let (answered, requests) = (count(against.answered), count(against.requests));
    match against.answered {
        _ if against.is_whole => format!("the whole run: {answered} of {requests} answered"),
        0 => format!("none of {requests} answered yet"),
        n if n > against.requests => {
            format!("longer than predicted: {answered} answered, at the pace of {requests}")
        }
        _ => format!("at pace of {answered}/{requests}; early values scatter"),
    }
}

const LATENCY_NOTE: &str = "p50, p99: proxy's against client's";

/// Two columns of four metrics, for small screens.
pub(super) fn two_columns(f: &mut Frame, area: Rect, metrics: &Metrics, seen: &Seen, theme: Theme) {
    let against = match comparison(metrics, seen) {
        Ok(against) => against,
        Err(why) => return nothing(f, area, why, theme),
    };
    let inner = panel(f, area, &title(&against), theme);
    let [tables, below] =
        Layout::vertical([Constraint::Min(1), Constraint::Length(1)]).areas(inner);
    let columns: [Rect; 2] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).spacing(2).areas(tables);
    let half = against.rows.len().div_ceil(2).max(1);
    for (rows, column) in against.rows.chunks(half).zip(columns) {
        let live = if against.is_whole { "live" } else { "at pace" };
        let heading = format!("{:<8}{live:>8}  {:>13} ", "", "predicted");
        let mut lines = vec![Line::styled(heading, theme.quiet())];
        lines.extend(rows.iter().map(|row| {
            let interval = interval(row.metric, row.interval);
            Line::from(vec![
                Span::styled(format!("{:<8}", short_name(row.metric)), theme.quiet()),
                Span::styled(format!("{:>8}", value(row.metric, row.at_pace)), theme.strong()),
                Span::raw(format!("  {interval:>13} ")),
                Span::styled(row.place.word(), look(row, &against, theme)),
            ])
        }));
        f.render_widget(Paragraph::new(lines), column);
    }
    f.render_widget(
        Paragraph::new(format!("{}; {LATENCY_NOTE}", note(&against))).style(theme.quiet()),
        below,
    );
}

/// One row a metric with a picture of its interval, for large screens.
pub(super) fn table(frame: &mut Frame, area: Rect, metrics: &Metrics, seen: &Seen, theme: Theme) {
    let against = match comparison(metrics, seen) {
        Ok(against) => against,
        Err(why) => return nothing(frame, area, why, theme),
    };
    let inner = panel(frame, area, &title(&against), theme);
    let width = usize::from(inner.width);
    // The picture and the mean need room; a narrow panel does without.
    let gauge_width = if width < 86 { 0 } else { (width - 66).min(44) };
    let means = |text: String| if gauge_width > 0 { text } else { String::new() };
    let names = if against.is_whole { ["", "live"] } else { ["so far", "at pace"] };
    let heading = format!(
        "{:<14}{:>9}{:>9}{}{:>14}",
        "",
        names[0],
        names[1],
        means(format!("{:>9}", "mean")),
        "predicted"
    );
    let mut lines = vec![Line::styled(heading, theme.quiet())];
    lines.extend(against.rows.iter().map(|row| {
        let (m, style) = (row.metric, look(row, &against, theme));
        let so_far = if against.is_whole { String::new() } else { value(m, row.so_far) };
        Line::from(vec![
            Span::styled(format!("{:<14}", m.name().trim_end_matches(" ms")), theme.quiet()),
            Span::raw(format!("{so_far:>9}")),
            Span::styled(format!("{:>9}", value(m, row.at_pace)), theme.strong()),
            Span::raw(means(format!("{:>9}", value(m, Some(row.mean))))),
            Span::raw(format!("{:>14}  ", interval(m, row.interval))),
            Span::styled(gauge(row, gauge_width), style),
            Span::styled(format!(" {}", row.place.word()), style),
        ])
    }));
    let notes = [note(&against), format!("{LATENCY_NOTE}; predicted: 95 %")];
    lines.push(Line::default());
    lines.extend(notes.map(|note| Line::styled(note, theme.quiet())));
    frame.render_widget(Paragraph::new(lines), inner);
}

/// Outside is red only when the run is whole: before, it means little.
fn look(row: &Comparison, against: &Against, theme: Theme) -> Style {
    match row.place {
        Place::TooEarly | Place::NotJudged => theme.quiet(),
        _ if !against.is_whole => Style::new(),
        Place::Inside => theme.good(),
        Place::Above | Place::Below => theme.bad(),
    }
}

const fn short_name(metric: RunMetric) -> &'static str {
    match metric {
        RunMetric::Score => "score",
        RunMetric::SuccessRate => "success",
        RunMetric::Attempts => "attempts",
        RunMetric::Penalty => "penalty",
        RunMetric::RateLimited => "429s",
        RunMetric::LatencyP50 => "p50",
        RunMetric::LatencyP99 => "p99",
        RunMetric::BusiestShare => "busiest",
    }
}

/// The interval as a line from `├` to `┤` with its mean `┼`, and the value as `●`; a value beyond
/// the picture is an arrow.
fn gauge(row: &Comparison, width: usize) -> String {
    let Interval { low, high } = row.interval;
    let Some(value) = row.at_pace.filter(|x| x.is_finite()) else {
        return " ".repeat(width);
    };
    let spread = match high - low {
        w if w.is_finite() && w > 0.0 => w,
        _ => low.abs().max(1.0) / 10.0,
    };
    // Half the interval's width on both sides.
    let (from, to) = (low - spread / 2.0, high + spread / 2.0);
    let place = |x: f64| {
        let share = ((x - from) / (to - from)).clamp(0.0, 1.0);
        (share * width.saturating_sub(1) as f64).round() as usize
    };
    let mut cells = vec!['·'; width];
    let mut put = |at: usize, c: char| {
        if let Some(cell) = cells.get_mut(at) {
            *cell = c;
        }
    };
    (place(low)..place(high)).for_each(|at| put(at, '─'));
    put(place(low), '├');
    put(place(high), '┤');
    put(place(row.mean), '┼');
    let dot = if value < from {
        '◀'
    } else if value > to {
        '▶'
    } else {
        '●'
    };
    put(place(value), dot);
    cells.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauge_of(value: f64, low: f64, high: f64) -> String {
        let interval = Interval { low, high };
        let (metric, mean) = (RunMetric::Score, (low + high) / 2.0);
        let at_pace = Some(value);
        let row =
            Comparison { metric, so_far: None, at_pace, interval, mean, place: Place::Inside };
        gauge(&row, 21)
    }

    #[test]
    fn the_picture_shows_where_a_value_lies() {
        assert_eq!(gauge_of(12.5, 10.0, 20.0), "·····├──●─┼────┤·····");
        assert_eq!(gauge_of(22.0, 10.0, 20.0), "·····├────┼────┤·●···");
        assert_eq!(gauge_of(99.0, 10.0, 20.0), "·····├────┼────┤····▶");
        assert_eq!(gauge_of(-9.0, 10.0, 20.0), "◀····├────┼────┤·····");
        assert_eq!(gauge_of(0.0, 0.0, 0.0), "··········●··········");
        assert_eq!(gauge_of(f64::NAN, 0.0, 1.0), " ".repeat(21));
        assert_eq!(gauge_of(1.0, f64::NEG_INFINITY, f64::INFINITY).chars().count(), 21);
    }
}
