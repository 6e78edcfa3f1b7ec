//! The population of error rates and every server's own.

use std::fmt::Write;

use super::p_value;
use crate::fit::{ConfigFit, FamilyFit};
use crate::report::numbers::{fixed, interval};
use crate::report::table::frame;
use crate::world::ErrorRateKind;

/// More servers than this are told by the chart.
const MOST_SERVERS: usize = 80;

pub(super) fn text(fit: &ConfigFit) -> String {
    let origin = if fit.rates_fitted_on == fit.group.name {
        "fitted by marginal likelihood".to_owned()
    } else {
        format!("those of config {}, where no refusals hide", fit.rates_fitted_on)
    };
    let mut text = format!("\nerror rates, {origin}\n{}\n", families(fit));
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
    let starts = fit.starts.starts.len();
    let mut columns: Vec<(String, Vec<String>)> =
        vec![("server".to_owned(), fit.group.servers.clone())];
    for start in 1..=starts {
        let cell = |server: usize| {
            let found = servers.iter().find(|s| s.start == start && s.server == server);
            found.map_or("-".to_owned(), |s| {
                format!("{} {}", fixed(s.mean, 2), interval(s.interval, 2))
            })
        };
        columns.push((format!("start {start}"), (0..fit.group.servers.len()).map(cell).collect()));
    }
    let columns: Vec<(&str, Vec<String>)> =
        columns.iter().map(|(name, cells)| (name.as_str(), cells.clone())).collect();
    let _ = writeln!(
        text,
        "\nerror rate of each server, mean and 95 % interval\n{}",
        frame(&columns, 1)
    );
    text
}

fn families(fit: &ConfigFit) -> String {
    let families = &fit.rates.families;
    let best = families.first().map_or(f64::NAN, |f| f.log_evidence);
    let each = |cell: &dyn Fn(&FamilyFit) -> String| families.iter().map(cell).collect();
    let columns = [
        ("family", each(&|f| f.family.name().replace('_', " "))),
        ("ln evidence", each(&|f| fixed(f.log_evidence, 2))),
        ("ln Bayes factor", each(&|f| format!("{:+.2}", f.log_evidence - best))),
        ("probability", each(&|f| fixed(f.probability, 3))),
    ];
    let mut text = frame(&columns, 1).to_string();
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
