//! A scenario: model, traffic, rules and horizon. Everything but the strategy and the seed.

use super::{Model, Traffic, Violation};
use crate::domain::Rules;

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
