//! The population of error rates against the servers: if the family is right, the average of
//! the servers' posteriors follows the population.

use super::{FitPicture, page};
use crate::report::charts::axis::Axis;
use crate::report::charts::palette::{ACCENT, TEXT};
use crate::report::charts::panel::Panel;
use crate::report::charts::{Chart, ChartError};

/// The chart.
pub(super) fn chart(picture: &FitPicture) -> Result<Chart, ChartError> {
    let reading = "Share of servers with at most this error rate. Band: 95 % of what the traces \
                   leave open of the population";
    let mut page = page("Population of error rates", picture, reading);
    if picture.population.len() < 2 {
        page.nothing("nothing is known of the population");
        return page.finish("fit-population", picture.population_text.clone());
    }
    let panel = Panel::new(
        &mut page,
        360.0,
        Axis::between("probability that an attempt fails", 0.0, 1.0),
        Axis::between("share of servers at or below", 0.0, 1.0),
    );
    let band: Vec<(f64, (f64, f64))> =
        picture.population.iter().map(|p| (p.rate, p.band)).collect();
    panel.band(&mut page, &band, ACCENT.faint(0.22));
    let fitted: Vec<(f64, f64)> = picture.population.iter().map(|p| (p.rate, p.fitted)).collect();
    panel.curve(&mut page, &fitted, ACCENT, 3.5);
    let servers: Vec<(f64, f64)> = picture.population.iter().map(|p| (p.rate, p.servers)).collect();
    panel.curve(&mut page, &servers, TEXT, 2.0);
    panel.legend(&mut page, 0, "fitted population", ACCENT, 3.5);
    panel.legend(&mut page, 1, "average of the servers' posteriors", TEXT, 2.0);
    page.finish("fit-population", picture.population_text.clone())
}
