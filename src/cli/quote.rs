//! Command lines for people to copy.

/// A command of this program in the making.
pub(super) struct CommandLine(String);

impl CommandLine {
    /// A subcommand without flags.
    pub(super) fn new(subcommand: &str) -> Self {
        Self(format!("cargo run -- {subcommand}"))
    }

    /// Adds a flag if it has a value.
    pub(super) fn flag(mut self, name: &str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.0 += &format!(" --{name} {}", quoted(&value.to_string()));
        }
        self
    }

    /// The whole line.
    pub(super) fn text(self) -> String {
        self.0
    }
}

/// The word, in quotes if it needs them.
fn quoted(word: &str) -> String {
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
