//! Words and lines, for terminals and for Markdown.

/// `config 0` for the configs, whose names are numbers; else the name alone.
pub fn config_name(config: &str) -> String {
    if is_number(config) { format!("config {config}") } else { config.to_owned() }
}

/// Whether a config's name is a number, which `--config` takes.
pub fn is_number(config: &str) -> bool {
    !config.is_empty() && config.bytes().all(|b| b.is_ascii_digit())
}

/// The text with its first letter as a capital one.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// `a`, `a and b`, `a, b and c`; the last ones counted when there are more than six.
pub fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] if items.len() <= 6 => format!("{} and {last}", head.join(", ")),
        _ => format!("{} and {} more", items[..5].join(", "), items.len() - 5),
    }
}

/// The text with line breaks between words, so that no line is longer than `width`, which every
/// line but the first spends on `indent` too.
pub fn folded(text: &str, indent: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let (mut folded, mut used) = (String::new(), 0);
    for (i, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if i > 0 && used + 1 + length > width {
            folded.push('\n');
            folded.push_str(indent);
            used = indent.len();
        } else if i > 0 {
            folded.push(' ');
            used += 1;
        }
        folded.push_str(word);
        used += length;
    }
    folded
}

/// Text that stays text in Markdown, in a cell or out of it, whatever a label holds.
pub fn escaped(text: &str) -> String {
    let mut written = String::new();
    for c in text.chars() {
        if r"\|*_[]`".contains(c) {
            written.push('\\');
        }
        match c {
            '<' => written += "&lt;",
            c => written.push(c),
        }
    }
    written
}

/// A picture with its caption below, as a paragraph of a Markdown page.
pub fn figure(path: &str, title: &str, caption: &str) -> String {
    format!("\n![{}]({path})\n\n{}\n", escaped(title), escaped(caption))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_only() {
        assert_eq!(folded("one two three", "", Some(8)), "one two\nthree");
        assert_eq!(folded("incomprehensible it is", "", Some(4)), "incomprehensible\nit\nis");
        assert_eq!(folded("one two three", "", None), "one two three");
        assert_eq!(folded("one two three four", "  ", Some(7)), "one two\n  three\n  four");
    }

    #[test]
    fn lists_end_with_and() {
        let items: Vec<String> = ('a'..='h').map(String::from).collect();
        assert_eq!(list(&items[..0]), "");
        assert_eq!(list(&items[..1]), "a");
        assert_eq!(list(&items[..3]), "a, b and c");
        assert_eq!(list(&items), "a, b, c, d, e and 3 more");
    }
}
