//! Ports that must be free before a start, or open after it.

use std::fmt::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Holder;

/// Addresses that others listen on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}; end what holds them, or choose other ports", taken(.ports))]
pub struct PortsTaken {
    /// All of them.
    pub ports: Vec<TakenPort>,
}

/// An address that somebody listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenPort {
    /// The address.
    pub address: SocketAddr,
    /// Who, where that is known.
    pub holder: Option<Holder>,
}

/// Addresses where nothing listens though it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing accepts connections at {}", list(.addresses))]
pub struct PortsClosed {
    /// All of them.
    pub addresses: Vec<SocketAddr>,
}

/// Waiting for ports to open was in vain.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WaitError {
    /// It took too long.
    #[error("{closed} after {seconds} s; allow more with --start-timeout")]
    TimedOut {
        /// What did not open.
        closed: PortsClosed,
        /// How long was waited.
        seconds: f64,
    },
    /// Whoever should have opened them is gone.
    #[error("it ended before it opened all its ports: {0}")]
    Ended(PortsClosed),
}

impl TakenPort {
    /// A taken port and who holds it.
    #[must_use]
    pub fn find(address: SocketAddr) -> Self {
        Self { address, holder: Holder::of(address) }
    }
}

/// Checks that one can listen at all of these addresses.
///
/// Those that the system does not let us listen at for another reason count as free: whoever
/// listens there next will say why.
///
/// # Errors
/// Names all that are taken.
pub fn check_free(addresses: &[SocketAddr]) -> Result<(), PortsTaken> {
    let is_taken = |address: &&SocketAddr| {
        let bound = TcpListener::bind(**address);
        bound.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
    };
    let ports: Vec<TakenPort> =
        addresses.iter().filter(is_taken).map(|address| TakenPort::find(*address)).collect();
    if ports.is_empty() { Ok(()) } else { Err(PortsTaken { ports }) }
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
        let closed = PortsClosed { addresses: closed.clone() };
        if !alive {
            return Err(WaitError::Ended(closed));
        }
        if Instant::now() >= deadline {
            return Err(WaitError::TimedOut { closed, seconds: timeout.as_secs_f64() });
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

/// All ports, by who holds them.
fn taken(ports: &[TakenPort]) -> String {
    let mut text = String::new();
    let mut holders: Vec<&Option<Holder>> = Vec::new();
    for port in ports {
        if !holders.contains(&&port.holder) {
            holders.push(&port.holder);
        }
    }
    for holder in holders {
        let held = ports.iter().filter(|port| port.holder == *holder);
        let held: Vec<SocketAddr> = held.map(|port| port.address).collect();
        let is = if held.len() == 1 { "is" } else { "are" };
        let by = holder
            .as_ref()
            .map_or("a process that is not ours to see".to_owned(), |holder| holder.to_string());
        let separator = if text.is_empty() { "" } else { "; " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{} {is} taken by {by}", list(&held));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[test]
    fn taken_ports_are_all_named_and_free_ones_are_not() {
        let ((_a, a), (_b, b), (c, free)) = (listening(), listening(), listening());
        drop(c);
        let message = check_free(&[a, free, b]).unwrap_err().to_string();
        assert!(message.contains(&format!("{a}, {b} are taken by ")), "{message}");
        assert!(!message.contains(&free.to_string()), "{message}");
        assert!(check_free(&[free]).is_ok());
    }

    #[test]
    fn holders_are_told_apart() {
        let port = |port: u16, pid: Option<u32>| TakenPort {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            holder: pid.map(|pid| Holder { pid, command: format!("program{pid}") }),
        };
        let ports = vec![port(1, Some(7)), port(2, None), port(3, Some(7))];
        assert_eq!(
            PortsTaken { ports }.to_string(),
            "127.0.0.1:1, 127.0.0.1:3 are taken by process 7 (program7); 127.0.0.1:2 is taken by \
             a process that is not ours to see; end what holds them, or choose other ports"
        );
    }

    #[test]
    fn who_opens_late_is_waited_for_and_who_never_does_is_named() {
        let ((_open, open), (closed, address)) = (listening(), listening());
        drop(closed);
        let mut looks = 0;
        let mut late = None;
        let opens_late = || {
            looks += 1;
            if looks == 3 {
                late = TcpListener::bind(address).ok();
            }
            true
        };
        wait_until_open(&[open, address], Duration::from_secs(60), opens_late).unwrap();
        drop(late);
        let never = wait_until_open(&[open, address], Duration::from_millis(30), || true);
        let message = never.unwrap_err().to_string();
        assert!(message.contains(&address.to_string()), "{message}");
        assert!(!message.contains(&open.to_string()) && message.contains("--start-timeout"));
        let ended = wait_until_open(&[address], Duration::from_secs(60), || false).unwrap_err();
        assert!(matches!(ended, WaitError::Ended(_)), "{ended}");
    }
}
