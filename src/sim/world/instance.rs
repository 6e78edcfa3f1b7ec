//! The truth of one replication: each server's error rate, its limiter, what it is under, and the
//! luck that attempts meet there.

use rand_chacha::ChaCha8Rng;

use crate::world::conditions::Conditions;
use crate::world::error_rate::{Draw, ErrorFamily, ErrorRate};
use crate::world::latency::Latency;
use crate::world::limiter::{Limiter, RateLimit};
use crate::world::model::Model;
use crate::world::posterior::{Posterior, REPLICATIONS_PER_DRAW, Which};
use flakelab_core::domain::{Cause, Outcome, Purpose, ServerId, Span, Streams};
use flakelab_core::stats::sample;

/// One draw of the servers that a model describes.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Probability that an accepted attempt fails, per server.
    pub error_rates: Vec<f64>,
    /// Limiters as they are at the start of a run, per server.
    pub limiters: Vec<Limiter>,
    /// Capacity, differences between servers and outages, as the model has them.
    pub conditions: Conditions,
}

impl Instance {
    /// The servers of one replication. Each server owns two words of the stream, error rate
    /// first, then limiter phase, whatever the model's families are. Where the model has a
    /// posterior, population and limit come from its rows, by streams of their own; servers
    /// that are drawn once for the master seed are of one population, too.
    pub fn draw(model: &Model, streams: &Streams, replication: u64) -> Self {
        let limit = drawn_limit(model, streams, replication);
        let mut phases_rng = streams.stream(Purpose::Instance, 0, replication);
        let limiter = |limit: &RateLimit| {
            sample::uniform01(&mut phases_rng);
            limit.limiter(sample::uniform01(&mut phases_rng))
        };
        let limits = model.conditions.limits(limit, model.servers());
        Self {
            error_rates: drawn_rates(model, streams, replication),
            limiters: limits.map(limiter).collect(),
            conditions: model.conditions.clone(),
        }
    }

    /// Number of servers.
    pub fn servers(&self) -> usize {
        self.error_rates.len()
    }

    /// The limiters, or an empty list where no server has one.
    pub(crate) fn limiters_if_any(&self) -> Vec<Limiter> {
        let any = self.limiters.iter().any(|limiter| *limiter != Limiter::None);
        if any { self.limiters.clone() } else { Vec::new() }
    }
}

impl Model {
    /// The truth of one replication as a model of its own: the error rates that
    /// [`Instance::draw`] draws, and the limit that its limiters have; nothing is left open.
    /// Phases of windows and swinging limits stay hidden, as they are to anybody who knows the
    /// parameters but not when a server was started.
    #[must_use]
    pub fn drawn(&self, streams: &Streams, replication: u64) -> Self {
        let values = drawn_rates(self, streams, replication);
        let mut provenance = toml::Table::new();
        provenance.insert("drawn_from".to_owned(), self.name.clone().into());
        Self {
            error_rate: ErrorRate {
                draw: Draw::Fixed,
                family: ErrorFamily::Fixed { values },
                posterior: Posterior::default(),
            },
            rate_limit: *drawn_limit(self, streams, replication),
            provenance,
            ..self.clone().without_posterior()
        }
    }
}

/// The error rates of one replication.
fn drawn_rates(model: &Model, streams: &Streams, replication: u64) -> Vec<f64> {
    let replication = match model.error_rate.draw {
        Draw::PerReplication => replication,
        Draw::Fixed => 0,
    };
    let draw = replication / REPLICATIONS_PER_DRAW;
    let family = model.error_rate.posterior.row(Which::ErrorRate, draw, streams);
    let family = family.unwrap_or(&model.error_rate.family);
    let mut rng = streams.stream(Purpose::Instance, 0, replication);
    let rate = |server| {
        let rate = family.draw(server, sample::uniform_open(&mut rng));
        sample::uniform01(&mut rng);
        rate
    };
    (0..model.servers()).map(rate).collect()
}

/// The limit that all servers of one replication have, those apart that have one of their own.
fn drawn_limit<'a>(model: &'a Model, streams: &Streams, replication: u64) -> &'a RateLimit {
    let draw = replication / REPLICATIONS_PER_DRAW;
    let limit = model.rate_limit_posterior.row(Which::RateLimit, draw, streams);
    limit.unwrap_or(&model.rate_limit)
}

