//! What the optimal rule looks like: how often it is not greedy, and which index rule it is
//! closest to, attempt by attempt. States are weighted by how often the optimal rule meets them.

use std::fmt::Write;

use super::dynamic_program::{Case, Node, Policy, backward, best};
use super::index_rules::{bonus, least_known_plausible};
use super::prior::{Predictive, cap};
use super::simplex::MOST_SERVERS;

/// Two choices whose worths differ by less are equally good.
const EQUAL: f64 = 1e-11;

/// Successes, failures, and whether the request's last failure was here; in descending order.
type Place = (u16, u16, bool);
type Places = [Place; MOST_SERVERS];

/// How often the optimal rule meets each state: for each (completed, attempt), in order of state.
struct Occupancy {
    layers: Vec<Vec<(Places, f64)>>,
    cap: usize,
}

impl Occupancy {
    fn new(case: &Case, policy: &Policy) -> Self {
        let (n, cap, predictive) = (case.servers, cap(&case.rules), case.predictive());
        let mut layers = Vec::new();
        let mut arriving = vec![([(0, 0, false); MOST_SERVERS], 1.0)];
        for completed in 0..case.requests {
            let mut next = Vec::new();
            for attempt in 0..cap {
                let layer = merged(arriving);
                arriving = Vec::new();
                for (places, p) in &layer {
                    let counts: Vec<(u16, u16)> = places[..n].iter().map(|c| (c.0, c.1)).collect();
                    let server = policy.choose(completed, attempt, &counts);
                    let mean = predictive.mean(counts[server].0.into(), counts[server].1.into());
                    let mut after = places.map(|(s, f, _)| (s, f, false));
                    let mut failed = after;
                    after[server].0 += 1;
                    failed[server].1 += 1;
                    let over = attempt + 1 == cap;
                    failed[server].2 = !over;
                    for (mut state, q, into_next) in
                        [(after, p * mean, true), (failed, p * (1.0 - mean), over)]
                    {
                        state[..n].sort_by(|a, b| b.cmp(a));
                        if into_next { next.push((state, q)) } else { arriving.push((state, q)) }
                    }
                }
                layers.push(layer);
            }
            arriving = next;
        }
        Self { layers, cap }
    }

    /// All states with a node's counts.
    fn at(&self, node: &Node<'_>) -> &[(Places, f64)] {
        let layer = &self.layers[node.completed * self.cap + node.attempt];
        let key = |p: &Places| p.map(|(s, f, _)| (s, f));
        let mut wanted = [(0, 0); MOST_SERVERS];
        for (i, place) in wanted.iter_mut().enumerate() {
            *place = (node.successes[i], node.failures[i]);
        }
        let from = layer.partition_point(|(p, _)| key(p) < wanted);
        let to = from + layer[from..].partition_point(|(p, _)| key(p) == wanted);
        &layer[from..to]
    }
}

fn merged(mut states: Vec<(Places, f64)>) -> Vec<(Places, f64)> {
    // By counts first, so that states that differ only in the last failure are neighbours.
    let key = |p: &Places| (p.map(|(s, f, _)| (s, f)), p.map(|(_, _, last)| last));
    states.sort_by_key(|(p, _)| key(p));
    let mut merged: Vec<(Places, f64)> = Vec::new();
    for (state, p) in states {
        match merged.last_mut() {
            Some((last, sum)) if *last == state => *sum += p,
            _ => merged.push((state, p)),
        }
    }
    merged
}

