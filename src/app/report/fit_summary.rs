//! The first lines of a fit of these servers: what an engineer wants to know of them, in sentences.
//!
//! When not to use it: for fleets, whose servers are drawn anew; their report tells of the population.

use crate::report::numbers::{fixed, p_value, significant, thousands};
use crate::report::table::Table;
use flakelab_core::stats::Interval;
use flakelab_fit::{
    Arrivals, Conclusion, ConfigFit, LEVEL, ObservedTraffic, Reproduction, RunMetric,
    ServerLatency, ServerSummary, TestedMetric,
};

/// A server stands out by its failures when the whole of its interval lies above this many times the
/// rate of the middle one, and above [`WORTH`] more.
const TIMES: f64 = 1.5;

/// Less than this in failures is not worth a sentence.
const WORTH: f64 = 0.005;

/// Servers that are named one by one; more are counted.
const NAMED: usize = 5;

/// The sentences; what does not reproduce its log says so first.
pub fn summary(fit: &ConfigFit, met: &ObservedTraffic, of: Option<&Reproduction>) -> String {
    let doubtful = of.and_then(|of| of.verdict.as_ref()).is_some_and(|verdict| !verdict.held);
    let mut sentences = servers(fit);
    sentences.extend(fit.starts.outages.iter().map(|outage| {
        let who = outage.perhaps_only.and_then(|one| fit.group.servers.get(one));
        let who =
            who.map_or("All servers were".to_owned(), |one| format!("{one}, perhaps all, was"));
        format!("{who} down from {} to {} s.", fixed(outage.from_s, 1), fixed(outage.until_s, 1))
    }));
    sentences.push(limit(fit));
    sentences.push(traffic(met));
    let at = if doubtful { 0 } else { sentences.len() };
    of.map(reproduced).into_iter().for_each(|sentence| sentences.insert(at, sentence));
    sentences.join(" ")
}

/// Whether the model reproduces its log.
fn reproduced(of: &Reproduction) -> String {
    let Some(verdict) = &of.verdict else {
        return "How the servers were chosen is not recognised, so whether the model reproduces the log is \
                not known."
            .to_owned();
    };
    let policy = of.policy.name();
    let told = |test: &TestedMetric| {
        format!(
            "{} {} recorded, {} ({} to {}) simulated",
            name(test.metric),
            value(test.metric, test.observed, of.requests),
            value(test.metric, test.mean, of.requests),
            value(test.metric, test.interval.low, of.requests),
            value(test.metric, test.interval.high, of.requests),
        )
    };
    if verdict.held {
        let attempts = verdict.tests.iter().find(|test| test.metric == RunMetric::Attempts);
        let told = attempts.map(told).unwrap_or_default();
        return format!("The log is reproduced by {policy}: {told}.");
    }
    let mut off: Vec<&TestedMetric> = verdict.tests.iter().collect();
    off.retain(|test| test.adjusted_p_value.is_some_and(|p| p < LEVEL));
    off.sort_by(|a, b| a.p_value.total_cmp(&b.p_value));
    let mut told: Vec<String> = off.into_iter().take(3).map(told).collect();
    if told.is_empty() {
        told.push("one server does what it does in no simulated run".to_owned());
    }
    format!(
        "The log is NOT reproduced by {policy}: {}. Something that happens to these servers is not in the \
         model, and what it says of other policies cannot be trusted.",
        told.join("; ")
    )
}

fn name(metric: RunMetric) -> &'static str {
    match metric {
        RunMetric::Attempts => "attempts per request",
        other => other.name(),
    }
}

fn value(metric: RunMetric, x: f64, requests: usize) -> String {
    match metric {
        RunMetric::Attempts => fixed(x / requests.max(1) as f64, 3),
        RunMetric::SuccessRate | RunMetric::BusiestShare => format!("{} %", fixed(100.0 * x, 2)),
        _ => significant(x),
    }
}

/// Recorded against simulated, as a table.
pub fn reproduction(of: &Reproduction, width: Option<usize>) -> String {
    let Some(verdict) = &of.verdict else { return String::new() };
    let shown = |x: f64, test: &TestedMetric| value(test.metric, x, of.requests);
    let table = Table::of(&verdict.tests)
        .text("of the log", |t| name(t.metric).to_owned())
        .number("recorded", |t| shown(t.observed, t))
        .number("simulated", |t| shown(t.mean, t))
        .number("[95 %]", |t| {
            format!("{} to {}", shown(t.interval.low, t), shown(t.interval.high, t))
        })
        .number("p", |t| t.adjusted_p_value.map_or("-".to_owned(), p_value));
    format!(
        "\nthe log against {} simulated runs of {} requests by {}\n{}\n",
        thousands(of.replications),
        thousands(of.requests as u64),
        of.policy.name(),
        table.on_terminal(width)
    )
}

