//! Two families of simple rules that are told the prior, each with one number: how many standard
//! deviations of the belief count.

use super::dynamic_program::Node;
use super::prior::Predictive;

/// Means and standard deviations of the beliefs at a node.
fn beliefs(predictive: &Predictive, node: &Node<'_>) -> Vec<(f64, f64)> {
    let belief = |i: usize| {
        let (s, f) = (node.successes[i].into(), node.failures[i].into());
        (predictive.mean(s, f), predictive.std_dev(s, f))
    };
    (0..node.worth.len()).map(belief).collect()
}

/// The first of `0..n` with the largest value; values that differ by rounding are equal.
pub fn first_max(n: usize, value: impl Fn(usize) -> f64) -> usize {
    (1..n).fold(0, |best, i| if value(i) > value(best) + 1e-13 { i } else { best })
}

/// The highest mean + beta x deviation; beta 0 is greedy.
pub fn bonus(predictive: &Predictive, node: &Node<'_>, beta: f64) -> usize {
    let beliefs = beliefs(predictive, node);
    first_max(beliefs.len(), |i| beliefs[i].0 + beta * beliefs[i].1)
}

/// The largest deviation among the servers whose mean + c x deviation reaches the highest mean;
/// c 0 is greedy.
pub fn least_known_plausible(predictive: &Predictive, node: &Node<'_>, c: f64) -> usize {
    least_known(&beliefs(predictive, node), c)
}

/// The same for given means and deviations.
pub fn least_known(beliefs: &[(f64, f64)], c: f64) -> usize {
    let leader = first_max(beliefs.len(), |i| beliefs[i].0);
    let plausible = |i: usize| i == leader || beliefs[i].0 + c * beliefs[i].1 > beliefs[leader].0;
    first_max(beliefs.len(), |i| if plausible(i) { beliefs[i].1 } else { -1.0 })
}
