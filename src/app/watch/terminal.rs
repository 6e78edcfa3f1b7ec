//! The terminal: taken over, drawn on, and given back on every way out.
//!
//! [`ratatui::try_init`] hooks the restoring into panics; leaving in any other way passes the
//! guard's `drop`. A second signal ends the process without unwinding: whoever handles signals
//! calls [`restore_terminal`] first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::{io, thread};

use crossterm::event::{self, Event, KeyEvent};

use crate::watch::TICK;
use crate::watch::follow::{Files, Follow};
use crate::watch::view::{App, Leave, Theme};

enum Signal {
    Tick,
    Key(KeyEvent),
    Resized,
    /// The terminal is gone.
    Closed(io::Error),
}

/// Ticks until the screen is drawn although nothing changed: a second, for the clock on it.
const REDRAW_AFTER: u32 = 10;

struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        restore_terminal();
    }
}

/// Gives the terminal back as it was; without effect if it was not taken.
pub fn restore_terminal() {
    // There is nowhere left to complain to.
    let _ = ratatui::try_restore();
    // Drawing hides the cursor; only a terminal that is dropped shows it again by itself.
    let _ = crossterm::execute!(io::stdout(), crossterm::cursor::Show);
}

/// Shows the screen until it is left by key, or until `stop` is set.
pub fn screen(files: Files, color: bool, stop: &AtomicBool) -> io::Result<Leave> {
    let (to, signals) = sync_channel(64);
    let mut follow = Follow::new(files);
    let (mut app, theme) = (App::default(), Theme { color });
    crossterm::style::force_color_output(color);
    let guard = Guard;
    let mut terminal = ratatui::try_init()?;
    crate::watch::start(to.clone(), || Signal::Tick)?;
    listen(to)?;
    follow.tick();
    let mut since_drawn = REDRAW_AFTER;
    let leave = loop {
        if since_drawn >= REDRAW_AFTER {
            terminal.draw(|frame| {
                crate::watch::screen::screen(frame, follow.seen(), &mut app, theme)
            })?;
            since_drawn = 0;
        }
        match signals.recv() {
            _ if stop.load(Ordering::Relaxed) => break Leave::Interrupted,
            Ok(Signal::Tick) => {
                since_drawn += 1;
                // A paused screen keeps still; what changed meanwhile is seen afterwards.
                if !app.paused && follow.tick() {
                    since_drawn = REDRAW_AFTER;
                }
            }
            Ok(Signal::Key(key)) => {
                if let Some(leave) = app.on_key(key) {
                    break leave;
                }
                since_drawn = REDRAW_AFTER;
            }
            Ok(Signal::Resized) => since_drawn = REDRAW_AFTER,
            Ok(Signal::Closed(error)) => return Err(error),
            Err(_) => break Leave::Interrupted,
        }
    };
    drop(guard);
    Ok(leave)
}

/// Hands on what the terminal reports, from a thread of its own.
fn listen(to: SyncSender<Signal>) -> io::Result<()> {
    let run = move || {
        loop {
            // With a timeout, so that the reader's lock is free now and then.
            let signal = match event::poll(TICK) {
                Ok(false) => continue,
                Ok(true) => match event::read() {
                    Ok(Event::Key(key)) => Signal::Key(key),
                    Ok(Event::Resize(..)) => Signal::Resized,
                    Ok(_) => continue,
                    Err(error) => Signal::Closed(error),
                },
                Err(error) => Signal::Closed(error),
            };
            let closed = matches!(signal, Signal::Closed(_));
            if to.send(signal).is_err() || closed {
                return;
            }
        }
    };
    thread::Builder::new().name("keys".to_owned()).spawn(run).map(drop)
}
