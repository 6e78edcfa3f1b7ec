//! A scenario: model, traffic, rules and horizon. Everything but the strategy and the seed; and
//! when requests arrive.

use std::fmt;

use rand_chacha::ChaCha8Rng;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::world::document::Violation;
use crate::world::family::Range;
use crate::world::model::Model;
use flakelab_core::domain::{Purpose, Rules, Streams, Timestamp};
use flakelab_core::stats::sample;

/// What every strategy of a comparison meets.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// What to call it in tables: the model's name unless an experiment says otherwise.
    pub name: String,
    /// The servers.
    pub model: Model,
    /// Kind of traffic.
    pub traffic: Traffic,
    /// Mean arrival rate, outside of a spike.
    pub requests_per_second: f64,
    /// Horizon: requests in a run.
    pub requests: u64,
    /// The rules of the game.
    pub rules: Rules,
}

impl Scenario {
    /// The game's defaults for a model: 1000 requests, exactly 10 a second, default rules.
    pub fn new(model: Model) -> Self {
        Self {
            name: model.name.clone(),
            model,
            traffic: Traffic::Exact,
            requests_per_second: 10.0,
            requests: 1000,
            rules: Rules::default(),
        }
    }

    /// Checks every range, the model's included. Keys are those of an experiment file, where
    /// `requests_per_second` is called `rps`.
    pub fn validate(&self) -> Result<(), Violation> {
        self.model.validate().map_err(|v| v.within("model"))?;
        let rps = self.requests_per_second;
        check_rate(rps)?;
        check_requests(self.requests)?;
        check_traffic(&self.traffic)?;
        check_rules(&self.rules)
    }
}

/// Whether a mean arrival rate is possible.
pub fn check_rate(requests_per_second: f64) -> Result<(), Violation> {
    if (1e-3..=1e6).contains(&requests_per_second) {
        return Ok(());
    }
    let problem = format!("{requests_per_second} requests per second are not possible");
    Err(Violation::new("rps", problem, "a number in 0.001..=1,000,000"))
}

/// Whether a horizon is possible.
pub fn check_requests(requests: u64) -> Result<(), Violation> {
    if (1..=10_000_000).contains(&requests) {
        return Ok(());
    }
    let problem = format!("{requests} requests are not possible");
    Err(Violation::new("requests", problem, "a whole number from 1 to 10,000,000"))
}

/// Whether traffic is possible; keys are relative to the table that holds `traffic`.
pub fn check_traffic(traffic: &Traffic) -> Result<(), Violation> {
    match traffic {
        Traffic::Exact | Traffic::Poisson => Ok(()),
        Traffic::Spike(spike) => spike.validate().map_err(|v| v.within("traffic")),
    }
}

/// Whether rules are possible; keys are relative to the table that holds `rules`.
pub fn check_rules(rules: &Rules) -> Result<(), Violation> {
    rules.validate().map_err(|e| {
        Violation::new(e.key, format!("{} is out of range", e.got), e.expected).within("rules")
    })
}

// ---- Open loop: the schedule never waits for answers. The n-th request arrives when the integral
// of the rate reaches n (exact) or the n-th point of a Poisson process of rate 1 (a Poisson process
// of that rate then: E. Çinlar, "Introduction to Stochastic Processes", 1975, section 4.7).

/// The kind of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Traffic {
    /// Request n arrives at exactly n / rate, from n = 0 on.
    #[default]
    Exact,
    /// Gaps are exponential with mean 1 / rate.
    Poisson,
    /// A higher or lower rate for a while.
    Spike(Spike),
}

/// The rate is multiplied by a factor between two moments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spike {
    /// What the rate is multiplied by, in 0.001..=1000.
    pub factor: f64,
    /// From so many seconds after the start on.
    pub from_s: f64,
    /// Until so many seconds after the start.
    pub until_s: f64,
    /// Whether arrivals are a Poisson process of that rate; exact otherwise.
    pub poisson: bool,
}

impl Spike {
    /// Checks every range; keys are relative to the `traffic` table.
    pub(crate) fn validate(&self) -> Result<(), Violation> {
        Range::of(1e-3, 1e3, "a number in 0.001..=1000").check("factor", self.factor)?;
        Range::MOMENT.check("from_s", self.from_s)?;
        let later = "seconds after the start, above `from_s`";
        Range::of(self.from_s.next_up(), Range::MOMENT.most, later).check("until_s", self.until_s)
    }

    /// When the integral of the rate reaches `count`, in seconds: the inverse of a line of three
    /// pieces.
    fn reaches(&self, count: f64, rate: f64) -> f64 {
        let before = rate * self.from_s;
        if count < before {
            return count / rate;
        }
        let within = self.factor * rate * (self.until_s - self.from_s);
        if count - before < within {
            return self.from_s + (count - before) / (self.factor * rate);
        }
        self.until_s + (count - before - within) / rate
    }
}

/// The arrival times of one replication, in order.
#[derive(Debug, Clone)]
pub struct Arrivals {
    traffic: Traffic,
    requests_per_second: f64,
    next: u64,
    requests: u64,
    /// The last arrival of Poisson traffic in seconds; with a spike, as if the rate were 1.
    elapsed: f64,
    rng: ChaCha8Rng,
}

