//! Families of latencies, fitted and compared by BIC.
//!
//! Lognormal, mixtures of two to five lognormals, log-logistic, and a lognormal with a Pareto
//! tail. The lowest BIC wins (Schwarz, Ann. Statist. 6 (1978), 461-464): it approximates the
//! marginal likelihood, needs no prior for the parts of a mixture, and takes more parts only for
//! what they explain. Differences below 2 are "not worth more than a bare mention" (Kass and
//! Raftery, JASA 90 (1995), 773-795): among such families the one nearest to the data in
//! Kolmogorov's distance is taken.
//!
//! When not to use it: BIC assumes independent attempts. Slow spells make them fewer than they
//! look, and the winner a little too fine.

use flakelab_core::stats::{ks_statistic, normal_cdf, quantile};
use flakelab_sim::world::{Families, LatencyFamily, LatencyKind, LogNormal, LogNormals};

/// BIC differences below this decide nothing.
const BARE_MENTION: f64 = 2.0;

/// A mixture gets a part for each so many attempts at most.
const ATTEMPTS_PER_PART: usize = 30;

/// Where the Pareto tail may begin: these shares of attempts lie below.
const TAIL_BEGINS: [f64; 10] = [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.97, 0.98];

/// Latencies are at least and at most this, as in models, and so is sigma.
pub(crate) const SHORTEST_MS: f64 = 1e-3;
pub(crate) const LONGEST_MS: f64 = 86_400_000.0;
const LARGEST_SIGMA: f64 = 10.0;

/// A family fitted to some attempts.
#[derive(Debug, Clone, PartialEq)]
pub struct LatencyFamilyFit {
    /// The distribution.
    pub family: LatencyFamily,
    /// BIC on ln latency; smaller is better. Infinite when all attempts are alike.
    pub bic: f64,
    /// Kolmogorov's distance between the attempts and the fit, 0 to 1.
    pub ks_distance: f64,
}

impl LatencyFamilyFit {
    /// The family's name, as in tables.
    pub fn name(&self) -> String {
        match self.family {
            LatencyFamily::Constant { .. } => "constant".to_owned(),
            LatencyFamily::LogNormal(_) => "lognormal".to_owned(),
            LatencyFamily::LogNormalMixture { .. } => "2 lognormals".to_owned(),
            LatencyFamily::LogNormals(of) => format!("{} lognormals", of.iter().count()),
            LatencyFamily::LogLogistic { .. } => "log-logistic".to_owned(),
            LatencyFamily::LogNormalPareto { .. } => "lognormal, Pareto tail".to_owned(),
        }
    }
}

/// Every family fitted to ascending ln latencies, of which there is at least one; `log_n` is that
/// of the whole config, so that BICs of its parts can be added.
pub(crate) fn fit_all(sorted: &[f64], log_n: f64) -> Vec<LatencyFamilyFit> {
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return Vec::new() };
    if last - first < 1e-9 {
        let family = LatencyFamily::Constant { ms: from_log(*first) };
        return vec![LatencyFamilyFit { family, bic: f64::INFINITY, ks_distance: 0.0 }];
    }
    let bins = Bins::new(sorted);
    let most = (sorted.len() / ATTEMPTS_PER_PART).clamp(1, MOST_PARTS);
    let mut simpler: Vec<Part> = Vec::new();
    let mut families = Vec::new();
    for count in 1..=most {
        // Beyond a number of parts that cannot be told apart, more cannot either.
        let Some(parts) = fit(sorted, &bins, count, &simpler) else { break };
        families.push(family_of(&parts));
        simpler = parts;
    }
    if families.is_empty() {
        families.push(LatencyFamily::LogNormal(log_normal(plain(sorted))));
    }
    families.extend(log_logistic(sorted));
    families.extend(with_pareto_tail(sorted));
    let fitted = |family: LatencyFamily| LatencyFamilyFit {
        bic: parameters(&family) as f64 * log_n - 2.0 * log_likelihood(&family, sorted),
        ks_distance: distance(&family, sorted),
        family,
    };
    let usable = families.into_iter().filter(|family| family.validate().is_ok());
    usable.map(fitted).filter(|fit| fit.bic.is_finite()).collect()
}

