//! One table from rows, for terminals and for Markdown.
//!
//! On a terminal that is too narrow columns that can be spared go first; then columns of words
//! are broken into lines, down to their least width; what is still too wide is continued below,
//! its first column repeated. Numbers are never broken.
//!
//! When not to use it: for files that programs read; those have columns and units of their own.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Width, presets};

use crate::report::text::escaped;

/// A table in the making: every column is told how it shows a row. The first names the rows.
#[derive(Debug)]
pub struct Table<R> {
    rows: Vec<R>,
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    heading: String,
    cells: Vec<String>,
    /// Words stand at the left, numbers at the right.
    is_text: bool,
    /// Characters below which it is not broken; none if it never is.
    least: Option<usize>,
    /// Its place among those that a narrow terminal can do without.
    spared: Option<u8>,
}

/// A space on either side of each cell and a line between columns, in characters.
const BETWEEN: usize = 3;

impl<R> Table<R> {
    /// A table of these rows, without columns so far.
    pub fn of(rows: impl IntoIterator<Item = R>) -> Self {
        Self { rows: rows.into_iter().collect(), columns: Vec::new() }
    }

    pub fn text(self, heading: impl Into<String>, cell: impl FnMut(&R) -> String) -> Self {
        self.column(heading.into(), cell, true)
    }

    pub fn number(self, heading: impl Into<String>, cell: impl FnMut(&R) -> String) -> Self {
        self.column(heading.into(), cell, false)
    }

    fn column(mut self, heading: String, cell: impl FnMut(&R) -> String, is_text: bool) -> Self {
        let cells = self.rows.iter().map(cell).collect();
        self.columns.push(Column { heading, cells, is_text, least: None, spared: None });
        self
    }

    /// The last column may be broken between words, down to so many characters.
    pub fn at_least(mut self, characters: usize) -> Self {
        if let Some(column) = self.columns.last_mut() {
            column.least = Some(characters);
        }
        self
    }

    /// The last column can be spared; the lowest places go first.
    pub fn spared(mut self, place: u8) -> Self {
        if let Some(column) = self.columns.last_mut() {
            column.spared = Some(place);
        }
        self
    }

    /// The table without what its rows were.
    pub fn done(self) -> Table<()> {
        Table { rows: vec![(); self.rows.len()], columns: self.columns }
    }

    /// The table on a terminal so wide, whole without a width, and the headings of the columns
    /// that it had no room for.
    pub fn fitted(&self, width: Option<usize>) -> (String, Vec<&str>) {
        let mut shown: Vec<&Column> = self.columns.iter().collect();
        let mut left_out = Vec::new();
        while width.is_some_and(|width| least_width(&shown) > width) {
            let spared = shown.iter().enumerate().filter_map(|(i, c)| Some((c.spared?, i)));
            let Some((_, first)) = spared.min() else { break };
            left_out.push(shown.remove(first).heading.as_str());
        }
        let drawn: Vec<String> =
            parts(&shown, width).iter().map(|part| self.drawn(part, width)).collect();
        (drawn.join("\n"), left_out)
    }

    /// The table on a terminal so wide, without a word of what is left out.
    pub fn on_terminal(&self, width: Option<usize>) -> String {
        self.fitted(width).0
    }

    pub fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let rule = |c: &Column| if c.is_text { "---" } else { "---:" }.to_owned();
        let mut text = line(self.columns.iter().map(|c| escaped(&c.heading)).collect());
        text += &line(self.columns.iter().map(rule).collect());
        for row in 0..self.rows.len() {
            text += &line(self.columns.iter().map(|c| escaped(&c.cells[row])).collect());
        }
        text
    }

    fn drawn(&self, columns: &[&Column], width: Option<usize>) -> String {
        let mut table = comfy_table::Table::new();
        table.load_preset(presets::UTF8_FULL_CONDENSED);
        table.set_content_arrangement(ContentArrangement::Disabled);
        if let Some(width) = width.and_then(|width| u16::try_from(width).ok()) {
            table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic);
        }
        table.set_header(columns.iter().map(|column| &column.heading));
        table.add_rows((0..self.rows.len()).map(|row| columns.iter().map(move |c| &c.cells[row])));
        for (drawn, column) in table.column_iter_mut().zip(columns) {
            if !column.is_text {
                drawn.set_cell_alignment(CellAlignment::Right);
            }
            let with_padding = |least: usize| Width::Fixed(u16::try_from(least + 2).unwrap_or(1));
            drawn.set_constraint(match column.least {
                Some(_) => ColumnConstraint::LowerBoundary(with_padding(column.least_width())),
                None => ColumnConstraint::ContentWidth,
            });
        }
        table.to_string()
    }
}

