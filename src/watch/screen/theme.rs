//! Styles by meaning. Without colour every meaning is still there: in a word, a mark or a place.

use ratatui::style::{Color, Modifier, Style};

/// Which styles may be used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Theme {
    /// Whether colours may.
    pub color: bool,
}

impl Theme {
    /// What was hoped for.
    pub(super) fn good(self) -> Style {
        self.paint(Color::Green)
    }

    /// What needs a look.
    pub(super) fn bad(self) -> Style {
        self.paint(Color::Red)
    }

    /// Neither: refused, paused, unchanged for long.
    pub(super) fn warn(self) -> Style {
        self.paint(Color::Yellow)
    }

    /// Headline numbers and titles.
    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Names and notes.
    pub(super) fn quiet(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn paint(self, color: Color) -> Style {
        if self.color { Style::new().fg(color) } else { Style::new() }
    }
}
