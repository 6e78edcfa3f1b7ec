//! What the free attempts after this one can still do.
//!
//! With rate limits the value left depends on which server is used now: a good one that refuses a
//! retry is missing later. The lookahead takes the best of what is left, attempt by attempt: the next
//! best server not used yet, or again one that was used if it accepts retries. This is backward
//! induction, V_k = min over i of (1 - s_i) V_(k+1), where the order within a request does not
//! matter, so that greedy filling is the minimum.
//!
//! Limits: three servers are enough for three free attempts; with more free attempts the rest
//! beyond two further ones is not looked at.

/// The most attempts that are planned ahead.
pub(super) const DEPTH: u32 = 2;
const KEPT: usize = DEPTH as usize + 1;
/// No server.
const NONE: usize = usize::MAX;

/// The servers with the best chances of success now.
#[derive(Debug, Clone)]
pub(super) struct Lookahead {
    /// Chance of success now, best first.
    value: [f64; KEPT],
    server: [usize; KEPT],
    /// Chance of success of a second use right after the first.
    again: [f64; KEPT],
}

impl Lookahead {
    /// No servers.
    pub(super) const EMPTY: Self =
        Self { value: [0.0; KEPT], server: [NONE; KEPT], again: [0.0; KEPT] };

    /// The best chance of success now.
    pub(super) fn best(&self) -> f64 {
        self.value[0]
    }

    /// Takes a server in if it is among the best.
    #[inline]
    pub(super) fn offer(&mut self, value: f64, server: usize) {
        if value <= self.value[KEPT - 1] {
            return;
        }
        let mut rank = KEPT - 1;
        while rank > 0 && value > self.value[rank - 1] {
            self.value[rank] = self.value[rank - 1];
            self.server[rank] = self.server[rank - 1];
            rank -= 1;
        }
        self.value[rank] = value;
        self.server[rank] = server;
    }

    /// Notes what a second use of each kept server would be worth.
    pub(super) fn second_uses(&mut self, again: impl Fn(usize) -> f64) {
        for (value, server) in self.again.iter_mut().zip(self.server) {
            *value = if server == NONE { 0.0 } else { again(server) };
        }
    }

    /// The chance that all of the `left` attempts after one at `used` fail; `again` is the chance
    /// of success of a second attempt at `used`.
    #[inline]
    pub(super) fn loss_after(&self, used: usize, again: f64, left: u32) -> f64 {
        let mut repeat = again;
        let mut rank = 0;
        let mut loss = 1.0;
        for _ in 0..left.min(DEPTH) {
            if rank < KEPT && self.server[rank] == used {
                rank += 1;
            }
            let fresh = if rank < KEPT { self.value[rank] } else { 0.0 };
            if repeat >= fresh {
                loss *= 1.0 - repeat;
            } else {
                loss *= 1.0 - fresh;
                repeat = repeat.max(self.again[rank]);
                rank += 1;
            }
        }
        loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least loss over all sequences of `left` attempts, by enumeration: a server's first use
    /// succeeds with `first`, later ones with `again`.
    fn enumerate(first: &[f64], again: &[f64], used: &mut Vec<bool>, left: u32) -> f64 {
        if left == 0 {
            return 1.0;
        }
        let mut least = f64::INFINITY;
        for i in 0..first.len() {
            let success = if used[i] { again[i] } else { first[i] };
            let before = std::mem::replace(&mut used[i], true);
            least = least.min((1.0 - success) * enumerate(first, again, used, left - 1));
            used[i] = before;
        }
        least
    }

    /// Retries are either as good as first uses or hopeless, for each server by itself.
    #[test]
    fn equals_the_least_loss_over_all_sequences() {
        let first = [0.6, 0.9, 0.3, 0.8, 0.85];
        for pattern in 0_u32..32 {
            let accepts = |i: usize| pattern >> i & 1 == 1;
            let again: Vec<f64> =
                (0..5).map(|i| if accepts(i) { first[i] } else { 0.05 * first[i] }).collect();
            let mut ahead = Lookahead::EMPTY;
            first.iter().enumerate().for_each(|(i, value)| ahead.offer(*value, i));
            ahead.second_uses(|i| again[i]);
            for now in 0..5 {
                for left in 0..=DEPTH {
                    let mut used = vec![false; 5];
                    used[now] = true;
                    let expected = enumerate(&first, &again, &mut used, left);
                    let loss = ahead.loss_after(now, again[now], left);
                    assert!((loss - expected).abs() < 1e-12, "{pattern} {now} {left}");
                }
            }
        }
    }

    #[test]
    fn keeps_the_best_in_order() {
        let mut ahead = Lookahead::EMPTY;
        assert_eq!(ahead.best(), 0.0);
        [0.2, 0.7, 0.1, 0.7, 0.9].iter().enumerate().for_each(|(i, v)| ahead.offer(*v, i));
        assert_eq!(ahead.value, [0.9, 0.7, 0.7]);
        assert_eq!(ahead.server, [4, 1, 3]);
    }
}
