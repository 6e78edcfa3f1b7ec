//! Whole screens, cell by cell, at the sizes that matter.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::app::{App, Order};
use super::draw;
use super::theme::Theme;
use crate::metrics::Metrics;
use crate::watch::seen::{Predicted, Seen};
use crate::watch::testing;

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (200, 50);

fn seen(metrics: Metrics) -> Seen {
    let prediction = Predicted::File(Box::new(testing::prediction()));
    Seen { metrics: Some(metrics), prediction, ..Seen::default() }
}

fn drawn(size: (u16, u16), seen: &Seen, app: App, color: bool) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    let mut app = app;
    terminal.draw(|frame| draw::screen(frame, seen, &mut app, Theme { color })).unwrap();
    terminal.backend().clone()
}

fn text(size: (u16, u16), seen: &Seen) -> String {
    let backend = drawn(size, seen, App::default(), true);
    let buffer = backend.buffer();
    let row = |y| (0..size.0).filter_map(|x| buffer.cell((x, y))).map(|c| c.symbol()).collect();
    let rows: Vec<String> = (0..size.1).map(row).collect();
    rows.iter().map(|row| row.trim_end()).collect::<Vec<_>>().join("\n")
}

macro_rules! snapshot {
    ($name:literal, $size:expr, $seen:expr) => {
        insta::assert_snapshot!($name, text($size, $seen))
    };
}

#[test]
fn before_there_is_a_file_the_screen_says_what_it_waits_for() {
    let trouble = "waiting for results/x/metrics.json: the proxy writes it when it starts";
    let seen = Seen { trouble: Some(trouble.to_owned()), ..Seen::default() };
    snapshot!("no_file_80x24", SMALL, &seen);
    snapshot!("no_file_200x50", LARGE, &seen);
    snapshot!("no_file_40x10", (40, 10), &seen);
}

#[test]
fn before_the_first_answer_nothing_is_made_up() {
    let seen = seen(testing::waiting_for_first());
    snapshot!("first_80x24", SMALL, &seen);
    snapshot!("first_200x50", LARGE, &seen);
}

#[test]
fn in_the_middle_of_a_run_everything_is_on_the_screen() {
    let seen = seen(testing::middle());
    snapshot!("middle_80x24", SMALL, &seen);
    snapshot!("middle_200x50", LARGE, &seen);
    snapshot!("middle_120x30", (120, 30), &seen);
    snapshot!("middle_78x20", (78, 20), &seen);
    snapshot!("middle_80x50", (80, 50), &seen);
    snapshot!("middle_200x24", (200, 24), &seen);
    snapshot!("middle_40x10", (40, 10), &seen);
    snapshot!("middle_20x5", (20, 5), &seen);
}

#[test]
fn an_ended_run_stays_on_the_screen_and_says_so() {
    let seen = seen(testing::ended());
    snapshot!("ended_80x24", SMALL, &seen);
    snapshot!("ended_200x50", LARGE, &seen);
}

#[test]
fn a_half_written_file_leaves_the_last_state_with_a_note() {
    let mut seen = seen(testing::middle());
    seen.trouble = Some("results/x/metrics.json is half-written: waiting for the rest".to_owned());
    snapshot!("half_written_80x24", SMALL, &seen);
    snapshot!("half_written_200x50", LARGE, &seen);
}

#[test]
fn without_a_prediction_its_place_is_given_to_others() {
    let mut seen = seen(testing::middle());
    seen.prediction = Predicted::Missing("no results/x/prediction.json".to_owned());
    snapshot!("no_prediction_80x24", SMALL, &seen);
    snapshot!("no_prediction_200x50", LARGE, &seen);
}

#[test]
fn one_server_and_128_servers_fit() {
    snapshot!("one_server_80x24", SMALL, &seen(testing::one_server()));
    snapshot!("many_servers_80x24", SMALL, &seen(testing::many_servers()));
    snapshot!("many_servers_200x50", LARGE, &seen(testing::many_servers()));
}

#[test]
fn huge_numbers_and_names_keep_to_their_columns() {
    snapshot!("huge_80x24", SMALL, &seen(testing::huge()));
    snapshot!("huge_200x50", LARGE, &seen(testing::huge()));
}

#[test]
fn help_lies_over_the_screen() {
    let app = App { help: true, ..App::default() };
    let shown = drawn(SMALL, &seen(testing::middle()), app, true);
    insta::assert_snapshot!("help_80x24", shown);
}

#[test]
fn no_size_is_a_panic() {
    let states = [
        Seen::default(),
        Seen { metrics: Some(Metrics::default()), ..Seen::default() },
        seen(testing::middle()),
        seen(testing::many_servers()),
        seen(testing::huge()),
    ];
    for seen in &states {
        for width in [0, 1, 2, 5, 19, 20, 40, 75, 76, 80, 119, 120, 121, 200, 500] {
            for height in [0, 1, 2, 3, 5, 10, 19, 20, 24, 29, 30, 31, 50, 120] {
                for (help, order) in [(false, Order::Model), (true, Order::Attempts)] {
                    let app = App { paused: help, help, order, scroll: usize::MAX };
                    drawn((width, height), seen, app, true);
                }
            }
        }
    }
}

#[test]
fn scrolling_ends_with_the_last_server() {
    let app = App { scroll: 1_000, order: Order::Attempts, ..App::default() };
    let shown = drawn(SMALL, &seen(testing::many_servers()), app, true).to_string();
    assert!(shown.contains("of 128, by attempts"), "{shown}");
    assert!(shown.contains(" to 128 of 128"), "{shown}");
}

#[test]
fn without_colour_no_cell_has_one_and_the_text_is_the_same() {
    for metrics in [testing::middle(), testing::ended(), testing::huge()] {
        for size in [SMALL, LARGE] {
            let seen = seen(metrics.clone());
            let plain = drawn(size, &seen, App::default(), false);
            let coloured = drawn(size, &seen, App::default(), true);
            assert_eq!(plain.to_string(), coloured.to_string());
            let uncoloured =
                |c: &ratatui::buffer::Cell| (c.fg, c.bg) == (Color::Reset, Color::Reset);
            assert!(plain.buffer().content().iter().all(uncoloured));
            assert!(!coloured.buffer().content().iter().all(uncoloured));
        }
    }
}

#[test]
fn outside_is_red_only_at_the_end() {
    let is_red = |metrics| {
        let seen = seen(metrics);
        let shown = drawn(SMALL, &seen, App::default(), true);
        let cells = shown.buffer().content().to_vec();
        // Rows of the comparison.
        cells.iter().skip(80 * 16).take(80 * 6).any(|c| c.fg == Color::Red)
    };
    assert!(!is_red(testing::middle()));
    assert!(is_red(testing::ended()));
}
