//! The tables `[error_rate.posterior]` and `[rate_limit.posterior]`: rows of numbers by family.
//!
//! They are written by hand at the end of a file, many rows to a line: a serializer would give
//! each of hundreds of rows three lines, or all of them one.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::world::posterior::{MOST_ROWS, Row, too_many};
use crate::world::{ErrorFamily, Posterior, RateLimit, Violation};

/// Lines are broken before they get longer, as in the source of this program.
const LINE: usize = 100;

/// What a line of rows begins with; each row adds a space before it.
const INDENT: &str = "   ";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawErrorPosterior {
    #[serde(default)]
    uniform: Vec<Vec<f64>>,
    #[serde(default)]
    beta: Vec<Vec<f64>>,
    #[serde(default)]
    beta_mixture: Vec<Vec<f64>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimitPosterior {
    #[serde(default)]
    none: usize,
    #[serde(default)]
    token_bucket: Vec<Vec<f64>>,
    #[serde(default)]
    fixed_window: Vec<Vec<f64>>,
    #[serde(default)]
    sliding_window: Vec<Vec<f64>>,
    #[serde(default)]
    sinusoidal: Vec<Vec<f64>>,
}

impl RawErrorPosterior {
    pub(super) fn into_posterior(self) -> Result<Posterior<ErrorFamily>, Violation> {
        let mut rows = read("uniform", &["low", "high"], &self.uniform, |[low, high]| {
            Ok(ErrorFamily::Uniform { low, high })
        })?;
        rows.extend(read("beta", &["alpha", "beta"], &self.beta, |[alpha, beta]| {
            Ok(ErrorFamily::Beta { alpha, beta })
        })?);
        let keys = ["weight", "alpha", "beta", "second_alpha", "second_beta"];
        rows.extend(read(
            "beta_mixture",
            &keys,
            &self.beta_mixture,
            |[weight, alpha, beta, second_alpha, second_beta]| {
                Ok(ErrorFamily::BetaMixture { weight, alpha, beta, second_alpha, second_beta })
            },
        )?);
        some(rows, "uniform, beta or beta_mixture")
    }
}

impl RawLimitPosterior {
    pub(super) fn into_posterior(self) -> Result<Posterior<RateLimit>, Violation> {
        if self.none > MOST_ROWS {
            return Err(too_many("none", self.none));
        }
        let mut rows = vec![RateLimit::None; self.none];
        let keys = ["per_second", "burst"];
        rows.extend(read("token_bucket", &keys, &self.token_bucket, |[per_second, burst]| {
            Ok(RateLimit::TokenBucket { per_second, burst })
        })?);
        let keys = ["limit", "window_s"];
        rows.extend(read("fixed_window", &keys, &self.fixed_window, |[limit, window_s]| {
            Ok(RateLimit::FixedWindow { limit: whole(limit)?, window_s, phase_s: None })
        })?);
        rows.extend(read("sliding_window", &keys, &self.sliding_window, |[limit, window_s]| {
            Ok(RateLimit::SlidingWindow { limit: whole(limit)?, window_s })
        })?);
        let keys = ["mean_per_second", "amplitude_per_second", "period_s", "burst"];
        rows.extend(read(
            "sinusoidal",
            &keys,
            &self.sinusoidal,
            |[mean_per_second, amplitude_per_second, period_s, burst]| {
                let phase = None;
                Ok(RateLimit::Sinusoidal {
                    mean_per_second,
                    amplitude_per_second,
                    period_s,
                    burst,
                    phase,
                })
            },
        )?);
        some(rows, "none, token_bucket, fixed_window, sliding_window or sinusoidal")
    }
}

/// The rows of one family, each of as many numbers as it has keys.
fn read<T, const N: usize>(
    family: &str,
    keys: &[&str; N],
    rows: &[Vec<f64>],
    build: impl Fn([f64; N]) -> Result<T, Violation>,
) -> Result<Vec<T>, Violation> {
    let one = |(i, row): (usize, &Vec<f64>)| {
        let Ok(numbers) = <[f64; N]>::try_from(row.as_slice()) else {
            let problem = format!("{} numbers where {N} are needed", row.len());
            let expected = format!("[{}]", keys.join(", "));
            return Err(Violation::new(format!("{family}.{i}"), problem, &expected));
        };
        build(numbers).map_err(|v| v.within(&format!("{family}.{i}")))
    };
    rows.iter().enumerate().map(one).collect()
}

/// The limit of a window, the first number of its row.
fn whole(limit: f64) -> Result<u32, Violation> {
    if limit >= 1.0 && limit <= f64::from(u32::MAX) && libm::trunc(limit) == limit {
        return Ok(limit as u32);
    }
    Err(Violation::new("0", format!("{limit} is out of range"), "a whole number of at least 1"))
}

/// A posterior has rows.
fn some<T: Row>(rows: Vec<T>, families: &str) -> Result<Posterior<T>, Violation> {
    if rows.is_empty() {
        // The place of a missing key is its table.
        let expected = format!("rows of {families}");
        return Err(Violation::new("rows", "this posterior has no rows", &expected));
    }
    Ok(rows.into())
}

/// Appends the table of a posterior, nothing if it has no rows.
pub(super) fn write<T: Row>(text: &mut String, table: &str, posterior: &Posterior<T>) {
    if posterior.is_empty() {
        return;
    }
    // Writing to a string cannot fail.
    let _ = writeln!(text, "\n[{table}]");
    for rows in posterior.rows().chunk_by(|a, b| a.family().0 == b.family().0) {
        let (family, keys) = rows[0].family();
        if keys.is_empty() {
            let _ = writeln!(text, "{family} = {}", rows.len());
            continue;
        }
        let _ = writeln!(text, "{family} = [");
        let mut line = INDENT.to_owned();
        for row in rows {
            let numbers: Vec<String> =
                keys.iter().zip(row.numbers()).map(|(key, x)| number(key, x)).collect();
            let row = format!(" [{}],", numbers.join(", "));
            if line.len() + row.len() > LINE {
                let _ = writeln!(text, "{line}");
                INDENT.clone_into(&mut line);
            }
            line += &row;
        }
        let _ = writeln!(text, "{line}\n]");
    }
}

/// A number that reads back the same: the shortest such digits, a limit as a whole number.
fn number(key: &str, x: f64) -> String {
    if key == "limit" { format!("{x}") } else { format!("{x:?}") }
}

#[cfg(test)]
mod tests {
    use crate::world::{Document, Model};

    const TEXT: &str = r#"
schema = 1
ports = { first = 4000, count = 10 }
[error_rate]
draw = "per_replication"
family = "beta_mixture"
weight = 0.3
alpha = 2.0
beta = 9.0
second_alpha = 8.0
second_beta = 3
[rate_limit]
kind = "none"
[latency]
family = "constant"
ms = 1.0
[error_rate.posterior]
uniform = [[0.02, 0.75], [0.1, 0.3]]
beta = [[2, 3], [1e-3, 0.1]]
beta_mixture = [[0.5, 1.0, 2.0, 3.0, 4.0]]
[rate_limit.posterior]
none = 2
token_bucket = [[5.5, 10]]
fixed_window = [[3, 1.5]]
sliding_window = [[4, 0.7]]
sinusoidal = [[20.0, 8.0, 10.0, 1.0]]
"#;

    fn parse(text: String) -> Result<Model, String> {
        Model::parse("m", &Document::from_text("m.toml", text)).map_err(|e| e.to_string())
    }

    #[test]
    fn a_posterior_that_is_written_reads_back_the_same() {
        let model = parse(TEXT.to_owned()).unwrap();
        assert_eq!(model.error_rate.posterior.rows().len(), 5);
        assert_eq!(model.rate_limit_posterior.rows().len(), 6);
        assert!(model.has_rate_limit() && model.draws_parameters());
        assert_eq!(parse(model.to_toml()).unwrap(), model);
        let point = model.without_posterior();
        assert!(!point.has_rate_limit() && !point.has_posterior());
        assert!(!point.to_toml().contains("posterior"));
    }

    #[test]
    fn rows_share_lines_and_numbers_keep_all_their_digits() {
        let rows: Vec<String> = (0..256)
            .map(|i| format!("[0.0{}, {:?}]", i + 100, 0.5 + f64::from(i) / 700.0))
            .collect();
        let many = format!("uniform = [{}]", rows.join(", "));
        let text = TEXT.replace("uniform = [[0.02, 0.75], [0.1, 0.3]]", &many);
        let model = parse(text).unwrap();
        let written = model.to_toml();
        assert_eq!(parse(written.clone()).unwrap(), model);
        assert!(written.lines().all(|line| line.len() <= 100), "{written}");
        assert!(written.lines().count() < 140, "{written}");
        assert!(written.contains("    [3, 1.5],\n"), "{written}");
    }

    #[test]
    fn every_mistake_in_a_posterior_names_its_place_and_how_to_mend_it() {
        let cases = [
            ("[0.1, 0.3]", "[0.1, 1.3]", "m.toml:18:32", "1.3 % is written 0.013"),
            ("[0.1, 0.3]", "[0.4, 0.3]", "m.toml:18:27", "at most `high`"),
            ("[0.1, 0.3]", "[0.4]", "m.toml:18:26", "expected [low, high]"),
            ("[0.1, 0.3]", "[0.4, 0.5, 0.6]", "uniform.1: 3 numbers", "expected [low, high]"),
            ("[1e-3, 0.1]", "[1e-3, 0]", "m.toml:19:24", "0.001..=1,000,000"),
            ("[[0.5, 1.0", "[[1.5, 1.0", "m.toml:20:18", "1.5 % is written 0.015"),
            ("4.0]]", "-4.0]]", "beta_mixture.0.4", "0.001..=1,000,000"),
            ("none = 2", "none = 4000000000", "m.toml:22:8", "at most 10,000"),
            ("none = 2", "nnoe = 2", "m.toml:22:1", "did you mean `none`?"),
            ("[5.5, 10]", "[5.5, 0.5]", "m.toml:23:23", "at least 1"),
            ("[[3, 1.5]]", "[[3.5, 1.5]]", "m.toml:24:18", "a whole number"),
            ("[[3, 1.5]]", "[[3, -1.5]]", "fixed_window.0.1", "seconds in"),
            ("[[4, 0.7]]", "[[0, 0.7]]", "sliding_window.0.0", "a whole number"),
            ("20.0, 8.0", "20.0, 28.0", "m.toml:26:22", "from 0 to mean_per_second"),
            ("beta = [[2", "bta = [[2", "m.toml:19:1", "did you mean `beta`?"),
            ("[[2, 3],", "[[2, \"x\"],", "m.toml:19:13", "expected f64"),
            ("weight = 0.3\n", "weight = 0.3\nlow = 0.1\n", "m.toml:8:7", "second_alpha"),
            ("weight = 0.3\n", "weight = -0.3\n", "m.toml:7:10", "a number in 0..=1"),
        ];
        for (from, to, place, mend) in cases {
            assert!(TEXT.contains(from), "{from}");
            let message = parse(TEXT.replacen(from, to, 1)).unwrap_err();
            assert!(message.contains(place) && message.contains(mend), "{to}:\n{message}");
        }
    }

    #[test]
    fn a_posterior_needs_rows_and_a_population_to_stand_for() {
        let (head, _) = TEXT.split_once("[error_rate.posterior]").unwrap();
        let message = parse(format!("{head}[error_rate.posterior]\n")).unwrap_err();
        assert!(message.contains("no rows") && message.contains("m.toml:17"), "{message}");
        let (first, rest) = TEXT.split_once("family = \"beta_mixture\"").unwrap();
        let rest = rest.split_once("[rate_limit]").unwrap().1;
        let values = "family = \"fixed\"\nvalues = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]\n";
        let message = parse(format!("{first}{values}[rate_limit]{rest}")).unwrap_err();
        assert!(message.contains("error_rate.posterior: does not belong"), "{message}");
    }
}