impl Arrivals {
    /// `requests` arrivals at `requests_per_second`.
    pub fn new(
        traffic: Traffic,
        requests_per_second: f64,
        requests: u64,
        streams: &Streams,
        replication: u64,
    ) -> Self {
        let rng = streams.stream(Purpose::Traffic, 0, replication);
        Self { traffic, requests_per_second, next: 0, requests, elapsed: 0.0, rng }
    }
}

impl Iterator for Arrivals {
    type Item = Timestamp;

    #[inline]
    fn next(&mut self) -> Option<Timestamp> {
        if self.next == self.requests {
            return None;
        }
        let at_s = match self.traffic {
            Traffic::Exact => self.next as f64 / self.requests_per_second,
            Traffic::Poisson => {
                self.elapsed += sample::exponential(&mut self.rng) / self.requests_per_second;
                self.elapsed
            }
            Traffic::Spike(spike) if spike.poisson => {
                self.elapsed += sample::exponential(&mut self.rng);
                spike.reaches(self.elapsed, self.requests_per_second)
            }
            Traffic::Spike(spike) => spike.reaches(self.next as f64, self.requests_per_second),
        };
        self.next += 1;
        Some(Timestamp::from_secs_f64(at_s))
    }
}

/// A name, or a table whose `kind` is a name: `"exact"`, `{ kind = "poisson" }`,
/// `{ kind = "spike", factor = 8.0, from_s = 20.0, until_s = 25.0 }`.
impl<'de> Deserialize<'de> for Traffic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NameOrTable)
    }
}

struct NameOrTable;

const KINDS: [&str; 3] = ["exact", "poisson", "spike"];