/// What an attempt meets; of an accepted one, by luck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Luck {
    /// How it ends.
    pub outcome: Outcome,
    /// Whether the connection was refused.
    pub cause: Cause,
    /// How long the answer takes.
    pub latency: Span,
}

/// The luck tape: what the k-th accepted attempt at each server meets in one replication.
///
/// Written when first needed, replayed by every strategy of the replication, which is what makes
/// their comparison paired and fast: the world is drawn once for all of them.
#[derive(Debug)]
pub struct LuckTape {
    latency: Latency,
    streams: Streams,
    replication: u64,
    servers: Vec<Track>,
}

#[derive(Debug)]
struct Track {
    error_rate: f64,
    /// Begun with the first attempt: of thousands of servers, most are never asked.
    stream: Option<Box<LuckStream>>,
    written: Vec<Luck>,
}

/// The luck of one server's accepted attempts, in order: what a tape writes down.
///
/// For a server that nobody replays, such as one that runs for days.
#[derive(Debug)]
pub struct LuckStream {
    error_rate: f64,
    rng: ChaCha8Rng,
}

impl LuckStream {
    /// The luck of `server` in a replication, from its first accepted attempt on.
    pub fn new(error_rate: f64, server: ServerId, streams: &Streams, replication: u64) -> Self {
        Self { error_rate, rng: streams.stream(Purpose::World, server.0, replication) }
    }

    /// The luck of the next accepted attempt.
    ///
    /// Each attempt owns two words of its server's stream, outcome first, then latency.
    #[inline]
    pub fn draw(&mut self, latency: &Latency) -> Luck {
        let fails = sample::uniform01(&mut self.rng) < self.error_rate;
        let latency = latency.draw(fails, &mut self.rng);
        let outcome = if fails { Outcome::Failure } else { Outcome::Success };
        Luck { outcome, cause: Cause::Status, latency }
    }
}

impl LuckTape {
    /// An empty tape for the servers of `instance`.
    pub fn new(
        instance: &Instance,
        latency: &Latency,
        streams: &Streams,
        replication: u64,
    ) -> Self {
        let track =
            |error_rate: &f64| Track { error_rate: *error_rate, stream: None, written: Vec::new() };
        let servers = instance.error_rates.iter().map(track).collect();
        Self { latency: latency.clone(), streams: streams.clone(), replication, servers }
    }