/// The position of the family to take.
pub(crate) fn choose(fits: &[LatencyFamilyFit]) -> Option<usize> {
    let best = fits.iter().map(|fit| fit.bic).fold(f64::INFINITY, f64::min);
    let tied = |fit: &LatencyFamilyFit| fit.bic <= best + BARE_MENTION;
    let tied = (0..fits.len()).filter(|i| tied(&fits[*i]));
    tied.min_by(|a, b| fits[*a].ks_distance.total_cmp(&fits[*b].ks_distance))
}

/// The same family fitted to other ascending ln latencies that came from it.
pub(crate) fn refit(family: &LatencyFamily, sorted: &[f64]) -> LatencyFamily {
    let again = match family {
        LatencyFamily::Constant { .. } => None,
        LatencyFamily::LogNormal(_) => Some(LatencyFamily::LogNormal(log_normal(plain(sorted)))),
        LatencyFamily::LogNormalMixture { .. } | LatencyFamily::LogNormals(_) => {
            // A short climb will do: the values came from the fit.
            climb(&Bins::new(sorted), parts_of(family), SHORT).map(|(_, parts)| family_of(&parts))
        }
        LatencyFamily::LogLogistic { .. } => log_logistic(sorted),
        LatencyFamily::LogNormalPareto { .. } => with_pareto_tail(sorted),
    };
    again.unwrap_or(*family)
}

/// Kolmogorov's distance from ascending ln latencies.
pub(crate) fn distance(family: &LatencyFamily, sorted: &[f64]) -> f64 {
    if matches!(family, LatencyFamily::Constant { .. }) {
        return 0.0;
    }
    let u: Vec<f64> = sorted.iter().map(|x| family.cdf(libm::exp(*x))).collect();
    ks_statistic(&u)
}

/// How many numbers are free: weights that must sum to 1 leave one less.
fn parameters(family: &LatencyFamily) -> usize {
    let numbers: usize = family.values().iter().map(|(_, numbers)| numbers.len()).sum();
    numbers - usize::from(family.kind() == LatencyKind::LogNormals)
}

/// ln of the density of ln latency, summed.
fn log_likelihood(family: &LatencyFamily, sorted: &[f64]) -> f64 {
    let normal = |of: &LogNormal, x: f64| {
        let z = (x - libm::log(of.median_ms)) / of.sigma;
        -0.5 * z * z - libm::log(of.sigma) - LN_ROOT_TAU
    };
    match family {
        LatencyFamily::Constant { .. } => f64::NEG_INFINITY,
        LatencyFamily::LogNormal(one) => sorted.iter().map(|x| normal(one, *x)).sum(),
        LatencyFamily::LogNormalMixture { .. } | LatencyFamily::LogNormals(_) => {
            let parts = parts_of(family);
            sorted.iter().map(|x| log_density(&parts, *x)).sum()
        }
        LatencyFamily::LogLogistic { median_ms, shape } => {
            let middle = libm::log(*median_ms);
            // ln of shape e^-y / (1 + e^-y)^2, even in y.
            let density = |x: &f64| {
                let y = (shape * (x - middle)).abs();
                libm::log(*shape) - y - 2.0 * libm::log1p(libm::exp(-y))
            };
            sorted.iter().map(density).sum()
        }
        LatencyFamily::LogNormalPareto { body, threshold_ms, tail_weight, tail_index } => {
            let threshold = libm::log(*threshold_ms);
            let cut = normal_cdf((threshold - libm::log(body.median_ms)) / body.sigma);
            let below = libm::log1p(-tail_weight) - libm::log(cut);
            let above = libm::log(tail_weight * tail_index);
            let density = |x: &f64| {
                if *x < threshold {
                    below + normal(body, *x)
                } else {
                    above - tail_index * (x - threshold)
                }
            };
            sorted.iter().map(density).sum()
        }
    }
}

/// Mean and standard deviation of values, as one part.
fn plain(values: &[f64]) -> Part {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    Part { weight: 1.0, mean, sd: variance.sqrt() }
}

