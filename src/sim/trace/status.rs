//! What an HTTP status says of the server that it came from.
//!
//! A 5xx is the server's failure. A 404 is not: the server worked, and the request asked for what is
//! not there. 429 is a refusal. 499 (nginx) and 460 (Amazon's load balancers) say that the client
//! left before the answer: nobody knows how it would have ended.
//!
//! When not to use it: for gRPC, which answers 200 and tells failures elsewhere.

use std::fmt;
use std::str::FromStr;

/// Codes of proxies for a client that left before its answer.
const CLIENT_LEFT: [u16; 2] = [499, 460];

/// What an answer is counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// The server did its work.
    Success,
    /// The server's failure, or no answer.
    Failure,
    /// The server refused to work for now: 429.
    Refusal,
    /// How it would have ended is unknown: left out.
    Nothing,
}

/// Which statuses are successes, as `status<500`; conditions with commas between them must all hold.
///
/// 429, 499 and 460 mean what they mean under every rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuccessRule {
    conditions: Vec<(Comparison, u16)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    AtMost,
    AtLeast,
    Not,
    Below,
    Above,
    Equal,
}

impl Comparison {
    /// Longer signs first: `<` begins `<=`.
    const SIGNS: [(&'static str, Self); 7] = [
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("!=", Self::Not),
        ("==", Self::Equal),
        ("<", Self::Below),
        (">", Self::Above),
        ("=", Self::Equal),
    ];

    fn holds(self, status: u16, number: u16) -> bool {
        match self {
            Self::AtMost => status <= number,
            Self::AtLeast => status >= number,
            Self::Not => status != number,
            Self::Below => status < number,
            Self::Above => status > number,
            Self::Equal => status == number,
        }
    }
}

impl Default for SuccessRule {
    fn default() -> Self {
        Self { conditions: vec![(Comparison::Below, 500)] }
    }
}

impl SuccessRule {
    /// What an answer with this status counts as.
    pub fn judge(&self, status: u16) -> Counted {
        let holds = |(comparison, number): &(Comparison, u16)| comparison.holds(status, *number);
        match status {
            0 => Counted::Failure,
            429 => Counted::Refusal,
            _ if CLIENT_LEFT.contains(&status) => Counted::Nothing,
            _ if self.conditions.iter().all(holds) => Counted::Success,
            _ => Counted::Failure,
        }
    }
}

/// A rule that cannot be understood. `Display` is the whole message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected conditions such as status<500 or status>=200,status<400, got \"{0}\"")]
pub struct SuccessRuleError(String);

impl FromStr for SuccessRule {
    type Err = SuccessRuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let condition = |part: &str| {
            let rest = part.trim().strip_prefix("status")?.trim_start();
            let (sign, comparison) =
                Comparison::SIGNS.into_iter().find(|(sign, _)| rest.starts_with(sign))?;
            let number: u16 = rest[sign.len()..].trim().parse().ok()?;
            (100..=1000).contains(&number).then_some((comparison, number))
        };
        let conditions: Option<Vec<_>> = text.split(',').map(condition).collect();
        conditions
            .map(|conditions| Self { conditions })
            .ok_or_else(|| SuccessRuleError(text.to_owned()))
    }
}

impl fmt::Display for SuccessRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (comparison, number)) in self.conditions.iter().enumerate() {
            let sign = Comparison::SIGNS.iter().rfind(|(_, there)| there == comparison);
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}status{}{number}", sign.map_or("", |(sign, _)| sign))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_fail_with_5xx_or_silence_and_clients_with_4xx() {
        let rule = SuccessRule::default();
        for (status, counted) in [
            (0, Counted::Failure),
            (200, Counted::Success),
            (304, Counted::Success),
            (404, Counted::Success),
            (429, Counted::Refusal),
            (460, Counted::Nothing),
            (499, Counted::Nothing),
            (500, Counted::Failure),
            (599, Counted::Failure),
        ] {
            assert_eq!(rule.judge(status), counted, "{status}");
        }
    }

    #[test]
    fn a_rule_of_ones_own_says_which_statuses_are_successes() {
        let rule: SuccessRule = "status>=200, status < 400,status!=302".parse().unwrap();
        assert_eq!(rule.to_string(), "status>=200,status<400,status!=302");
        assert_eq!(rule, rule.to_string().parse().unwrap());
        let judged = [200, 301, 302, 404, 503, 429, 499].map(|status| rule.judge(status));
        use Counted::*;
        assert_eq!(judged, [Success, Success, Failure, Failure, Failure, Refusal, Nothing]);
        assert_eq!("status<500".parse(), Ok(SuccessRule::default()));
    }

    #[test]
    fn a_rule_that_is_wrong_is_told_so() {
        for text in ["", "status", "code<500", "status<", "status<5000", "status<500,", "status~5"]
        {
            let got = text.parse::<SuccessRule>().unwrap_err().to_string();
            assert!(
                got.starts_with("expected conditions such as status<500") && got.contains(text)
            );
        }
    }
}
