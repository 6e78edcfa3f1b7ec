//! Which rules chose the servers, and whether they could see more than the record shows.
//!
//! The likelihood ignores how servers were chosen, which is right as long as the choice used
//! recorded outcomes, times and luck only (D. B. Rubin, "Inference and missing data", Biometrika
//! 63 (1976), 581-592: ignorable). A rule that saw anything else, a health check or the truth
//! itself, chooses servers about which it knows more than the fit does.
//!
//! When not to use it: as proof. A name is a claim; the test of what choices knew beyond the
//! record (`assumptions`) looks at what they did.

use crate::trace::PROBE;

/// Rules that choose by recorded outcomes and luck only, with their aliases and older names, and
/// the probe, which follows a plan and stops by recorded outcomes.
pub const RECORDED_INPUTS_ONLY: [&str; 13] = [
    "larkin",
    "ucb1",
    "ucb-free",
    "thompson",
    "thompson-scaled",
    "random",
    "round-robin",
    "v1",
    "v2",
    "v3",
    "v4",
    "v5",
    PROBE,
];

/// Warnings about strategies that used inputs which no recording holds, or may have: one sentence
/// a strategy. `known` names those that did not, usually [`RECORDED_INPUTS_ONLY`].
#[must_use]
pub fn unrecorded_inputs(strategies: &[String], known: &[&str]) -> Vec<String> {
    let warning = |name: &String| {
        let plain = name.trim().to_ascii_lowercase();
        if known.contains(&plain.as_str()) {
            None
        } else if plain.is_empty() {
            Some(
                "Some attempts do not say which strategy chose the server: if it used anything \
                 that is not recorded, error rates are biased."
                    .to_owned(),
            )
        } else if plain == "oracle" {
            Some(format!(
                "Strategy `{name}` knows the true error rates, which no recording holds: its \
                 choices are evidence that the likelihood leaves out, so error rates are biased."
            ))
        } else {
            Some(format!(
                "Strategy `{name}` is not known here: if it used anything that is not recorded \
                 (health checks, outcomes of other clients, earlier runs), error rates are biased."
            ))
        }
    };
    strategies.iter().filter_map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_rules_pass_and_others_are_warned_of() {
        let warnings = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            unrecorded_inputs(&names, &RECORDED_INPUTS_ONLY)
        };
        assert!(warnings(&["v4", "V1", "thompson", "random", "probe"]).is_empty());
        let found = warnings(&["v4", "oracle", "nginx least_conn", ""]);
        assert_eq!(found.len(), 3);
        assert!(found[0].contains("`oracle` knows the true error rates"), "{found:?}");
        assert!(found[1].contains("`nginx least_conn` is not known"), "{found:?}");
        assert!(found[2].contains("do not say"), "{found:?}");
    }
}
