//! The result of a search in words.

use crate::experiment::tune::{SettingSummary, TuneVerdict, Tuned};
use crate::report::numbers::{decimals_for, fixed, thousands};

/// The values of what was searched, as people write them: `discover_limit=20 exclude_tried=false`.
pub fn setting_text(tuned: &Tuned, setting: &SettingSummary) -> String {
    let values = tuned.searched.iter().filter_map(|dimension| {
        let value = setting.values.get(dimension.key)?;
        let value = value.as_float().map_or_else(|| value.to_string(), |x| x.to_string());
        Some(format!("{}={value}", dimension.key))
    });
    values.collect::<Vec<String>>().join(" ")
}

/// What to use, and how much better it is on seeds that the search never saw.
pub fn tune_verdict(tuned: &Tuned) -> String {
    let fresh = &tuned.fresh;
    let setting = setting_text(tuned, tuned.found_setting());
    let seeds = format!("on {} fresh seeds", thousands(fresh.replications));
    let decimals = decimals_for(fresh.gain.interval.half_width());
    let gain = fixed(fresh.gain.mean.abs(), decimals);
    let (low, high) = (fresh.gain.interval.low, fresh.gain.interval.high);
    let signed = format!("95 %: {} to {}", fixed(low, decimals), fixed(high, decimals));
    match tuned.verdict {
        TuneVerdict::Better => {
            let score = decimals_for(fresh.found.interval.half_width());
            format!(
                "Found {setting}: {gain} points more than the default {seeds} ({signed}), a mean \
                 score of {} of {} (95 %: {} to {}).",
                fixed(fresh.found.mean, score),
                thousands(tuned.requests),
                fixed(fresh.found.interval.low, score),
                fixed(fresh.found.interval.high, score)
            )
        }
        TuneVerdict::NotBetter => format!(
            "Not better than the default: {setting}, which the search chose, gains {} points \
             {seeds} ({signed}). Keep the default.",
            fixed(fresh.gain.mean, decimals)
        ),
        TuneVerdict::Worse => {
            let lost = format!("95 %: {} to {}", fixed(-high, decimals), fixed(-low, decimals));
            format!(
                "Not better than the default: {setting}, which the search chose, loses {gain} \
                 points {seeds} ({lost}). Keep the default."
            )
        }
        TuneVerdict::Same => format!(
            "Not better than the default: {setting}, which the search chose, scores the same as \
             it {seeds}, every time. Keep the default."
        ),
        TuneVerdict::DefaultFound => {
            let score = decimals_for(fresh.default.interval.half_width());
            format!(
                "Keep the default: none of the {} other settings stayed ahead of it. Its mean \
                 score {seeds} is {} of {} (95 %: {} to {}).",
                thousands(tuned.settings.len() as u64 - 1),
                fixed(fresh.default.mean, score),
                thousands(tuned.requests),
                fixed(fresh.default.interval.low, score),
                fixed(fresh.default.interval.high, score)
            )
        }
    }
}
