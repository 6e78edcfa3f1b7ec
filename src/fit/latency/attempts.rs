//! The attempts that a latency is fitted to: timed, labelled, and not too many.
//!
//! Of more than [`MOST_ATTEMPTS`] attempts, blocks of [`BLOCK`] that follow each other are taken
//! at equal distances over the whole record: every run and hour is there in proportion, and
//! neighbours stay neighbours for the tests of dependence. A coarse clock shows as values that
//! are all whole ticks; they are spread evenly over their ticks, or every family would be
//! rejected for what the clock did.
//!
//! When not to use it: for extremes of large records. The maximum is that of the attempts taken,
//! as are all quantiles; a rare longer one may lie between the blocks.

use crate::latency::families::{LONGEST_MS, SHORTEST_MS};
use crate::runs::Start;
use flakelab_core::stats::quantile;

/// The most attempts that are fitted and tested.
pub const MOST_ATTEMPTS: usize = 20_000;

/// Attempts that follow each other in a subsample.
const BLOCK: usize = 50;

/// Ticks of a clock that are looked for, in milliseconds, coarsest first.
const TICKS_MS: [f64; 6] = [1000.0, 100.0, 10.0, 1.0, 0.1, 0.01];

/// A clock is coarse if fewer ticks than this lie in the interquartile range.
const FINE_TICKS: f64 = 50.0;

/// One attempt that was not refused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Timed {
    pub(crate) ms: f64,
    pub(crate) server: usize,
    pub(crate) retry: bool,
    pub(crate) failed: bool,
    /// The stretch of the record, from 0.
    pub(crate) run: usize,
    /// Attempts of one run that follow each other without a gap, from 0.
    pub(crate) sequence: usize,
}

/// The attempts of a config.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Attempts {
    /// In order of time within each sequence.
    pub(crate) kept: Vec<Timed>,
    /// Latencies of refusals, from the same blocks.
    pub(crate) refusals_ms: Vec<f64>,
    /// How many attempts there are that were not refused.
    pub(crate) total: usize,
    /// The tick of a coarse clock, in milliseconds.
    pub(crate) tick_ms: Option<f64>,
    /// Mean time from one request to the next within a stretch, in milliseconds; `None` where no
    /// stretch has two requests.
    pub(crate) between_requests_ms: Option<f64>,
}

