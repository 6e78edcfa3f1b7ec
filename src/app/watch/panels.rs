//! The panels of the screen: title and numbers, servers, last answers, live against predicted,
//! latencies, keys and help.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Clear, Dataset, GraphType, Paragraph, Wrap};

use crate::charts::range;
use crate::report::counted;
use crate::watch::TICK;
use crate::watch::compare::{Against, Comparison, Place, against};
use crate::watch::figures::{
    clean, count, cut, cut_front, duration, interval, ms, percent, points as whole, value,
};
use crate::watch::follow::{
    Predicted, Seen, answered, headline, is_sound, running_s, share, sound_latencies, title as name,
};
use crate::watch::view::{App, Theme, panel};
use flakelab_core::stats::Interval;
use flakelab_fit::{Basis, RunMetric};
use flakelab_live::{Metrics, RecentEvent, ServerMetrics};

/// Columns without the bar.
const NUMBERS: u16 = 5 + 1 + 4 + 6 + 6 + 7 + 6 + 6;

/// The narrowest table, with a bar of five.
pub(crate) const WIDTH: u16 = NUMBERS + 5;

/// Who gets the attempts, and what comes of them; keeps the scrolling within bounds.
pub(crate) fn servers(
    frame: &mut Frame,
    area: Rect,
    metrics: &Metrics,
    app: &mut App,
    theme: Theme,
) {
    let total = metrics.per_server.len();
    let room = usize::from(area.height.saturating_sub(2));
    app.scroll = app.scroll.min(total.saturating_sub(room));
    let mut servers: Vec<&ServerMetrics> = metrics.per_server.iter().collect();
    if app.by_attempts {
        servers.sort_by_key(|server| std::cmp::Reverse(server.num_requests));
    }
    let shown: Vec<&ServerMetrics> = servers.into_iter().skip(app.scroll).take(room).collect();
    let order = if app.by_attempts { ", by attempts" } else { "" };
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

// ---- The last answers: request, its attempts one after the other, `500` if all was in vain, latency.

/// From this width on, an event says when it was.
const WITH_TIME: u16 = 50;

/// Draws as many as fit, the newest first.
pub(crate) fn last_answers(frame: &mut Frame, area: Rect, metrics: &Metrics, theme: Theme) {
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

/// Rows of [`two_columns`] and of [`table`].
pub(crate) fn heights(seen: &Seen) -> (u16, u16) {
    if matches!(seen.prediction, Predicted::File(_)) { (7, 13) } else { (2, 3) }
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
    let basis = match against.basis {
        Basis::Model => "the model",
        Basis::TrueRates => "the servers' true rates",
        Basis::OtherRuns => "the other runs",
    };
    format!("live against predicted, from {basis}")
}

fn note(against: &Against) -> String {
    let (answered, requests) = (count(against.answered), count(against.requests));
    match against.answered {
        _ if against.is_whole => format!("the whole run: {answered} of {requests} answered"),
        0 => format!("none of {requests} answered yet"),
        n if n > against.requests => {
            format!("longer than predicted: {answered} answered, not {requests}")
        }
        _ => format!("predicted: 95 % of runs at {answered} of {requests}"),
    }
}

const LATENCY_NOTE: &str = "p50, p99: proxy's against client's";

/// Two columns of four metrics, for small screens.
pub(crate) fn two_columns(f: &mut Frame, area: Rect, metrics: &Metrics, seen: &Seen, theme: Theme) {
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
        let live = if against.is_whole { "live" } else { "so far" };
        let heading = format!("{:<8}{live:>8}  {:>13} ", "", "predicted");
        let mut lines = vec![Line::styled(heading, theme.quiet())];
        lines.extend(rows.iter().map(|row| {
            let interval = interval(row.metric, row.interval);
            Line::from(vec![
                Span::styled(format!("{:<8}", short_name(row.metric)), theme.quiet()),
                Span::styled(format!("{:>8}", value(row.metric, row.value)), theme.strong()),
                Span::raw(format!("  {interval:>13} ")),
                Span::styled(row.place.word(), look(row, theme)),
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
pub(crate) fn table(frame: &mut Frame, area: Rect, metrics: &Metrics, seen: &Seen, theme: Theme) {
    let against = match comparison(metrics, seen) {
        Ok(against) => against,
        Err(why) => return nothing(frame, area, why, theme),
    };
    let inner = panel(frame, area, &title(&against), theme);
    let width = usize::from(inner.width);
    // The picture and the mean need room; a narrow panel does without.
    let gauge_width = if width < 77 { 0 } else { (width - 57).min(44) };
    let means = |text: String| if gauge_width > 0 { text } else { String::new() };
    let live = if against.is_whole { "live" } else { "so far" };
    let heading =
        format!("{:<14}{live:>9}{}{:>14}", "", means(format!("{:>9}", "mean")), "predicted");
    let mut lines = vec![Line::styled(heading, theme.quiet())];
    lines.extend(against.rows.iter().map(|row| {
        let (m, style) = (row.metric, look(row, theme));
        Line::from(vec![
            Span::styled(format!("{:<14}", m.name().trim_end_matches(" ms")), theme.quiet()),
            Span::styled(format!("{:>9}", value(m, row.value)), theme.strong()),
            Span::raw(means(format!("{:>9}", value(m, Some(row.mean).filter(|x| !x.is_nan()))))),
            Span::raw(format!("{:>14}  ", interval(m, row.interval))),
            Span::styled(gauge(row, gauge_width), style),
            Span::styled(format!(" {}", row.place.word()), style),
        ])
    }));
    let notes = [note(&against), LATENCY_NOTE.to_owned()];
    lines.push(Line::default());
    lines.extend(notes.map(|note| Line::styled(note, theme.quiet())));
    frame.render_widget(Paragraph::new(lines), inner);
}

fn look(row: &Comparison, theme: Theme) -> Style {
    match row.place {
        Place::Nothing | Place::NotJudged => theme.quiet(),
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
    let Some(value) = row.value.filter(|x| x.is_finite()) else {
        return " ".repeat(width);
    };
    if low.is_nan() || high.is_nan() {
        return " ".repeat(width);
    }
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

/// Ticks without a change after which it is said: three seconds.
const QUIET_AFTER: u64 = 30;

/// Who runs and how far it is; or what is wrong with the file.
pub(crate) fn title_line(frame: &mut Frame, area: Rect, seen: &Seen, app: &App, theme: Theme) {
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
pub(crate) fn numbers(frame: &mut Frame, area: Rect, metrics: &Metrics, theme: Theme) {
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

// ---- The keys at the bottom, and the page that explains them and the words.

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
    "One in 20 lies outside by chance; the verdict comes later.",
];

pub(crate) fn keys(frame: &mut Frame, area: Rect, theme: Theme) {
    let spans = KEYS.into_iter().flat_map(|(key, does)| {
        [Span::styled(key, theme.strong()), Span::styled(format!(" {does}   "), theme.quiet())]
    });
    frame.render_widget(Paragraph::new(spans.collect::<Line>()), area);
}

/// The page, in a box in the middle of the screen.
pub(crate) fn help(frame: &mut Frame, area: Rect) {
    let lines: Vec<Line> = WORDS.into_iter().map(|text| Line::from(format!(" {text}"))).collect();
    let (width, height) = (62.min(area.width), (WORDS.len() as u16 + 2).min(area.height));
    let (x, y) = (area.x + (area.width - width) / 2, area.y + (area.height - height) / 2);
    let place = Rect { x, y, width, height };
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" help ")), place);
}

// ---- The last latencies, as a line of small bars or as a chart. Both scales are logarithmic: one
// attempt that times out takes a thousand times as long as one that succeeds.

const BARS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// One line: a bar a request, the newest at the right.
pub(crate) fn sparkline(frame: &mut Frame, area: Rect, metrics: &Metrics, theme: Theme) {
    let values = sound_latencies(metrics);
    let width = usize::from(area.width);
    // The legend takes up to 40 columns, one request needs one.
    let fits = width.saturating_sub(40);
    let shown = values.get(values.len().saturating_sub(fits)..).unwrap_or(&[]);
    let Some((low, high)) = range(shown.iter().copied()) else {
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
pub(crate) fn chart(frame: &mut Frame, area: Rect, metrics: &Metrics, theme: Theme) {
    let values = sound_latencies(metrics);
    let kept = counted(metrics.latencies.len() as u64, "answer");
    let title = format!("latency in ms, log scale, last {kept}");
    let inner = panel(frame, area, &title, theme);
    let Some((low, high)) = range(values.iter().copied()) else {
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
        let line = Dataset::default().data(data).marker(Marker::Braille);
        line.graph_type(GraphType::Line).style(style)
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
    fn bars_grow_by_eighths_and_fill_their_room() {
        assert_eq!((bar_of(0.0, 4).as_str(), bar_of(1e-9, 4).as_str()), ("", "▏"));
        assert_eq!((bar_of(0.5, 3).as_str(), bar_of(1.0, 4).as_str()), ("█▌", "████"));
        assert_eq!((bar_of(7.0, 2).as_str(), bar_of(1.0, 0).as_str()), ("██", ""));
    }

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

    fn gauge_of(value: f64, low: f64, high: f64) -> String {
        let interval = Interval { low, high };
        let (metric, mean) = (RunMetric::Score, (low + high) / 2.0);
        let (value, place) = (Some(value), Place::Inside);
        let row = Comparison { metric, value, interval, mean, place };
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