/// A rule for one node, with a number.
type Rule = fn(&Predictive, &Node<'_>, f64) -> usize;

/// The families of rules that are fitted, and the step of the number tried: 0 to 60 steps.
const FAMILIES: [(&str, Rule, f64); 2] =
    [("mean + beta sd", bonus, 0.1), ("least known within c sd", least_known_plausible, 0.05)];
const STEPS: usize = 61;

#[derive(Debug, Clone, Default)]
struct Cell {
    met: f64,
    choice_matters: f64,
    not_greedy: f64,
    cost_of_greedy: f64,
    after_failure: f64,
    switched: f64,
    greedy_switched: f64,
    /// For each family, the cost of each number.
    costs: [Vec<f64>; 2],
}

/// Where `left` requests are left, the present one included, which line of the table.
fn bucket(left: usize) -> usize {
    [1, 2, 4, 8, 16].iter().filter(|edge| left > **edge).count()
}

const BUCKETS: [&str; 6] = ["1", "2", "3-4", "5-8", "9-16", "17+"];

/// The table of a case.
pub fn shape(case: &Case) -> String {
    let (policy, value) = Policy::optimal(case);
    let occupancy = Occupancy::new(case, &policy);
    let (predictive, cap) = (case.predictive(), cap(&case.rules));
    let empty = Cell { costs: [vec![0.0; STEPS], vec![0.0; STEPS]], ..Cell::default() };
    let mut cells = vec![empty; BUCKETS.len() * cap];
    backward(case, |node| {
        let optimal = best(node.worth);
        let states = occupancy.at(node);
        let met: f64 = states.iter().map(|(_, p)| p).sum();
        if met == 0.0 {
            return optimal;
        }
        let cell = &mut cells[bucket(case.requests - node.completed) * cap + node.attempt];
        let gap = |i: usize| node.worth[optimal] - node.worth[i];
        let greedy = bonus(&predictive, node, 0.0);
        cell.met += met;
        let matters = (0..case.servers).any(|i| gap(i) > EQUAL);
        cell.choice_matters += if matters { met } else { 0.0 };
        if gap(greedy) > EQUAL {
            cell.not_greedy += met;
            cell.cost_of_greedy += met * gap(greedy);
        }
        for ((_, rule, step), costs) in FAMILIES.iter().zip(&mut cell.costs) {
            for (i, cost) in costs.iter_mut().enumerate() {
                *cost += met * gap(rule(&predictive, node, i as f64 * step));
            }
        }
        for (places, p) in states {
            let Some(last) = places[..case.servers].iter().position(|(_, _, last)| *last) else {
                continue;
            };
            cell.after_failure += p;
            // A twin of the last server counts as the last server.
            let repeats = |i: usize| (places[i].0, places[i].1) == (places[last].0, places[last].1);
            cell.switched += if repeats(optimal) { 0.0 } else { *p };
            cell.greedy_switched += if repeats(greedy) { 0.0 } else { *p };
        }
        optimal
    });
    let oracle = case.oracle();
    let mut text = format!(
        "{}: optimum {value:.5}, oracle {oracle:.5}, regret {:.5}\n",
        case.name(),
        oracle - value
    );
    text += "left: requests left; att: attempt; met: times per run; then the share of these in which \
             the choice\nmatters, in which greedy is wrong, what greedy loses there (points), how \
             often the optimal rule (and\ngreedy) leave the server that just failed, and for each \
             family the range of its number within 10 % of\ngreedy's loss of the best, and the \
             best's loss\n left att     met matters  wrong  greedy loses  leaves (greedy)";
    for (name, ..) in FAMILIES {
        let _ = write!(text, "  {name:<26}");
    }
    text.push('\n');
    for (row, name) in BUCKETS.iter().enumerate() {
        for attempt in 0..cap {
            let cell = &cells[row * cap + attempt];
            if cell.met < 1e-9 {
                continue;
            }
            let share = |part: f64, of: f64| 100.0 * part / of.max(f64::MIN_POSITIVE);
            let _ = write!(
                text,
                "{name:>5} {:>3} {:>7.4} {:>6.1}% {:>5.2}%    {:>10.6}  {:>5.1}% ({:>5.1}%)",
                attempt + 1,
                cell.met,
                share(cell.choice_matters, cell.met),
                share(cell.not_greedy, cell.met),
                cell.cost_of_greedy,
                share(cell.switched, cell.after_failure),
                share(cell.greedy_switched, cell.after_failure),
            );
            for ((_, _, step), costs) in FAMILIES.iter().zip(&cell.costs) {
                let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
                let near = |i: &usize| costs[*i] <= least + 0.1 * cell.cost_of_greedy + EQUAL;
                let low = (0..STEPS).find(near).unwrap_or(0) as f64 * step;
                let high = (0..STEPS).rfind(near).unwrap_or(0) as f64 * step;
                let _ = write!(text, "  {low:>5.2} to {high:<5.2} {least:>12.6}");
            }
            text.push('\n');
        }
    }
    text
}
