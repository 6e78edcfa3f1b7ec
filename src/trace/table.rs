//! The attempts of a recording while it is being read: columns side by side, nothing owned twice.
//!
//! 28 bytes an attempt, 32 where the file names starts, so that ten million rows fit in under half a gigabyte with what
//! `requests` needs beside them. When not to use it: after reading; see [`super::Recording`].

use super::Observed;

/// Attempts in the order of the file, then in order of time; the columns have equal lengths.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) attempts: Vec<Observed>,
    /// The line that each stands on.
    pub(super) lines: Vec<u32>,
    /// What the file calls the start that each met, as a number; empty where it does not say.
    pub(super) starts: Vec<u32>,
}

impl Table {
    pub(super) fn line(&self, index: usize) -> u64 {
        self.lines.get(index).copied().unwrap_or(0).into()
    }

    /// Drops the attempts at these positions, which rise.
    pub(super) fn drop_all(&mut self, dropped: &[u32]) {
        if dropped.is_empty() {
            return;
        }
        fn keep<T>(column: &mut Vec<T>, dropped: &[u32]) {
            let (mut index, mut next) = (0, dropped.iter().peekable());
            column.retain(|_| {
                let drop = next.next_if_eq(&&index).is_some();
                index += 1;
                !drop
            });
        }
        keep(&mut self.attempts, dropped);
        keep(&mut self.lines, dropped);
        keep(&mut self.starts, dropped);
    }

    /// Sorts by time; attempts of the same instant keep their order.
    pub(super) fn sort_by_time(&mut self) {
        if self.attempts.is_sorted_by(|a, b| a.at_s <= b.at_s) {
            return;
        }
        // Positions are sorted, not attempts: that takes a third of the memory.
        let mut order: Vec<u32> = (0..self.attempts.len() as u32).collect();
        let at = |position: &u32| self.attempts[*position as usize].at_s;
        order.sort_by(|a, b| at(a).total_cmp(&at(b)));
        let mut moved = order.clone();
        permute(&mut self.attempts, &mut moved);
        moved.copy_from_slice(&order);
        permute(&mut self.lines, &mut moved);
        if !self.starts.is_empty() {
            permute(&mut self.starts, &mut order);
        }
    }
}

/// Moves the element at `order[k]` to place `k`, for each `k`, cycle by cycle; `order`, a
/// permutation, becomes the identity.
fn permute<T: Copy>(column: &mut [T], order: &mut [u32]) {
    for start in 0..column.len() {
        let first = column[start];
        let mut place = start;
        loop {
            let from = order[place] as usize;
            order[place] = place as u32;
            if from == start {
                column[place] = first;
                break;
            }
            column[place] = column[from];
            place = from;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_moves_every_element_once() {
        let mut letters = ['a', 'b', 'c', 'd', 'e'];
        let mut order = [2, 0, 1, 4, 3];
        permute(&mut letters, &mut order);
        assert_eq!(letters, ['c', 'a', 'b', 'e', 'd']);
        assert_eq!(order, [0, 1, 2, 3, 4]);
    }
}
