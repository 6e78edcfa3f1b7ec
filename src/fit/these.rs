//! A model of these very servers, and the traffic that they met.
//!
//! A fleet model answers for servers like the recorded ones: each replication draws new rates from a
//! population. Whoever records one start of his own servers asks about *these*: the rates of one
//! replication are a draw from what their attempts leave open, server by server, kept together as a
//! row. With population theta drawn from its posterior, server i has the density
//! `p^f (1 - p)^s` times that of theta, so servers with few attempts lean on the others (a hierarchical
//! model; A. Gelman et al., "Bayesian Data Analysis", 3rd edition, 2013, chapter 5).
//!
//! Traffic is the requests' rate, how evenly they come, how many are served at a time, and how many
//! attempts a request gets at most: what a scenario says beside its model.
//!
//! When not to use it: for servers that will be started anew, if rates are drawn at each start.

use crate::latency::ServerLatency;
use crate::rates::{ErrorRateFit, Population, Tally};
use crate::starts::OutageSpan;
use flakelab_core::domain::{Purpose, Rules, Streams};
use flakelab_core::stats::{Moments, quantile, uniform_open};
use flakelab_sim::trace::Recording;
use flakelab_sim::world::{ErrorFamily, Outage, OutageKind, ServerOverride, Traffic};

/// Which servers a model is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Servers like the recorded ones, drawn anew.
    Fleet,
    /// The recorded ones.
    These,
}

/// Seed of the draws, a constant: a fit is a function of its traces.
const SEED: u64 = 0x7e5e;

/// Equally likely rates of all servers, one a server in each row.
pub(crate) fn rows(rates: &ErrorRateFit, tallies: &[Tally], n: usize) -> Vec<ErrorFamily> {
    let mut rng = Streams::new(SEED).stream(Purpose::Analysis, 0, n as u64);
    let row = |population: ErrorFamily| {
        let rate = |tally: &Tally| population.posterior_quantile(*tally, uniform_open(&mut rng));
        ErrorFamily::Fixed { values: tallies.iter().map(rate).collect() }
    };
    rates.draws(n).into_iter().map(row).collect()
}

/// What a model says of the servers whose latency stands out.
pub(crate) fn overrides(
    latencies: &[Option<ServerLatency>],
    round: fn(f64) -> f64,
) -> Vec<ServerOverride> {
    let slow = |(i, of): (usize, &Option<ServerLatency>)| {
        let own = (*of)?;
        own.stands_out.then(|| ServerOverride {
            servers: vec![i as u16],
            latency_factor: Some(round(own.factor)),
            rate_limit: None,
            capacity: None,
        })
    };
    latencies.iter().enumerate().filter_map(slow).collect()
}

/// The outages of a recording as its model says them; the times of several recordings are not those of
/// one run.
pub(crate) fn outages(found: &[OutageSpan], recordings: &[&Recording]) -> Vec<Outage> {
    let [one] = recordings else { return Vec::new() };
    let outage = |span: &OutageSpan| {
        let inside = &one.attempts[span.attempts.clone()];
        let mut ms: Vec<f64> = inside.iter().map(|attempt| f64::from(attempt.latency_ms)).collect();
        ms.sort_by(f64::total_cmp);
        let median = quantile(&ms, 0.5);
        Outage {
            from_s: span.from_s,
            until_s: span.until_s,
            servers: span.perhaps_only.map(|server| vec![server as u16]),
            kind: OutageKind::Fail { latency_ms: (median >= 1e-3).then_some(median) },
        }
    };
    found.iter().filter(|span| span.until_s > span.from_s).map(outage).collect()
}

/// When requests arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrivals {
    /// At equal distances, or nearly.
    Even,
    /// At random, independent of each other.
    Poisson,
    /// In bursts: more uneven than at random.
    Bursts,
}

/// Gaps whose standard deviation is below this share of their mean come evenly.
const EVEN: f64 = 0.5;

/// Above this share they come in bursts. Of 100 random gaps the share is above 1.3 in 1 of 100
/// records.
const BURSTY: f64 = 1.3;

