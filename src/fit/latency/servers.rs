//! In which servers latency differs: how many times as long each server's answers take as those of
//! most others, with intervals.
//!
//! Of each server the mean of ln latency over its successes, since failures may be fast; against the
//! mean over all servers that do not stand out. Factors are for a model of these very servers, whose
//! one family of latencies is then fitted to what is left when factors are divided out.
//!
//! When not to use it: where servers differ in the shape of their latencies, such as a long tail at
//! one of them only. A factor moves all quantiles alike.

use crate::latency::attempts::Timed;
use flakelab_core::stats::{Interval, Moments};

/// Fewer attempts than this tell no server's latency.
const LEAST_ATTEMPTS: u64 = 20;

/// Standard errors by which a server stands out. Normal noise does so once in 16,000 servers.
const STANDS_OUT: f64 = 4.0;

/// Less than this (`ln`) is not worth a factor.
const WORTH: f64 = 0.05;

/// Half of a 95 % interval in standard errors.
const HALF: f64 = 1.959_964;

/// The latency of a server against that of most others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ServerLatency {
    /// Its answers take so many times as long.
    pub factor: f64,
    /// 95 % interval of that.
    pub interval: Interval,
    /// Whether it stands out; where not, models take the factor for 1.
    pub stands_out: bool,
}

/// The factor of each server; none where it has too few attempts.
pub(crate) fn server_latencies(kept: &[Timed], servers: usize) -> Vec<Option<ServerLatency>> {
    let of_server = |server: usize| {
        let mut log_ms = Moments::default();
        let own = kept.iter().filter(|a| a.server == server && !a.failed);
        own.for_each(|attempt| log_ms.push(libm::log(attempt.ms)));
        (log_ms.count() >= LEAST_ATTEMPTS).then_some(log_ms)
    };
    let all: Vec<Option<Moments>> = (0..servers).map(of_server).collect();
    let mut means: Vec<f64> = all.iter().flatten().map(Moments::mean).collect();
    means.sort_by(f64::total_cmp);
    let Some(middle) = means.get(means.len() / 2).copied() else { return vec![None; servers] };
    let far = |difference: f64, error: f64| difference.abs() > WORTH.max(STANDS_OUT * error);
    let mut most = Moments::default();
    let usual = all.iter().flatten().filter(|m| !far(m.mean() - middle, m.std_error()));
    usual.for_each(|m| most.merge(m));
    let factor = |m: &Moments| {
        let difference = m.mean() - most.mean();
        let error = m.std_error().hypot(most.std_error());
        let at = |sigmas: f64| libm::exp(difference + sigmas * error);
        ServerLatency {
            factor: at(0.0),
            interval: Interval { low: at(-HALF), high: at(HALF) },
            stands_out: far(difference, error),
        }
    };
    all.iter().map(|m| m.as_ref().map(factor)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flakelab_core::domain::{Purpose, Streams};
    use flakelab_core::stats::standard_normal;

    fn timed(server: usize, ms: f64, failed: bool) -> Timed {
        Timed { ms, server, retry: false, failed, run: 0, sequence: 0 }
    }

    /// 200 data sets of four servers, one twice as slow, failures fast: its interval holds 2 in 95 %,
    /// between 181 and 198 (false alarm 1 %); it stands out always, the others never. Fixed seeds.
    #[test]
    fn the_factor_of_a_slow_server_is_held_and_the_others_have_none() {
        let (mut held, sets) = (0, 200);
        for set in 0..sets {
            let mut rng = Streams::new(31).stream(Purpose::Analysis, 0, set);
            let mut kept = Vec::new();
            for i in 0..800 {
                let server = i % 4;
                let base = if server == 2 { 20.0 } else { 10.0 };
                kept.push(timed(server, base * libm::exp(0.4 * standard_normal(&mut rng)), false));
                if i % 7 == 0 {
                    kept.push(timed(1, 0.2, true));
                }
            }
            let found = server_latencies(&kept, 5);
            assert!(found[4].is_none(), "it was never asked");
            let out: Vec<bool> = found.iter().flatten().map(|f| f.stands_out).collect();
            assert_eq!(out, [false, false, true, false], "{found:?}");
            held += u32::from(found[2].unwrap().interval.contains(2.0));
        }
        assert!((181..=198).contains(&held), "{held} of {sets}");
    }

    #[test]
    fn nothing_is_said_without_attempts() {
        assert_eq!(server_latencies(&[], 3), [None; 3]);
        let alike: Vec<Timed> = (0..60).map(|i| timed(i % 2, 5.0, false)).collect();
        let found = server_latencies(&alike, 2);
        assert!(found.iter().flatten().all(|f| f.factor == 1.0 && !f.stands_out), "{found:?}");
    }
}
