//! Windows: the `ln` likelihood of every limit of a fixed or sliding window of one length.
//!
//! A fixed window starts at a phase that nobody knows, uniform over its length. Between two
//! neighbouring values of (time of an attempt) mod (length) all phases give the same replay, so the
//! average over phases is a finite sum, computed exactly. Moving the phase past one attempt moves
//! that attempt from the front of its window to the back of the one before, and takes one from the
//! number counted before each later attempt of its window: only those limits change at which one of
//! them was on the edge. All limits and all phases together thus cost about one visit for each
//! attempt and each attempt that shares its window, up to the largest limit.
//!
//! What counts before an attempt does not depend on the limit: where 429 is marked, the accepted
//! attempts of the window so far; where it is not, all of them, since the first `limit` of a window
//! are accepted and after those nothing is.
//!
//! When not to use it: for windows that are not whole microseconds.

use crate::limits::lane::{Answer, Counts, Lane};

/// `ln` likelihood of limits 1, 2, .., `most` of a fixed window, averaged over the phase.
pub(crate) fn fixed(lane: &Lane, window_us: i64, most: usize) -> Vec<f64> {
    let asked = &lane.asked;
    // counted_before[i]: attempts before i that use the limiter up. places: where they are.
    let mut counted_before = Vec::with_capacity(asked.len() + 1);
    let mut places = Vec::with_capacity(asked.len());
    for (i, attempt) in asked.iter().enumerate() {
        counted_before.push(places.len());
        if attempt.answer != Answer::Refused {
            places.push(i);
        }
    }
    counted_before.push(places.len());
    // Groups: attempts of one window at phase 0. `moved`: its first attempt not yet moved.
    let mut groups: Vec<Group> = Vec::new();
    let mut group_of = Vec::with_capacity(asked.len());
    for (i, attempt) in asked.iter().enumerate() {
        let window = attempt.at_us.div_euclid(window_us);
        match groups.last_mut().filter(|group| group.window == window) {
            Some(group) => group.end = i + 1,
            None => groups.push(Group { window, start: i, moved: i, end: i + 1 }),
        }
        group_of.push(groups.len() - 1);
    }
    let mut tracks = Tracks::new(lane, most);
    for (i, attempt) in asked.iter().enumerate() {
        let before = counted_before[i] - counted_before[groups[group_of[i]].start];
        tracks.refuse(1..=before, attempt.answer, 1, 0.0);
    }
    let mut order: Vec<(i64, usize)> = asked
        .iter()
        .enumerate()
        .map(|(i, attempt)| (attempt.at_us.rem_euclid(window_us), i))
        .collect();
    order.sort_unstable();
    for (residue, i) in order {
        let phase = residue as f64 / window_us as f64;
        let g = group_of[i];
        let Group { window, start, end, .. } = groups[g];
        // Later attempts of its window: the rest of its group and what was moved to it.
        let follower = groups.get(g + 1).filter(|next| next.window == window + 1);
        let window_end = follower.map_or(end, |next| next.moved);
        if asked[i].answer != Answer::Refused {
            let mut seen = i + 1;
            for before in 1..=most {
                let next = places.get(counted_before[i] + before).copied().unwrap_or(usize::MAX);
                let until = window_end.min(next.saturating_add(1));
                for later in &asked[seen.min(until)..until] {
                    tracks.refuse(before..=before, later.answer, -1, phase);
                }
                seen = until;
                if next >= window_end {
                    break;
                }
            }
        }
        // The attempt itself is now the last of the window before.
        let adjacent = g > 0 && groups[g - 1].window == window - 1;
        let from = if adjacent { groups[g - 1].moved } else { start };
        let before = counted_before[i] - counted_before[from];
        tracks.refuse(1..=before, asked[i].answer, 1, phase);
        groups[g].moved = i + 1;
    }
    tracks.finish()
}

/// Attempts that share a window at phase 0.
struct Group {
    window: i64,
    start: usize,
    moved: usize,
    end: usize,
}