    /// The luck of the `k`-th accepted attempt (from 0) at `server`.
    #[inline]
    pub fn luck(&mut self, server: ServerId, k: usize) -> Luck {
        let track = &mut self.servers[server.index()];
        if track.written.len() <= k {
            let (error_rate, replication) = (track.error_rate, self.replication);
            let begin = || LuckStream::new(error_rate, server, &self.streams, replication);
            let stream = track.stream.get_or_insert_with(|| Box::new(begin()));
            while track.written.len() <= k {
                track.written.push(stream.draw(&self.latency));
            }
        }
        track.written[k]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::conditions::{Conditions, ServerOverride};
    use crate::world::document::Document;
    use crate::world::latency::{LatencyFamily, LogNormal};
    use flakelab_core::stats::{goodness, inc_beta};

    fn model(draw: Draw, family: ErrorFamily) -> Model {
        let rate_limit = RateLimit::FixedWindow { limit: 3, window_s: 1.0, phase_s: None };
        let mut model = Model { rate_limit, ..Model::of_population(10, family) };
        model.error_rate.draw = draw;
        model
    }

    const UNIFORM: ErrorFamily = ErrorFamily::Uniform { low: 0.02, high: 0.75 };

    #[test]
    fn fixed_rates_are_shared_by_replications_while_phases_are_not() {
        let streams = Streams::new(1);
        let fixed = model(Draw::Fixed, UNIFORM);
        let (a, b) = (Instance::draw(&fixed, &streams, 0), Instance::draw(&fixed, &streams, 1));
        assert_eq!(a.error_rates, b.error_rates);
        assert_ne!(a.limiters, b.limiters);
        let fresh = Instance::draw(&model(Draw::PerReplication, UNIFORM), &streams, 1);
        assert_ne!(a.error_rates, fresh.error_rates);
        assert_eq!(b.limiters, fresh.limiters);
    }

    /// Mean of 4,000 draws within 4.5 standard errors (false alarm 7e-6), fixed seed.
    #[test]
    fn beta_rates_have_the_mean_of_their_population() {
        let streams = Streams::new(1);
        let beta = model(Draw::PerReplication, ErrorFamily::Beta { alpha: 2.0, beta: 3.0 });
        let sum: f64 = (0..400).flat_map(|r| Instance::draw(&beta, &streams, r).error_rates).sum();
        let standard_error = (0.04_f64 / 4_000.0).sqrt();
        assert!((sum / 4_000.0 - 0.4).abs() < 4.5 * standard_error, "{}", sum / 4_000.0);
    }

    /// Kolmogorov-Smirnov at level 1e-4 on 4,000 rates, fixed seed; the same test must catch
    /// components that changed places.
    #[test]
    fn rates_of_a_mixture_follow_its_cdf() {
        let streams = Streams::new(2);
        let mixture = |weight| ErrorFamily::BetaMixture {
            weight,
            alpha: 3.0,
            beta: 12.0,
            second_alpha: 8.0,
            second_beta: 3.0,
        };
        let rates = |weight| -> Vec<f64> {
            let model = model(Draw::PerReplication, mixture(weight));
            (0..400).flat_map(|r| Instance::draw(&model, &streams, r).error_rates).collect()
        };
        let p_value = |weight| {
            let cdf = |p: f64| 0.7 * inc_beta(3.0, 12.0, p) + 0.3 * inc_beta(8.0, 3.0, p);
            let mut u: Vec<f64> = rates(weight).into_iter().map(cdf).collect();
            u.sort_by(f64::total_cmp);
            goodness::ks_p_value(goodness::ks_statistic(&u), u.len())
        };
        assert!(p_value(0.3) > 1e-4);
        assert!(p_value(0.7) < 1e-4);
    }

    fn with_posterior(draw: Draw) -> Model {
        let mut model = model(draw, UNIFORM);
        let narrow = |i: u32| {
            let low = f64::from(i) / 10.0;
            ErrorFamily::Uniform { low, high: low + 0.05 }
        };
        model.error_rate.posterior = (0..8).map(narrow).collect::<Vec<ErrorFamily>>().into();
        let bucket = |burst| RateLimit::TokenBucket { per_second: 1.0, burst };
        model.rate_limit_posterior = vec![bucket(1.0), bucket(2.0), RateLimit::None].into();
        model
    }

    /// Which of the populations of [`with_posterior`] a rate is of.
    fn population(instance: &Instance) -> usize {
        let of = |p: &f64| (p * 10.0) as usize;
        let first = of(&instance.error_rates[0]);
        assert!(instance.error_rates.iter().all(|p| of(p) == first), "one population each");
        first
    }

    #[test]
    fn groups_of_four_replications_share_a_draw_and_all_rows_are_met_equally_often() {
        let (model, streams) = (with_posterior(Draw::PerReplication), Streams::new(3));
        let drawn: Vec<Instance> = (0..96).map(|r| Instance::draw(&model, &streams, r)).collect();
        let mut counts = [0; 8];
        let mut limits: Vec<Limiter> = Vec::new();
        for group in drawn.chunks(REPLICATIONS_PER_DRAW as usize) {
            let first = population(&group[0]);
            counts[first] += 1;
            limits.push(group[0].limiters[0].clone());
            assert!(group.iter().all(|i| population(i) == first));
            assert!(group.iter().all(|i| i.limiters == group[0].limiters));
            assert_ne!(group[0].error_rates, group[1].error_rates, "servers differ all the same");
        }
        assert_eq!(counts, [3; 8]);
        let unlimited = limits.iter().filter(|limit| **limit == Limiter::None).count();
        assert_eq!(unlimited, 8);
    }

    #[test]
    fn a_posterior_moves_no_word_of_the_servers() {
        let streams = Streams::new(4);
        let model = with_posterior(Draw::PerReplication);
        let point = model.clone().without_posterior();
        for replication in 0..20 {
            let a = Instance::draw(&model, &streams, replication);
            let b = Instance::draw(&point, &streams, replication);
            for (a, b) in a.error_rates.iter().zip(&b.error_rates) {
                let u = (b - 0.02) / 0.73;
                assert!((a.mul_add(10.0, -(a * 10.0).floor()) / 0.5 - u).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn servers_that_are_drawn_once_are_of_one_population_under_any_limit() {
        let (model, streams) = (with_posterior(Draw::Fixed), Streams::new(5));
        let drawn: Vec<Instance> = (0..24).map(|r| Instance::draw(&model, &streams, r)).collect();
        assert!(drawn.iter().all(|i| i.error_rates == drawn[0].error_rates));
        assert!(drawn.iter().any(|i| i.limiters != drawn[0].limiters));
        assert!(model.draws_parameters());
    }

    /// Phases included: the drawn model has the words of its replication.
    #[test]
    fn a_drawn_model_is_the_truth_of_its_replication_and_nothing_else() {
        let streams = Streams::new(6);
        let own = RateLimit::FixedWindow { limit: 7, window_s: 2.0, phase_s: None };
        let alone = ServerOverride {
            servers: vec![4],
            latency_factor: Some(2.0),
            rate_limit: Some(own),
            capacity: None,
        };
        for replication in 0..20 {
            let mut model = with_posterior(Draw::PerReplication);
            model.conditions.overrides.push(alone.clone());
            let (truth, drawn) =
                (Instance::draw(&model, &streams, replication), model.drawn(&streams, replication));
            assert_eq!(
                drawn.error_rate.family,
                ErrorFamily::Fixed { values: truth.error_rates.clone() }
            );
            assert_eq!(Instance::draw(&drawn, &streams, replication), truth);
            let with_limit =
                |limit: &&Limiter| matches!(limit, Limiter::FixedWindow { limit: 7, .. });
            assert_eq!(truth.limiters.iter().filter(with_limit).count(), 1);
            assert!(with_limit(&&truth.limiters[4]));
            assert!(!drawn.has_posterior() && drawn.validate().is_ok());
            let text = Document::from_text("drawn.toml", drawn.to_toml());
            assert_eq!(Model::parse(&drawn.name, &text).unwrap(), drawn);
        }
        let fixed = model(Draw::Fixed, UNIFORM);
        assert_eq!(fixed.drawn(&streams, 1).error_rate, fixed.drawn(&streams, 2).error_rate);
    }

    fn tape(error_rates: Vec<f64>, latency: &Latency) -> LuckTape {
        let conditions = Conditions::default();
        let instance = Instance { error_rates, limiters: Vec::new(), conditions };
        LuckTape::new(&instance, latency, &Streams::new(3), 8)
    }

    #[test]
    fn of_ten_thousand_servers_only_those_that_are_asked_begin_a_stream() {
        let latency = LatencyFamily::Constant { ms: 1.0 }.into();
        let mut tape = tape(vec![0.3; 10_000], &latency);
        for server in [17, 9_999, 17] {
            tape.luck(ServerId(server), 0);
        }
        assert_eq!(tape.servers.iter().filter(|track| track.stream.is_some()).count(), 2);
    }

    #[test]
    fn the_order_of_asking_does_not_change_the_luck() {
        let latency = Latency {
            success: LatencyFamily::LogNormal(LogNormal { median_ms: 1.0, sigma: 0.5 }),
            failure: Some(LatencyFamily::Constant { ms: 9.0 }),
            rate_limited_ms: None,
        };
        let tape = || tape(vec![0.3, 0.6], &latency);
        let (mut forwards, mut backwards) = (tape(), tape());
        let a: Vec<Luck> = (0..50).map(|k| forwards.luck(ServerId(1), k)).collect();
        backwards.luck(ServerId(0), 20);
        let b: Vec<Luck> = (0..50).rev().map(|k| backwards.luck(ServerId(1), k)).collect();
        assert!(a.iter().eq(b.iter().rev()));
        assert!(a.contains(&forwards.luck(ServerId(1), 7)));
    }
}
