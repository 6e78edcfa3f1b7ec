//! A knockout tournament of which one contestant changes at a time: who leads among thousands costs
//! the matches of the one that changed, not a look at all.
//!
//! Contestants are the leaves of a binary tree and keep their places; every inner node keeps what
//! came of the matches below it. A change only marks the nodes above it; the next question plays
//! anew what is marked. What comes of a match may depend on a number x that moves slowly (a time,
//! a degree of optimism); then it comes with the range of x in which it stands, and a question at
//! another x plays only the matches whose range it has left: the kinetic tournament of J. Basch, L.
//! J. Guibas and J. Hershberger (1999), "Data Structures for Mobile Data", Journal of Algorithms
//! 31, played when asked so that x may move either way. [`Leader`] is the contest of lines a + b x.
//!
//! When not to use it: for some dozens of contestants a look at all is as fast. Where x jumps, most
//! matches are played anew.

/// What is known of a group of neighbouring contestants, or of a single one.
pub(crate) trait Group: Copy {
    /// A place that nobody has taken.
    const NOBODY: Self;

    /// What is known at `x` of two neighbouring groups together, that of lower places first.
    fn play(left: &Self, right: &Self, x: f64) -> Self;

    /// Whether it would come out the same at `x`.
    fn stands(&self, _x: f64) -> bool {
        true
    }
}

/// Contestants by place, and what came of their matches.
#[derive(Debug, Clone)]
pub(crate) struct Tournament<G> {
    /// The whole is 1, the halves of `k` are `2 k` and `2 k + 1`; none if it has to be played anew,
    /// and then so has every group that it is a part of.
    groups: Vec<Option<G>>,
    /// Where the first contestant stands in `groups`; a power of two.
    first: usize,
}

impl<G: Group> Tournament<G> {
    /// Places for so many contestants, none of them taken.
    pub(crate) fn new(places: usize) -> Self {
        let first = places.max(1).next_power_of_two();
        Self { groups: vec![Some(G::NOBODY); 2 * first], first }
    }

    /// Who stands at `place` from now on.
    #[inline]
    pub(crate) fn set(&mut self, place: usize, contestant: G) {
        let mut k = self.first + place;
        self.groups[k] = Some(contestant);
        while k > 1 {
            k /= 2;
            if self.groups[k].take().is_none() {
                return;
            }
        }
    }

    /// Who stands at `place`.
    #[inline]
    pub(crate) fn at(&self, place: usize) -> G {
        self.groups[self.first + place].unwrap_or(G::NOBODY)
    }

    /// What is known of all together at `x`.
    #[inline]
    pub(crate) fn result(&mut self, x: f64) -> G {
        self.group(1, x)
    }

    fn group(&mut self, k: usize, x: f64) -> G {
        if let Some(known) = self.groups[k]
            && known.stands(x)
        {
            return known;
        }
        let (left, right) = (self.group(2 * k, x), self.group(2 * k + 1, x));
        let played = G::play(&left, &right, x);
        self.groups[k] = Some(played);
        played
    }

    /// The place that is reached from the whole by going to the left or to the right half, as
    /// `to_left` says of the left one. Right after [`result`](Self::result).
    #[inline]
    pub(crate) fn walk(&self, mut to_left: impl FnMut(&G) -> bool) -> usize {
        let mut k = 1;
        while k < self.first {
            let left = self.groups[2 * k].unwrap_or(G::NOBODY);
            k = 2 * k + usize::from(!to_left(&left));
        }
        k - self.first
    }
}

/// The highest of a group of lines a + b x, for x of at least 0; the first on a tie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leader {
    at_zero: f64,
    slope: f64,
    place: u32,
    /// The x from which on, and up to which, it leads for certain.
    from: f64,
    to: f64,
}

/// Share of its terms that the difference of two lines has to exceed to be certain: the rounding
/// of a product, two sums and a quotient is less than a tenth of it.
const ROUNDING: f64 = 1e-14;

impl Leader {
    /// The line of the contestant at `place`.
    #[inline]
    pub(crate) fn line(place: usize, at_zero: f64, slope: f64) -> Self {
        Self { at_zero, slope, place: place as u32, from: 0.0, to: f64::INFINITY }
    }

    /// Where it stands, none if nobody does.
    #[inline]
    pub(crate) fn place(&self) -> Option<usize> {
        (self.place != u32::MAX).then_some(self.place as usize)
    }

    /// Its height at `x`.
    #[inline]
    pub(crate) fn at(&self, x: f64) -> f64 {
        self.at_zero + x * self.slope
    }

