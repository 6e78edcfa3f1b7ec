//! The population of error rates against the servers: if the family is right, the average of
//! the servers' posteriors follows the population.

use super::page;
use crate::fit::{ConfigFit, Tally};
use crate::report::charts::axis::Axis;
use crate::report::charts::number::fixed;
use crate::report::charts::palette::{ACCENT, TEXT};
use crate::report::charts::panel::Panel;
use crate::report::charts::{Chart, ChartError};
use crate::stats::quantile::quantile;
use crate::world::ErrorFamily;

/// Rates at which distribution functions are drawn.
const RATES: usize = 101;
/// Populations that the band is made of.
const DRAWS: usize = 256;

/// The chart.
pub(super) fn chart(fit: &ConfigFit) -> Result<Chart, ChartError> {
    let reading = "Share of servers with at most this error rate. Band: 95 % of what the traces \
                   leave open of the population";
    let mut page = page("Population of error rates", fit, reading);
    let panel = Panel::new(
        &mut page,
        360.0,
        Axis::between("probability that an attempt fails", 0.0, 1.0),
        Axis::between("share of servers at or below", 0.0, 1.0),
    );
    let draws: Vec<ErrorFamily> = fit.rates.draws(DRAWS);
    let band_at = |rate: f64| {
        let mut shares: Vec<f64> = draws.iter().map(|draw| draw.cdf(rate)).collect();
        shares.sort_by(f64::total_cmp);
        (quantile(&shares, 0.025), quantile(&shares, 0.975))
    };
    let tried = fit.servers.iter().map(|s| s.tally).filter(|tally| tally.attempts() > 0);
    let servers: Vec<_> = tried.map(|tally| fit.rates.server(tally)).collect();
    let of_servers = |rate: f64| {
        servers.iter().map(|server| server.cdf(rate)).sum::<f64>() / servers.len().max(1) as f64
    };
    let fitted = |rate: f64| fit.prior.posterior_cdf(Tally::default(), rate);
    let rates = || (0..RATES).map(|i| i as f64 / (RATES - 1) as f64);
    let curve = |share: &dyn Fn(f64) -> f64| -> Vec<(f64, f64)> {
        rates().map(|rate| (rate, share(rate))).collect()
    };
    let band: Vec<(f64, (f64, f64))> = rates().map(|rate| (rate, band_at(rate))).collect();
    panel.band(&mut page, &band, ACCENT.faint(0.22));
    panel.curve(&mut page, &curve(&fitted), ACCENT, 3.5);
    panel.curve(&mut page, &curve(&of_servers), TEXT, 2.0);
    panel.legend(&mut page, 0, "fitted population", ACCENT, 3.5);
    panel.legend(&mut page, 1, "average of the servers' posteriors", TEXT, 2.0);
    page.finish("fit-population", caption(fit))
}

fn caption(fit: &ConfigFit) -> String {
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
