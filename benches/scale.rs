//! How the cost of an attempt grows with the number of servers, for every strategy there is.
//!
//! An attempt is what a strategy does for it: `decide`, `on_sent`, `on_outcome`. There is no world
//! around it, which would grow with the number of servers as well. Requests are served one at a
//! time, attempts take 1 ms and fail with probability 0.3, a request has four attempts at most.
//! The strategy has met every server four times before the clock starts.
//!
//! Prints a table of nanoseconds per attempt: strategies x numbers of servers, the median of
//! several samples. `cargo bench -p flakelab-sim --bench scale [-- FILTER]` runs the
//! strategies whose name contains the filter. Without a filter it also writes the table to
//! `benches/scale.csv` and draws `benches/scale.svg`, a panel a strategy, over the figures of
//! `benches/scale-before.csv`: those of this program before large fleets were looked after.
//! Criterion's statistics are not needed for growth by factors of ten, and its minimum time per
//! case is too long for so many cases.

#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use flakelab_core::domain::{
    Attempt, AttemptId, Fleet, Outcome, PendingRequest, Purpose, Request, RequestId, ServerId,
    Span, Streams, Timestamp,
};
use flakelab_core::stats::uniform01;
use flakelab_core::strategy::{Decision, Strategy, StrategySpec};
use plotters::prelude::*;
use rand_chacha::ChaCha8Rng;

const SERVERS: [usize; 4] = [10, 100, 1_000, 10_000];

/// Time for one case; a case stops early when it has this many attempts.
const LIMIT: Duration = Duration::from_millis(1_500);
const ATTEMPTS: u64 = 200_000;

/// The median is over samples of so many attempts, or fewer where they are slow.
const SAMPLE: u64 = 1_000;

/// Plays requests one after the other on a strategy.
struct Player {
    strategy: Box<dyn Strategy>,
    luck: ChaCha8Rng,
    now: Timestamp,
    attempts: u64,
    requests: u64,
    pending: PendingRequest,
}

impl Player {
    fn new(spec: &StrategySpec, servers: usize) -> Self {
        let streams = Streams::new(42);
        let strategy =
            spec.build(&Fleet::uniform(servers), streams.stream(Purpose::Strategy, 0, 0));
        let luck = streams.stream(Purpose::World, 0, 0);
        let request = Request { id: RequestId(0), arrived_at: Timestamp::ZERO };
        let pending = PendingRequest::new(request, 3);
        let mut player =
            Self { strategy, luck, now: Timestamp::ZERO, attempts: 0, requests: 0, pending };
        for _ in 0..4 {
            ServerId::all(servers).for_each(|server| player.send(server));
        }
        player
    }

    /// One attempt of the current request.
    fn attempt(&mut self) {
        match self.strategy.decide(self.now, &self.pending) {
            Decision::Send(server) => self.send(black_box(server)),
            Decision::WaitUntil(at) => self.now = at.max(self.now + Span::from_millis_f64(1.0)),
        }
    }

    fn send(&mut self, server: ServerId) {
        let attempt = Attempt {
            id: AttemptId(self.attempts),
            request: self.pending.id,
            number: self.pending.attempts,
            server,
            sent_at: self.now,
        };
        self.attempts += 1;
        self.pending.record_attempt(server);
        self.strategy.on_sent(self.now, &attempt);
        self.now = self.now + Span::from_millis_f64(1.0);
        let failed = uniform01(&mut self.luck) < 0.3;
        let outcome = if failed { Outcome::Failure } else { Outcome::Success };
        self.strategy.on_outcome(self.now, &attempt, outcome);
        if !failed || self.pending.attempts == 4 {
            self.requests += 1;
            let request = Request { id: RequestId(self.requests), arrived_at: self.now };
            self.pending = PendingRequest::new(request, 3);
        }
    }
}