/// The traffic of some recordings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ObservedTraffic {
    /// Requests.
    pub requests: usize,
    /// Requests per second while recordings went on; 0 where no time passes.
    pub per_second: f64,
    /// When they arrived.
    pub arrivals: Arrivals,
    /// Standard deviation of the gaps between requests over their mean: 0 if even, 1 at random.
    pub unevenness: f64,
    /// Most attempts of a request.
    pub most_attempts: usize,
    /// Most requests under way at a time.
    pub most_in_service: usize,
    /// The longest that an attempt took, in milliseconds.
    pub longest_ms: f64,
}

/// The traffic of the recordings of one group.
pub(crate) fn traffic(recordings: &[&Recording]) -> ObservedTraffic {
    let mut gaps = Moments::default();
    let (mut requests, mut seconds, mut longest_ms) = (0, 0.0, 0.0_f64);
    let (mut most_attempts, mut most_in_service) = (0, 0);
    for recording in recordings {
        // By request, which are numbered: when it was first sent, when its last answer came, its
        // attempts.
        let mut seen: Vec<(f64, f64, usize)> = Vec::new();
        for attempt in &recording.attempts {
            let ms = f64::from(attempt.latency_ms);
            longest_ms = longest_ms.max(ms);
            let request = attempt.request as usize;
            if request >= seen.len() {
                seen.resize(request + 1, (f64::INFINITY, f64::NEG_INFINITY, 0));
            }
            let (sent_s, end_s, attempts) = &mut seen[request];
            *sent_s = sent_s.min(attempt.at_s);
            *end_s = end_s.max(attempt.at_s + ms * 1e-3);
            *attempts += 1;
        }
        seen.retain(|(.., attempts)| *attempts > 0);
        seen.sort_by(|a, b| a.0.total_cmp(&b.0));
        seen.array_windows().for_each(|[a, b]| gaps.push(b.0 - a.0));
        requests += seen.len();
        seconds += seen.last().zip(seen.first()).map_or(0.0, |(last, first)| last.0 - first.0);
        let mut ends: Vec<f64> = seen.iter().map(|(_, end_s, _)| *end_s).collect();
        ends.sort_by(f64::total_cmp);
        let mut ended = 0;
        for (sent, (sent_s, _, attempts)) in (1..).zip(&seen) {
            while ends[ended] <= *sent_s && ended + 1 < sent {
                ended += 1;
            }
            most_in_service = most_in_service.max(sent - ended);
            most_attempts = most_attempts.max(*attempts);
        }
    }
    let unevenness = if gaps.mean() > 0.0 { gaps.std_dev() / gaps.mean() } else { 0.0 };
    let arrivals = match unevenness {
        share if share < EVEN => Arrivals::Even,
        share if share <= BURSTY => Arrivals::Poisson,
        _ => Arrivals::Bursts,
    };
    ObservedTraffic {
        requests,
        per_second: if seconds > 0.0 { gaps.count() as f64 / seconds } else { 0.0 },
        arrivals,
        unevenness,
        most_attempts,
        most_in_service: most_in_service.max(1),
        longest_ms,
    }
}

/// Most requests in service that a scenario may say.
const MOST_IN_SERVICE: usize = 1024;

/// The longest time that rules may say, in milliseconds.
const LONGEST_MS: f64 = 3_600_000.0;

impl ObservedTraffic {
    /// The rules that the recordings show: most attempts of a request, most requests in service; an
    /// attempt times out after twice the longest, at least a second. Whoever records real servers
    /// has no rule of the game by which requests are given up.
    pub fn rules(&self) -> Rules {
        Rules {
            max_attempts: Some(self.most_attempts.max(1) as u32),
            max_requests_in_service: self.most_in_service.min(MOST_IN_SERVICE),
            attempt_timeout_ms: libm::ceil((2.0 * self.longest_ms).clamp(1_000.0, LONGEST_MS)),
            give_up_backlog: 1_000_000,
            give_up_after_ms: Some(LONGEST_MS),
            ..Rules::default()
        }
    }

    /// The nearest kind that scenarios know: bursts are played as random arrivals.
    pub fn kind(&self) -> Traffic {
        match self.arrivals {
            Arrivals::Even => Traffic::Exact,
            Arrivals::Poisson | Arrivals::Bursts => Traffic::Poisson,
        }
    }

