//! What keys do. Knows nothing of terminals.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// How the viewer was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// By `q`, or because it was told to end.
    Quit,
    /// By Ctrl-C or a signal.
    Interrupted,
}

/// In which order servers stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Order {
    /// As in the model.
    #[default]
    Model,
    /// Most attempts first.
    Attempts,
}

/// What the viewer's user has chosen.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct App {
    /// The screen stands still.
    pub paused: bool,
    /// The keys and words are explained.
    pub help: bool,
    /// Order of the servers.
    pub order: Order,
    /// Servers above the first one shown; the drawing keeps it within bounds.
    pub scroll: usize,
}

/// Rows that Page Up and Page Down move by.
const PAGE: usize = 10;

impl App {
    /// Takes a key; says whether to leave.
    pub(super) fn on_key(&mut self, key: KeyEvent) -> Option<Leave> {
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
                self.order = match self.order {
                    Order::Model => Order::Attempts,
                    Order::Attempts => Order::Model,
                };
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
        assert_eq!(app.order, Order::Attempts);
        app.on_key(KeyEvent::from(KeyCode::PageDown));
        press(&mut app, 'k');
        assert_eq!(app.scroll, 9);
        assert_eq!(press(&mut app, 'q'), Some(Leave::Quit));
        let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(app.on_key(ctrl_c), Some(Leave::Interrupted));
    }
}
