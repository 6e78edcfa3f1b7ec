//! Round robin: one server after the other, whatever happened.
//!
//! Attempt k of the run goes to server k mod the number of servers; retries continue the cycle. The
//! default of most proxies and the fairest rule there is. J. Nagle, "On Packet Switches with
//! Infinite Storage" (RFC 970, 1985), made it known for queues.
//!
//! Limits: it learns nothing; its success rate is that of the average server. It is only here to
//! show what learning is worth.

use crate::domain::{Attempt, Outcome, PendingRequest, ServerId, Timestamp};
use crate::strategy::declared::declared;
use crate::strategy::{Decision, Strategy};

declared! {
    name: "round-robin", group: Literature,
    idea: "one server after the other, whatever happened",
    build: |_, fleet, _| RoundRobin::new(fleet.servers()),
    pub struct RoundRobinSpec {}
}

/// One after the other.
#[derive(Debug)]
pub struct RoundRobin {
    servers: u16,
    /// Whose turn it is.
    next: u16,
}

impl RoundRobin {
    /// Goes round `servers` servers, from the first on.
    pub fn new(servers: usize) -> Self {
        Self { servers: servers as u16, next: 0 }
    }
}

impl Strategy for RoundRobin {
    fn decide(&mut self, _now: Timestamp, _request: &PendingRequest) -> Decision {
        let turn = self.next;
        self.next = if turn + 1 < self.servers { turn + 1 } else { 0 };
        Decision::Send(ServerId(turn))
    }

    fn on_outcome(&mut self, _now: Timestamp, _attempt: &Attempt, _outcome: Outcome) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::testing::{decide, observe};

    #[test]
    fn every_server_has_its_turn_and_retries_continue_the_cycle() {
        let mut strategy = RoundRobin::new(3);
        for (request, tried, expected) in [(0, vec![], 0), (0, vec![0], 1), (1, vec![], 2)] {
            assert_eq!(decide(&mut strategy, request, &tried), expected);
            observe(&mut strategy, expected, Outcome::Failure);
        }
        assert_eq!(decide(&mut strategy, 2, &[]), 0);
    }
}
