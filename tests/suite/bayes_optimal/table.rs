//! The table of small cases: how far each strategy is from the best rule there is.

use std::fmt::Write;
use std::sync::Arc;

use super::dynamic_program::{Case, Policy};
use super::exact::exact;
use super::paired::paired;
use super::players::rows;

/// Regret of every row to the optimum, absolute and as a share of the optimum's own regret to
/// the oracle. Rows that decide from counts are computed, others are played `replications` times
/// on the same servers and luck as the optimal rule.
pub fn table(case: &Case, replications: u64) -> String {
    let (policy, value) = Policy::optimal(case);
    let rows = rows(case);
    let played = paired(case, &Arc::new(policy), &rows, replications, 20_260_101);
    let own = case.oracle() - value;
    let mut text = format!(
        "{}: oracle {:.5}, optimum {value:.5}, its regret to the oracle {own:.5}\n",
        case.name(),
        case.oracle()
    );
    for (row, regret) in rows.iter().zip(&played.regrets) {
        let (mean, spread, how) = if row.from_counts {
            let exact = exact(case, &row.build);
            (value - exact.score, exact.error, "exact")
        } else {
            (regret.mean(), regret.std_error(), "s.e.")
        };
        let spread = if row.from_counts { String::new() } else { format!(" {spread:.5}") };
        let _ = writeln!(
            text,
            "  {:<38} {mean:>9.5}  {:>6.1} %  ({how}{spread})",
            row.label,
            100.0 * mean / own
        );
    }
    text
}
