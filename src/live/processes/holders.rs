//! Which process listens on a port, where the system says so.
//!
//! Linux: `/proc/net/tcp` and `tcp6` give a listening socket's inode (proc(5); addresses are words
//! in the byte order of the machine), and the process that has `socket:[inode]` among its
//! descriptors holds it. Processes of other users cannot be looked into; they stay unnamed.

use std::fmt;
use std::net::SocketAddr;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub pid: u32,
    /// Its command line, shortened.
    pub command: String,
}

/// Longer command lines are cut.
const MOST_CHARACTERS: usize = 80;

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({})", self.pid, self.command)
    }
}

impl Holder {
    fn new(pid: u32, command: &str) -> Self {
        let command = command.trim();
        let mut short: String = command.chars().take(MOST_CHARACTERS).collect();
        if short.len() < command.len() {
            short.push_str(" ...");
        }
        Self { pid, command: short }
    }

    /// Who listens at an address, or at all addresses with its port.
    #[must_use]
    pub fn of(address: SocketAddr) -> Option<Self> {
        system::holder(address)
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

    use super::Holder;

    /// The state of a socket that listens.
    const LISTEN: &str = "0A";

    pub(super) fn holder(address: SocketAddr) -> Option<Holder> {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
        let listing = tables.iter().filter_map(|path| fs::read_to_string(path).ok());
        let inode = listing.into_iter().find_map(|table| inode(&table, address))?;
        let wanted = format!("socket:[{inode}]");
        let processes = fs::read_dir("/proc").ok()?.flatten();
        let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let pid = pids.find(|pid| holds(*pid, &wanted))?;
        Some(Holder::new(pid, &command(pid)))
    }

    /// The inode of the socket that listens there.
    pub(super) fn inode(table: &str, address: SocketAddr) -> Option<u64> {
        table.lines().skip(1).find_map(|line| {
            let columns: Vec<&str> = line.split_ascii_whitespace().collect();
            let (local, state, inode) = (columns.get(1)?, columns.get(3)?, columns.get(9)?);
            let (ip, port) = local.split_once(':')?;
            let ip = ip_address(ip)?.to_canonical();
            let is_it = *state == LISTEN
                && u16::from_str_radix(port, 16).ok()? == address.port()
                && (ip == address.ip() || ip.is_unspecified());
            is_it.then(|| inode.parse().ok()).flatten()
        })
    }

    /// An address as it stands there: 32-bit words in hexadecimal.
    fn ip_address(text: &str) -> Option<IpAddr> {
        let word = |i: usize| {
            let digits = text.get(8 * i..8 * i + 8)?;
            Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
        };
        match text.len() {
            8 => Some(Ipv4Addr::from(word(0)?).into()),
            32 => {
                let words = [word(0)?, word(1)?, word(2)?, word(3)?];
                let mut bytes = [0; 16];
                bytes.iter_mut().zip(words.as_flattened()).for_each(|(to, from)| *to = *from);
                Some(Ipv6Addr::from(bytes).into())
            }
            _ => None,
        }
    }

    fn holds(pid: u32, socket: &str) -> bool {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        let links = descriptors.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        links.into_iter().any(|link| link.as_os_str() == socket)
    }

    fn command(pid: u32) -> String {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if !line.trim().is_empty() {
            return line;
        }
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        if name.trim().is_empty() { "unknown".to_owned() } else { name }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::net::SocketAddr;

    use super::Holder;

    pub(super) fn holder(_address: SocketAddr) -> Option<Holder> {
        None
    }
}

#[cfg(all(test, target_os = "linux", target_endian = "little"))]
mod tests {
    use super::*;

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0FA0 00000000:0000 01 00000000:00000000 00:00000000 00000000  1000        0 11 1 0
   1: 0200007F:0FA0 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 22 1 0
   2: 0100007F:0FA0 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 33 1 0
   3: 00000000:0FA1 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 44 1 0";
    const TCP6: &str = "head
   0: 00000000000000000000000001000000:0FA0 0:0 0A 0:0 00:0 0 0 0 55 1
   1: 0000000000000000FFFF00000100007F:0FA2 0:0 0A 0:0 00:0 0 0 0 66 1
   2: 00000000000000000000000000000000:0FA3 0:0 0A 0:0 00:0 0 0 0 77 1";

    #[test]
    fn the_listening_socket_of_an_address_is_found_in_the_tables() {
        let inode = |table, address: &str| system::inode(table, address.parse().unwrap());
        assert_eq!(inode(TCP, "127.0.0.1:4000"), Some(33));
        assert_eq!(inode(TCP, "127.0.0.1:4001"), Some(44));
        assert_eq!(inode(TCP, "127.0.0.1:4002"), None);
        assert_eq!(inode(TCP6, "[::1]:4000"), Some(55));
        assert_eq!(inode(TCP6, "127.0.0.1:4002"), Some(66));
        assert_eq!(inode(TCP6, "127.0.0.1:4003"), Some(77));
        assert_eq!(inode("garbage\n1 2 3\n1: x:y 0 0A 0 0 0 0 0 z", "127.0.0.1:4000"), None);
    }

    #[test]
    fn a_socket_of_this_process_is_found_to_be_its_own() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let holder = Holder::of(listener.local_addr().unwrap()).unwrap();
        assert_eq!(holder.pid, std::process::id());
        assert!(!holder.command.is_empty() && holder.to_string().starts_with("process "));
    }

    #[test]
    fn long_command_lines_are_cut() {
        let holder = Holder::new(7, &"a long command ".repeat(20));
        assert!(holder.command.chars().count() < 90 && holder.command.ends_with(" ..."));
    }
}