    /// Keeps to the range in which it is certain to be above `other`, which it is at `x`.
    #[inline]
    fn above(mut self, other: &Self, x: f64) -> Self {
        self.from = self.from.max(other.from);
        self.to = self.to.min(other.to);
        let alike = self.at_zero == other.at_zero && self.slope == other.slope;
        if alike || other.place == u32::MAX {
            return self;
        }
        let terms = self.at_zero.abs() + other.at_zero.abs();
        let ahead = self.at_zero - other.at_zero - ROUNDING * terms;
        let terms = self.slope.abs() + other.slope.abs();
        let gain = self.slope - other.slope - ROUNDING * terms;
        if ahead + gain * x <= 0.0 {
            (self.from, self.to) = (x, x);
        } else if gain < 0.0 {
            self.to = self.to.min(ahead / -gain);
        } else if ahead < 0.0 {
            self.from = self.from.max(-ahead / gain);
        }
        self
    }
}

impl Group for Leader {
    const NOBODY: Self =
        Self { at_zero: 0.0, slope: 0.0, place: u32::MAX, from: 0.0, to: f64::INFINITY };

    #[inline]
    fn play(left: &Self, right: &Self, x: f64) -> Self {
        let right_leads =
            right.place != u32::MAX && (left.place == u32::MAX || right.at(x) > left.at(x));
        if right_leads { right.above(left, x) } else { left.above(right, x) }
    }

    #[inline]
    fn stands(&self, x: f64) -> bool {
        self.from <= x && x <= self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{index_below, uniform01};
    use crate::strategy::testing::rng;

    /// The sum of a group, which is no contest at all.
    #[derive(Clone, Copy)]
    struct Sum(u32);

    impl Group for Sum {
        const NOBODY: Self = Self(0);

        fn play(left: &Self, right: &Self, _x: f64) -> Self {
            Self(left.0 + right.0)
        }
    }

    #[test]
    fn follows_every_change_and_finds_the_way_to_a_place() {
        let mut tournament = Tournament::<Sum>::new(5);
        assert_eq!(tournament.result(0.0).0, 0);
        [3, 0, 2, 7, 4].iter().enumerate().for_each(|(place, n)| tournament.set(place, Sum(*n)));
        tournament.set(0, Sum(1));
        assert_eq!(tournament.result(0.0).0, 14);
        let nth = |mut n: u32| {
            tournament.walk(|left| {
                let to_left = n < left.0;
                n -= if to_left { 0 } else { left.0 };
                to_left
            })
        };
        assert_eq!([nth(0), nth(1), nth(2), nth(3), nth(9), nth(13)], [0, 2, 2, 3, 3, 4]);
    }

    /// The highest by a look at all of them.
    fn highest(lines: &[Option<(f64, f64)>], x: f64) -> Option<usize> {
        let mut best: Option<(f64, usize)> = None;
        for (place, line) in lines.iter().enumerate() {
            let Some((a, b)) = line else { continue };
            let value = a + x * b;
            if best.is_none_or(|(most, _)| value > most) {
                best = Some((value, place));
            }
        }
        best.map(|(_, place)| place)
    }

    /// Lines of a coarse grid (many meet in a point, many are equal), of a fine one, and such that
    /// differ by their last bits; x moves on in steps, now and then back, and stands.
    #[test]
    fn leads_who_a_look_at_all_finds_wherever_x_goes() {
        let mut rng = rng();
        for grid in [4.0, 1e15, 0.0] {
            let mut tournament = Tournament::new(50);
            let mut lines = vec![None; 50];
            let (mut x, mut leaders) = (0.0_f64, std::collections::BTreeSet::new());
            let value = |rng: &mut _| {
                let u = uniform01(rng);
                if grid == 0.0 { 1.0 + (u * 4.0).floor() * 1e-16 } else { (u * grid).floor() / 4.0 }
            };
            for _ in 0..20_000 {
                let place = index_below(&mut rng, 50);
                match index_below(&mut rng, 8) {
                    0 => {
                        lines[place] = None;
                        tournament.set(place, Leader::NOBODY);
                    }
                    1 | 2 => {
                        let (a, b) = (value(&mut rng), value(&mut rng));
                        lines[place] = Some((a, b));
                        tournament.set(place, Leader::line(place, a, b));
                    }
                    3 => x = (x - 0.2 * uniform01(&mut rng)).max(0.0),
                    4..6 => x += 0.25,
                    _ => x += 0.01 * uniform01(&mut rng),
                }
                x = if x > 40.0 { 0.0 } else { x };
                let leader = tournament.result(x).place();
                assert_eq!(leader, highest(&lines, x), "at {x}");
                leaders.insert(leader);
            }
            assert!(leaders.len() > 10, "{}", leaders.len());
        }
    }

    #[test]
    fn a_match_is_played_anew_only_outside_of_its_range() {
        let mut tournament = Tournament::new(2);
        tournament.set(0, Leader::line(0, 2.0, 1.0));
        tournament.set(1, Leader::line(1, 0.0, 2.0));
        let early = tournament.result(0.0);
        assert!((early.place, early.from) == (0, 0.0) && (early.to - 2.0).abs() < 1e-12);
        let late = tournament.result(3.0);
        assert!((late.place, late.to) == (1, f64::INFINITY) && (late.from - 2.0).abs() < 1e-12);
        assert_eq!(tournament.result(2.0).place(), Some(0), "the first on a tie");
    }
}
