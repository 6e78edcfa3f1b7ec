//! Do runs share one error rate per server? Pearson's chi-square, summed over servers.
//!
//! Beside the Bayes factors of `starts` because everybody knows it: pooled over runs of several
//! starts it is large, within a start it is near its degrees of freedom.
//!
//! When not to use it: servers with few attempts, or chosen by their own outcomes, follow the
//! chi-square distribution only roughly; read the p-value as an order of magnitude.

use crate::fit::error_rates::Tally;
use crate::stats::goodness::{ChiSquare, chi_square_homogeneity};
use crate::stats::special::chi_square_sf;

/// A chi-square of homogeneity over some runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Homogeneity {
    /// Which runs: `all runs`, `runs of 2026-01-20` or `start 3`.
    pub scope: String,
    /// How many runs.
    pub runs: usize,
    /// Summed over servers: statistic, degrees of freedom, p-value.
    pub test: ChiSquare,
}

/// The test that every server has one error rate in all of these runs.
pub(in crate::fit) fn homogeneity(scope: String, runs: &[&[Tally]]) -> Homogeneity {
    let servers = runs.iter().map(|run| run.len()).max().unwrap_or(0);
    let (mut statistic, mut df) = (0.0, 0);
    for server in 0..servers {
        let groups: Vec<(u64, u64)> = runs
            .iter()
            .filter_map(|run| run.get(server))
            .map(|tally| (tally.successes, tally.attempts()))
            .collect();
        let test = chi_square_homogeneity(&groups);
        statistic += test.statistic;
        df += test.df;
    }
    let p_value = if df == 0 { 1.0 } else { chi_square_sf(statistic, df as f64) };
    Homogeneity { scope, runs: runs.len(), test: ChiSquare { statistic, df, p_value } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statistic_is_the_sum_over_servers_that_were_tried_twice() {
        let t = |failures, successes| Tally { failures, successes };
        let (a, b) = ([t(70, 30), t(2, 2), t(0, 0)], [t(55, 45), t(0, 0), t(0, 0)]);
        let found = homogeneity("all runs".to_owned(), &[&a, &b]);
        let first = chi_square_homogeneity(&[(30, 100), (45, 100)]);
        assert_eq!(found.test, first);
        assert_eq!((found.runs, found.test.df), (2, 1));
    }
}
