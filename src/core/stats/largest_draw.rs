//! The largest of several Beta draws, from lines instead of draws.
//!
//! Thompson sampling needs to know *which* of several draws is the largest, hardly ever how large.
//! One uniform number v a draw: the draw is the quantile Q(1 - v) of its Beta. Over a narrow range
//! of v a quantile is nearly a straight line, so for every belief (s, f) and every range of v there
//! is a line and a gap that Q never leaves. A multiplication and two additions then
//! give bounds of a draw. If the highest lower bound exceeds all other upper bounds, which it does in
//! more than 99 of 100 decisions, the largest is known; otherwise the contenders' common stretch is
//! halved by distribution functions until they part.
//!
//! **The answer is a function of the words alone**: it is the same as if every quantile were solved
//! for and the first of the largest taken. Lines shorten the way to it; which of them exist already,
//! and who else uses them, changes nothing.
//!
//! # Why the lines hold
//!
//! Let f be the density of Beta(a, b) with a, b >= 1, and x(v) = Q(1 - v). Then x' = -1/f(x) and
//! x'' = -f'(x)/f(x)^3. As f is log-concave, f' changes its sign at most once, from plus to minus.
//! - Where it does not change within a range of v, x is convex or concave there: x lies on one side
//!   of its chord and on the other side of its tangents at the ends. Chord and tangents are farthest
//!   apart where the tangents meet: by h (m - p)(q - m)/(q - p), with h the width of the range, m
//!   the slope of the chord and p < m < q those of the tangents.
//! - Where it does, |x - chord| <= h^2/8 max |x''|. The factor f'/f = (a-1)/x - (b-1)/(1-x) falls
//!   with x, so the largest |f'/f| is at an end, and so is the smallest value of the unimodal f.
//!
//! Three things widen the gap: rounding, by 2^-21 for the few roundings, none above 2^-24, that
//! storing and evaluating a line of numbers up to 1 in single precision takes; the bits of v that a 32-bit word leaves open;
//! and 1e-9, a thousand times what the quantiles at the ends are off.

use std::array::from_fn;
use std::sync::{LazyLock, OnceLock};

use rand::Rng;

use crate::stats::sample;
use crate::stats::special::{IncBeta, beta_upper_tail, inv_inc_beta, normal_quantile};

/// Attempts of a belief up to which it has lines; a stronger one is drawn. There are few of those
/// at a time, and no two runs have the same.
const MOST_ATTEMPTS: u32 = 127;

/// The numbers v and 1 - v below 1/2 are cut into octaves, each in four ranges. Lines are made for
/// two octaves of a tail at a time, from the middle outwards: the first two of each tail have 3 in 4
/// of all draws, the next two 3 in 16.
///
/// Ends of ranges are multiples of 2^-32, so that 32 bits of v tell the range.
const DEPTH: usize = 12;
const RANGES: usize = 8;

/// Halley's method needs one or two; a solver that always ends takes over after so many.
const MOST_STEPS: u32 = 8;

/// So many draws are compared at a time.
const AT_ONCE: usize = 16;

/// The largest of more draws than these is solved for.
const MOST_DRAWN: usize = 20;

/// What [`bounds`](Row::bounds) give below the deepest octave.
const ANYTHING: (f32, f32) = (0.0, 1.0);

/// Two exact draws this far apart in probability or value are told apart without fail.
const CLEAR: f64 = 1e-9;

/// What s successes and f failures make believe, as a place in a table of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Belief(u32);

impl Belief {
    /// Before any attempt.
    pub const NONE: Self = Self(0);

    /// Too strong for the table.
    const STRONG: Self = Self(u32::MAX);

    /// After so many successes and failures, whole numbers.
    #[inline]
    pub fn new(successes: f64, failures: f64) -> Self {
        let attempts = (successes + failures) as u32;
        if attempts > MOST_ATTEMPTS {
            return Self::STRONG;
        }
        Self(attempts * (attempts + 1) / 2 + successes as u32)
    }
}

