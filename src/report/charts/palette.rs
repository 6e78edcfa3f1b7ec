//! Colours, marks and dash patterns, and which strategy owns which.
//!
//! A strategy keeps its colour, mark and pattern in all charts of a scenario: they follow from
//! the position of its label in sorted order. Colours alone never carry meaning. They are those
//! of M. Okabe and K. Ito, "Color Universal Design" (2008), without the yellow, which is too pale
//! on white; the numbers of colours, marks and patterns have no common factor, so that
//! combinations repeat as late as possible.

use super::scene::{Ink, Point, Scene};
use crate::experiment::ContenderSummary;

pub(crate) const WHITE: Ink = Ink::solid(255, 255, 255);
/// Text.
pub(crate) const TEXT: Ink = Ink::solid(0x22, 0x22, 0x22);
/// Text of second importance; contrast 7:1 on white.
pub(crate) const QUIET: Ink = Ink::solid(0x55, 0x55, 0x55);
/// Axes and separators.
pub(crate) const RULE: Ink = Ink::solid(0x99, 0x99, 0x99);
/// Grid lines.
pub(crate) const GRID: Ink = Ink::solid(0xE2, 0xE2, 0xE2);

const BLACK: Ink = Ink::solid(0, 0, 0);
const GREY: Ink = Ink::solid(0x77, 0x77, 0x77);

/// The colour of what a chart is about, where there is only one such thing.
pub(crate) const ACCENT: Ink = COLOURS[0];

const COLOURS: [Ink; 6] = [
    Ink::solid(0x00, 0x72, 0xB2), // blue
    Ink::solid(0xE6, 0x9F, 0x00), // orange
    Ink::solid(0x00, 0x9E, 0x73), // bluish green
    Ink::solid(0xD5, 0x5E, 0x00), // vermilion
    Ink::solid(0xCC, 0x79, 0xA7), // reddish purple
    Ink::solid(0x56, 0xB4, 0xE9), // sky blue
];

const MARKS: [Mark; 7] = [
    Mark::Circle,
    Mark::Square,
    Mark::TriangleUp,
    Mark::TriangleDown,
    Mark::Plus,
    Mark::Cross,
    Mark::Hourglass,
];

const DASHES: [&[f64]; 5] =
    [&[], &[14.0, 6.0], &[4.0, 5.0], &[18.0, 5.0, 4.0, 5.0], &[9.0, 4.0, 3.0, 4.0, 3.0, 4.0]];

/// The outline of a data point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Circle,
    Square,
    TriangleUp,
    TriangleDown,
    Plus,
    Cross,
    Hourglass,
    /// Kept for the best strategy in the chart of differences.
    Diamond,
    /// Kept for the oracle.
    Star,
    /// Kept for the other references.
    Hexagon,
}

