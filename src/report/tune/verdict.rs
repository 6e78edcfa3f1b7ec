//! The result of a search in words.

use crate::experiment::Mean;
use crate::experiment::tune::{SettingSummary, TuneVerdict, Tuned};
use crate::report::numbers::{decimals_for, fixed, span, thousands};
use crate::stats::Interval;

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
    let interval = fresh.gain.interval;
    let signed = format!("95 %: {}", span(interval, decimals));
    let score = |mean: &Mean| {
        let decimals = decimals_for(mean.interval.half_width());
        let (of, range) = (thousands(tuned.requests), span(mean.interval, decimals));
        format!("{} of {of} (95 %: {range})", fixed(mean.mean, decimals))
    };
    match tuned.verdict {
        TuneVerdict::Better => format!(
            "Found {setting}: {gain} points more than the default {seeds} ({signed}), a mean score \
             of {}.",
            score(&fresh.found)
        ),
        TuneVerdict::NotBetter => format!(
            "Not better than the default: {setting}, which the search chose, gains {} points \
             {seeds} ({signed}). Keep the default.",
            fixed(fresh.gain.mean, decimals)
        ),
        TuneVerdict::Worse => {
            let lost = Interval { low: -interval.high, high: -interval.low };
            format!(
                "Not better than the default: {setting}, which the search chose, loses {gain} \
                 points {seeds} (95 %: {}). Keep the default.",
                span(lost, decimals)
            )
        }
        TuneVerdict::Same => format!(
            "Not better than the default: {setting}, which the search chose, scores the same as \
             it {seeds}, every time. Keep the default."
        ),
        TuneVerdict::DefaultFound => format!(
            "Keep the default: none of the {} other settings stayed ahead of it. Its mean score \
             {seeds} is {}.",
            thousands(tuned.settings.len() as u64 - 1),
            score(&fresh.default)
        ),
    }
}