impl Attempts {
    pub(crate) fn collect(starts: &[Start<'_>], refused: &[Vec<bool>]) -> Self {
        let recorded: usize = starts.iter().map(|start| start.attempts().count()).sum();
        // One block of so many is kept.
        let every = recorded.div_ceil(MOST_ATTEMPTS).max(1);
        let mut all = Self::default();
        let (mut run, mut sequence, mut seen) = (0, 0, 0);
        for (i, start) in starts.iter().enumerate() {
            let mut position = 0;
            for stretch in &start.stretches {
                for attempt in *stretch {
                    let taken = refused.get(i).and_then(|of| of.get(position)).copied();
                    position += 1;
                    let block = seen / BLOCK;
                    let kept = block.is_multiple_of(every);
                    if every > 1 && seen.is_multiple_of(BLOCK) {
                        sequence += 1;
                    }
                    seen += 1;
                    let ms = f64::from(attempt.latency_ms);
                    if !ms.is_finite() {
                        continue;
                    }
                    // Readers refuse anything else; recordings can be made by hand.
                    let ms = ms.clamp(0.0, LONGEST_MS);
                    // A success cannot have been refused, whoever says so.
                    if attempt.refused() || (attempt.failed() && taken == Some(true)) {
                        if kept {
                            all.refusals_ms.push(ms);
                        }
                        continue;
                    }
                    all.total += 1;
                    if kept {
                        all.kept.push(Timed {
                            ms,
                            server: usize::from(attempt.server),
                            retry: attempt.attempt > 1,
                            failed: attempt.failed(),
                            run,
                            sequence,
                        });
                    }
                }
                run += 1;
                sequence += 1;
            }
        }
        all.between_requests_ms = between_requests_ms(starts);
        all.spread_over_ticks();
        all
    }

    /// Latencies in milliseconds, ascending, of some attempts.
    pub(crate) fn sorted_ms(&self, which: impl Fn(&Timed) -> bool) -> Vec<f64> {
        let mut ms: Vec<f64> = self.kept.iter().filter(|a| which(a)).map(|a| a.ms).collect();
        ms.sort_by(f64::total_cmp);
        ms
    }

    /// Spreads values of a coarse clock over `tick` around them, the earliest lowest.
    fn spread_over_ticks(&mut self) {
        let sorted = self.sorted_ms(|_| true);
        self.tick_ms = coarse_tick(&sorted);
        if let Some(tick) = self.tick_ms {
            let ms: Vec<f64> = self.kept.iter().map(|a| a.ms).collect();
            let mut order: Vec<usize> = (0..self.kept.len()).collect();
            // Attempts of one tick in an order that has nothing to do with time.
            let scattered = |i: usize| (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            order.sort_by(|a, b| {
                ms[*a].total_cmp(&ms[*b]).then_with(|| scattered(*a).cmp(&scattered(*b)))
            });
            for same in order.chunk_by(|a, b| ms[*a] == ms[*b]) {
                for (j, i) in same.iter().enumerate() {
                    let middle = ms[*i];
                    let low = (middle - tick / 2.0).max(0.0);
                    let share = (j as f64 + 0.5) / same.len() as f64;
                    self.kept[*i].ms = low + share * (middle + tick / 2.0 - low);
                }
            }
        }
        for attempt in &mut self.kept {
            attempt.ms = attempt.ms.max(SHORTEST_MS);
        }
    }
}

/// Mean time from the first attempt of a request to that of the next one of the stretch.
fn between_requests_ms(starts: &[Start<'_>]) -> Option<f64> {
    let (mut seconds, mut gaps) = (0.0, 0_u64);
    for stretch in starts.iter().flat_map(|start| &start.stretches) {
        // Requests are numbered in the order of their first attempts.
        let mut first: Option<(u32, f64)> = None;
        let mut last: Option<(u32, f64)> = None;
        for attempt in *stretch {
            if last.is_none_or(|(request, _)| attempt.request > request) {
                last = Some((attempt.request, attempt.at_s));
                first = first.or(last);
            }
        }
        if let (Some((from, from_s)), Some((to, to_s))) = (first, last) {
            seconds += to_s - from_s;
            gaps += u64::from(to - from);
        }
    }
    (gaps > 0 && seconds > 0.0).then(|| 1000.0 * seconds / gaps as f64)
}

/// The coarsest tick that all values are whole numbers of, if it is coarse for their spread.
fn coarse_tick(sorted: &[f64]) -> Option<f64> {
    let (first, last) = (sorted.first()?, sorted.last()?);
    let whole = |tick: f64| {
        // Single precision keeps seven digits.
        sorted.iter().all(|ms| ((ms / tick).round() * tick - ms).abs() <= 1e-6 * ms)
    };
    let tick = TICKS_MS.into_iter().find(|tick| whole(*tick))?;
    let iqr = quantile(sorted, 0.75) - quantile(sorted, 0.25);
    (first < last && iqr < FINE_TICKS * tick).then_some(tick)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::ATTEMPT;
    use flakelab_sim::trace::Observed;

    #[test]
    fn a_clock_of_whole_milliseconds_is_noticed_and_a_fine_one_is_not() {
        let fine: Vec<f64> = (1..400).map(|i| f64::from(i) * 0.012_345).collect();
        assert_eq!(coarse_tick(&fine), None);
        let coarse: Vec<f64> = fine.iter().map(|ms| ms.ceil()).collect();
        assert_eq!(coarse_tick(&coarse), Some(1.0));
        let tenths: Vec<f64> =
            fine.iter().map(|ms| f64::from((ms * 10.0).ceil() as f32 / 10.0)).collect();
        assert_eq!(coarse_tick(&tenths), Some(0.1));
        assert_eq!((coarse_tick(&[2.0; 9]), coarse_tick(&[])), (None, None));
    }

    #[test]
    fn the_pace_of_requests_leaves_out_retries_and_gaps_of_the_record() {
        let attempt = |request: u32, at_s: f64| Observed { at_s, request, ..ATTEMPT };
        let first = [attempt(0, 10.0), attempt(0, 10.1), attempt(1, 10.5), attempt(0, 12.0)];
        let second = [attempt(7, 100.0), attempt(8, 100.5), attempt(9, 101.0), attempt(9, 101.4)];
        let starts = [Start { stretches: vec![&first, &second] }];
        assert_eq!(Attempts::collect(&starts, &[]).between_requests_ms, Some(500.0));
        let starts = [Start { stretches: vec![&first[..2]] }];
        assert_eq!(Attempts::collect(&starts, &[]).between_requests_ms, None);
    }
}
