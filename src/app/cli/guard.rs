//! `flakelab guard`, which `live` puts before a program that would not end with it.
//!
//! Hidden: it is of no use without a supervisor that holds its standard input.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::Args;

use crate::cli::common::{Ending, print};
use flakelab_live::{guard, when_stdin_ends};

#[derive(Debug, Args)]
pub(crate) struct GuardArguments {
    /// Where the program's output is appended
    #[arg(long, value_name = "FILE")]
    log: PathBuf,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

pub(crate) fn run(arguments: &GuardArguments) -> anyhow::Result<Ending> {
    let Some((program, rest)) = arguments.program.split_first() else {
        anyhow::bail!("say which program to guard: flakelab guard --log FILE -- PROGRAM ...");
    };
    let stop = Arc::new(AtomicBool::new(false));
    let [told, supervisor_ended] = [Arc::clone(&stop), Arc::clone(&stop)];
    // Before the program is there, or a signal in between would leave it alone. A second signal
    // changes nothing either: the guard is gone when the program is.
    ctrlc::set_handler(move || told.store(true, Ordering::Relaxed))
        .context("cannot listen for signals")?;
    when_stdin_ends(move || supervisor_ended.store(true, Ordering::Relaxed))?;
    let started = |group| {
        // A supervisor that is gone already does not read it.
        let _ = print(&format!("guarding {group}\nready"));
    };
    let status = guard(program.as_ref(), rest, &arguments.log, &stop, started)?;
    if !stop.load(Ordering::Relaxed) {
        anyhow::bail!("the program ended by itself ({status})");
    }
    Ok(Ending::Done)
}
