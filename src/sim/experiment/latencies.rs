//! Quantiles of request latency over all replications, with intervals.
//!
//! Latencies of one run are alike, so what a quantile may be off follows from how much blocks of
//! replications differ: in the share of their latencies up to the quantile, which is a mean with an
//! interval like any other. The quantiles of the shares at its ends are the ends of the interval of the
//! quantile (R. Woodruff, "Confidence Intervals for Medians and Other Position Measures", JASA 47
//! (1952), 635-646). Memory grows neither with replications nor with requests: blocks are counted in
//! coarse histograms.

use hdrhistogram::Histogram;
use rand::Rng;

use flakelab_core::stats::{Interval, resampled};

/// Blocks; groups of replications that are alike are dealt to them in turn.
const BLOCKS: u64 = 64;

/// The shortest latency that is told from none, a microsecond.
const SHORTEST_NS: u64 = 1_000;

/// Request latency in nanoseconds, up to 146 years.
pub(crate) struct Latencies {
    /// To three significant digits.
    all: Histogram<u64>,
    /// To two, which is enough for the ends of an interval.
    blocks: Vec<Histogram<u64>>,
    /// Replications in a group.
    group: u64,
}

impl Latencies {
    pub(crate) fn new(group: u64) -> Self {
        let counted = |digits| {
            let mut histogram = Histogram::new_with_bounds(SHORTEST_NS, 2 * SHORTEST_NS, digits)
                .unwrap_or_else(|_| unreachable!("the library accepts these constants"));
            histogram.auto(true);
            histogram
        };
        let blocks = (0..BLOCKS).map(|_| counted(2)).collect();
        Self { all: counted(3), blocks, group }
    }

    /// Takes in those of one replication.
    pub(crate) fn record(&mut self, replication: u64, latencies_ns: &[u64]) {
        let block = &mut self.blocks[((replication / self.group) % BLOCKS) as usize];
        for latency in latencies_ns {
            // A longer one than there can be is counted as that.
            let latency = (*latency).min(1 << 62);
            self.all += latency;
            *block += latency;
        }
    }

    /// The quantile in milliseconds: the shortest latency that this share does not exceed.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        self.all.value_at_quantile(share) as f64 * 1e-6
    }

    /// Its interval; none if it reaches beyond the largest latency.
    pub(crate) fn interval_ms<R: Rng>(
        &self,
        share: f64,
        groups: f64,
        confidence: f64,
        rng_for_resample: impl Fn(u64) -> R + Sync,
    ) -> Option<Interval> {
        let filled: Vec<&Histogram<u64>> = self.blocks.iter().filter(|b| !b.is_empty()).collect();
        let up_to = filled.first()?.highest_equivalent(self.all.value_at_quantile(share));
        let above = |block: &&Histogram<u64>| (block.len() - block.count_between(0, up_to)) as f64;
        let sizes: Vec<f64> = filled.iter().map(|block| block.len() as f64).collect();
        let above = filled.iter().map(above).collect();
        let of = resampled(above, &sizes, groups, rng_for_resample);
        let Interval { low, high } = of.interval_of_rare(0, 1.0, confidence);
        // Shares up to the ends; between classes of latency a quantile has not quite its own share.
        let up_to_end = |end: f64| share + of.mean(0) - end;
        let end = |end: f64| self.quantile_ms(up_to_end(end).max(0.0));
        (up_to_end(low) < 1.0 && low > 0.0).then(|| Interval { low: end(high), high: end(low) })
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use flakelab_core::domain::{Purpose, Streams};
    use flakelab_core::stats::{exponential, uniform01};

    fn words(stream: u64) -> ChaCha8Rng {
        Streams::new(3).stream(Purpose::Analysis, 0, stream)
    }

    /// 300 runs of 50 latencies, exponential with a mean of 1 ms, or of 5 ms in a run in ten.
    fn recorded(seed: u64) -> Latencies {
        let mut latencies = Latencies::new(1);
        let mut words = words(1_000_000 + seed);
        for run in 0..300 {
            let mean = if uniform01(&mut words) < 0.1 { 5e6 } else { 1e6 };
            let of_run: Vec<u64> =
                (0..50).map(|_| (mean * exponential(&mut words)) as u64).collect();
            latencies.record(run, &of_run);
        }
        latencies
    }

    /// The mixture's quantiles solve 0.9 exp(-t) + 0.1 exp(-t / 5) = 1 - p. Of 200 intervals 95 % are
    /// 190, standard deviation 3.1; 4.5 of them. Planted bug: latencies of a run taken for
    /// independent, which is how many there are.
    #[test]
    fn intervals_hold_the_quantiles_though_latencies_of_a_run_are_alike() {
        let truths = [(0.5, 0.7756), (0.9, 2.9944), (0.99, 11.5174)];
        let (mut held, mut held_naively) = ([0; 3], [0; 3]);
        for set in 0..200 {
            let latencies = recorded(set);
            for (i, (share, truth)) in truths.into_iter().enumerate() {
                let interval = latencies.interval_ms(share, 300.0, 0.95, words).unwrap();
                held[i] += u32::from(interval.contains(truth));
                let off = 1.96 * (share * (1.0 - share) / 15_000_f64).sqrt();
                let ends = [share - off, share + off].map(|p| latencies.quantile_ms(p));
                held_naively[i] += u32::from((ends[0]..=ends[1]).contains(&truth));
            }
        }
        assert!(held.iter().all(|held| (176..=200).contains(held)), "{held:?}");
        assert!(held_naively[2] < 170, "{held_naively:?}");
    }

    #[test]
    fn beyond_the_largest_there_is_no_end() {
        let mut few = Latencies::new(4);
        (0..40).for_each(|run| few.record(run, &[1_000_000, 2_000_000, 40_000_000 * (run + 1)]));
        assert!(few.interval_ms(0.5, 10.0, 0.95, words).is_some());
        assert_eq!(few.interval_ms(0.999, 10.0, 0.95, words), None);
        assert_eq!(Latencies::new(1).interval_ms(0.5, 1.0, 0.95, words), None);
    }
}
