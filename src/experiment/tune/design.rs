//! Settings spread evenly over the space: the default, then points of a shifted Kronecker sequence.
//!
//! Point i has the coordinates frac(shift_j + i / phi^j), where phi is the positive root of
//! x^(d+1) = x + 1: the golden ratio for d = 1 and its generalisation for more parameters. Any
//! first n points leave smaller gaps than n random ones, in every single parameter and jointly.
//! The shift is random (Cranley and Patterson), from the master seed.
//!
//! When not to use it: for a dozen parameters or more, where no number of points fills the space.
//!
//! Sources: L. Kronecker (1884) for the sequence; M. Roberts, "The unreasonable effectiveness of
//! quasirandom sequences" (2018), for these steps; R. Cranley and T. Patterson, SIAM J. Numer.
//! Anal. 13 (1976), 904-914, for the shift.

use super::{Space, TuneError};
use crate::domain::{Purpose, Streams};
use crate::stats::sample::uniform01;
use crate::strategy::StrategySpec;

/// The stream of the shift, far from those of bootstraps.
const SHIFT_STREAM: u16 = u16::MAX;

/// The default setting and others, `wanted` in all and all different; every setting there is,
/// where there are no more.
pub(super) fn settings(
    space: &Space,
    wanted: usize,
    streams: &Streams,
) -> Result<Vec<StrategySpec>, TuneError> {
    let mut settings = vec![space.base];
    if let Some(count) = space.count().filter(|count| *count <= wanted as u64) {
        for n in 0..count {
            add(&mut settings, space.nth(n)?);
        }
        return Ok(settings);
    }
    let mut rng = streams.stream(Purpose::Analysis, SHIFT_STREAM, 0);
    let steps = steps(space.dimensions.len());
    let mut point: Vec<f64> = steps.iter().map(|_| uniform01(&mut rng)).collect();
    // Neighbouring points may round to one setting; far more points than settings are enough.
    for _ in 0..wanted.saturating_mul(64) {
        if settings.len() >= wanted {
            break;
        }
        add(&mut settings, space.at(&point)?);
        for (u, step) in point.iter_mut().zip(&steps) {
            *u += step;
            *u -= libm::floor(*u);
        }
    }
    Ok(settings)
}

fn add(settings: &mut Vec<StrategySpec>, spec: StrategySpec) {
    if !settings.contains(&spec) {
        settings.push(spec);
    }
}

/// 1 / phi, 1 / phi^2, ...
fn steps(dimensions: usize) -> Vec<f64> {
    let mut phi = 2.0_f64;
    // A contraction with a factor of at most 1/2: far more than enough.
    for _ in 0..64 {
        phi = libm::pow(1.0 + phi, 1.0 / (dimensions as f64 + 1.0));
    }
    (1..=dimensions).map(|j| libm::pow(phi, -(j as f64))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_are_powers_of_the_golden_ratio_and_of_the_plastic_number() {
        assert!((steps(1)[0] - 0.618_033_988_749_894_8).abs() < 1e-12);
        let two = steps(2);
        assert!((two[0] - 0.754_877_666_246_693).abs() < 1e-12, "1 / 1.324717957...");
        assert!((two[1] - two[0] * two[0]).abs() < 1e-12);
    }

    /// Of 64 points some must fall into each of 32 cells; 64 random ones leave 32 e^-2 = 4 empty.
    #[test]
    fn every_stretch_of_a_range_is_looked_at() {
        let space = Space::of("v5:decay=0.5:exclude_tried=true").unwrap();
        for seed in 0..20 {
            let settings = settings(&space, 65, &Streams::new(seed)).unwrap();
            assert_eq!((settings.len(), settings[0]), (65, space.base));
            let mut cells = [0; 32];
            for spec in &settings[1..] {
                let value = spec.to_table()["initial_scale"].as_float().unwrap();
                let share = libm::log(value / 0.1) / libm::log(160.0);
                cells[((share * 32.0) as usize).min(31)] += 1;
            }
            assert!(cells.iter().all(|n| *n > 0), "{cells:?}");
        }
    }

    #[test]
    fn small_spaces_are_searched_whole_and_the_default_comes_first() {
        let space = Space::of("v2").unwrap();
        let texts: Vec<String> =
            settings(&space, 64, &Streams::new(1)).unwrap().iter().map(|s| s.text()).collect();
        assert_eq!(texts, ["ucb1", "ucb1:exclude_tried=true"]);
    }
}
