//! Servers: their indices, small sets of them, what a balancer is told of them, and the order in
//! which a strategy sees them.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::Rng;

/// The most servers that one model may have: as many as consecutive ports are there for tests at
/// scale; more would need another number for ports than TCP's.
pub const MAX_SERVERS: usize = 16_384;

/// A server's index in the model, from 0; to a strategy, its place in the [`ServerOrder`] in which
/// the strategy sees the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u16);

impl ServerId {
    /// The index as an array position.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// All servers of a model with `count` servers, in order.
    #[inline]
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

    /// The servers in the set, in order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = ServerId> {
        let mut bits = self.bits;
        let first = std::iter::from_fn(move || {
            let server = (bits != 0).then(|| ServerId(bits.trailing_zeros() as u16))?;
            bits &= bits - 1;
            Some(server)
        });
        first.chain(self.others.iter().copied())
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

/// The order in which a strategy sees the servers: its server 0 is any of the model's.
///
/// Most rules send ties to the first server, and models list servers in some order. If strategies
/// saw that order, a rule that starts with the first would be as good as the place of the best
/// server in a file is lucky. So they see one drawn anew for every run. Only strategies have numbers
/// of their own: worlds, ledgers and files keep those of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOrder(Arc<[ServerId]>);

impl ServerOrder {
    /// The order of the model.
    pub fn as_given(servers: usize) -> Self {
        Self(ServerId::all(servers).collect())
    }

    /// Any order with equal chances, up to 2^-49 (Fisher and Yates; Knuth, TAOCP 2, algorithm
    /// 3.4.2P).
    pub fn drawn(servers: usize, rng: &mut impl Rng) -> Self {
        let mut order: Vec<ServerId> = ServerId::all(servers).collect();
        for last in (1..servers).rev() {
            order.swap(last, (rng.next_u64() % (last as u64 + 1)) as usize);
        }
        Self(order.into())
    }

    /// Number of servers.
    pub fn servers(&self) -> usize {
        self.0.len()
    }

    /// The server of the model that a strategy sees as `seen`, which must be one of the servers.
    #[inline]
    pub fn server(&self, seen: ServerId) -> ServerId {
        self.0[seen.index()]
    }
}

/// What is declared of one server, before the first request: not what it really does.
///
/// Operators declare weights and capacities; nobody declares error rates. What a balancer learns of
/// a server while it runs (health, requests in flight) belongs to the strategy that learns it.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// Where it is, for people: `127.0.0.1:4000`. Nothing depends on it.
    pub address: String,
    /// Share of the load that it is meant to get, relative to the others; above 0 and finite.
    pub weight: f64,
    /// Requests that it can work on at a time, at least 1; none if that is not known.
    pub capacity: Option<u32>,
    /// Health below which it is avoided, 0 to 1; none for the strategy's own threshold.
    pub health_threshold: Option<f64>,
    /// Anything else, for people.
    pub metadata: BTreeMap<String, String>,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            address: String::new(),
            weight: 1.0,
            capacity: None,
            health_threshold: None,
            metadata: BTreeMap::new(),
        }
    }
}

/// A declaration that cannot be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("server {server}: `{key}` expects {expected}, got {got}")]
pub struct FleetError {
    /// Position of the server.
    pub server: usize,
    /// What was declared.
    pub key: &'static str,
    /// What it may hold.
    pub expected: &'static str,
    /// What it held.
    pub got: f64,
}

/// All servers of a balancer, as declared.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    servers: usize,
    /// One a server, or nothing at all when nothing is declared.
    declared: Vec<Endpoint>,
}

impl Fleet {
    /// So many servers of which nothing is declared: equal weights, no capacities.
    pub const fn uniform(servers: usize) -> Self {
        Self { servers, declared: Vec::new() }
    }

    /// Servers as declared, in order.
    ///
    /// # Errors
    /// Names the first value that is out of range.
    pub fn new(declared: Vec<Endpoint>) -> Result<Self, FleetError> {
        for (server, endpoint) in declared.iter().enumerate() {
            let check = |valid, key, expected, got| {
                if valid { Ok(()) } else { Err(FleetError { server, key, expected, got }) }
            };
            let weight = endpoint.weight;
            let positive = weight.is_finite() && weight > 0.0;
            check(positive, "weight", "a finite number above 0", weight)?;
            let capacity = endpoint.capacity.unwrap_or(1);
            check(capacity >= 1, "capacity", "a whole number of at least 1", f64::from(capacity))?;
            let threshold = endpoint.health_threshold.unwrap_or(0.0);
            let in_range = (0.0..=1.0).contains(&threshold);
            check(in_range, "health_threshold", "a number from 0 to 1", threshold)?;
        }
        Ok(Self { servers: declared.len(), declared })
    }

    /// The same servers as a strategy sees them.
    #[must_use]
    pub fn seen_in(&self, order: &ServerOrder) -> Self {
        let seen = order.0.iter().filter_map(|server| self.declared.get(server.index()));
        Self { servers: self.servers, declared: seen.cloned().collect() }
    }

    /// Number of servers.
    pub const fn servers(&self) -> usize {
        self.servers
    }

    /// What is declared of each server, in order; empty when nothing is.
    pub fn declared(&self) -> &[Endpoint] {
        &self.declared
    }

    /// The declared weight of a server, 1 when nothing is declared.
    pub fn weight(&self, server: ServerId) -> f64 {
        self.declared.get(server.index()).map_or(1.0, |endpoint| endpoint.weight)
    }

    /// The declared capacity of a server.
    pub fn capacity(&self, server: ServerId) -> Option<u32> {
        self.declared.get(server.index()).and_then(|endpoint| endpoint.capacity)
    }

    /// The health below which a server is to be avoided, where that is declared.
    pub fn health_threshold(&self, server: ServerId) -> Option<f64> {
        self.declared.get(server.index()).and_then(|endpoint| endpoint.health_threshold)
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

    #[test]
    fn what_is_not_declared_is_equal() {
        let fleet = Fleet::uniform(3);
        assert_eq!(fleet.servers(), 3);
        assert_eq!(fleet.weight(ServerId(2)), 1.0);
        assert_eq!(
            (fleet.capacity(ServerId(0)), fleet.health_threshold(ServerId(0))),
            (None, None)
        );
    }

    #[test]
    fn impossible_declarations_are_named() {
        let with = |change: fn(&mut Endpoint)| {
            let mut second = Endpoint::default();
            change(&mut second);
            Fleet::new(vec![Endpoint::default(), second]).map_err(|e| (e.server, e.key))
        };
        assert!(with(|e| e.weight = 0.5).is_ok());
        assert_eq!(with(|e| e.weight = 0.0), Err((1, "weight")));
        assert_eq!(with(|e| e.weight = f64::INFINITY), Err((1, "weight")));
        assert_eq!(with(|e| e.weight = f64::NAN), Err((1, "weight")));
        assert_eq!(with(|e| e.capacity = Some(0)), Err((1, "capacity")));
        assert_eq!(with(|e| e.health_threshold = Some(1.5)), Err((1, "health_threshold")));
    }
}
