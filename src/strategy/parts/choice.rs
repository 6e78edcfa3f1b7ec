//! Choosing the server with the highest value; ties go to the first.

use crate::domain::{PendingRequest, ServerId, ServerSet};

/// The position of the largest value, the first on a tie; server 0 for an empty slice.
#[inline]
pub fn first_max(values: &[f64]) -> ServerId {
    first_max_by(values.len(), &ServerSet::EMPTY, |server| values[server.index()])
}

/// The server with the largest value among those not in `excluded`, the first on a tie.
///
/// `value` is called once for each candidate, in order. When every server is excluded, server
/// 0 is returned; [`candidates`] prevents that.
#[inline]
pub fn first_max_by(
    servers: usize,
    excluded: &ServerSet,
    mut value: impl FnMut(ServerId) -> f64,
) -> ServerId {
    let mut best = ServerId(0);
    let mut best_value = f64::NEG_INFINITY;
    for server in ServerId::all(servers) {
        if excluded.contains(server) {
            continue;
        }
        let candidate = value(server);
        if candidate > best_value {
            best = server;
            best_value = candidate;
        }
    }
    best
}

/// The server with the largest value among those `allowed`, the first on a tie; none if none is.
///
/// `value` is called once for each server that is allowed, in order.
#[inline]
pub fn first_max_where(
    servers: usize,
    mut allowed: impl FnMut(ServerId) -> bool,
    mut value: impl FnMut(ServerId) -> f64,
) -> Option<ServerId> {
    let mut best = None;
    let mut best_value = f64::NEG_INFINITY;
    for server in ServerId::all(servers).filter(|server| allowed(*server)) {
        let candidate = value(server);
        if best.is_none() || candidate > best_value {
            best = Some(server);
            best_value = candidate;
        }
    }
    best
}

/// No server.
pub static NOBODY: ServerSet = ServerSet::EMPTY;

/// The servers to leave out for this attempt: those that the request has tried, if
/// `exclude_tried` and not all of them are; when every server is excluded, exclusion is dropped.
#[inline]
pub fn candidates(servers: usize, exclude_tried: bool, request: &PendingRequest) -> &ServerSet {
    if exclude_tried && request.tried.len() < servers { &request.tried } else { &NOBODY }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Request, RequestId, Timestamp};

    #[test]
    fn ties_go_to_the_first_candidate() {
        assert_eq!(first_max(&[1.0, 3.0, 3.0]), ServerId(1));
        let mut excluded = ServerSet::EMPTY;
        excluded.insert(ServerId(1));
        assert_eq!(first_max_by(3, &excluded, |_| 0.5), ServerId(0));
    }

    #[test]
    fn nobody_is_chosen_among_nobody() {
        assert_eq!(first_max_where(3, |_| false, |_| 1.0), None);
        assert_eq!(first_max_where(3, |s| s.0 > 0, |_| 1.0), Some(ServerId(1)));
        let value = |s: ServerId| [3.0, 1.0, 2.0][s.index()];
        assert_eq!(first_max_where(3, |s| s.0 > 0, value), Some(ServerId(2)));
        assert_eq!(first_max_where(1, |_| true, |_| f64::NAN), Some(ServerId(0)));
    }

    #[test]
    fn exclusion_is_dropped_when_it_would_leave_nobody() {
        let request = Request { id: RequestId(0), arrived_at: Timestamp::ZERO };
        let mut pending = PendingRequest::new(request, 3);
        pending.record_attempt(ServerId(0));
        assert_eq!(candidates(2, true, &pending).len(), 1);
        assert!(candidates(2, false, &pending).is_empty());
        pending.record_attempt(ServerId(1));
        assert!(candidates(2, true, &pending).is_empty());
    }
}
