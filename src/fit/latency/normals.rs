//! A mixture of normals by maximum likelihood, for ln latencies.
//!
//! EM (Dempster, Laird and Rubin, JRSS B 39 (1977), 1-38) on narrow bins, which cost a fraction
//! of the values and shift nothing that can be seen: a bin is a sixtieth of the interquartile
//! range. Many short climbs from fixed starting points, then long ones from the best (Biernacki,
//! Celeux and Govaert, Comput. Statist. Data Anal. 41 (2003), 561-575). The likelihood of a
//! mixture has no maximum (a part on a single value has infinite density), so no part may be
//! narrower than two bins or lighter than five values.
//!
//! When not to use it: to count mechanisms. The number of parts that describes a sample best
//! grows with the sample.

use crate::stats::quantile::quantile;
use crate::world::LogNormals;

/// The most parts.
pub(super) const MOST_PARTS: usize = LogNormals::MOST;
/// `ln sqrt(2 pi)`.
const LN_ROOT_TAU: f64 = 0.918_938_533_204_672_7;
/// Bins in the interquartile range.
const BINS_IN_IQR: f64 = 60.0;
/// A part stands for at least so many values.
const LEAST_VALUES: f64 = 5.0;
/// Rounds of a short climb, and of a long one.
const SHORT: usize = 40;
const LONG: usize = 1500;
/// A climb has ended when a round gains less log likelihood than this.
const GAIN: f64 = 1e-5;
/// Shares of the sample below each part but the last, in the starting points.
const CUTS: [&[&[f64]]; MOST_PARTS] = [
    &[&[]],
    &[&[0.5], &[0.8], &[0.95]],
    &[&[0.33, 0.67], &[0.5, 0.9], &[0.2, 0.8], &[0.25, 0.95], &[0.7, 0.95]],
    &[&[0.25, 0.5, 0.75], &[0.2, 0.7, 0.95], &[0.25, 0.8, 0.97], &[0.1, 0.6, 0.9]],
    &[&[0.2, 0.4, 0.6, 0.8], &[0.15, 0.5, 0.8, 0.96], &[0.1, 0.3, 0.7, 0.95]],
];

/// One part of a mixture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Part {
    pub(super) weight: f64,
    pub(super) mean: f64,
    /// Above 0.
    pub(super) sd: f64,
}

/// Ascending values, those of one narrow interval together.
#[derive(Debug, Clone)]
pub(super) struct Bins {
    /// Mean and number of the values.
    bins: Vec<(f64, f64)>,
    values: f64,
    width: f64,
}

impl Bins {
    /// Of ascending values that are not all alike.
    pub(super) fn new(sorted: &[f64]) -> Self {
        let range = sorted.last().unwrap_or(&0.0) - sorted.first().unwrap_or(&0.0);
        let iqr = quantile(sorted, 0.75) - quantile(sorted, 0.25);
        let width = (iqr / BINS_IN_IQR).max(range * 1e-5);
        let bins = sorted
            .chunk_by(|a, b| (a / width).floor() == (b / width).floor())
            .map(|bin| (bin.iter().sum::<f64>() / bin.len() as f64, bin.len() as f64))
            .collect();
        Self { bins, values: sorted.len() as f64, width }
    }
}

/// The parts of highest likelihood that were found, for 1 to [`MOST_PARTS`] parts; `simpler` is
/// the fit with one part fewer, whose parts are split in two for further starting points.
pub(super) fn fit(
    sorted: &[f64],
    bins: &Bins,
    parts: usize,
    simpler: &[Part],
) -> Option<Vec<Part>> {
    let cuts = CUTS[parts.clamp(1, MOST_PARTS) - 1];
    let cut = cuts.iter().map(|cuts| start_of_cuts(sorted, bins, cuts));
    let split = (0..simpler.len()).map(|split| start_of_split(simpler, split));
    let mut ends: Vec<(f64, Vec<Part>)> =
        cut.chain(split).filter_map(|start| climb(bins, start, SHORT)).collect();
    ends.sort_by(|a, b| b.0.total_cmp(&a.0));
    ends.truncate(2);
    let ends = ends.into_iter().filter_map(|(_, start)| climb(bins, start, LONG));
    let best = ends.reduce(|a, b| if b.0 > a.0 { b } else { a });
    best.map(|(_, parts)| parts)
}

/// A short climb from a fit, for values that came from it.
pub(super) fn refit(bins: &Bins, parts: &[Part]) -> Option<Vec<Part>> {
    climb(bins, parts.to_vec(), SHORT).map(|(_, parts)| parts)
}

fn start_of_cuts(sorted: &[f64], bins: &Bins, cuts: &[f64]) -> Vec<Part> {
    let n = sorted.len();
    let mut ends: Vec<usize> = cuts.iter().map(|share| (n as f64 * share) as usize).collect();
    ends.push(n);
    let mut from = 0;
    let part = |to: usize| {
        let values = &sorted[from.min(to)..to];
        from = to;
        let count = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
        Part { weight: count / n as f64, mean, sd: variance.sqrt().max(5.0 * bins.width) }
    };
    ends.into_iter().map(part).collect()
}

fn start_of_split(simpler: &[Part], split: usize) -> Vec<Part> {
    let mut parts = simpler.to_vec();
    let Part { weight, mean, sd } = parts[split];
    parts[split] = Part { weight: weight / 2.0, mean: mean - 0.5 * sd, sd: 0.7 * sd };
    parts.push(Part { weight: weight / 2.0, mean: mean + 0.5 * sd, sd });
    parts
}