/// The lines of every belief of at most 127 attempts, for one way of making shapes of
/// tallies. Each is made when first needed.
#[derive(Debug)]
pub struct Lines {
    shapes: fn(f64, f64) -> (f64, f64),
    /// By attempts and successes.
    rows: LazyLock<Vec<OnceLock<Box<Row>>>>,
}

/// Beta(s+1, f+1), what becomes of a uniform prior.
pub static UNIFORM_PRIOR: Lines = Lines::new(|s, f| (s + 1.0, f + 1.0));

impl Lines {
    /// `shapes` gives a and b, at least 1, of s successes and f failures.
    pub const fn new(shapes: fn(f64, f64) -> (f64, f64)) -> Self {
        Self {
            shapes,
            rows: LazyLock::new(|| {
                let beliefs = (MOST_ATTEMPTS + 1) * (MOST_ATTEMPTS + 2) / 2;
                (0..beliefs).map(|_| OnceLock::new()).collect()
            }),
        }
    }

    fn shape(&self, (s, f): (f64, f64)) -> Shape {
        let (a, b) = (self.shapes)(s, f);
        Shape { a, b }
    }
}

/// Which candidate has the largest of independent draws from the Beta of its shapes; the first of
/// equals, none of none.
///
/// A candidate comes with how many draws it has, at least one. `counts` gives its s and f, of which
/// `belief` is made. It takes one word of 64 bits in all, one of 32 for each candidate of at most
/// 127 attempts, and a variable number for others.
#[inline]
pub fn largest_draw<R: Rng + ?Sized>(
    rng: &mut R,
    lines: &Lines,
    candidates: impl Iterator<Item = (usize, usize)>,
    belief: impl Fn(usize) -> Belief,
    counts: impl Fn(usize) -> (f64, f64),
) -> Option<usize> {
    let rows = lines.rows.as_slice();
    let shape = |candidate| lines.shape(counts(candidate));
    let fine = rng.next_u64();
    let mut draws = Draws::default();
    for (candidate, copies) in candidates {
        if draws.len == AT_ONCE {
            draws.keep_largest(fine, &shape);
        }
        match rows.get(belief(candidate).0 as usize) {
            Some(row) => {
                let row = row.get_or_init(|| Box::new(Row::new(shape(candidate))));
                let word = rng.next_u32();
                if copies == 1 {
                    draws.push(candidate, Draw::Coarse(word), row.bounds(word));
                } else {
                    let v = tail_of_largest(copies, whole(word, fine, candidate));
                    let bounds = row.bounds((v * WORDS) as u32);
                    draws.push(candidate, Draw::Quantile(v), bounds);
                }
            }
            None => {
                let Shape { a, b } = shape(candidate);
                let x = largest_of(rng, copies, a, b);
                let bounds = ((x * (1.0 - 1e-6)) as f32, (x * (1.0 + 1e-6)) as f32);
                draws.push(candidate, Draw::Number(x), bounds);
            }
        }
    }
    draws.keep_largest(fine, &shape);
    (draws.len > 0).then_some(draws.candidate[0])
}

/// Words of 32 bits.
const WORDS: f64 = (1_u64 << 32) as f64;

