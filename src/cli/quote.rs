//! Words for the shell.

/// The word, in quotes if it needs them.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:+=@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_spaces_and_quotes_survive_the_shell() {
        assert_eq!(quoted("models/a.toml"), "models/a.toml");
        assert_eq!(quoted("my model's.toml"), r"'my model'\''s.toml'");
    }
}
