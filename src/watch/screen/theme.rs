//! Styles by meaning, and the frame of all panels. Without colour every meaning is still there: in a
//! word, a mark or a place.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;
use ratatui::widgets::{Block, Borders};

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

/// Clears an area for a panel with a title rule above; gives what is left.
pub(super) fn panel(frame: &mut Frame, area: Rect, title: &str, theme: Theme) -> Rect {
    let title = Span::styled(format!(" {title} "), theme.strong());
    let block = Block::new().borders(Borders::TOP).border_style(theme.quiet()).title(title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}