/// Median nanoseconds per attempt.
fn time(spec: &StrategySpec, servers: usize) -> f64 {
    let mut player = Player::new(spec, servers);
    let begin = Instant::now();
    let mut samples = Vec::new();
    let mut made = 0;
    while made < ATTEMPTS && begin.elapsed() < LIMIT {
        let start = Instant::now();
        let mut n = 0;
        while n < SAMPLE && (n % 16 != 0 || start.elapsed() < LIMIT / 8) {
            player.attempt();
            n += 1;
        }
        samples.push(start.elapsed().as_secs_f64() * 1e9 / n as f64);
        made += n;
    }
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// Name of a strategy, and nanoseconds by number of servers.
type Row = (String, Vec<f64>);

fn read(csv: &str) -> Result<Vec<Row>, Box<dyn Error>> {
    let row = |record: csv::StringRecord| -> Result<Row, Box<dyn Error>> {
        let figures = record.iter().skip(1).map(str::parse::<f64>).collect::<Result<_, _>>()?;
        Ok((record[0].to_owned(), figures))
    };
    csv::Reader::from_path(csv)?.records().map(|record| row(record?)).collect()
}

fn write(csv: &str, rows: &[Row]) -> Result<(), Box<dyn Error>> {
    let mut csv = csv::Writer::from_path(csv)?;
    let servers = SERVERS.iter().map(usize::to_string);
    csv.write_record(std::iter::once("strategy".to_owned()).chain(servers))?;
    for (name, figures) in rows {
        let figures = figures.iter().map(|ns| format!("{ns:.0}"));
        csv.write_record(std::iter::once(name.clone()).chain(figures))?;
    }
    Ok(csv.flush()?)
}

const COLUMNS: usize = 6;

/// A panel a strategy, both axes by factors of ten: `before` thin and grey, `now` above it.
fn draw(svg: &str, before: &[Row], now: &[Row]) -> Result<(), Box<dyn Error>> {
    let lines = now.len().div_ceil(COLUMNS);
    let sheet = SVGBackend::new(svg, (1200, 60 + 200 * lines as u32)).into_drawing_area();
    sheet.fill(&WHITE)?;
    let sheet =
        sheet.titled("Time per attempt by number of servers; grey: before", ("sans-serif", 26))?;
    for (panel, (name, figures)) in sheet.split_evenly((lines, COLUMNS)).iter().zip(now) {
        let mut chart = ChartBuilder::on(panel)
            .caption(name, ("sans-serif", 18))
            .margin(6)
            .x_label_area_size(20)
            .y_label_area_size(46)
            .build_cartesian_2d((10.0..10_000.0).log_scale(), (10.0..1e7).log_scale())?;
        chart
            .configure_mesh()
            .max_light_lines(1)
            .bold_line_style(BLACK.mix(0.12))
            .x_labels(4)
            .y_labels(7)
            .x_label_formatter(&|servers| format!("{servers:.0}"))
            .y_label_formatter(&|ns: &f64| match *ns {
                ns if ns < 1e3 => format!("{ns:.0} ns"),
                ns if ns < 1e6 => format!("{:.0} µs", ns / 1e3),
                ns => format!("{:.0} ms", ns / 1e6),
            })
            .label_style(("sans-serif", 12))
            .draw()?;
        let line = |figures: &[f64], style: ShapeStyle| {
            let servers = SERVERS.iter().map(|servers| *servers as f64);
            [PathElement::new(servers.zip(figures.to_vec()).collect::<Vec<_>>(), style)]
        };
        if let Some((_, figures)) = before.iter().find(|(other, _)| other == name) {
            chart.draw_series(line(figures, BLACK.mix(0.4).stroke_width(1)))?;
        }
        chart.draw_series(line(figures, RGBColor(0, 90, 160).stroke_width(2)))?;
    }
    Ok(sheet.present()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo hands its own flags on; what is no flag is the filter.
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    println!("nanoseconds per attempt (decision, sending, outcome), by number of servers\n");
    let headings: Vec<String> = SERVERS.iter().map(usize::to_string).collect();
    println!("| strategy | {} |", headings.join(" | "));
    println!("|---|---:|---:|---:|---:|");
    let mut rows = Vec::new();
    for spec in StrategySpec::all_with_defaults() {
        if filter.as_ref().is_some_and(|filter| !spec.name().contains(filter)) {
            continue;
        }
        let figures: Vec<f64> = SERVERS.iter().map(|n| time(&spec, *n)).collect();
        let cells: Vec<String> = figures.iter().map(|ns| format!("{ns:.0}")).collect();
        println!("| {} | {} |", spec.label(), cells.join(" | "));
        rows.push((spec.label(), figures));
    }
    if filter.is_none() {
        let file = |name| format!("{}/../../benches/{name}", env!("CARGO_MANIFEST_DIR"));
        write(&file("scale.csv"), &rows)?;
        draw(&file("scale.svg"), &read(&file("scale-before.csv"))?, &rows)?;
    }
    Ok(())
}
