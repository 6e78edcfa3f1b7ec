//! One downstream target, and small sets of them.

/// The most servers that one model may have; sets of servers are one machine word wide.
pub const MAX_SERVERS: usize = 128;

/// A server's index in the model, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u16);

impl ServerId {
    /// The index as an array position.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// All servers of a model with `count` servers, in order.
    pub fn all(count: usize) -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        (0..count as u16).map(Self)
    }
}

/// A set of servers, for example those that a request has tried already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerSet(u128);

impl ServerSet {
    /// No server.
    pub const EMPTY: Self = Self(0);

    /// Adds a server; one that is in the set already stays in it.
    #[inline]
    pub fn insert(&mut self, server: ServerId) {
        self.0 |= 1 << server.index();
    }

    /// Whether the server is in the set.
    #[inline]
    pub const fn contains(self, server: ServerId) -> bool {
        self.0 >> server.index() & 1 == 1
    }

    /// How many servers are in the set.
    #[inline]
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether no server is in the set.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_inserted_up_to_the_last_index() {
        let mut set = ServerSet::EMPTY;
        assert!(set.is_empty());
        for index in [0, 7, 127] {
            set.insert(ServerId(index));
            set.insert(ServerId(index));
        }
        let members: Vec<u16> =
            ServerId::all(MAX_SERVERS).filter(|s| set.contains(*s)).map(|s| s.0).collect();
        assert_eq!(members, [0, 7, 127]);
        assert_eq!(set.len(), 3);
    }
}
