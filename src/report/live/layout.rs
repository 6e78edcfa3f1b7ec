//! Tables and lines that fit a terminal, and the same tables in Markdown.
//!
//! A table that is too wide is continued below, its first column repeated: nothing is left out
//! and no cell is broken.

use crate::report::table::{escaped, frame};

/// Columns of a table: heading and cells, top to bottom. The first names the rows.
pub(in crate::report) type Columns = Vec<(&'static str, Vec<String>)>;

/// A space on either side of each cell and a line between columns, in characters.
const BETWEEN: usize = 3;

/// Tables one above the other, each at most `width` characters wide where its columns allow it.
pub(in crate::report) fn tables(columns: &Columns, width: Option<usize>) -> String {
    let parts = parts(columns, width);
    let shown: Vec<String> = parts.iter().map(|part| frame(part, 1).to_string()).collect();
    shown.join("\n")
}

/// The columns of each of these tables.
pub(super) fn parts(columns: &Columns, width: Option<usize>) -> Vec<Columns> {
    let Some((first, others)) = columns.split_first() else { return Vec::new() };
    let mut parts: Vec<Columns> = Vec::new();
    for column in others {
        let fits = |part: &Columns| {
            let needed = table_width(part) + cell_width(column) + BETWEEN;
            width.is_none_or(|width| needed <= width)
        };
        match parts.last_mut() {
            Some(part) if fits(part) => part.push(column.clone()),
            _ => parts.push(vec![first.clone(), column.clone()]),
        }
    }
    parts
}

/// Characters that a table takes.
pub(super) fn table_width(columns: &Columns) -> usize {
    1 + columns.iter().map(|column| cell_width(column) + BETWEEN).sum::<usize>()
}

fn cell_width((heading, cells): &(&'static str, Vec<String>)) -> usize {
    let longest = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
    longest.max(heading.chars().count())
}

/// The table in Markdown; the first `left` columns hold text, the others numbers.
pub(in crate::report) fn markdown(columns: &Columns, left: usize) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(columns.iter().map(|(heading, _)| (*heading).to_owned()).collect());
    let rule = |i: usize| if i < left { "---" } else { "---:" }.to_owned();
    text += &line((0..columns.len()).map(rule).collect());
    let rows = columns.first().map_or(0, |(_, cells)| cells.len());
    for row in 0..rows {
        let cell =
            |(_, cells): &(&str, Vec<String>)| cells.get(row).map_or("", String::as_str).to_owned();
        text += &line(columns.iter().map(|column| escaped(&cell(column))).collect());
    }
    text
}

/// The text with line breaks between words, so that no line is longer than `width`.
pub fn folded(text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let (mut folded, mut used) = (String::new(), 0);
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            folded.push('\n');
            used = 0;
        } else if used > 0 {
            folded.push(' ');
            used += 1;
        }
        folded.push_str(word);
        used += length;
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_only() {
        assert_eq!(folded("one two three", Some(8)), "one two\nthree");
        assert_eq!(folded("incomprehensible it is", Some(4)), "incomprehensible\nit\nis");
        assert_eq!(folded("one two three", None), "one two three");
    }

    #[test]
    fn a_table_that_is_too_wide_is_continued_below_with_its_rows_named_again() {
        let cells = |n: usize| vec!["1".repeat(n)];
        let columns: Columns =
            vec![("strategy", cells(8)), ("a", cells(10)), ("b", cells(10)), ("c", cells(10))];
        let headings = |width: Option<usize>| -> Vec<String> {
            let of = |part: &Columns| part.iter().map(|(h, _)| *h).collect::<Vec<_>>().join(" ");
            parts(&columns, width).iter().map(of).collect()
        };
        assert_eq!(headings(Some(38)), ["strategy a b", "strategy c"]);
        assert_eq!(headings(Some(37)), ["strategy a", "strategy b", "strategy c"]);
        assert_eq!(headings(None), ["strategy a b c"]);
        assert_eq!(headings(Some(1)).len(), 3, "a column each");
    }
}
