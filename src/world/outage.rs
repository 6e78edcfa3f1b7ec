//! Outages: spans of time in which some servers fail whatever their coin says.
//!
//! What counts is the moment of sending. Attempts that were accepted before an outage end as they
//! would have without it; those accepted within it fail, and their luck is used up all the same,
//! so that the k-th accepted attempt at a server meets the same luck with outages and without.
//!
//! When not to use it: for outages that come by chance. These are the same in every replication.

use super::Violation;
use crate::domain::{ServerId, Span, Timestamp};

/// The latest moment that a file may name: 11 days.
const LATEST_S: f64 = 1e6;

/// A span of time in which servers are dark.
#[derive(Debug, Clone, PartialEq)]
pub struct Outage {
    /// Begins so many seconds after the start of a run.
    pub from_s: f64,
    /// Is over so many seconds after the start.
    pub until_s: f64,
    /// Indices of the servers that are dark, from 0; all when absent.
    pub servers: Option<Vec<u16>>,
    /// What attempts meet.
    pub kind: OutageKind,
}

/// What attempts meet in an outage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OutageKind {
    /// They fail.
    Fail {
        /// After so many milliseconds; the median of failures when absent.
        latency_ms: Option<f64>,
    },
    /// No answer comes until the outage is over; then they fail, if their clients still wait.
    Hang,
}

impl Outage {
    /// Checks every range; keys are relative to the `[[outage]]` table.
    pub(super) fn validate(&self, servers: usize) -> Result<(), Violation> {
        moment("from_s", self.from_s)?;
        moment("until_s", self.until_s)?;
        if self.until_s <= self.from_s {
            let problem = format!("{} s is not after from_s = {} s", self.until_s, self.from_s);
            let expected = "seconds after the start of the run, above `from_s`";
            return Err(Violation::new("until_s", problem, expected));
        }
        self.servers.as_ref().map_or(Ok(()), |dark| indices(dark, servers))?;
        match self.kind {
            OutageKind::Fail { latency_ms: Some(ms) } => {
                super::latency::milliseconds("latency_ms", ms)
            }
            OutageKind::Fail { latency_ms: None } | OutageKind::Hang => Ok(()),
        }
    }
}

fn moment(key: &str, seconds: f64) -> Result<(), Violation> {
    if (0.0..=LATEST_S).contains(&seconds) {
        return Ok(());
    }
    let problem = format!("{seconds} is out of range");
    Err(Violation::new(key, problem, "seconds after the start of the run, in 0..=1,000,000"))
}

/// Whether a list `servers` names servers that exist, each once.
pub(super) fn indices(listed: &[u16], servers: usize) -> Result<(), Violation> {
    let last = servers.saturating_sub(1);
    let expected = format!("indices of servers, from 0 to {last}, each once");
    if listed.is_empty() {
        let violation = Violation::new("servers", "no server is named", &expected);
        return Err(violation.with_help("leave the whole table out if it holds for no server"));
    }
    let mut named = vec![false; servers];
    for (i, server) in listed.iter().enumerate() {
        let key = format!("servers.{i}");
        match named.get_mut(usize::from(*server)) {
            None => {
                let violation =
                    Violation::new(key, format!("there is no server {server}"), &expected);
                return Err(violation.with_help("servers are counted from 0, in order of ports"));
            }
            Some(true) => {
                let problem = format!("server {server} is named twice");
                return Err(Violation::new(key, problem, &expected));
            }
            Some(named) => *named = true,
        }
    }
    Ok(())
}

/// The outages of a run, ready to be asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Outages(Vec<Dark>);

#[derive(Debug, Clone)]
pub(super) struct Dark {
    from: Timestamp,
    pub(super) until: Timestamp,
    /// In order; all when absent.
    servers: Option<Vec<u16>>,
    pub(super) kind: OutageKind,
}

impl Outages {
    pub(super) fn new(outages: &[Outage]) -> Self {
        let dark = |outage: &Outage| {
            let mut servers = outage.servers.clone();
            servers.iter_mut().for_each(|servers| servers.sort_unstable());
            Dark {
                from: Timestamp::from_secs_f64(outage.from_s),
                until: Timestamp::from_secs_f64(outage.until_s),
                servers,
                kind: outage.kind,
            }
        };
        Self(outages.iter().map(dark).collect())
    }

    /// The outage that a server is in, the first of those that the file lists.
    #[inline]
    pub(super) fn at(&self, server: ServerId, now: Timestamp) -> Option<&Dark> {
        self.0.iter().find(|dark| {
            dark.from <= now
                && now < dark.until
                && dark.servers.as_ref().is_none_or(|list| list.binary_search(&server.0).is_ok())
        })
    }
}

impl Dark {
    /// How long an attempt takes that begins at `begins`; `failure` is how long failures take.
    pub(super) fn service(&self, begins: Timestamp, failure: Span) -> Span {
        match self.kind {
            OutageKind::Fail { latency_ms } => latency_ms.map_or(failure, Span::from_millis_f64),
            OutageKind::Hang => self.until.since(begins),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_holds_from_its_first_moment_up_to_its_last_for_the_servers_it_names() {
        let outage = |from_s, until_s, servers, latency_ms| Outage {
            from_s,
            until_s,
            servers,
            kind: OutageKind::Fail { latency_ms },
        };
        let outages = Outages::new(&[
            outage(5.0, 10.0, Some(vec![7, 2]), Some(1.0)),
            outage(8.0, 12.0, None, Some(2.0)),
        ]);
        let ms = |server, nanos| {
            let at = Timestamp::from_nanos(nanos);
            let dark = outages.at(ServerId(server), at)?;
            Some(dark.service(at, Span::ZERO).as_millis_f64())
        };
        assert_eq!((ms(2, 4_999_999_999), ms(2, 5_000_000_000)), (None, Some(1.0)));
        assert_eq!((ms(3, 5_000_000_000), ms(3, 8_000_000_000)), (None, Some(2.0)));
        assert_eq!((ms(7, 9_999_999_999), ms(7, 10_000_000_000)), (Some(1.0), Some(2.0)));
        assert_eq!((ms(7, 11_999_999_999), ms(7, 12_000_000_000)), (Some(2.0), None));
    }
}
