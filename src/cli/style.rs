//! How results look on stdout: a little colour where it is wanted, the width, the format.

use std::io::IsTerminal;

use clap::ValueEnum;

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to print of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Table,
    Json,
    Csv,
    Md,
}

/// Characters in a line of the terminal that stdout is; none if it is something else.
pub(crate) fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0))
}

/// Texts with or without colour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    on: bool,
}

impl ColorWhen {
    pub(crate) fn on_stdout(self) -> Style {
        self.on(std::io::stdout().is_terminal())
    }

    pub(crate) fn on_stderr(self) -> Style {
        self.on(std::io::stderr().is_terminal())
    }

    fn on(self, is_terminal: bool) -> Style {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        let on = match self {
            Self::Auto => is_terminal && !unwanted,
            Self::Always => true,
            Self::Never => false,
        };
        Style { on }
    }
}

impl Style {
    /// Whether there is colour.
    pub(crate) fn is_on(self) -> bool {
        self.on
    }

    /// Bold red.
    pub(crate) fn error(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// Bold.
    pub(crate) fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