    /// A scenario file with this traffic, and the model in a file beside it; `None` where no time
    /// passes between requests.
    pub fn scenario(&self, name: &str, model: &str) -> Option<String> {
        if self.per_second <= 0.0 {
            return None;
        }
        let digits =
            |x: f64| format!("{:.4}", x).trim_end_matches('0').trim_end_matches('.').to_owned();
        let traffic = if self.kind() == Traffic::Exact { "exact" } else { "poisson" };
        let rules = self.rules();
        Some(format!(
            "schema = 1\ndescription = \"The servers and the traffic of {name}, as recorded.\"\n\
             requests = {}\nrps = {}\ntraffic = \"{traffic}\"\nmodel_file = {model:?}\n\n\
             [rules]\nmax_attempts = {}\nmax_requests_in_service = {}\nattempt_timeout_ms = {timeout_ms}\n\
             give_up_backlog = {backlog}\ngive_up_after_ms = {give_up_ms}\n",
            self.requests,
            digits(self.per_second),
            rules.max_attempts.unwrap_or(1),
            rules.max_requests_in_service,
            timeout_ms = rules.attempt_timeout_ms,
            backlog = rules.give_up_backlog,
            give_up_ms = LONGEST_MS,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rates::fit_error_rates;
    use crate::synthetic::{ATTEMPT, recording, tally};
    use flakelab_core::stats::exponential;
    use flakelab_sim::trace::Observed;

    #[test]
    fn rows_have_the_mean_and_spread_of_each_servers_posterior() {
        let tallies = [tally(180, 820), tally(25, 975), tally(3, 7), tally(0, 0)];
        let rates = fit_error_rates(&[tallies.to_vec()]).unwrap();
        let rows = rows(&rates, &tallies, 1024);
        for (server, tally) in tallies.into_iter().enumerate() {
            let known = rates.server(tally);
            let mut drawn = Moments::default();
            let mut below = 0;
            for row in &rows {
                let ErrorFamily::Fixed { values } = row else { panic!("{row:?}") };
                drawn.push(values[server]);
                below += usize::from(values[server] <= known.interval_95.high);
            }
            // Four standard errors; 97.5 % of 1,024 within four as well.
            assert!((drawn.mean() - known.mean).abs() < 4.0 * drawn.std_error(), "{server}");
            assert!((978..=1018).contains(&below), "{server}: {below}");
        }
    }

    fn sent(at: impl IntoIterator<Item = f64>) -> Recording {
        let attempt =
            |(request, at_s): (u32, f64)| Observed { request, at_s, latency_ms: 30.0, ..ATTEMPT };
        recording((0..).zip(at).map(attempt).collect())
    }

    #[test]
    fn traffic_is_told_by_its_gaps() {
        let even = sent((0..500).map(|i| 0.02 * f64::from(i)));
        let of = traffic(&[&even, &even]);
        assert!((of.per_second - 50.0).abs() < 1e-6 && of.requests == 1000, "{of:?}");
        assert_eq!((of.arrivals, of.most_attempts, of.most_in_service), (Arrivals::Even, 1, 2));
        let mut rng = Streams::new(3).stream(Purpose::Analysis, 0, 0);
        let mut at = 0.0;
        let random = sent((0..500).map(|_| {
            at += exponential(&mut rng) / 50.0;
            at
        }));
        assert_eq!(traffic(&[&random]).arrivals, Arrivals::Poisson);
        let bursts = sent((0..500).map(|i| f64::from(i / 50) + 1e-4 * f64::from(i % 50)));
        assert_eq!(traffic(&[&bursts]).arrivals, Arrivals::Bursts);
        assert_eq!(traffic(&[&sent([5.0])]).scenario("x", "x.toml"), None);
    }

    #[test]
    fn a_request_is_under_way_from_its_first_attempt_to_its_last_answer() {
        let mut retried = sent([0.0, 0.025, 0.2]);
        retried.attempts[1].request = 0;
        retried.attempts[2].request = 1;
        retried.attempts.push(Observed { request: 2, at_s: 0.21, ..retried.attempts[2] });
        let of = traffic(&[&retried]);
        assert_eq!((of.requests, of.most_attempts, of.most_in_service), (3, 2, 2));
        let text = of.scenario("api", "models/api.toml").unwrap();
        assert!(text.contains("max_attempts = 2\nmax_requests_in_service = 2"), "{text}");
    }
}
