//! Runs on a time line, coloured by the start of the servers that they met.

use super::{FitPicture, RunPicture, page};
use crate::report::charts::axis::Axis;
use crate::report::charts::lettering::{fitted, width};
use crate::report::charts::number::{counted, fixed};
use crate::report::charts::page::{MARGIN, SMALL, WIDTH};
use crate::report::charts::palette::{GRID, QUIET, RULE, TEXT, colour, readable_on};
use crate::report::charts::scene::Anchor;
use crate::report::charts::{Chart, ChartError};

const ROW: f64 = 30.0;
const NAME_ROOM: f64 = 330.0;

/// The chart.
pub(super) fn chart(picture: &FitPicture) -> Result<Chart, ChartError> {
    let reading = "One bar a run, in order of time; a number and a colour for each start. Right: \
                   probability that the servers were started anew before the run";
    let mut page = page("Starts of the servers", picture, reading);
    let names = picture.runs.iter().map(|run| width(&run.name, SMALL)).fold(60.0, f64::max);
    let left = MARGIN + names.min(NAME_ROOM) + 14.0;
    let right = WIDTH - MARGIN - 110.0;
    let longest = picture.runs.iter().map(|run| run.seconds).fold(1e-3, f64::max);
    let axis = Axis::between("seconds since the run began", 0.0, longest);
    page.scene.text("P(restart)", (WIDTH - MARGIN, page.y + 12.0), Anchor::End, SMALL, QUIET);
    let (top, rows) = (page.y + 20.0, picture.runs.len() as f64);
    let bottom = top + ROW * rows + 4.0;
    for tick in axis.ticks_along(right - left, 8, SMALL) {
        let at = left + axis.share(tick.value) * (right - left);
        page.scene.line((at, top), (at, bottom + 6.0), GRID, 1.5);
        page.scene.text(&tick.label, (at, bottom + 24.0), Anchor::Middle, SMALL, TEXT);
    }
    page.scene.line((left, bottom), (right, bottom), RULE, 1.5);
    for (i, run) in picture.runs.iter().enumerate() {
        let y = top + ROW * i as f64;
        let name = fitted(&run.name, SMALL, NAME_ROOM);
        page.scene.text(&name, (MARGIN, y + 21.0), Anchor::Start, SMALL, TEXT);
        for (j, (from, start)) in run.starts.iter().enumerate() {
            let to = run.starts.get(j + 1).map_or(run.seconds, |(next, _)| *next);
            let x = |seconds: f64| left + axis.share(seconds) * (right - left);
            let ink = colour(*start);
            page.scene.rectangle((x(*from), y + 4.0), (x(to).max(x(*from) + 2.0), y + 26.0), ink);
            let at = (x(*from) + 8.0, y + 21.0);
            page.scene.text(&start.to_string(), at, Anchor::Start, SMALL, readable_on(ink));
        }
        if let Some(probability) = run.restart_before {
            let text = match probability {
                p if p > 0.999 => "> 0.999".to_owned(),
                p if p < 0.001 => "< 0.001".to_owned(),
                p => fixed(p, 3),
            };
            page.scene.text(&text, (WIDTH - MARGIN, y + 21.0), Anchor::End, SMALL, TEXT);
        }
    }
    page.centred(&axis.name, (left + right) / 2.0, bottom + 48.0);
    page.y = bottom + 56.0;
    page.finish("fit-starts", caption(&picture.runs))
}

fn caption(runs: &[RunPicture]) -> String {
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
