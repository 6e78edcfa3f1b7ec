//! The population of error rates and every server's own.

use std::fmt::Write;

use crate::fit::{ConfigFit, FamilyFit};
use crate::report::numbers::{fixed, interval, p_value, signed};
use crate::report::table::Table;
use crate::world::ErrorRateKind;

/// More servers than this are told by the chart.
const MOST_SERVERS: usize = 80;

pub fn text(fit: &ConfigFit, width: Option<usize>) -> String {
    let origin = if fit.rates_fitted_on == fit.group.name {
        "fitted by marginal likelihood".to_owned()
    } else {
        format!("those of config {}, where no refusals hide", fit.rates_fitted_on)
    };
    let mut text = format!("\nerror rates, {origin}\n{}\n", families(fit, width));
    let _ = writeln!(
        text,
        "fit of the {} servers: randomised PIT, Kolmogorov distance {}, p {}; calibration of the \
         next outcome, p {}; raw failure share averaged over servers {}, population mean {}",
        fit.goodness.servers,
        fixed(fit.goodness.pit_ks_distance, 3),
        p_value(fit.goodness.pit_ks_p_value),
        p_value(fit.goodness.calibration_test.p_value),
        fixed(fit.goodness.raw_mean, 3),
        fixed(fit.prior.mean(), 3),
    );
    let servers: Vec<_> = fit.servers.iter().filter(|s| s.tally.attempts() > 0).collect();
    if servers.len() > MOST_SERVERS {
        return text;
    }
    // One row a server, one column a start: means with their intervals.
    let mut table = Table::of(0..fit.group.servers.len())
        .text("server", |server| fit.group.servers[*server].clone());
    for start in 1..=fit.starts.starts.len() {
        table = table.number(format!("start {start}"), |server| {
            let found = servers.iter().find(|s| s.start == start && s.server == *server);
            found.map_or("-".to_owned(), |s| {
                format!("{} {}", fixed(s.mean, 2), interval(s.interval, 2))
            })
        });
    }
    let _ = writeln!(
        text,
        "\nerror rate of each server, mean and 95 % interval\n{}",
        table.on_terminal(width)
    );
    text
}

fn families(fit: &ConfigFit, width: Option<usize>) -> String {
    let families = &fit.rates.families;
    let best = families.first().map_or(f64::NAN, |f| f.log_evidence);
    let mut text = Table::of(families)
        .text("family", |f| f.family.name().replace('_', " "))
        .number("ln evidence", |f| fixed(f.log_evidence, 2))
        .number("ln Bayes factor", |f| signed(f.log_evidence - best, 2))
        .number("probability", |f| fixed(f.probability, 3))
        .on_terminal(width);
    text += "\nhyperparameters with 95 % credible intervals:";
    for family in families {
        let _ = write!(
            text,
            "\n  {}: {}",
            family.family.name().replace('_', " "),
            hyperparameters(family)
        );
    }
    text
}

fn hyperparameters(family: &FamilyFit) -> String {
    if family.family == ErrorRateKind::Fixed {
        return "a rate for each port, the same at every start".to_owned();
    }
    let each: Vec<String> = family
        .hyperparameters
        .iter()
        .map(|h| {
            let name = h.name.replace('_', " ");
            format!("{name} {} {}", fixed(h.estimate, 3), interval(h.interval, 3))
        })
        .collect();
    each.join(", ")
}
