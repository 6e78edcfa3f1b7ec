//! How the viewer looks: what its user has chosen by keys, styles by meaning, the frame of all panels.
//! It knows nothing of terminals.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;
use ratatui::widgets::{Block, Borders};

/// How the viewer was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// By `q`, or because it was told to end.
    Quit,
    /// By Ctrl-C or a signal.
    Interrupted,
}

/// What the viewer's user has chosen.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct App {
    /// The screen stands still.
    pub paused: bool,
    /// The keys and words are explained.
    pub help: bool,
    /// Servers with most attempts stand first, not in the order of the model.
    pub by_attempts: bool,
    /// Servers above the first one shown; the drawing keeps it within bounds.
    pub scroll: usize,
}

/// Rows that Page Up and Page Down move by.
const PAGE: usize = 10;

impl App {
    /// Takes a key; says whether to leave.
    pub(crate) fn on_key(&mut self, key: KeyEvent) -> Option<Leave> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'C') if control => return Some(Leave::Interrupted),
            _ if control => {}
            KeyCode::Char('q' | 'Q') => return Some(Leave::Quit),
            KeyCode::Esc | KeyCode::Char('?' | 'h') if self.help => self.help = false,
            KeyCode::Char('?' | 'h') => self.help = true,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('s') => {
                self.scroll = 0;
                self.by_attempts = !self.by_attempts;
            }
            KeyCode::Down | KeyCode::Char('j') => self.scroll = self.scroll.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::PageDown => self.scroll = self.scroll.saturating_add(PAGE),
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(PAGE),
            KeyCode::Home => self.scroll = 0,
            KeyCode::End => self.scroll = usize::MAX,
            _ => {}
        }
        None
    }
}

/// Styles by meaning. Without colour every meaning is still there: in a word, a mark or a place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Theme {
    pub color: bool,
}

impl Theme {
    /// What was hoped for.
    pub(crate) fn good(self) -> Style {
        self.paint(Color::Green)
    }

    /// What needs a look.
    pub(crate) fn bad(self) -> Style {
        self.paint(Color::Red)
    }

    /// Neither: refused, paused, unchanged for long.
    pub(crate) fn warn(self) -> Style {
        self.paint(Color::Yellow)
    }

    /// Headline numbers and titles.
    pub(crate) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Names and notes.
    pub(crate) fn quiet(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn paint(self, color: Color) -> Style {
        if self.color { Style::new().fg(color) } else { Style::new() }
    }
}

/// Clears an area for a panel with a title rule above; gives what is left.
pub(crate) fn panel(frame: &mut Frame, area: Rect, title: &str, theme: Theme) -> Rect {
    let title = Span::styled(format!(" {title} "), theme.strong());
    let block = Block::new().borders(Borders::TOP).border_style(theme.quiet()).title(title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_do_what_the_screen_says() {
        let mut app = App::default();
        let press = |app: &mut App, c| app.on_key(KeyEvent::from(KeyCode::Char(c)));
        assert_eq!(press(&mut app, '?'), None);
        assert!(app.help);
        app.on_key(KeyEvent::from(KeyCode::Esc));
        assert!(!app.help);
        press(&mut app, 'p');
        assert!(app.paused);
        press(&mut app, 's');
        assert!(app.by_attempts);
        app.on_key(KeyEvent::from(KeyCode::PageDown));
        press(&mut app, 'k');
        assert_eq!(app.scroll, 9);
        assert_eq!(press(&mut app, 'q'), Some(Leave::Quit));
        let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(app.on_key(ctrl_c), Some(Leave::Interrupted));
    }
}
