//! Ports that must be free before a start, or open after it.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Addresses that others listen on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} {} taken by another process; end it, or choose other ports",
    list(.addresses),
    if .addresses.len() == 1 { "is" } else { "are" }
)]
pub struct PortsTaken {
    pub addresses: Vec<SocketAddr>,
}

/// Waiting for ports to open was in vain, for these addresses.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WaitError {
    #[error("nothing accepts connections at {closed} after {1} s; allow more with --start-timeout",
        closed = list(.0))]
    TimedOut(Vec<SocketAddr>, f64),
    /// Whoever should have opened them is gone.
    #[error("it ended before it opened all its ports: nothing accepts connections at {closed}",
        closed = list(.0))]
    Ended(Vec<SocketAddr>),
}

/// Checks that one can listen at all of these addresses.
///
/// Those that the system does not let us listen at for another reason count as free: whoever
/// listens there next will say why.
///
/// # Errors
/// Names all that are taken.
pub fn check_free(addresses: &[SocketAddr]) -> Result<(), PortsTaken> {
    let is_taken = |address: &SocketAddr| {
        let bound = TcpListener::bind(*address);
        bound.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
    };
    let addresses: Vec<SocketAddr> = addresses.iter().copied().filter(is_taken).collect();
    if addresses.is_empty() { Ok(()) } else { Err(PortsTaken { addresses }) }
}

/// Waits until all addresses accept connections, and closes those at once.
///
/// `is_alive` says whether whoever is to open them still runs.
///
/// # Errors
/// Names those that did not open.
pub fn wait_until_open(
    addresses: &[SocketAddr],
    timeout: Duration,
    mut is_alive: impl FnMut() -> bool,
) -> Result<(), WaitError> {
    let deadline = Instant::now() + timeout;
    let mut closed = addresses.to_vec();
    loop {
        // Looked at before the ports: whoever ends in between has had its chance.
        let alive = is_alive();
        let left = deadline.saturating_duration_since(Instant::now());
        closed.retain(|address| !accepts(*address, left));
        if closed.is_empty() {
            return Ok(());
        }
        if !alive {
            return Err(WaitError::Ended(closed));
        }
        if Instant::now() >= deadline {
            return Err(WaitError::TimedOut(closed, timeout.as_secs_f64()));
        }
        sleep(LOOK_EVERY);
    }
}

/// How often a closed port is tried.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A system that drops connections in silence must not hold up the look at the other ports.
const MOST_PATIENT: Duration = Duration::from_millis(200);

const LEAST_PATIENT: Duration = Duration::from_millis(1);

fn accepts(address: SocketAddr, left: Duration) -> bool {
    let patience = left.clamp(LEAST_PATIENT, MOST_PATIENT);
    TcpStream::connect_timeout(&address, patience).is_ok()
}

fn list(addresses: &[SocketAddr]) -> String {
    let names: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    names.join(", ")
}