/// For each limit the likelihood integrated over the phases so far.
struct Tracks<'a> {
    lane: &'a Lane,
    counts: Vec<Counts>,
    /// The phase up to which the integral goes, as a share of the window.
    until: Vec<f64>,
    /// The integral is `sum` times e to the power of `scale`.
    scale: Vec<f64>,
    sum: Vec<f64>,
}

impl<'a> Tracks<'a> {
    fn new(lane: &'a Lane, most: usize) -> Self {
        let counts = Counts { taken: 0, slips: lane.refused() as i64 };
        Self {
            lane,
            counts: vec![counts; most],
            until: vec![0.0; most],
            scale: vec![f64::NEG_INFINITY; most],
            sum: vec![0.0; most],
        }
    }

    /// From this phase on the limits given would refuse an attempt, or no longer would.
    #[inline]
    fn refuse(
        &mut self,
        limits: std::ops::RangeInclusive<usize>,
        answer: Answer,
        by: i64,
        phase: f64,
    ) {
        let last = (*limits.end()).min(self.counts.len());
        for limit in *limits.start()..=last {
            self.integrate(limit - 1, phase);
            self.counts[limit - 1].refuse(answer, by, self.lane.marked);
        }
    }

    #[inline]
    fn integrate(&mut self, i: usize, phase: f64) {
        let width = phase - self.until[i];
        if width <= 0.0 {
            return;
        }
        self.until[i] = phase;
        let value = self.lane.log_likelihood(self.counts[i]);
        if value > self.scale[i] {
            self.sum[i] *= libm::exp(self.scale[i] - value);
            self.scale[i] = value;
        }
        // What is below e^-50 of the rest would be lost in rounding anyway.
        if value > self.scale[i] - 50.0 {
            self.sum[i] += width * libm::exp(value - self.scale[i]);
        }
    }

    fn finish(mut self) -> Vec<f64> {
        (0..self.counts.len()).for_each(|i| self.integrate(i, 1.0));
        self.scale.iter().zip(&self.sum).map(|(scale, sum)| scale + libm::log(*sum)).collect()
    }
}

/// `ln` likelihood of limits 1, 2, .., `most` of a sliding window.
pub(crate) fn sliding(lane: &Lane, window_us: i64, most: usize) -> Vec<f64> {
    if lane.marked {
        sliding_marked(lane, window_us, most)
    } else {
        sliding_unmarked(lane, window_us, most)
    }
}

/// What the window held before an attempt is known, so one pass serves all limits.
fn sliding_marked(lane: &Lane, window_us: i64, most: usize) -> Vec<f64> {
    let asked = &lane.asked;
    let mut counts = vec![Counts { taken: 0, slips: lane.refused() as i64 }; most];
    let (mut oldest, mut held) = (0, 0_usize);
    for attempt in asked {
        while attempt.at_us - asked[oldest].at_us >= window_us {
            held -= usize::from(asked[oldest].answer != Answer::Refused);
            oldest += 1;
        }
        for of_limit in counts.iter_mut().take(held) {
            of_limit.refuse(attempt.answer, 1, true);
        }
        held += usize::from(attempt.answer != Answer::Refused);
    }
    counts.into_iter().map(|counts| lane.log_likelihood(counts)).collect()
}

fn sliding_unmarked(lane: &Lane, window_us: i64, most: usize) -> Vec<f64> {
    let mut values = vec![lane.log_likelihood(Counts::default()); most];
    let mut accepted: Vec<i64> = Vec::with_capacity(lane.asked.len());
    for (limit, value) in (1..=most).zip(&mut values) {
        let mut counts = Counts::default();
        accepted.clear();
        for attempt in &lane.asked {
            let full = accepted.len() >= limit
                && attempt.at_us - accepted[accepted.len() - limit] < window_us;
            if full {
                counts.refuse(attempt.answer, 1, false);
            }
            if !full || attempt.answer == Answer::Success {
                accepted.push(attempt.at_us);
            }
        }
        *value = lane.log_likelihood(counts);
        if counts == Counts::default() {
            break;
        }
    }
    values
}