/// The uniform number on (0, 1) whose first 32 bits are `word`. The others are bits of `fine`, mixed
/// with the candidate's number by the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014),
/// as they are wanted once in a thousand decisions.
fn whole(word: u32, fine: u64, candidate: usize) -> f64 {
    let mut bits = fine.wrapping_add((candidate as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    let rest = (bits ^ bits >> 31) >> 32;
    (f64::from(word) + (rest as f64 + 0.5) / WORDS) / WORDS
}

/// The upper tail of the largest of so many draws: (1 - v) is a root of a uniform number.
fn tail_of_largest(draws: usize, uniform: f64) -> f64 {
    -libm::expm1(libm::log1p(-uniform) / draws as f64)
}

/// The largest of so many independent draws from Beta(a, b), a, b >= 1; a variable number of words.
#[inline]
pub fn largest_of<R: Rng + ?Sized>(rng: &mut R, draws: usize, a: f64, b: f64) -> f64 {
    if draws == 1 {
        return sample::beta(rng, a, b);
    }
    if draws > MOST_DRAWN {
        return 1.0 - inv_inc_beta(b, a, tail_of_largest(draws, sample::uniform_open(rng)));
    }
    (0..draws).map(|_| sample::beta(rng, a, b)).fold(0.0, f64::max)
}

/// What a draw is.
#[derive(Debug, Clone, Copy)]
enum Draw {
    /// The quantile Q(1 - v) of which the first bits of v are known.
    Coarse(u32),
    /// The quantile Q(1 - v).
    Quantile(f64),
    /// This number.
    Number(f64),
}

/// Some draws, and numbers that they do not fall below and do not exceed.
#[derive(Debug)]
struct Draws {
    len: usize,
    low: [f32; AT_ONCE],
    high: [f32; AT_ONCE],
    candidate: [usize; AT_ONCE],
    draw: [Draw; AT_ONCE],
}

impl Default for Draws {
    #[inline]
    fn default() -> Self {
        Self {
            len: 0,
            low: [0.0; AT_ONCE],
            high: [0.0; AT_ONCE],
            candidate: [0; AT_ONCE],
            draw: [Draw::Coarse(0); AT_ONCE],
        }
    }
}

impl Draws {
    #[inline]
    fn push(&mut self, candidate: usize, draw: Draw, (low, high): (f32, f32)) {
        let place = self.len % AT_ONCE;
        self.low[place] = low;
        self.high[place] = high;
        self.candidate[place] = candidate;
        self.draw[place] = draw;
        self.len = place + 1;
    }

    /// Leaves only the largest.
    #[inline]
    fn keep_largest(&mut self, fine: u64, shape: &impl Fn(usize) -> Shape) {
        let len = self.len.min(AT_ONCE);
        let mut floor = f32::NEG_INFINITY;
        for low in &self.low[..len] {
            floor = if *low > floor { *low } else { floor };
        }
        let mut contenders = 0_u32;
        for (place, high) in self.high[..len].iter().enumerate() {
            contenders |= u32::from(*high >= floor) << place;
        }
        if contenders & contenders.wrapping_sub(1) != 0 {
            let exact = |place: usize| {
                let candidate = self.candidate[place];
                let (shape, value) = match self.draw[place] {
                    Draw::Coarse(word) => (Some(shape(candidate)), whole(word, fine, candidate)),
                    Draw::Quantile(v) => (Some(shape(candidate)), v),
                    Draw::Number(x) => (None, x),
                };
                Exact { place, shape, value }
            };
            let places = (0..len).filter(|place| contenders >> place & 1 == 1);
            contenders = 1 << settle(places.map(exact).collect(), floor);
        }
        let place = contenders.trailing_zeros() as usize % AT_ONCE;
        self.low[0] = self.low[place];
        self.high[0] = self.high[place];
        self.candidate[0] = self.candidate[place];
        self.draw[0] = self.draw[place];
        self.len = len.min(1);
    }
}

/// A draw that its bounds do not tell from others.
#[derive(Debug, Clone, Copy)]
struct Exact {
    place: usize,
    /// Of which the draw is a quantile, if it is one.
    shape: Option<Shape>,
    /// The upper tail v of a quantile, the draw itself otherwise.
    value: f64,
}

impl Exact {
    /// Whether the draw exceeds x; none if that is too close to say.
    fn exceeds(&self, x: f64) -> Option<bool> {
        let margin = match self.shape {
            Some(Shape { a, b }) => beta_upper_tail(a, b, x) - self.value,
            None => self.value - x,
        };
        (margin.abs() > CLEAR).then_some(margin > 0.0)
    }

    /// The draw as a number.
    fn draw(&self) -> f64 {
        match self.shape {
            Some(Shape { a, b }) => 1.0 - inv_inc_beta(b, a, self.value),
            None => self.value,
        }
    }
}

/// The place of the largest of draws of which one is not below `low`; the first of equals.
#[cold]
fn settle(mut contenders: Vec<Exact>, low: f32) -> usize {
    let (mut low, mut high) = (f64::from(low), 1.0);
    while high - low > CLEAR {
        let middle = 0.5 * (low + high);
        let above: Vec<Option<bool>> = contenders.iter().map(|d| d.exceeds(middle)).collect();
        if above.contains(&None) {
            break;
        }
        if !above.contains(&Some(true)) {
            high = middle;
            continue;
        }
        low = middle;
        let mut above = above.into_iter();
        contenders.retain(|_| above.next() == Some(Some(true)));
        if let [only] = contenders.as_slice() {
            return only.place;
        }
    }
    let (mut place, mut largest) = (0, f64::NEG_INFINITY);
    for contender in &contenders {
        let draw = contender.draw();
        if draw > largest {
            (place, largest) = (contender.place, draw);
        }
    }
    place
}

/// The lines of one belief: of its upper tail and of its lower one, 1 - v.
#[derive(Debug)]
struct Row {
    shape: Shape,
    tails: [[Slot; 2]; DEPTH],
}

/// Where the lines of two octaves are when they are made: in one line of the processor's memory.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Slot(OnceLock<Octaves>);

/// The quantiles at the ends of the ranges, from the middle outwards, and how far a quantile in one
/// of two neighbouring ranges can be from the line between its ends.
#[derive(Debug, Clone, Copy)]
struct Octaves {
    ends: [f32; RANGES + 1],
    gaps: [f32; RANGES / 2],
}

impl Row {
    fn new(shape: Shape) -> Self {
        Self { shape, tails: from_fn(|_| from_fn(|_| Slot::default())) }
    }

    /// Bounds of Q(1 - v) for all v whose first 32 bits are `word`.
    #[inline]
    fn bounds(&self, word: u32) -> (f32, f32) {
        // Whichever is smaller, v or 1 - v.
        let is_lower = word >> 31;
        let tail = word ^ is_lower.wrapping_neg();
        let zeros = (tail | 1).leading_zeros();
        let octave = zeros as usize - 1;
        let Some(tails) = self.tails.get(octave / 2) else { return ANYTHING };
        let make = || Octaves::new(self.shape, octave / 2, is_lower == 1);
        let lines = tails[is_lower as usize].0.get_or_init(make);
        // The leading one, two bits for the range, and the way from its outer end to its inner one.
        let bits = tail << zeros << 1;
        let range = (octave % 2 * 4 + (3 ^ (bits >> 30)) as usize) % RANGES;
        let way = (bits << 2 >> 8) as i32 as f32 * 0.5_f32.powi(24);
        let (inner, outer) = (lines.ends[range], lines.ends[range + 1]);
        let middle = outer + (inner - outer) * way;
        let gap = lines.gaps[range / 2];
        (middle - gap, middle + gap)
    }
}

impl Octaves {
    #[cold]
    fn new(shape: Shape, depth: usize, is_lower: bool) -> Self {
        // The lower tail of a rate is the upper tail of 1 - rate.
        let shape = if is_lower { Shape { a: shape.b, b: shape.a } } else { shape };
        let law = IncBeta::new(shape.a, shape.b);
        let greatest = libm::ldexp(0.5, -2 * depth as i32);
        let mut lines = Self { ends: [0.0; RANGES + 1], gaps: [0.0; RANGES / 2] };
        let mut end = shape.end(&law, greatest, shape.near(greatest));
        for range in 0..RANGES {
            let width = greatest * if range < RANGES / 2 { 0.125 } else { 0.0625 };
            let inner = end;
            end = shape.end(&law, inner.tail - width, shape.beyond(inner, width));
            // Half of a range may hide in the bits of v that are not looked at.
            let unknown = (end.x - inner.x) * (1.0 / WORDS / width);
            let rounding = 0.5_f64.powi(21) + unknown + CLEAR;
            let gap = shape.distance_from_chord(inner, end, width) + rounding;
            let of_both = &mut lines.gaps[range / 2];
            *of_both = of_both.max(gap as f32);
            for (place, end) in [(range, inner), (range + 1, end)] {
                lines.ends[place] = (if is_lower { 1.0 - end.x } else { end.x }) as f32;
            }
        }
        lines
    }
}

/// An end of a range: the upper tail, the quantile there, and the density.
#[derive(Debug, Clone, Copy)]
struct End {
    tail: f64,
    x: f64,
    density: f64,
}

/// Shapes a and b of a Beta variable, at least 1.
#[derive(Debug, Clone, Copy)]
struct Shape {
    a: f64,
    b: f64,
}

impl Shape {
    /// f'(x) / f(x), which falls with x.
    fn growth(&self, x: f64) -> f64 {
        (self.a - 1.0) / x - (self.b - 1.0) / (1.0 - x)
    }

    /// An x whose upper tail is about `tail`: Abramowitz and Stegun 26.5.22; exact where a or b is
    /// 1.
    fn near(&self, tail: f64) -> f64 {
        let (a, b) = (self.a, self.b);
        if a == 1.0 {
            return 1.0 - libm::exp(libm::log(tail) / b);
        }
        if b == 1.0 {
            return libm::exp(libm::log1p(-tail) / a);
        }
        let z = -normal_quantile(tail);
        let (s, t) = (1.0 / (2.0 * a - 1.0), 1.0 / (2.0 * b - 1.0));
        let (h, lambda) = (2.0 / (s + t), (z * z - 3.0) / 6.0);
        let w = -z * (h + lambda).sqrt() / h - (t - s) * (lambda + 5.0 / 6.0 - 2.0 / (3.0 * h));
        a / (a + b * libm::exp(2.0 * w))
    }

    /// About the quantile whose upper tail is less by `width`: three terms of the Taylor series of Q.
    fn beyond(&self, end: End, width: f64) -> f64 {
        let End { x, density, .. } = end;
        let (step, growth) = (width / density, self.growth(x));
        let fall = (self.a - 1.0) / (x * x) + (self.b - 1.0) / ((1.0 - x) * (1.0 - x));
        let bend = 1.0 - 0.5 * step * growth + step * step * (2.0 * growth * growth + fall) / 6.0;
        x + step * bend
    }

    /// The quantile whose upper tail is `tail`, at most 1/2, from a guess: Halley's method, which
    /// makes of an error e one of about e^3 (f'/f)^2. `law` is that of the shape.
    fn end(&self, law: &IncBeta, tail: f64, guess: f64) -> End {
        let mut x = guess;
        for _ in 0..MOST_STEPS {
            if !(x > 0.0 && x < 1.0) {
                break;
            }
            let (at_x, density) = law.upper_tail_and_density(x);
            let (newton, growth) = ((at_x - tail) / density, self.growth(x));
            let step = newton / (1.0 + 0.5 * newton * growth);
            x += step;
            // Then the error of x is below 1e-4 x 1e-8, and that of ln f of the same kind.
            if newton.abs() * (growth.abs() + 1.0 / x.min(1.0 - x)) <= 1e-4 {
                return End { tail, x, density: density * libm::exp(growth * step) };
            }
        }
        let x = 1.0 - inv_inc_beta(self.b, self.a, tail);
        End { tail, x, density: law.upper_tail_and_density(x).1 }
    }

    /// How far Q can be from its chord over a range; see the proof at the head of this file.
    fn distance_from_chord(&self, inner: End, outer: End, width: f64) -> f64 {
        let (first, last) = (self.growth(inner.x), self.growth(outer.x));
        if first < 0.0 || last > 0.0 {
            let slope = (inner.x - outer.x) / width;
            let (p, q) = (-1.0 / inner.density, -1.0 / outer.density);
            let gap = ((slope - p) * (q - slope) / (q - p)).abs() * width;
            // Rounding makes 0/0 of a straight line.
            return if gap.is_finite() { gap } else { 0.0 };
        }
        let least = inner.density.min(outer.density);
        0.125 * width * width * first.abs().max(last.abs()) / (least * least)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::stats::{chi_square_sf, inc_beta};

    /// Shapes that are no whole numbers.
    static QUARTERS: Lines = Lines::new(|s, f| (1.0 + 0.25 * s, 1.0 + 0.25 * f));

    #[test]
    fn lines_hold_between_their_ends_too() {
        let whole = [(0, 0), (1, 0), (0, 1), (3, 1), (20, 2), (126, 1), (0, 127), (60, 60)];
        let whole = whole.map(|(s, f)| (f64::from(s) + 1.0, f64::from(f) + 1.0));
        let real = [(1.25, 1.0), (1.0, 1.01), (1.75, 1.5), (2.5, 7.25), (32.75, 1.0), (5.5, 26.25)];
        for (a, b) in whole.into_iter().chain(real) {
            let row = Row::new(Shape { a, b });
            for k in 0..4000 {
                // Both tails, down to 2^-30.
                let tail = 0.5 * libm::exp2(-f64::from(k % 2000) / 70.0);
                let v = if k < 2000 { tail } else { 1.0 - tail };
                let exact = 1.0 - inv_inc_beta(b, a, v);
                let (low, high) = row.bounds((v * WORDS) as u32);
                assert!(f64::from(low) < exact && exact < f64::from(high), "{a} {b} {v}");
            }
        }
    }

    /// From the guess of the end before, as they are solved for.
    #[test]
    fn ends_are_solved_for() {
        for (a, b) in
            [(1.0, 1.0), (2.0, 1.0), (127.0, 2.0), (60.0, 60.0), (1.25, 7.5), (32.0, 1.25)]
        {
            let (shape, law) = (Shape { a, b }, IncBeta::new(a, b));
            let mut end = shape.end(&law, 0.5, shape.near(0.5));
            for k in 1..80 {
                let tail = 0.5 * libm::exp2(-f64::from(k) / 4.0);
                end = shape.end(&law, tail, shape.beyond(end, end.tail - tail));
                let (error, density) =
                    (end.x - 1.0 + inv_inc_beta(b, a, tail), law.upper_tail_and_density(end.x).1);
                assert!(error.abs() < 0.001 * CLEAR, "{a} {b} {tail}: {error:e}");
                assert!((end.density / density - 1.0).abs() < 1e-6, "{a} {b} {tail}");
            }
        }
    }

    /// A quantile near 1 is rounded by up to 2^-25 when it is stored, whichever side it is told from.
    #[test]
    fn every_gap_has_room_for_rounding() {
        for (s, f) in [(0.0, 0.0), (126.0, 0.0), (126.0, 1.0), (1.0, 126.0), (60.0, 60.0)] {
            for depth in 0..DEPTH {
                let shape = Shape { a: s + 1.0, b: f + 1.0 };
                for is_lower in [false, true] {
                    let gaps = Octaves::new(shape, depth, is_lower).gaps;
                    assert!(gaps.iter().all(|gap| *gap >= 0.5_f32.powi(21)), "{s} {f}");
                }
            }
        }
    }

    #[test]
    fn the_answer_is_that_of_solving_for_every_draw() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut pick = ChaCha8Rng::seed_from_u64(4);
        for round in 0..20_000 {
            let servers = if round % 10 == 0 { 40 } else { 6 };
            let lines = if round % 2 == 0 { &UNIFORM_PRIOR } else { &QUARTERS };
            let counts: Vec<(f64, f64)> = (0..servers)
                .map(|_| {
                    let n = sample::index_below(&mut pick, 140);
                    let s = sample::index_below(&mut pick, n + 1);
                    (s as f64, (n - s) as f64)
                })
                .collect();
            let mut words = rng.clone();
            let belief = |i: usize| Belief::new(counts[i].0, counts[i].1);
            let answer =
                largest_draw(&mut rng, lines, (0..servers).map(|i| (i, 1)), belief, |i| counts[i]);
            let fine = words.next_u64();
            let mut naive = (None, f64::NEG_INFINITY);
            for (i, (s, f)) in counts.iter().enumerate() {
                let Shape { a, b } = lines.shape((*s, *f));
                let draw = if s + f > f64::from(MOST_ATTEMPTS) {
                    sample::beta(&mut words, a, b)
                } else {
                    1.0 - inv_inc_beta(b, a, whole(words.next_u32(), fine, i))
                };
                if draw > naive.1 {
                    naive = (Some(i), draw);
                }
            }
            assert_eq!(answer, naive.0);
        }
    }

    /// How far the shares of wins are from their chances, as the p-value of a chi-square test;
    /// `swap` plants a bug.
    fn p_value(lines: &Lines, counts: &[(f64, f64)], copies: usize, draws: u64, swap: bool) -> f64 {
        let shape = |i: usize| (lines.shapes)(counts[i].0, counts[i].1);
        // The chance that i wins is the mean, over its largest draw, of the chance that the draws of
        // all others are smaller: here over the middles of so many ranges of equal chances.
        let ranges = 20_000;
        let chance = |i: usize| {
            let at = |k: usize| {
                let tail = tail_of_largest(copies, 1.0 - (k as f64 + 0.5) / f64::from(ranges));
                let x = 1.0 - inv_inc_beta(shape(i).1, shape(i).0, tail);
                let below = |j: usize| inc_beta(shape(j).0, shape(j).1, x).powi(copies as i32);
                (0..counts.len()).filter(|j| *j != i).map(below).product::<f64>()
            };
            (0..ranges as usize).map(at).sum::<f64>() / f64::from(ranges)
        };
        let mut rng = ChaCha8Rng::seed_from_u64(17);
        let mut wins = vec![0_u64; counts.len()];
        let of = |i: usize| if swap { (counts[i].1, counts[i].0) } else { counts[i] };
        for _ in 0..draws {
            let candidates = (0..counts.len()).map(|i| (i, copies));
            let belief = |i: usize| Belief::new(of(i).0, of(i).1);
            wins[largest_draw(&mut rng, lines, candidates, belief, of).unwrap()] += 1;
        }
        let (mut statistic, mut cells) = (0.0, 0.0);
        for (i, wins) in wins.iter().enumerate() {
            let expected = chance(i) * draws as f64;
            if expected >= 5.0 {
                statistic += (*wins as f64 - expected).powi(2) / expected;
                cells += 1.0;
            }
        }
        chi_square_sf(statistic, cells - 1.0)
    }

    /// From no knowledge at all to beliefs too strong for lines.
    const STATES: [&[(f64, f64)]; 6] = [
        &[(0.0, 0.0), (0.0, 0.0), (0.0, 0.0)],
        &[(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (2.0, 3.0)],
        &[(9.0, 1.0), (18.0, 2.0), (5.0, 0.0), (90.0, 12.0)],
        &[(60.0, 60.0), (64.0, 63.0), (30.0, 28.0), (3.0, 4.0)],
        &[(120.0, 7.0), (900.0, 60.0), (27.0, 1.0), (0.0, 0.0)],
        &[(5000.0, 50.0), (125.0, 1.0), (4900.0, 60.0), (990.0, 8.0)],
    ];

    fn the_law_holds(draws: u64) {
        for (state, counts) in STATES.iter().enumerate() {
            // 30 copies are enough to be drawn at once whatever the belief.
            for copies in [1, 3, 30] {
                for lines in [&UNIFORM_PRIOR, &QUARTERS] {
                    let p = p_value(lines, counts, copies, draws, false);
                    assert!(p > 1e-4, "state {state}, {copies} copies: p = {p}");
                }
            }
        }
    }

    /// 36 tests at 1e-4 with fixed seeds: a false alarm in 1 of 270 choices of seeds.
    #[test]
    fn each_wins_as_often_as_it_is_the_largest() {
        the_law_holds(100_000);
        assert!(p_value(&QUARTERS, STATES[1], 1, 100_000, true) < 1e-9, "swapped parameters");
    }

    #[test]
    #[ignore = "ten million draws for each state take minutes; `make law` runs it"]
    fn each_of_ten_million_wins_as_often_as_it_is_the_largest() {
        the_law_holds(10_000_000);
    }
}