impl Mark {
    /// Corners on a circle-like outline of radius 1.
    fn corners(self) -> Vec<Point> {
        let turn = |steps: u32, radius: &dyn Fn(u32) -> f64| {
            (0..steps)
                .map(|i| {
                    let angle = std::f64::consts::TAU * f64::from(i) / f64::from(steps);
                    (radius(i) * libm::sin(angle), -radius(i) * libm::cos(angle))
                })
                .collect()
        };
        const PLUS: [Point; 12] = [
            (-0.38, -1.05),
            (0.38, -1.05),
            (0.38, -0.38),
            (1.05, -0.38),
            (1.05, 0.38),
            (0.38, 0.38),
            (0.38, 1.05),
            (-0.38, 1.05),
            (-0.38, 0.38),
            (-1.05, 0.38),
            (-1.05, -0.38),
            (-0.38, -0.38),
        ];
        let half = std::f64::consts::FRAC_1_SQRT_2;
        match self {
            Self::Circle => turn(32, &|_| 1.0),
            Self::Square => vec![(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            Self::TriangleUp => vec![(0.0, -1.15), (1.1, 0.85), (-1.1, 0.85)],
            Self::TriangleDown => vec![(0.0, 1.15), (1.1, -0.85), (-1.1, -0.85)],
            Self::Plus => PLUS.to_vec(),
            Self::Cross => {
                PLUS.iter().map(|(x, y)| (half * (x - y) * 1.1, half * (x + y) * 1.1)).collect()
            }
            Self::Hourglass => vec![(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)],
            Self::Diamond => vec![(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)],
            Self::Star => turn(10, &|i| if i % 2 == 0 { 1.3 } else { 0.55 }),
            Self::Hexagon => turn(6, &|_| 1.05),
        }
    }

    /// A filled mark with a thin white rim, which keeps neighbours apart.
    pub fn draw(self, scene: &mut Scene, at: Point, radius: f64, ink: Ink) {
        scene.fill(self.outline(at, radius + 1.5), WHITE);
        scene.fill(self.outline(at, radius), ink);
    }

    /// Filled without a rim, so that neighbours may touch.
    pub fn draw_plain(self, scene: &mut Scene, at: Point, radius: f64, ink: Ink) {
        scene.fill(self.outline(at, radius), ink);
    }

    /// A thin outline that hides nothing below it.
    pub fn draw_ring(self, scene: &mut Scene, at: Point, radius: f64, ink: Ink) {
        let mut outline = self.outline(at, radius);
        outline.extend(outline.first().copied());
        scene.stroke(outline, ink, 1.8);
    }

    /// The outline only, white inside.
    pub fn draw_hollow(self, scene: &mut Scene, at: Point, radius: f64, ink: Ink) {
        let mut outline = self.outline(at, radius);
        scene.fill(self.outline(at, radius + 1.5), WHITE);
        outline.extend(outline.first().copied());
        scene.stroke(outline, ink, 3.0);
    }

    fn outline(self, at: Point, radius: f64) -> Vec<Point> {
        self.corners().into_iter().map(|(x, y)| (at.0 + x * radius, at.1 + y * radius)).collect()
    }
}

/// How a contender looks in every chart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Look {
    pub ink: Ink,
    pub mark: Mark,
    pub dash: &'static [f64],
}

/// The looks of the contenders, in their order.
pub(super) fn looks(contenders: &[ContenderSummary]) -> Vec<Look> {
    let labels: Vec<(&str, bool)> =
        contenders.iter().map(|c| (c.strategy.as_str(), c.ranking.is_some())).collect();
    looks_of(&labels)
}

/// The looks of strategies by their labels, each with whether it is ranked, not a reference.
pub(super) fn looks_of(labels: &[(&str, bool)]) -> Vec<Look> {
    let mut ranked: Vec<usize> = (0..labels.len()).filter(|i| labels[*i].1).collect();
    ranked.sort_by_key(|i| labels[*i].0);
    let reference = |label: &str| match label {
        "oracle" => Look { ink: BLACK, mark: Mark::Star, dash: &[] },
        _ => Look { ink: GREY, mark: Mark::Hexagon, dash: &[2.0, 5.0] },
    };
    let mut looks: Vec<Look> = labels.iter().map(|(label, _)| reference(label)).collect();
    for (position, contender) in ranked.into_iter().enumerate() {
        looks[contender] = Look {
            ink: COLOURS[position % COLOURS.len()],
            mark: MARKS[position % MARKS.len()],
            dash: DASHES[position % DASHES.len()],
        };
    }
    looks
}

/// The colour of the n-th of several things; colours repeat.
pub(crate) fn colour(n: usize) -> Ink {
    COLOURS[n % COLOURS.len()]
}

/// A sequential ramp of one hue, from almost white at 0 to dark blue at 1 (ColorBrewer's Blues,
/// safe for the colour-blind because lightness falls throughout).
pub(super) fn ramp(share: f64) -> Ink {
    const STOPS: [(f64, f64, f64); 9] = [
        (247.0, 251.0, 255.0),
        (222.0, 235.0, 247.0),
        (198.0, 219.0, 239.0),
        (158.0, 202.0, 225.0),
        (107.0, 174.0, 214.0),
        (66.0, 146.0, 198.0),
        (33.0, 113.0, 181.0),
        (8.0, 81.0, 156.0),
        (8.0, 48.0, 107.0),
    ];
    let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
    let position = share * (STOPS.len() - 1) as f64;
    let below = (position as usize).min(STOPS.len() - 2);
    let part = position - below as f64;
    let (a, b) = (STOPS[below], STOPS[below + 1]);
    let mix = |a: f64, b: f64| (a + (b - a) * part).round() as u8;
    Ink::solid(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

/// Black or white, whichever reads better on `ground` (WCAG 2 contrast, by relative luminance).
pub(super) fn readable_on(ground: Ink) -> Ink {
    let linear = |channel: u8| {
        let c = f64::from(channel) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { libm::pow((c + 0.055) / 1.055, 2.4) }
    };
    let (r, g, b) = ground.rgb;
    let luminance = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    // Contrast with white 1.05 / (L + 0.05) equals that with black (L + 0.05) / 0.05 at 0.179.
    if luminance > 0.179 { BLACK } else { WHITE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ramp_only_darkens_and_its_text_stays_readable() {
        let brightness = |ink: Ink| u32::from(ink.rgb.0) + u32::from(ink.rgb.1);
        for i in 0..100 {
            let (a, b) = (ramp(f64::from(i) / 100.0), ramp(f64::from(i + 1) / 100.0));
            assert!(brightness(a) >= brightness(b), "{a:?} {b:?}");
        }
        assert_eq!(readable_on(ramp(0.0)), BLACK);
        assert_eq!(readable_on(ramp(1.0)), WHITE);
        assert_eq!(ramp(f64::NAN), ramp(0.0));
        assert_eq!(ramp(7.0), ramp(1.0));
    }
}