/// Newton's method on the logistic likelihood of shape x - b, which is concave in (shape, b).
fn log_logistic(sorted: &[f64]) -> Option<LatencyFamily> {
    let whole = plain(sorted);
    // A logistic of scale 1 has standard deviation pi / sqrt 3.
    let mut shape = 1.813_799_364_234_217_8 / whole.sd;
    let middle = quantile(sorted, 0.5);
    let mut b = 0.0;
    let n = sorted.len() as f64;
    for _ in 0..100 {
        let (mut ga, mut gb) = (n / shape, 0.0);
        let (mut haa, mut hab, mut hbb) = (-n / (shape * shape), 0.0, 0.0);
        for x in sorted {
            let x = x - middle;
            let f = 1.0 / (1.0 + libm::exp(b - shape * x));
            let (slope, curve) = (1.0 - 2.0 * f, 2.0 * f * (1.0 - f));
            ga += slope * x;
            gb -= slope;
            haa -= curve * x * x;
            hab += curve * x;
            hbb -= curve;
        }
        let determinant = haa * hbb - hab * hab;
        let (da, db) = ((hab * gb - hbb * ga) / determinant, (hab * ga - haa * gb) / determinant);
        // Steps that would leave shape > 0 are shortened.
        let share = if shape + da > 0.1 * shape { 1.0 } else { -0.9 * shape / da };
        shape += share * da;
        b += share * db;
        if !(shape.is_finite() && b.is_finite()) {
            return None;
        }
        if da.abs() < 1e-9 * shape && db.abs() < 1e-9 {
            break;
        }
    }
    let median_ms = from_log(middle + b / shape);
    Some(LatencyFamily::LogLogistic { median_ms, shape }).filter(|family| family.validate().is_ok())
}

/// The threshold of highest likelihood among fixed quantiles; the tail's index is Hill's estimate
/// (Ann. Statist. 3 (1975), 1163-1174).
fn with_pareto_tail(sorted: &[f64]) -> Option<LatencyFamily> {
    let n = sorted.len();
    let mut best: Option<(f64, LatencyFamily)> = None;
    for share in TAIL_BEGINS {
        let threshold = quantile(sorted, share);
        let below = sorted.partition_point(|x| *x < threshold);
        let (body, tail) = sorted.split_at(below);
        if body.len() < 10 || tail.len() < 10 {
            continue;
        }
        let excess = tail.iter().map(|x| x - threshold).sum::<f64>() / tail.len() as f64;
        let Some(part) = cut_off(body, threshold) else { continue };
        let family = LatencyFamily::LogNormalPareto {
            body: log_normal(part),
            threshold_ms: from_log(threshold),
            tail_weight: tail.len() as f64 / n as f64,
            tail_index: 1.0 / excess,
        };
        let height = log_likelihood(&family, sorted);
        let valid = family.validate().is_ok() && height.is_finite();
        if valid && best.is_none_or(|(highest, _)| height > highest) {
            best = Some((height, family));
        }
    }
    best.map(|(_, family)| family)
}

/// The normal that, cut off above `threshold`, has the mean and variance of `values`, which is
/// its maximum of the likelihood; found by correcting both until they agree.
fn cut_off(values: &[f64], threshold: f64) -> Option<Part> {
    let target = plain(values);
    let mut part = target;
    if target.sd.is_nan() || target.sd <= 0.0 {
        return None;
    }
    for _ in 0..300 {
        let beta = (threshold - part.mean) / part.sd;
        let hazard = libm::exp(-0.5 * beta * beta - LN_ROOT_TAU) / normal_cdf(beta);
        let mean = part.mean - part.sd * hazard;
        let variance = part.sd * part.sd * (1.0 - beta * hazard - hazard * hazard);
        let (miss, ratio) = (target.mean - mean, target.sd * target.sd / variance);
        part.mean += miss;
        part.sd *= ratio.clamp(0.25, 4.0).sqrt();
        // A body that would need a middle beyond the cut is no body.
        if !(part.sd.is_finite() && part.mean < threshold + 3.0 * part.sd) {
            return None;
        }
        if miss.abs() < 1e-10 * part.sd && (ratio - 1.0).abs() < 1e-10 {
            break;
        }
    }
    Some(part)
}

