//! The robustness map as text: strategies down, scenarios across, losses against the best.

use std::fmt::Write;

use super::charts::loss_cell;
use super::numbers::fixed;
use super::table::Table;
use super::text::{capital, escaped};
use crate::experiment::{Robustness, RobustnessRow};

/// How to read a map.
const READING: &str = "loss against the best strategy of each scenario in points for \
    1,000 requests; 0 is the best, ≈ is too close to call (cannot be told from the best). Rows by \
    mean rank.";

fn map_table(map: &Robustness) -> Table<&RobustnessRow> {
    let mut table = Table::of(&map.rows).text("strategy", |row| row.strategy.clone());
    for scenario in 0..map.scenarios.len() {
        table = table.number((scenario + 1).to_string(), |row| loss_cell(row.places[scenario]));
    }
    table
        .number("worst", |row| fixed(row.worst_loss, usize::from(row.worst_loss < 9.95)))
        .spared(0)
        .number("best or ≈", |row| row.best_or_tied.to_string())
        .spared(1)
        .number("mean rank", |row| fixed(row.mean_rank, 1))
        .spared(2)
}

/// The map for Markdown, with a list of the scenarios.
pub fn markdown_map(map: &Robustness) -> String {
    let table = map_table(map).markdown();
    let mut text = format!("{}\n\n{table}", capital(READING));
    for (number, scenario) in (1..).zip(&map.scenarios) {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{number}. {}", escaped(scenario));
    }
    text + "\n"
}

/// The map for a terminal so wide, in as many pieces as it takes; without a width in one.
pub fn terminal_map(map: &Robustness, width: Option<usize>) -> String {
    let scenarios: Vec<String> =
        (1..).zip(&map.scenarios).map(|(number, name)| format!("{number} {name}")).collect();
    format!(
        "robustness map: {READING}\n{}\n{}",
        map_table(map).on_terminal(width),
        scenarios.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Place;

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
