//! One downstream target, and small sets of them.

/// The most servers that one model may have: as many as consecutive ports are there for tests at
/// scale; more would need another number for ports than TCP's.
pub const MAX_SERVERS: usize = 16_384;

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

/// Servers below this index are kept as bits.
const BITS: u16 = u128::BITS as u16;

/// A set of servers, for example those that a request has tried already.
///
/// The first 128 servers are bits of one word, which is all that most models need; others stand
/// in a sorted list, which holds no more than the attempts of one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerSet {
    bits: u128,
    others: Vec<ServerId>,
}

impl ServerSet {
    /// No server.
    pub const EMPTY: Self = Self { bits: 0, others: Vec::new() };

    /// Adds a server; one that is in the set already stays in it.
    #[inline]
    pub fn insert(&mut self, server: ServerId) {
        if server.0 < BITS {
            self.bits |= 1 << server.0;
        } else if let Err(place) = self.others.binary_search(&server) {
            self.others.insert(place, server);
        }
    }

    /// Whether the server is in the set.
    #[inline]
    pub fn contains(&self, server: ServerId) -> bool {
        if server.0 < BITS {
            self.bits >> server.0 & 1 == 1
        } else {
            !self.others.is_empty() && self.others.binary_search(&server).is_ok()
        }
    }

    /// How many servers are in the set.
    #[inline]
    pub fn len(&self) -> usize {
        self.bits.count_ones() as usize + self.others.len()
    }

    /// Whether no server is in the set.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bits == 0 && self.others.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_inserted_up_to_the_last_index() {
        let mut set = ServerSet::EMPTY;
        assert!(set.is_empty());
        for index in [9_999, 0, 127, 7, 128, 16_383] {
            set.insert(ServerId(index));
            set.insert(ServerId(index));
        }
        let members: Vec<u16> =
            ServerId::all(MAX_SERVERS).filter(|s| set.contains(*s)).map(|s| s.0).collect();
        assert_eq!(members, [0, 7, 127, 128, 9_999, 16_383]);
        assert_eq!(set.len(), 6);
        let mut other_way_round = ServerSet::EMPTY;
        members.iter().rev().for_each(|index| other_way_round.insert(ServerId(*index)));
        assert_eq!(set, other_way_round);
    }
}