fn parts_of(family: &LatencyFamily) -> Vec<Part> {
    let part = |(weight, of): (f64, LogNormal)| Part {
        weight,
        mean: libm::log(of.median_ms),
        sd: of.sigma,
    };
    match family {
        LatencyFamily::LogNormalMixture { body, tail_weight, tail } => {
            vec![part((1.0 - tail_weight, *body)), part((*tail_weight, *tail))]
        }
        LatencyFamily::LogNormals(of) => of.iter().map(part).collect(),
        _ => Vec::new(),
    }
}

fn family_of(parts: &[Part]) -> LatencyFamily {
    let weighted: Vec<_> = parts.iter().map(|part| (part.weight, log_normal(*part))).collect();
    match weighted[..] {
        [(_, one)] => LatencyFamily::LogNormal(one),
        [(a, one), (b, other)] => {
            let (body, tail_weight, tail) = if a >= b { (one, b, other) } else { (other, a, one) };
            LatencyFamily::LogNormalMixture { body, tail_weight, tail }
        }
        _ => LatencyFamily::LogNormals(LogNormals::of(&weighted)),
    }
}

fn log_normal(part: Part) -> LogNormal {
    LogNormal { median_ms: from_log(part.mean), sigma: part.sd.min(LARGEST_SIGMA) }
}

fn from_log(ln_ms: f64) -> f64 {
    libm::exp(ln_ms).clamp(SHORTEST_MS, LONGEST_MS)
}

// ---- A mixture of normals by maximum likelihood, for ln latencies.
//
// EM (Dempster, Laird and Rubin, JRSS B 39 (1977), 1-38) on narrow bins, which cost a fraction
// of the values and shift nothing that can be seen: a bin is a sixtieth of the interquartile
// range. Many short climbs from fixed starting points, then long ones from the best (Biernacki,
// Celeux and Govaert, Comput. Statist. Data Anal. 41 (2003), 561-575). The likelihood of a
// mixture has no maximum (a part on a single value has infinite density), so no part may be
// narrower than two bins or lighter than five values. Parts are no mechanisms: the number that
// describes a sample best grows with the sample.

/// The most parts.
const MOST_PARTS: usize = LogNormals::MOST;

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
struct Part {
    weight: f64,
    mean: f64,
    /// Above 0.
    sd: f64,
}

/// Ascending values, those of one narrow interval together.
#[derive(Debug, Clone)]
struct Bins {
    /// Mean and number of the values.
    bins: Vec<(f64, f64)>,
    values: f64,
    width: f64,
}

impl Bins {
    /// Of ascending values that are not all alike.
    fn new(sorted: &[f64]) -> Self {
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
fn fit(sorted: &[f64], bins: &Bins, parts: usize, simpler: &[Part]) -> Option<Vec<Part>> {
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

fn start_of_cuts(sorted: &[f64], bins: &Bins, cuts: &[f64]) -> Vec<Part> {
    let n = sorted.len();
    let mut ends: Vec<usize> = cuts.iter().map(|share| (n as f64 * share) as usize).collect();
    ends.push(n);
    let mut from = 0;
    let part = |to: usize| {
        let values = &sorted[from.min(to)..to];
        from = to;
        let Part { mean, sd, .. } = plain(values);
        let weight = values.len().max(1) as f64 / n as f64;
        Part { weight, mean, sd: sd.max(5.0 * bins.width) }
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
                // Of the highest it is 1.
                *log = if *log == highest { 1.0 } else { libm::exp(*log - highest) };
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
fn log_density(parts: &[Part], x: f64) -> f64 {
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
    use flakelab_core::domain::{Purpose, Streams};
    use flakelab_core::stats::standard_normal;

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
    fn the_density_of_two_equal_parts_is_that_of_one() {
        let part = |weight| Part { weight, mean: 1.0, sd: 2.0 };
        let one = -0.125 - 2_f64.ln() - LN_ROOT_TAU;
        assert!((log_density(&[part(1.0)], 2.0) - one).abs() < 1e-14);
        assert!((log_density(&[part(0.3), part(0.7)], 2.0) - one).abs() < 1e-14);
    }
}
