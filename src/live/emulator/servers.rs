//! What the servers of one model do with attempts: what they do in the simulator, with luck that
//! nobody replays.

use crate::domain::{ServerId, Streams, Timestamp};
use crate::world::{Instance, Latency, Luck, LuckStream, Model, Stations};

/// One draw of a model's servers.
#[derive(Debug)]
pub struct Servers {
    first_port: u16,
    truth: Model,
    latency: Latency,
    stations: Stations,
    /// By server.
    luck: Vec<LuckStream>,
}

impl Servers {
    /// The servers of one replication of a model: its error rates, limiters, conditions and luck are
    /// those
    /// that the simulator has there.
    pub fn draw(model: &Model, seed: u64, replication: u64) -> Self {
        let streams = Streams::new(seed);
        let mut truth = model.drawn(&streams, replication);
        // TOML has no whole numbers of 64 bits without a sign.
        truth.provenance.insert("seed".to_owned(), seed.to_string().into());
        truth.provenance.insert("replication".to_owned(), replication.to_string().into());
        let instance = Instance::draw(model, &streams, replication);
        let luck = |id: ServerId| {
            LuckStream::new(instance.error_rates[id.index()], id, &streams, replication)
        };
        Self {
            first_port: model.ports.first,
            truth,
            latency: model.latency.clone(),
            stations: Stations::new(&instance, &model.latency),
            luck: ServerId::all(model.servers()).map(luck).collect(),
        }
    }

    /// What was drawn, as a model: known to whoever asks these servers, and to nobody who asks
    /// real ones.
    pub fn truth(&self) -> &Model {
        &self.truth
    }

    /// The servers' ports in the model, in order.
    pub fn ports(&self) -> impl ExactSizeIterator<Item = u16> + Clone + use<> {
        let first = self.first_port;
        (0..self.truth.ports.count).map(move |i| first + i)
    }

    /// What an attempt at the server with this port in the model meets that arrives `at` this
    /// time after the start; times must not decrease. None if there is no such server.
    pub fn meet(&mut self, port: u16, at: Timestamp) -> Option<Luck> {
        let server = ServerId(port.checked_sub(self.first_port)?);
        let luck = self.luck.get_mut(server.index())?;
        Some(self.stations.meet(server, at, || luck.draw(&self.latency)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Outcome;
    use crate::live::emulator::null_model;
    use crate::world::{LuckTape, RateLimit};

    #[test]
    fn refused_attempts_use_up_no_luck() {
        let mut model = null_model();
        model.rate_limit = RateLimit::TokenBucket { per_second: 1.0, burst: 2.0 };
        let mut servers = Servers::draw(&model, 7, 3);
        let streams = Streams::new(7);
        let instance = Instance::draw(&model, &streams, 3);
        let mut tape = LuckTape::new(&instance, &model.latency, &streams, 3);
        let at = Timestamp::from_secs_f64;
        let met: Vec<Luck> = [0.0, 0.1, 0.2, 0.3, 1.2, 1.3, 2.5]
            .map(|second| servers.meet(4000, at(second)).unwrap())
            .into();
        let refused = |luck: &&Luck| luck.outcome == Outcome::RateLimited;
        assert_eq!(met.iter().filter(refused).count(), 3);
        let accepted: Vec<Luck> = met.iter().filter(|luck| !refused(luck)).copied().collect();
        let expected: Vec<Luck> = (0..4).map(|k| tape.luck(ServerId(0), k)).collect();
        assert_eq!(accepted, expected);
        assert!(servers.meet(4001, at(3.0)).is_none() && servers.meet(3999, at(3.0)).is_none());
    }
}
