//! A latency family in words, and with few digits.
//!
//! When not to use it: to compute; words and files carry fewer digits than the fit.

use std::fmt;

use super::{LatencyFamily, LogNormal, LogNormals};

impl LatencyFamily {
    /// The same with every parameter rounded; the last weight of a mixture takes what the others
    /// leave of 1.
    #[must_use]
    pub fn rounded(&self, round: impl Fn(f64) -> f64) -> Self {
        let one =
            |of: LogNormal| LogNormal { median_ms: round(of.median_ms), sigma: round(of.sigma) };
        match *self {
            Self::Constant { ms } => Self::Constant { ms: round(ms) },
            Self::LogNormal(of) => Self::LogNormal(one(of)),
            Self::LogNormalMixture { body, tail_weight, tail } => Self::LogNormalMixture {
                body: one(body),
                tail_weight: round(tail_weight),
                tail: one(tail),
            },
            Self::LogNormals(of) => {
                let mut parts: Vec<_> = of.iter().map(|(w, part)| (round(w), one(part))).collect();
                if let Some(((last, _), others)) = parts.split_last_mut() {
                    *last = round(1.0 - others.iter().map(|(weight, _)| weight).sum::<f64>());
                }
                Self::LogNormals(LogNormals::of(&parts))
            }
            Self::LogLogistic { median_ms, shape } => {
                Self::LogLogistic { median_ms: round(median_ms), shape: round(shape) }
            }
            Self::LogNormalPareto { body, threshold_ms, tail_weight, tail_index } => {
                Self::LogNormalPareto {
                    body: one(body),
                    threshold_ms: round(threshold_ms),
                    tail_weight: round(tail_weight),
                    tail_index: round(tail_index),
                }
            }
        }
    }
}

impl fmt::Display for LatencyFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant { ms } => write!(f, "always {ms:.2} ms"),
            Self::LogNormal(one) => write!(f, "lognormal, {one}"),
            Self::LogNormalMixture { body, tail_weight, tail } => write!(
                f,
                "lognormal body, {body}, and a tail of {:.1} % with {tail}",
                100.0 * tail_weight
            ),
            Self::LogNormals(parts) => {
                write!(f, "mixture of {} lognormals: ", parts.iter().count())?;
                for (i, (weight, part)) in parts.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "; " };
                    write!(f, "{comma}{:.1} % with {part}", 100.0 * weight)?;
                }
                Ok(())
            }
            Self::LogLogistic { median_ms, shape } => {
                write!(f, "log-logistic, median {median_ms:.2} ms, shape {shape:.2}")
            }
            Self::LogNormalPareto { body, threshold_ms, tail_weight, tail_index } => write!(
                f,
                "lognormal body, {body}, below {threshold_ms:.2} ms and above it a Pareto tail of \
                 {:.1} % with index {tail_index:.2}",
                100.0 * tail_weight
            ),
        }
    }
}

impl fmt::Display for LogNormal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "median {:.2} ms, sigma {:.2}", self.median_ms, self.sigma)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounded_weights_still_sum_to_one() {
        let part = |weight| (weight, LogNormal { median_ms: 1.234, sigma: 0.111 });
        let third = LatencyFamily::LogNormals(LogNormals::of(&[part(1.0 / 3.0); 3]));
        let rounded = third.rounded(|x| (x * 100.0).round() / 100.0);
        assert!(rounded.validate().is_ok());
        assert_eq!(
            rounded.to_string(),
            "mixture of 3 lognormals: 34.0 % with median 1.23 ms, sigma 0.11; 33.0 % with median \
             1.23 ms, sigma 0.11; 33.0 % with median 1.23 ms, sigma 0.11"
        );
    }
}
