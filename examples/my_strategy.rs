//! A strategy of your own against V1 to V5, on servers as in config 0:
//! `cargo run --example my_strategy`.
//!
//! The strategy is win-stay, lose-shift: stay with a server while it answers, go on to the next
//! when it fails. H. Robbins (1952), "Some aspects of the sequential design of experiments",
//! Bulletin of the AMS 58. It remembers nothing but where it is; see what that costs.

use std::error::Error;
use std::fmt::Write;
use std::sync::atomic::AtomicBool;

use flakelab_core::domain::{Attempt, Outcome, PendingRequest, ServerId, Timestamp};
use flakelab_core::strategy::{Decision, Strategy, StrategySpec};
use flakelab_sim::experiment::{Contender, Plan, sweep};
use flakelab_sim::world::{Document, Model, Scenario};

const MODEL: &str = include_str!("../models/config-0.toml");

/// Win-stay, lose-shift.
struct WinStay {
    servers: u16,
    current: u16,
}

impl Strategy for WinStay {
    fn decide(&mut self, _now: Timestamp, _request: &PendingRequest) -> Decision {
        Decision::Send(ServerId(self.current))
    }

    fn on_outcome(&mut self, _now: Timestamp, attempt: &Attempt, outcome: Outcome) {
        // With several requests in service, news of a server already left must not count.
        if !outcome.is_success() && attempt.server == ServerId(self.current) {
            self.current = (self.current + 1) % self.servers;
        }
    }
}

/// Plays `replications` runs of 1000 requests of everybody and writes down how they compare.
pub fn table(replications: u64) -> Result<String, Box<dyn Error + Send + Sync>> {
    let model = Model::parse("0", &Document::from_text("models/config-0.toml", MODEL))?;
    let mut contenders: Vec<Contender> =
        StrategySpec::named_by("all")?.into_iter().map(Contender::new).collect();
    // A factory: it gets the servers and a random generator (not needed here), for each run anew.
    contenders.push(Contender::from_factory("win-stay", |fleet, _rng| {
        Box::new(WinStay { servers: fleet.servers() as u16, current: 0 })
    }));
    let scenarios = vec![Scenario::new(model)];
    let plan = Plan::new("my-strategy", scenarios, contenders, replications, 42)?;
    let swept = sweep(&plan, &mut (), &AtomicBool::new(false), |_| ())?;

    let mut table =
        format!("{:4} {:20} {:>8} {:>6} {:>9}\n", "rank", "strategy", "score", "+-", "success");
    for scenario in &swept.summary.scenarios {
        for contender in &scenario.contenders {
            let rank = contender.ranking.map_or(String::new(), |r| r.rank.to_string());
            writeln!(
                table,
                "{rank:>4} {:20} {:8.2} {:6.2} {:8.2}%",
                contender.strategy,
                contender.score.mean,
                contender.score.half_width(),
                100.0 * contender.success_rate.mean,
            )?;
        }
    }
    Ok(table)
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    print!("{}", table(300)?);
    Ok(())
}
