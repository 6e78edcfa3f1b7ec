//! How often servers fail: the population that their error rates are drawn from.
//!
//! When not to use it: for servers whose error rates drift while they run.

use crate::world::document::Violation;
use crate::world::family::{Families, Key, Range, families};
use crate::world::posterior::Posterior;
use flakelab_core::stats::{inc_beta, inv_inc_beta};

/// The servers' error rates: the probability that an accepted attempt fails.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorRate {
    /// How often rates are drawn.
    pub draw: Draw,
    /// The population that they are drawn from.
    pub family: ErrorFamily,
    /// Equally likely populations in place of `family`, where the traces leave it open.
    pub posterior: Posterior<ErrorFamily>,
}

/// How often error rates are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draw {
    /// Anew for each replication, as the real binary does at each start.
    PerReplication,
    /// Once for the master seed; all replications meet the same servers.
    Fixed,
}

/// A population of error rates.
#[derive(Debug, Clone, PartialEq)]
pub enum ErrorFamily {
    /// Uniform on [low, high].
    Uniform {
        /// Lowest rate.
        low: f64,
        /// Highest rate.
        high: f64,
    },
    /// Beta(alpha, beta).
    Beta {
        /// First shape.
        alpha: f64,
        /// Second shape.
        beta: f64,
    },
    /// Beta(alpha, beta) or, with probability `weight`, Beta(second_alpha, second_beta).
    BetaMixture {
        /// Probability of the second component, 0 to 1.
        weight: f64,
        /// First shape of the first component.
        alpha: f64,
        /// Second shape of the first component.
        beta: f64,
        /// First shape of the second component.
        second_alpha: f64,
        /// Second shape of the second component.
        second_beta: f64,
    },
    /// These rates, one a server.
    Fixed {
        /// Rates in order of ports.
        values: Vec<f64>,
    },
}

const SHAPE: Range = Range::of(1e-3, 1e6, "a number in 0.001..=1,000,000");

const LOW: Key = Key::number("low", Range::PROBABILITY);
const HIGH: Key = Key::number("high", Range::PROBABILITY);
const WEIGHT: Key = Key::number("weight", Range::PROBABILITY);
const ALPHA: Key = Key::number("alpha", SHAPE);
const BETA: Key = Key::number("beta", SHAPE);
const SECOND_ALPHA: Key = Key::number("second_alpha", SHAPE);
const SECOND_BETA: Key = Key::number("second_beta", SHAPE);
const VALUES: Key = Key::numbers("values", Range::PROBABILITY);

families! {
    ErrorFamily by "family", ["draw", "posterior"];
    /// Families of populations of error rates.
    ErrorRateKind:
    "uniform": Uniform { low, high }, low: [LOW], high: [HIGH];
    "beta": Beta { alpha, beta }, alpha: [ALPHA], beta: [BETA];
    "beta_mixture":
        BetaMixture { weight, alpha, beta, second_alpha, second_beta },
        weight: [WEIGHT], alpha: [ALPHA], beta: [BETA],
        second_alpha: [SECOND_ALPHA], second_beta: [SECOND_BETA];
    "fixed": Fixed { values }, values: [VALUES];
}

impl ErrorRate {
    /// Checks every range for so many servers; keys are relative to the `[error_rate]` table.
    pub(crate) fn validate(&self, servers: usize) -> Result<(), Violation> {
        let for_all = |values: &[f64], key: &str| {
            let problem = format!("{} rates for {servers} servers", values.len());
            let wrong = Violation::new(key, problem, "as many rates as ports.count");
            if values.len() == servers { Ok(()) } else { Err(wrong) }
        };
        let fixed = matches!(self.family, ErrorFamily::Fixed { .. });
        if let ErrorFamily::Fixed { values } = &self.family {
            for_all(values, "values")?;
        }
        for (i, row) in self.posterior.rows().iter().enumerate() {
            if let ErrorFamily::Fixed { values } = row {
                for_all(values, &format!("posterior.fixed.{i}"))?;
            }
            if matches!(row, ErrorFamily::Fixed { .. }) != fixed {
                let problem = format!("rows of \"{}\" do not belong", row.family().name);
                let expected = if fixed { "rows of \"fixed\"" } else { "no rows of \"fixed\"" };
                return Err(Violation::new("posterior", problem, expected));
            }
        }
        self.family.validate()?;
        self.posterior.validate().map_err(|v| v.within("posterior"))
    }
}

impl ErrorFamily {
    /// Every rate is as likely as any other.
    pub const FLAT: Self = Self::Uniform { low: 0.0, high: 1.0 };

    /// The error rate of a server that the word `u` in (0, 1) stands for, by inversion.
    pub(crate) fn draw(&self, server: usize, u: f64) -> f64 {
        match self {
            Self::Uniform { low, high } => low + (high - low) * u,
            Self::Beta { alpha, beta } => inv_inc_beta(*alpha, *beta, u),
            Self::BetaMixture { weight, alpha, beta, second_alpha, second_beta } => {
                // The word chooses the component, and what is left of it the rate.
                if u < *weight {
                    inv_inc_beta(*second_alpha, *second_beta, u / weight)
                } else {
                    inv_inc_beta(*alpha, *beta, (u - weight) / (1.0 - weight))
                }
            }
            Self::Fixed { values } => values[server],
        }
    }

    /// The share of servers with an error rate of at most `rate`.
    pub fn cdf(&self, rate: f64) -> f64 {
        match self {
            Self::Uniform { low, high } if low == high => f64::from(u8::from(rate >= *low)),
            Self::Uniform { low, high } => ((rate - low) / (high - low)).clamp(0.0, 1.0),
            Self::Beta { alpha, beta } => inc_beta(*alpha, *beta, rate.clamp(0.0, 1.0)),
            Self::BetaMixture { .. } => {
                self.parts().map(|(weight, part)| weight * part.cdf(rate)).iter().sum()
            }
            Self::Fixed { values } => {
                values.iter().filter(|value| **value <= rate).count() as f64 / values.len() as f64
            }
        }
    }

    /// The mean error rate.
    pub fn mean(&self) -> f64 {
        match self {
            Self::Uniform { low, high } => 0.5 * (low + high),
            Self::Beta { alpha, beta } => alpha / (alpha + beta),
            Self::BetaMixture { .. } => {
                self.parts().map(|(weight, part)| weight * part.mean()).iter().sum()
            }
            Self::Fixed { values } => values.iter().sum::<f64>() / values.len() as f64,
        }
    }

    /// The components of a mixture with their probabilities; anything else twice, half each.
    pub fn parts(&self) -> [(f64, Self); 2] {
        match *self {
            Self::BetaMixture { weight, alpha, beta, second_alpha, second_beta } => [
                (1.0 - weight, Self::Beta { alpha, beta }),
                (weight, Self::Beta { alpha: second_alpha, beta: second_beta }),
            ],
            _ => [(0.5, self.clone()), (0.5, self.clone())],
        }
    }

    fn relations(&self) -> Result<(), Violation> {
        match self {
            Self::Uniform { low, high } if low > high => {
                let problem = format!("low = {low} is above high = {high}");
                Err(Violation::new("low", problem, "at most `high`"))
            }
            _ => Ok(()),
        }
    }
}
