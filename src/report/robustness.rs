//! The robustness map as text: strategies down, scenarios across, losses against the best.

use std::fmt::Write;

use super::charts::loss_cell;
use super::numbers::fixed;
use super::table::{escaped, frame};
use crate::experiment::Robustness;

/// How to read a map.
pub(super) const READING: &str = "Loss against the best strategy of each scenario in points for \
    1,000 requests; 0 is the best, ≈ is too close to call (cannot be told from the best). Rows by \
    mean rank.";

/// The map for Markdown, with a list of the scenarios.
pub(super) fn markdown_map(map: &Robustness) -> String {
    let mut text = format!("{READING}\n\n| strategy |");
    // Writing to a string cannot fail.
    for number in 1..=map.scenarios.len() {
        let _ = write!(text, " {number} |");
    }
    text += " worst | best or ≈ | mean rank |\n| --- |";
    text += &" ---: |".repeat(map.scenarios.len() + 3);
    for row in &map.rows {
        let _ = write!(text, "\n| {} |", escaped(&row.strategy));
        for place in &row.places {
            let _ = write!(text, " {} |", loss_cell(*place));
        }
        let worst = fixed(row.worst_loss, usize::from(row.worst_loss < 9.95));
        let rank = fixed(row.mean_rank, 1);
        let _ = write!(text, " {worst} | {} | {rank} |", row.best_or_tied);
    }
    text.push('\n');
    for (number, scenario) in (1..).zip(&map.scenarios) {
        let _ = write!(text, "\n{number}. {}", escaped(scenario));
    }
    text.push('\n');
    text
}

/// The map for a terminal so wide, in as many pieces as it takes; without a width in one.
pub fn terminal_map(map: &Robustness, width: Option<usize>) -> String {
    let names = map.rows.iter().map(|row| row.strategy.chars().count()).max().unwrap_or(0);
    // A space on either side of each cell and a line between columns.
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(names.max(8) + 4));
    let cell_width = |column: &[String]| {
        column.iter().map(|cell| cell.chars().count()).max().unwrap_or(0).max(2) + 3
    };
    let columns: Vec<Vec<String>> = (0..map.scenarios.len())
        .map(|scenario| map.rows.iter().map(|row| loss_cell(row.places[scenario])).collect())
        .collect();
    let mut text = format!("robustness map: {}\n", lowered(READING));
    let mut next = 0;
    while next < columns.len() {
        let first = next;
        let mut used = 0;
        while next < columns.len() && (next == first || used + cell_width(&columns[next]) <= room) {
            used += cell_width(&columns[next]);
            next += 1;
        }
        let headings: Vec<String> = (first..next).map(|i| (i + 1).to_string()).collect();
        let strategies = map.rows.iter().map(|row| row.strategy.clone()).collect();
        let mut piece: Vec<(&str, Vec<String>)> = vec![("strategy", strategies)];
        let cells = headings.iter().zip(&columns[first..next]);
        piece.extend(cells.map(|(heading, cells)| (heading.as_str(), cells.clone())));
        let _ = writeln!(text, "{}", frame(&piece, 1));
    }
    let scenarios: Vec<String> =
        (1..).zip(&map.scenarios).map(|(number, name)| format!("{number} {name}")).collect();
    text + &scenarios.join(", ")
}

fn lowered(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{Place, RobustnessRow};

    fn map() -> Robustness {
        let place = |loss, rank, tied| Place { loss, rank, tied };
        let row = |strategy: &str, places: Vec<Place>| RobustnessRow {
            strategy: strategy.to_owned(),
            mean_rank: 1.5,
            best_or_tied: 1,
            worst_loss: places.iter().map(|p| p.loss).fold(0.0, f64::max),
            places,
        };
        Robustness {
            scenarios: vec!["one_is_slow".to_owned(), "all|equal".to_owned()],
            rows: vec![
                row("V4 thompson", vec![place(0.0, 1, false), place(0.26, 2, true)]),
                row("x_y", vec![place(4631.2, 2, false), place(0.0, 1, true)]),
            ],
        }
    }

    #[test]
    fn cells_say_best_tied_or_how_much_is_lost() {
        let text = markdown_map(&map());
        assert!(text.contains("| V4 thompson | 0 | ≈0.3 | 0.3 | 1 | 1.5 |"), "{text}");
        assert!(text.contains(r"| x\_y | 4631 | 0 | 4631 | 1 | 1.5 |"), "{text}");
        assert!(text.ends_with("1. one\\_is\\_slow\n2. all\\|equal\n"), "{text}");
    }

    #[test]
    fn a_narrow_terminal_gets_the_map_in_pieces_and_every_scenario_once() {
        let whole = terminal_map(&map(), None);
        assert_eq!(whole.matches("V4 thompson").count(), 1, "{whole}");
        let narrow = terminal_map(&map(), Some(24));
        assert_eq!(narrow.matches("V4 thompson").count(), 2, "{narrow}");
        assert!(narrow.contains("4631") && narrow.contains("≈0.3"), "{narrow}");
        assert!(narrow.ends_with("1 one_is_slow, 2 all|equal"), "{narrow}");
    }
}
