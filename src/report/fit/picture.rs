//! A fit as its charts want it.

use crate::fit::{ConfigFit, Place, Population, RatePrior, Tally};
use crate::report::charts::fit::{
    FitPicture, LimitPicture, PopulationPoint, QuantilePicture, RunPicture, ServerPicture,
};
use crate::report::numbers::fixed;
use crate::stats::quantile::quantile;

/// Rates at which distribution functions are drawn.
const RATES: usize = 101;
/// Populations that the band is made of.
const DRAWS: usize = 256;

pub(super) fn of(fit: &ConfigFit) -> FitPicture {
    FitPicture {
        config: fit.group.name.clone(),
        data: super::data(fit),
        servers: fit
            .servers
            .iter()
            .map(|server| ServerPicture {
                start: server.start,
                name: fit.group.servers[server.server].clone(),
                attempts: server.tally.attempts(),
                failures: server.tally.failures,
                mean: server.mean,
                interval: (server.interval.low, server.interval.high),
            })
            .collect(),
        population: population(fit),
        population_text: population_text(fit),
        limit: LimitPicture {
            curve: fit.rate_limit.inference.curve.clone(),
            kinds: fit
                .rate_limit
                .inference
                .families
                .iter()
                .map(|family| (family.kind.to_string(), family.probability))
                .collect(),
            conclusion: fit.rate_limit.reason.clone(),
        },
        latency: fit.latency.as_ref().map_or_else(Vec::new, |latency| {
            let qq = latency.success.qq.iter();
            qq.map(|point| QuantilePicture {
                fitted_ms: point.fitted_ms,
                observed_ms: point.observed_ms,
                band_ms: (point.band_ms.low, point.band_ms.high),
            })
            .collect()
        }),
        latency_text: fit.latency.as_ref().map_or_else(String::new, |latency| {
            let family = latency.success.family();
            format!("Fitted: {family}. {}", latency.success.misses())
        }),
        runs: runs(fit),
    }
}

fn population(fit: &ConfigFit) -> Vec<PopulationPoint> {
    let draws: Vec<Population> = fit.rates.draws(DRAWS);
    let nothing = Tally::default();
    let tried: Vec<Tally> =
        fit.servers.iter().map(|s| s.tally).filter(|tally| tally.attempts() > 0).collect();
    let servers: Vec<_> = tried.iter().map(|tally| fit.rates.server(*tally)).collect();
    let prior: &RatePrior = &fit.prior;
    (0..RATES)
        .map(|i| {
            let rate = i as f64 / (RATES - 1) as f64;
            let mut of_draws: Vec<f64> = draws.iter().map(|draw| draw.cdf(rate)).collect();
            of_draws.sort_by(f64::total_cmp);
            let band = if of_draws.is_empty() {
                (f64::NAN, f64::NAN)
            } else {
                (quantile(&of_draws, 0.025), quantile(&of_draws, 0.975))
            };
            let of_servers = servers.iter().map(|server| server.cdf(rate)).sum::<f64>();
            PopulationPoint {
                rate,
                fitted: prior.posterior_cdf(nothing, rate),
                band,
                servers: of_servers / servers.len().max(1) as f64,
            }
        })
        .collect()
}

fn population_text(fit: &ConfigFit) -> String {
    let each: Vec<String> = fit
        .rates
        .families
        .iter()
        .map(|f| format!("{} {}", f.family.name().replace('_', " "), fixed(f.probability, 2)))
        .collect();
    let borrowed = if fit.rates_fitted_on == fit.group.name {
        String::new()
    } else {
        format!(" The population is that of config {}.", fit.rates_fitted_on)
    };
    format!("Probabilities of the families: {}.{borrowed}", each.join(", "))
}

fn runs(fit: &ConfigFit) -> Vec<RunPicture> {
    let restart_before = |i: usize| {
        fit.starts.boundaries.iter().find_map(|boundary| match boundary.place {
            Place::Between { after, .. } if after == i => Some(boundary.probability),
            _ => None,
        })
    };
    fit.runs
        .iter()
        .enumerate()
        .map(|(i, run)| RunPicture {
            name: run.file.clone(),
            seconds: run.seconds,
            starts: run.starts.clone(),
            restart_before: restart_before(i),
            attempts: run.attempts,
        })
        .collect()
}
