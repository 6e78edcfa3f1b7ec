//! A server as a mesh sees it: what is declared of it, and what has been learned of it.
//!
//! Address and metadata are for people and stay in the [`Fleet`]; what decisions need is here, in
//! one cache line a server, because the strategies run over thousands of them.

use super::health::Health;
use crate::domain::{Fleet, ServerId, Timestamp};

/// One server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Server {
    /// Declared share of the load relative to the others; above 0 and finite.
    pub weight: f64,
    /// Requests that it can work on at a time, at least 1; `u32::MAX` where that is not declared.
    pub capacity: u32,
    /// Attempts sent whose outcome is not known.
    pub in_flight: u32,
    /// Health below which it is left out, where that is declared for it.
    pub threshold: Option<Health>,
    /// Health as of `settled_at`.
    pub health: Health,
    /// When the health was last computed.
    pub settled_at: Timestamp,
    /// Attempts whose outcome is known.
    pub attempts: u64,
    /// Successes among them.
    pub successes: u64,
}

impl Server {
    /// A server of which nothing is known but what is declared. A [`Fleet`] holds valid
    /// declarations only.
    pub fn new(fleet: &Fleet, server: ServerId) -> Self {
        Self {
            weight: fleet.weight(server),
            capacity: fleet.capacity(server).unwrap_or(u32::MAX),
            in_flight: 0,
            threshold: fleet.health_threshold(server).and_then(Health::new),
            health: Health::FULL,
            settled_at: Timestamp::ZERO,
            attempts: 0,
            successes: 0,
        }
    }

    /// Whether it works on as many requests as it can, as far as this balancer knows.
    #[inline]
    pub const fn is_full(&self) -> bool {
        self.in_flight >= self.capacity
    }

    /// (requests in flight + `more`) / (health x weight): how busy it is for what it can do.
    #[inline]
    pub fn load(&self, more: u32) -> f64 {
        let can_do = self.health.value().max(LEAST_HEALTH) * self.weight;
        f64::from(self.in_flight.saturating_add(more)) / can_do
    }

    /// An attempt was sent to it.
    #[inline]
    pub fn take_up(&mut self) {
        self.in_flight = self.in_flight.saturating_add(1);
    }

    /// The outcome of an attempt is known. One that was never sent changes nothing.
    #[inline]
    pub fn put_down(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }
}

/// Health that loads are divided by at least: a server at 0 would have no finite load.
const LEAST_HEALTH: f64 = 1e-3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Endpoint;

    #[test]
    fn starts_healthy_and_idle_with_what_is_declared() {
        let declared = Endpoint { weight: 2.0, capacity: Some(3), ..Endpoint::default() };
        let fleet = Fleet::new(vec![declared]).unwrap();
        let mut server = Server::new(&fleet, ServerId(0));
        assert_eq!((server.health, server.in_flight), (Health::FULL, 0));
        server.take_up();
        server.take_up();
        assert_eq!((server.load(0), server.load(1)), (1.0, 1.5));
        assert!(!server.is_full());
        server.take_up();
        assert!(server.is_full());
    }

    #[test]
    fn an_outcome_of_nothing_sent_changes_nothing() {
        let mut server = Server::new(&Fleet::uniform(1), ServerId(0));
        server.put_down();
        assert_eq!(server.in_flight, 0);
    }

    #[test]
    fn the_load_of_a_dead_server_is_large_but_a_number() {
        let mut server = Server::new(&Fleet::uniform(1), ServerId(0));
        server.health = Health::new(0.0).unwrap();
        assert_eq!((server.load(0), server.load(1)), (0.0, 1000.0));
    }
}
