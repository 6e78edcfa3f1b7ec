//! Runs on a time line, coloured by the start of the servers that they met.

use super::page;
use crate::fit::{ConfigFit, Place, RunSummary};
use crate::report::charts::axis::Axis;
use crate::report::charts::lettering::{fitted, width};
use crate::report::charts::number::fixed;
use crate::report::charts::page::{MARGIN, SMALL, WIDTH};
use crate::report::charts::palette::{QUIET, TEXT, colour, readable_on};
use crate::report::charts::panel::Plot;
use crate::report::charts::scene::Anchor;
use crate::report::charts::{Chart, ChartError};
use crate::report::numbers::counted;

const ROW: f64 = 30.0;
const NAME_ROOM: f64 = 330.0;

/// The chart.
pub(super) fn chart(fit: &ConfigFit) -> Result<Chart, ChartError> {
    let reading = "One bar a run, in order of time; a number and a colour for each start. Right: \
                   probability that the servers were started anew before the run";
    let mut page = page("Starts of the servers", fit, reading);
    let names = fit.runs.iter().map(|run| width(&run.file, SMALL)).fold(60.0, f64::max);
    let left = MARGIN + names.min(NAME_ROOM) + 14.0;
    let right = WIDTH - MARGIN - 110.0;
    let longest = fit.runs.iter().map(|run| run.seconds).fold(1e-3, f64::max);
    let axis = Axis::between("seconds since the run began", 0.0, longest);
    page.scene.text("P(restart)", (WIDTH - MARGIN, page.y + 12.0), Anchor::End, SMALL, QUIET);
    let (top, rows) = (page.y + 20.0, fit.runs.len() as f64);
    let bottom = top + ROW * rows + 4.0;
    let plot = Plot { left, right, top, bottom };
    plot.grid(&mut page, &axis, 8);
    plot.base(&mut page);
    for (i, run) in fit.runs.iter().enumerate() {
        let y = top + ROW * i as f64;
        let name = fitted(&run.file, SMALL, NAME_ROOM);
        page.scene.text(&name, (MARGIN, y + 21.0), Anchor::Start, SMALL, TEXT);
        for (j, (from, start)) in run.starts.iter().enumerate() {
            let to = run.starts.get(j + 1).map_or(run.seconds, |(next, _)| *next);
            let (from, to) = (plot.x(&axis, *from), plot.x(&axis, to));
            let ink = colour(*start);
            page.scene.rectangle((from, y + 4.0), (to.max(from + 2.0), y + 26.0), ink);
            let at = (from + 8.0, y + 21.0);
            page.scene.text(&start.to_string(), at, Anchor::Start, SMALL, readable_on(ink));
        }
        if let Some(probability) = restart_before(fit, i) {
            let text = match probability {
                p if p > 0.999 => "> 0.999".to_owned(),
                p if p < 0.001 => "< 0.001".to_owned(),
                p => fixed(p, 3),
            };
            page.scene.text(&text, (WIDTH - MARGIN, y + 21.0), Anchor::End, SMALL, TEXT);
        }
    }
    plot.name_below(&mut page, &axis);
    page.y = bottom + 56.0;
    page.finish("fit-starts", caption(&fit.runs))
}

/// The probability of a restart between the run before and this one.
fn restart_before(fit: &ConfigFit, run: usize) -> Option<f64> {
    fit.starts.boundaries.iter().find_map(|boundary| match boundary.place {
        Place::Between { after, .. } if after == run => Some(boundary.probability),
        _ => None,
    })
}

fn caption(runs: &[RunSummary]) -> String {
    let starts = runs.iter().flat_map(|run| &run.starts).map(|(_, start)| *start).max();
    let within = runs.iter().map(|run| run.starts.len().saturating_sub(1)).sum::<usize>();
    format!(
        "{} met {}; {} restart{} within a run.",
        counted(runs.len() as u64, "run"),
        counted(starts.unwrap_or(0) as u64, "start"),
        if within == 0 { "no".to_owned() } else { within.to_string() },
        if within == 1 { "" } else { "s" }
    )
}
