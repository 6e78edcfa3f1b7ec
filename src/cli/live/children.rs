//! Children of a run that are this program itself, and where they listen.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

use super::Plan;
use crate::live::processes::{Child, Launch};

/// A child that says where it listens.
pub(super) struct Listening {
    /// The process.
    pub(super) child: Child,
    /// Ports in the model, where it says them, and addresses.
    pub(super) addresses: Vec<(Option<u16>, SocketAddr)>,
}

/// How to start this program with other arguments.
pub(super) fn own(name: &str, arguments: Vec<String>, log: PathBuf) -> anyhow::Result<Launch> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let arguments = arguments.into_iter().map(OsString::from).collect();
    Ok(Launch { name: name.to_owned(), program, arguments, log })
}

/// Starts this program with other arguments, and waits until it listens.
pub(super) fn start_own(
    plan: &Plan,
    name: &str,
    arguments: Vec<String>,
    log: PathBuf,
) -> anyhow::Result<Listening> {
    let mut child = own(name, arguments, log)?.start()?;
    child.give_up_on(Arc::clone(&plan.interrupt));
    let lines = child.wait_until_ready(plan.start_timeout)?;
    let addresses: Option<Vec<_>> = lines.iter().map(|line| listening(line)).collect();
    match addresses {
        Some(addresses) if !addresses.is_empty() => Ok(Listening { child, addresses }),
        _ => bail!("{name} does not say where it listens: {}", lines.join("; ")),
    }
}

/// `4003 127.0.0.1:45123`, or the address alone.
fn listening(line: &str) -> Option<(Option<u16>, SocketAddr)> {
    match line.split_once(' ') {
        Some((port, address)) => Some((Some(port.parse().ok()?), address.parse().ok()?)),
        None => Some((None, line.parse().ok()?)),
    }
}

/// How long children may take to end: attempts in flight are waited for. Ctrl-C must end all of
/// it within two seconds.
pub(super) const PATIENCE: Duration = Duration::from_millis(400);
