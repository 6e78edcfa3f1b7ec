//! A set of servers that can be drawn from and changed in constant time.
//!
//! Members stand in one array, and each server knows its place there; taking one out moves the
//! last member into its place. This is what keeps `power-of-two` at O(1) with thousands of servers.

use crate::domain::ServerId;

/// Marks a server that is not a member.
const NOWHERE: u16 = u16::MAX;

/// Servers that pass, of a fixed number of servers; at first all of them.
#[derive(Debug, Clone)]
pub struct Passing {
    members: Vec<ServerId>,
    /// Place of each server in `members`.
    places: Vec<u16>,
}

impl Passing {
    pub fn all(servers: usize) -> Self {
        Self {
            members: ServerId::all(servers).collect(),
            places: ServerId::all(servers).map(|s| s.0).collect(),
        }
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    #[inline]
    pub fn contains(&self, server: ServerId) -> bool {
        self.places[server.index()] != NOWHERE
    }

    /// The member at a place below [`len`](Self::len); places change with the set.
    #[inline]
    pub fn at(&self, place: usize) -> ServerId {
        self.members[place]
    }

    /// Puts the server in or takes it out.
    #[inline]
    pub fn set(&mut self, server: ServerId, passes: bool) {
        if passes == self.contains(server) {
            return;
        }
        if passes {
            self.places[server.index()] = self.members.len() as u16;
            self.members.push(server);
        } else {
            let place = self.places[server.index()];
            self.members.swap_remove(usize::from(place));
            if let Some(moved) = self.members.get(usize::from(place)) {
                self.places[moved.index()] = place;
            }
            self.places[server.index()] = NOWHERE;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::{Purpose, Streams};
    use crate::stats::sample::index_below;

    #[test]
    fn holds_what_a_plain_set_would_hold() {
        let mut rng = Streams::new(3).stream(Purpose::Strategy, 0, 0);
        let (mut set, mut plain) = (Passing::all(9), (0..9).collect::<BTreeSet<u16>>());
        for _ in 0..2_000 {
            let server = index_below(&mut rng, 9) as u16;
            let passes = index_below(&mut rng, 2) == 0;
            set.set(ServerId(server), passes);
            if passes {
                plain.insert(server)
            } else {
                plain.remove(&server)
            };
            let members: BTreeSet<u16> = (0..set.len()).map(|i| set.at(i).0).collect();
            assert_eq!(members, plain);
            assert!((0..9).all(|s| set.contains(ServerId(s)) == plain.contains(&s)));
        }
    }
}
