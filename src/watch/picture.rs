//! What the chart of a run shows: every number as text or final value, nothing left to compute.

use super::compare::{Place, against};
use super::figures::{count, duration, ms, percent, points};
use super::seen::{Predicted, Seen, answered, running_s, share, success_rate, title};
use super::units::{interval, value};
use crate::metrics::Metrics;
use crate::report::charts::{OngoingMetric, OngoingPicture, OngoingPlace, OngoingServer};

/// The picture of these metrics.
pub(super) fn picture(metrics: &Metrics, seen: &Seen) -> OngoingPicture {
    let latency = |x: f64| match metrics.latencies.is_empty() {
        true => "-".to_owned(),
        false => format!("{} ms", ms(x)),
    };
    let headline = [
        ("score", points(metrics.best_guess_score)),
        ("success", success_rate(metrics).map_or("-".to_owned(), |r| percent(r) + " %")),
        ("regret", points(metrics.global_regret)),
        ("penalty", points(metrics.total_penalty)),
        ("p50", latency(metrics.latency_p50)),
        ("p99", latency(metrics.latency_p99)),
        ("requests", count(metrics.total_requests)),
        ("attempts", count(metrics.total_attempts)),
        ("retries", count(metrics.total_retries)),
        ("429s", count(metrics.total_rate_limited)),
        ("waiting", count(metrics.waiting as u64)),
        ("in service", count(metrics.in_service as u64)),
    ];
    let (compared, is_whole, comparison_note) = compared(metrics, seen);
    OngoingPicture {
        name: title(metrics),
        state: format!(
            "{} after {}, {} requests answered",
            if metrics.ended { "ended" } else { "running" },
            running_s(metrics).map_or("an unknown time".to_owned(), duration),
            count(answered(metrics)),
        ),
        headline: headline.into_iter().map(|(n, v)| (n.to_owned(), v)).collect(),
        servers: metrics
            .per_server
            .iter()
            .map(|s| OngoingServer {
                name: s.port.to_string(),
                share: share(s.num_requests, metrics).unwrap_or(0.0),
                attempts: s.num_requests,
                success_rate: (s.num_requests > 0).then_some(s.success_rate),
                belief: s.belief,
                rate_limited: s.num_rate_limited,
                latency_ms: (s.num_requests > 0).then_some(s.avg_latency_ms),
            })
            .collect(),
        latencies_ms: metrics.latencies.clone(),
        quantiles_ms: [("p50", metrics.latency_p50), ("p99", metrics.latency_p99)]
            .map(|(name, x)| (name.to_owned(), x))
            .to_vec(),
        is_whole,
        compared,
        comparison_note,
    }
}

fn compared(metrics: &Metrics, seen: &Seen) -> (Vec<OngoingMetric>, bool, String) {
    let Predicted::File(file) = &seen.prediction else {
        return (Vec::new(), false, "No prediction to compare with.".to_owned());
    };
    let against = match against(metrics, file) {
        Ok(against) => against,
        Err(why) => return (Vec::new(), false, format!("Not compared: {}.", why)),
    };
    let rows = against.rows.iter().map(|row| OngoingMetric {
        name: row.metric.name().trim_end_matches(" ms").to_owned(),
        value: row.at_pace,
        value_text: value(row.metric, row.at_pace),
        interval_text: interval(row.metric, row.interval),
        interval: row.interval,
        mean: row.mean,
        place: match row.place {
            Place::TooEarly => OngoingPlace::Unknown("too early".to_owned()),
            Place::NotJudged => OngoingPlace::Unknown("not judged".to_owned()),
            Place::Inside => OngoingPlace::Inside,
            Place::Above | Place::Below => OngoingPlace::Outside(row.place.word().to_owned()),
        },
    });
    let note = match against.is_whole {
        true => "The whole run.".to_owned(),
        false => format!(
            "Counts at their pace after {} of {} requests.",
            count(against.answered),
            count(against.requests)
        ),
    };
    let basis = against.basis.name();
    let note = format!(
        "Predicted by: {basis}. {note} p50 and p99: live as the proxy sees them, predicted as the client does."
    );
    (rows.collect(), against.is_whole, note)
}
