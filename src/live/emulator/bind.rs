//! Where the servers listen: on their ports in the model, on others, or where the system likes.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use super::Servers;
use crate::live::processes::PortsTaken;

/// Where servers listen, on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On their ports in the model.
    Model,
    /// The server on port `origin` in the model listens on `base`, the others as far from it as
    /// in the model.
    Moved {
        /// A port in the model, at most that of any server.
        origin: u16,
        /// Where it is moved.
        base: u16,
    },
    /// On ports from the system.
    System,
}

/// Sockets that listen.
#[derive(Debug)]
pub struct Listeners {
    pub(super) sockets: Vec<Listener>,
}

#[derive(Debug)]
pub(super) struct Listener {
    /// Which of the groups of servers it belongs to.
    pub(super) group: usize,
    /// Its server's port in the model.
    pub(super) port: u16,
    pub(super) socket: TcpListener,
    pub(super) address: SocketAddr,
}

/// Servers that cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Ports of two models overlap, and a log could not tell their servers apart.
    #[error(
        "port {port} belongs to two models, {first} and {second}; give one of them other ports \
         ([ports] in its file), or serve them one after the other"
    )]
    Overlap {
        /// The port.
        port: u16,
        /// The first model.
        first: String,
        /// The second.
        second: String,
    },
    /// Moving goes beyond the last port.
    #[error(
        "port {port} of model {model} cannot be moved that far: ports end at 65535; choose a \
         smaller --port-base"
    )]
    NoSuchPort {
        /// The port in the model.
        port: u16,
        /// The model.
        model: String,
    },
    /// Others listen there.
    #[error(transparent)]
    Taken(#[from] PortsTaken),
    /// The system does not allow it.
    #[error("cannot listen on {address}")]
    Refused {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

impl Place {
    /// The port that a server listens on; 0 leaves it to the system.
    fn port(self, model_port: u16) -> Option<u16> {
        match self {
            Self::Model => Some(model_port),
            Self::System => Some(0),
            Self::Moved { origin, base } => {
                model_port.checked_sub(origin)?.checked_add(base).filter(|port| *port > 0)
            }
        }
    }
}

impl Listeners {
    /// Listens for all servers of all groups, or for none.
    ///
    /// # Errors
    /// See [`BindError`]; ports that are taken are named all at once.
    pub fn bind(groups: &[Servers], place: Place) -> Result<Self, BindError> {
        let mut sockets: Vec<Listener> = Vec::new();
        let mut taken = Vec::new();
        let mut seen: Vec<(u16, &str)> = Vec::new();
        for (group, servers) in groups.iter().enumerate() {
            let model = servers.truth().name.as_str();
            for port in servers.ports() {
                if let Some((_, first)) = seen.iter().find(|(other, _)| *other == port) {
                    let (first, second) = ((*first).to_owned(), model.to_owned());
                    return Err(BindError::Overlap { port, first, second });
                }
                seen.push((port, model));
                let no_such_port = || BindError::NoSuchPort { port, model: model.to_owned() };
                let real = place.port(port).ok_or_else(no_such_port)?;
                let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, real));
                let bound = TcpListener::bind(wanted).and_then(|socket| {
                    let address = socket.local_addr()?;
                    Ok(Listener { group, port, socket, address })
                });
                match bound {
                    Ok(listener) => sockets.push(listener),
                    Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                        taken.push(wanted);
                    }
                    Err(source) => return Err(BindError::Refused { address: wanted, source }),
                }
            }
        }
        if !taken.is_empty() {
            return Err(PortsTaken { addresses: taken }.into());
        }
        Ok(Self { sockets })
    }

    /// The servers' ports in the models, and where they listen.
    pub fn addresses(&self) -> impl Iterator<Item = (u16, SocketAddr)> {
        self.sockets.iter().map(|listener| (listener.port, listener.address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::emulator::null_model;

    fn servers(name: &str, first: u16) -> Servers {
        let mut model = null_model();
        (model.name, model.ports.first) = (name.to_owned(), first);
        Servers::draw(&model, 1, 0)
    }

    #[test]
    fn a_base_moves_all_ports_alike() {
        let place = Place::Moved { origin: 4000, base: 14_000 };
        assert_eq!([4000, 4009, 6003].map(|p| place.port(p)), [14_000, 14_009, 16_003].map(Some));
        assert_eq!(place.port(3999), None);
        assert_eq!(Place::Moved { origin: 4000, base: 65_000 }.port(5000), None);
    }

    #[test]
    fn ports_of_two_models_must_differ() {
        let groups = [servers("a", 4000), servers("b", 4000)];
        let message = Listeners::bind(&groups, Place::System).unwrap_err().to_string();
        assert!(message.contains("port 4000 belongs to two models, a and b"), "{message}");
        let groups = [servers("a", 4000), servers("b", 4001)];
        let listeners = Listeners::bind(&groups, Place::System).unwrap();
        assert_eq!(listeners.addresses().map(|(port, _)| port).collect::<Vec<_>>(), [4000, 4001]);
        assert!(listeners.addresses().all(|(_, address)| address.ip().is_loopback()));
    }
}
