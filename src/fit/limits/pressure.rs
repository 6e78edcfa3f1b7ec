//! How hard the load pressed: a limit that was never reached cannot be seen.

use super::lane::Lane;

/// Spans in which attempts at one server are counted, in seconds.
pub const SPANS_S: [f64; 4] = [0.01, 0.1, 1.0, 10.0];

/// How hard the load pressed the servers.
#[derive(Debug, Clone, PartialEq)]
pub struct Pressure {
    /// The largest number of attempts at one server within each of [`SPANS_S`].
    pub most_within: [usize; 4],
    /// Attempts known to have been refused.
    pub refused: usize,
    /// Whether the recorder told them.
    pub marked: bool,
    /// Attempts that were used.
    pub attempts: usize,
    /// Attempts that were not: those beyond the first 20,000 (2,000 where 429 is not marked) of a
    /// server.
    pub left_out: usize,
}

impl Pressure {
    pub(super) fn of(lanes: &[Lane], marked: bool) -> Self {
        let most = |span_s: f64| {
            let span_us = (span_s * 1e6) as i64;
            lanes.iter().map(|lane| lane.most_within(span_us)).max().unwrap_or(0)
        };
        Self {
            most_within: SPANS_S.map(most),
            refused: lanes.iter().map(Lane::refused).sum(),
            marked,
            attempts: lanes.iter().map(|lane| lane.asked.len()).sum(),
            left_out: lanes.iter().map(|lane| lane.left_out).sum(),
        }
    }

    /// In words, for a reason.
    pub(super) fn words(&self) -> String {
        let [a, b, c, d] = self.most_within;
        format!(
            "no server got more than {a} attempts within 10 ms, {b} within 100 ms, {c} within 1 s \
             and {d} within 10 s"
        )
    }
}