/// EM from here, with the log likelihood at its end (before the last step); `None` when a part
/// fades away.
fn climb(bins: &Bins, mut parts: Vec<Part>, rounds: usize) -> Option<(f64, Vec<Part>)> {
    let k = parts.len().min(MOST_PARTS);
    let least_sd = 2.0 * bins.width;
    let mut last = f64::NEG_INFINITY;
    for _ in 0..rounds {
        // Sums of responsibility r, r x and r x^2 around each part's own mean, which keeps the
        // squares from cancelling.
        let mut sums = [[0.0_f64; 3]; MOST_PARTS];
        let mut log_likelihood = 0.0;
        let mut heights = [0.0_f64; MOST_PARTS];
        for (height, part) in heights.iter_mut().zip(&parts) {
            *height = libm::log(part.weight / part.sd) - LN_ROOT_TAU;
        }
        for (x, count) in &bins.bins {
            let mut logs = [f64::NEG_INFINITY; MOST_PARTS];
            let mut highest = f64::NEG_INFINITY;
            for j in 0..k {
                let z = (x - parts[j].mean) / parts[j].sd;
                logs[j] = heights[j] - 0.5 * z * z;
                highest = highest.max(logs[j]);
            }
            let mut total = 0.0;
            for log in &mut logs[..k] {
                *log = libm::exp(*log - highest);
                total += *log;
            }
            log_likelihood += count * (highest + libm::log(total));
            for j in 0..k {
                let r = count * logs[j] / total;
                let d = x - parts[j].mean;
                sums[j][0] += r;
                sums[j][1] += r * d;
                sums[j][2] += r * d * d;
            }
        }
        for (part, [r, rd, rdd]) in parts.iter_mut().zip(sums) {
            if r.is_nan() || r < LEAST_VALUES.min(bins.values / 2.0) {
                return None;
            }
            let step = rd / r;
            part.weight = r / bins.values;
            part.mean += step;
            part.sd = (rdd / r - step * step).max(0.0).sqrt().max(least_sd);
        }
        if (log_likelihood - last).abs() < GAIN {
            break;
        }
        last = log_likelihood;
    }
    last.is_finite().then_some((last, parts))
}

/// ln of the density at `x`.
pub(super) fn log_density(parts: &[Part], x: f64) -> f64 {
    let log = |part: &Part| {
        let z = (x - part.mean) / part.sd;
        libm::log(part.weight / part.sd) - 0.5 * z * z - LN_ROOT_TAU
    };
    let highest = parts.iter().map(log).fold(f64::NEG_INFINITY, f64::max);
    highest + libm::log(parts.iter().map(|part| libm::exp(log(part) - highest)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Purpose, Streams};
    use crate::stats::sample::standard_normal;

    /// 600 values around 0, 300 around 3, 100 around 8, ascending.
    fn three_groups() -> Vec<f64> {
        let mut rng = Streams::new(8).stream(Purpose::World, 0, 0);
        let group = |i: usize| {
            [(0.0, 0.5), (3.0, 0.7), (8.0, 1.0)][usize::from(i >= 600) + usize::from(i >= 900)]
        };
        let mut values: Vec<f64> =
            (0..1000).map(|i| group(i).0 + group(i).1 * standard_normal(&mut rng)).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    #[test]
    fn every_round_of_em_climbs() {
        let bins = Bins::new(&three_groups());
        let mut parts = vec![
            Part { weight: 0.4, mean: -1.0, sd: 2.0 },
            Part { weight: 0.3, mean: 1.0, sd: 2.0 },
            Part { weight: 0.3, mean: 2.0, sd: 3.0 },
        ];
        let mut last = f64::NEG_INFINITY;
        for _ in 0..60 {
            let now;
            // One round reports the likelihood before its step.
            (now, parts) = climb(&bins, parts, 1).unwrap();
            assert!(now >= last - 1e-9, "{now} after {last}");
            last = now;
        }
    }

    #[test]
    fn three_groups_are_found_within_four_standard_errors() {
        let values = three_groups();
        let mut found = fit(&values, &Bins::new(&values), 3, &[]).unwrap();
        found.sort_by(|a, b| a.mean.total_cmp(&b.mean));
        for (part, (weight, mean, sd)) in
            found.iter().zip([(0.6, 0.0, 0.5), (0.3, 3.0, 0.7), (0.1, 8.0, 1.0)])
        {
            let n = 1000.0 * weight;
            assert!((part.weight - weight).abs() < 0.01, "{part:?}");
            assert!((part.mean - mean).abs() < 4.0 * sd / f64::sqrt(n), "{part:?}");
            assert!((part.sd - sd).abs() < 4.0 * sd / f64::sqrt(2.0 * n), "{part:?}");
        }
    }

    #[test]
    fn the_density_of_two_equal_parts_is_that_of_one() {
        let part = |weight| Part { weight, mean: 1.0, sd: 2.0 };
        let one = -0.125 - 2_f64.ln() - LN_ROOT_TAU;
        assert!((log_density(&[part(1.0)], 2.0) - one).abs() < 1e-14);
        assert!((log_density(&[part(0.3), part(0.7)], 2.0) - one).abs() < 1e-14);
    }
}