impl<'de> Visitor<'de> for NameOrTable {
    type Value = Traffic;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"exact\", \"poisson\" or a table `{ kind = \"spike\", ... }`")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Traffic, E> {
        RawTraffic { kind: name.to_owned(), ..RawTraffic::default() }.into_traffic()
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Traffic, A::Error> {
        RawTraffic::deserialize(MapAccessDeserializer::new(table))?.into_traffic()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTraffic {
    kind: String,
    factor: Option<f64>,
    from_s: Option<f64>,
    until_s: Option<f64>,
    arrivals: Option<String>,
}

impl RawTraffic {
    fn into_traffic<E: Error>(self) -> Result<Traffic, E> {
        let RawTraffic { kind, factor, from_s, until_s, arrivals } = self;
        let numbers = [("factor", factor), ("from_s", from_s), ("until_s", until_s)];
        if !KINDS.contains(&kind.as_str()) {
            return Err(E::unknown_variant(&kind, &KINDS));
        }
        if kind != "spike" {
            let given = numbers.iter().find(|(_, value)| value.is_some()).map(|(key, _)| *key);
            if let Some(key) = given.or(arrivals.is_some().then_some("arrivals")) {
                let message = format!("`{key}` does not belong to \"{kind}\" traffic");
                return Err(E::custom(message));
            }
        }
        if kind == "exact" {
            return Ok(Traffic::Exact);
        }
        if kind == "poisson" {
            return Ok(Traffic::Poisson);
        }
        let need =
            |(key, value): (&'static str, Option<f64>)| value.ok_or_else(|| E::missing_field(key));
        let [factor, from_s, until_s] = numbers;
        let poisson = match arrivals.as_deref() {
            None | Some("exact") => false,
            Some("poisson") => true,
            Some(other) => return Err(E::unknown_variant(other, &KINDS[..2])),
        };
        Ok(Traffic::Spike(Spike {
            factor: need(factor)?,
            from_s: need(from_s)?,
            until_s: need(until_s)?,
            poisson,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_arrivals_do_not_drift() {
        let arrivals = Arrivals::new(Traffic::Exact, 10.0, 100_001, &Streams::new(1), 0);
        assert_eq!(arrivals.last(), Some(Timestamp::from_secs_f64(10_000.0)));
    }

    /// 100,000 gaps: mean within 4.4 and variance within 4.4 standard errors of an exponential
    /// (mean 0.1, variance 0.01, variance of the variance 8 x 0.1^4 / n); false alarm 2e-5.
    #[test]
    fn poisson_gaps_are_exponential() {
        let n = 100_000;
        let arrivals = Arrivals::new(Traffic::Poisson, 10.0, n, &Streams::new(1), 0);
        let times: Vec<f64> = arrivals.map(Timestamp::as_secs_f64).collect();
        let gaps: Vec<f64> = times.windows(2).map(|w| w[1] - w[0]).collect();
        let count = gaps.len() as f64;
        let mean = gaps.iter().sum::<f64>() / count;
        let variance = gaps.iter().map(|g| (g - mean) * (g - mean)).sum::<f64>() / count;
        assert!((mean - 0.1).abs() < 4.4 * 0.1 / count.sqrt(), "{mean}");
        assert!((variance - 0.01).abs() < 4.4 * (8e-4 / count).sqrt(), "{variance}");
    }

    const SPIKE: Spike = Spike { factor: 8.0, from_s: 20.0, until_s: 25.0, poisson: false };

    fn times(spike: Spike, rate: f64, requests: u64, seed: u64) -> Vec<f64> {
        let traffic = Traffic::Spike(spike);
        let arrivals = Arrivals::new(traffic, rate, requests, &Streams::new(seed), 0);
        arrivals.map(Timestamp::as_secs_f64).collect()
    }

    #[test]
    fn every_phase_of_a_spike_has_its_exact_arrivals() {
        let times = times(SPIKE, 10.0, 1_000, 1);
        let between = |from: f64, until: f64| {
            times.iter().filter(|t| from <= **t && **t < until).copied().collect::<Vec<f64>>()
        };
        let phases = [between(0.0, 20.0), between(20.0, 25.0), between(25.0, 65.0)];
        assert_eq!(phases.each_ref().map(Vec::len), [200, 400, 400]);
        for (phase, (start, gap)) in phases.iter().zip([(0.0, 0.1), (20.0, 0.0125), (25.0, 0.1)]) {
            for (i, t) in (0..).zip(phase) {
                assert!((t - (start + gap * f64::from(i))).abs() < 1e-9, "{i}: {t}");
            }
        }
    }

    /// A phase that begins between two arrivals: what is left of the gap passes at the new rate.
    #[test]
    fn a_gap_that_a_spike_cuts_is_shortened_by_its_rate() {
        let spike = Spike { factor: 4.0, from_s: 0.55, until_s: 0.9, poisson: false };
        let expected = [0.5, 0.5625, 0.5875, 0.6125];
        for (got, expected) in times(spike, 10.0, 9, 1)[5..].iter().zip(expected) {
            assert!((got - expected).abs() < 1e-9, "{got} {expected}");
        }
    }

    /// Poisson counts of 2,000 runs in each phase: means within 4.4 standard errors of 20, 40 and
    /// 10, variances within 4.4 of the same (variance of a sample variance of a Poisson count:
    /// (m + 2 m^2) / n); six tests, false alarm 7e-5 in all, fixed seeds. Exact arrivals have no
    /// variance, and a spike of factor 7.5 has 37.5 in the middle: both are caught.
    #[test]
    fn a_spike_of_poisson_traffic_is_poisson_in_every_phase() {
        let off = |spike: Spike| -> f64 {
            let mut worst: f64 = 0.0;
            let runs: Vec<Vec<f64>> = (0..2_000).map(|seed| times(spike, 2.0, 150, seed)).collect();
            for (from, until, mean) in [(0.0, 10.0, 20.0), (10.0, 12.5, 40.0), (12.5, 17.5, 10.0)] {
                let count = |run: &Vec<f64>| {
                    run.iter().filter(|t| from <= **t && **t < until).count() as f64
                };
                let counts: Vec<f64> = runs.iter().map(count).collect();
                let n = counts.len() as f64;
                let got = counts.iter().sum::<f64>() / n;
                let variance =
                    counts.iter().map(|c| (c - got) * (c - got)).sum::<f64>() / (n - 1.0);
                worst = worst.max((got - mean).abs() / (mean / n).sqrt());
                let spread = ((mean + 2.0 * mean * mean) / n).sqrt();
                worst = worst.max((variance - mean).abs() / spread);
            }
            worst
        };
        let spike = Spike { factor: 8.0, from_s: 10.0, until_s: 12.5, poisson: true };
        assert!(off(spike) < 4.4, "{}", off(spike));
        assert!(off(Spike { poisson: false, ..spike }) > 4.4);
        assert!(off(Spike { factor: 7.5, ..spike }) > 4.4);
    }

    #[test]
    fn a_file_says_traffic_by_name_or_by_table() {
        #[derive(Debug, Deserialize)]
        struct File {
            traffic: Traffic,
        }
        let read = |text: &str| toml::from_str::<File>(text).map(|file| file.traffic);
        assert_eq!(read("traffic = \"exact\"").unwrap(), Traffic::Exact);
        assert_eq!(read("traffic = \"poisson\"").unwrap(), Traffic::Poisson);
        assert_eq!(read("traffic = { kind = \"poisson\" }").unwrap(), Traffic::Poisson);
        let spike = "traffic = { kind = \"spike\", factor = 8, from_s = 20, until_s = 25 }";
        assert_eq!(read(spike).unwrap(), Traffic::Spike(SPIKE));
        let poisson = spike.replace("25", "25, arrivals = \"poisson\"");
        let expected = Traffic::Spike(Spike { poisson: true, ..SPIKE });
        assert_eq!(read(&poisson).unwrap(), expected);
        for wrong in [
            "traffic = \"spike\"",
            "traffic = 3",
            "traffic = \"bursts\"",
            "traffic = { kind = \"exact\", factor = 2.0 }",
            "traffic = { kind = \"spike\", factor = 2.0, from_s = 1.0 }",
            "traffic = { kind = \"spike\", factor = 2.0, from_s = 1.0, until_s = 2.0, x = 1 }",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