/// Which servers stand out, and what the others do.
fn servers(fit: &ConfigFit) -> Vec<String> {
    let name = |server: usize| fit.group.servers.get(server).map_or("?", String::as_str);
    let mut by_rate: Vec<&ServerSummary> = fit.servers.iter().collect();
    by_rate.sort_by(|a, b| b.rate.mean.total_cmp(&a.rate.mean));
    // Of two servers the better one.
    let middle = by_rate.get(by_rate.len() / 2).map_or(0.0, |of| of.rate.mean);
    let fails = |of: &ServerSummary| of.rate.interval_95.low > (TIMES * middle).max(middle + WORTH);
    let slow = |server: usize| {
        let latency = fit.latency.as_ref()?.servers.get(server).copied()??;
        latency.stands_out.then_some(latency)
    };
    let (out, rest): (Vec<&ServerSummary>, Vec<&ServerSummary>) =
        by_rate.into_iter().partition(|of| fails(of) || slow(of.server).is_some());
    let mut sentences = Vec::new();
    for of in out.iter().take(NAMED) {
        let rate = format!(
            "{} fails {} ({})",
            name(of.server),
            percent(of.rate.mean),
            range(of.rate.interval_95)
        );
        let slow = slow(of.server).map(|latency| format!(" and is {}", slowness(&latency)));
        sentences.push(format!("{rate}{}.", slow.unwrap_or_default()));
    }
    if out.len() > NAMED {
        let more = out.len() - NAMED;
        sentences.push(format!("{more} more stand{} out.", if more == 1 { "s" } else { "" }));
    }
    let rates = rest.iter().map(|of| of.rate.mean);
    let [low, high] = [rates.clone().fold(1.0, f64::min), rates.fold(0.0, f64::max)];
    let span = if percent(low) == percent(high) {
        percent(low)
    } else {
        range(Interval { low, high }) + " %"
    };
    match (rest.len(), out.len()) {
        (0, _) => {}
        (1, 0) => sentences.push(format!("{} fails {span}.", name(rest[0].server))),
        (1, _) => sentences.push(format!("The other one fails {span}.")),
        (n, 0) => {
            sentences.push(format!("No server stands out beyond doubt: the {n} fail {span}."))
        }
        (n, _) => sentences.push(format!("The other {n} fail {span}.")),
    }
    sentences
}

/// `2.04 times as slow (1.98 to 2.10)`.
fn slowness(latency: &ServerLatency) -> String {
    let word = if latency.factor >= 1.0 { "as slow" } else { "as fast" };
    // Of a fast server what the others take of its time.
    let latency = if latency.factor >= 1.0 {
        *latency
    } else {
        let Interval { low, high } = latency.interval;
        let interval = Interval { low: 1.0 / high, high: 1.0 / low };
        ServerLatency { factor: 1.0 / latency.factor, interval, ..*latency }
    };
    let Interval { low, high } = latency.interval;
    format!("{:.2} times {word} ({low:.2} to {high:.2})", latency.factor)
}

fn limit(fit: &ConfigFit) -> String {
    let inference = &fit.rate_limit.inference;
    let busiest = inference.pressed.most_within[2];
    match inference.conclusion {
        Conclusion::Abstained => format!(
            "No rate limit was seen; the busiest server got {busiest} attempts in its busiest second."
        ),
        Conclusion::Unexplained => {
            "Attempts are refused (429), by a rule that none of the known limits explains."
                .to_owned()
        }
        _ => format!("Each server has a rate limit: {}.", fit.rate_limit.limit),
    }
}

fn traffic(traffic: &ObservedTraffic) -> String {
    let arrivals = match traffic.arrivals {
        Arrivals::Even => "evenly",
        Arrivals::Poisson => "at random",
        Arrivals::Bursts => "in bursts, which the scenario plays as random arrivals",
    };
    let attempts = match traffic.most_attempts {
        0 | 1 => "one attempt each".to_owned(),
        n => format!("at most {n} attempts each"),
    };
    format!(
        "{} requests came {arrivals}, {} a second, with {attempts} and at most {} under way at a time.",
        thousands(traffic.requests as u64),
        significant(traffic.per_second),
        traffic.most_in_service
    )
}

/// A share in percent, with one digit below ten.
fn percent(share: f64) -> String {
    format!("{} %", digits(share))
}

fn range(of: Interval) -> String {
    format!("{} to {}", digits(of.low), digits(of.high))
}

fn digits(share: f64) -> String {
    let percent = 100.0 * share;
    if percent < 9.95 { format!("{percent:.1}") } else { format!("{percent:.0}") }
}