impl Column {
    fn width(&self) -> usize {
        let texts = self.cells.iter().chain([&self.heading]);
        texts.map(|text| text.chars().count()).max().unwrap_or(0)
    }

    fn least_width(&self) -> usize {
        self.least.map_or(self.width(), |least| least.min(self.width()))
    }
}

fn least_width(columns: &[&Column]) -> usize {
    1 + columns.iter().map(|column| column.least_width() + BETWEEN).sum::<usize>()
}

/// The columns of each of the tables that fit one above the other.
fn parts<'c>(columns: &[&'c Column], width: Option<usize>) -> Vec<Vec<&'c Column>> {
    let Some((first, others)) = columns.split_first() else { return Vec::new() };
    let mut parts = vec![vec![*first]];
    for column in others {
        let last = parts.len() - 1;
        let needed = least_width(&parts[last]) + column.least_width() + BETWEEN;
        if parts[last].len() > 1 && width.is_some_and(|width| needed > width) {
            parts.push(vec![*first, *column]);
        } else {
            parts[last].push(*column);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table<usize> {
        let of = |n: usize| move |_: &usize| "1".repeat(n);
        Table::of([1, 2])
            .text("strategy", |_| "a_b".to_owned())
            .number("a", of(10))
            .number("b", of(10))
            .number("c", of(10))
    }

    fn headings(text: &str) -> Vec<Vec<&str>> {
        let lines = text.lines().filter(|line| line.contains("strategy"));
        lines.map(|l| l.split(['│', '┆', ' ']).filter(|h| !h.is_empty()).collect()).collect()
    }

    #[test]
    fn a_table_that_is_too_wide_is_continued_below_with_its_rows_named_again() {
        let table = table();
        let at = |width| table.on_terminal(width);
        assert_eq!(headings(&at(Some(38))), [vec!["strategy", "a", "b"], vec!["strategy", "c"]]);
        assert_eq!(headings(&at(Some(37))).len(), 3);
        assert_eq!(headings(&at(None)), [["strategy", "a", "b", "c"]]);
        assert_eq!(headings(&at(Some(1))).len(), 3, "a column each");
        assert!(at(Some(38)).lines().all(|line| line.chars().count() <= 38));
    }

    #[test]
    fn columns_that_can_be_spared_go_first_and_are_named() {
        let table = table().number("d", |n| n.to_string()).spared(1).number("e", |_| "2".repeat(9));
        let table = table.spared(0);
        let (text, left_out) = table.fitted(Some(52));
        assert_eq!(left_out, ["e", "d"]);
        assert_eq!(headings(&text), [["strategy", "a", "b", "c"]]);
        assert_eq!(table.fitted(None).1.len(), 0);
    }

    #[test]
    fn words_are_broken_down_to_their_least_width_and_numbers_are_not() {
        let table = table().text("what", |_| "some words more or less".to_owned()).at_least(8);
        let text = table.on_terminal(Some(64));
        assert_eq!(headings(&text).len(), 1, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 64), "{text}");
        assert!(text.contains("1111111111") && text.contains("words"), "{text}");
        assert!(headings(&table.on_terminal(Some(60))).len() > 1);
    }

    #[test]
    fn cells_stay_text_in_markdown() {
        let text = Table::of([1]).text("a", |_| "x|_y".to_owned()).number("n", |n| n.to_string());
        assert_eq!(text.markdown(), "| a | n |\n| --- | ---: |\n| x\\|\\_y | 1 |\n");
    }
}
