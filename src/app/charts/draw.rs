//! What charts are made of: shapes, text that fits, colours and marks; and the painting of it all.
//!
//! Charts are laid out once, in pixels of the full-size chart, and then painted as SVG or PNG, so
//! both show the same thing and whoever draws a chart knows nothing of backends.

use std::sync::OnceLock;

use anyhow::{Context, anyhow, bail, ensure};
use plotters::prelude::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    FontDesc, FontFamily, FontStyle, RGBAColor, ShapeStyle, TextStyle, register_font,
};
use rayon::prelude::*;

use flakelab_sim::experiment::ContenderSummary;

/// A finished chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Stem of its file name, for example `score`.
    pub name: &'static str,
    /// What it shows, of which config, how many requests and replications.
    pub title: String,
    /// What to see in it, computed from the data; also drawn below the plot.
    pub caption: String,
    pub svg: String,
    pub(crate) scene: Scene,
}

impl Chart {
    /// The chart as the bytes of a PNG file, `scale` pixels for each of the SVG's (2 looks good
    /// on every screen; beyond 8 counts as 8).
    pub fn png(&self, scale: u32) -> anyhow::Result<Vec<u8>> {
        ready()?;
        let scale = f64::from(scale.clamp(1, 8));
        let (width, height) = size(&self.scene, scale);
        if f64::from(width) * f64::from(height) > MOST_PIXELS {
            bail!("a PNG of {width} x {height} pixels is too large; use the SVG");
        }
        // plotters encodes only into files whose name says how.
        let file = tempfile::Builder::new().prefix("flakelab-chart-").suffix(".png").tempfile();
        let file = file.context("a temporary file for a PNG cannot be used")?;
        let mut backend = BitMapBackend::new(file.path(), (width, height));
        paint(&self.scene, &mut backend, scale, &BITMAP)?;
        drop(backend);
        Ok(std::fs::read(file.path())?)
    }
}

/// x to the right, y down, in pixels.
pub(crate) type Point = (f64, f64);

/// A colour and how much it covers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ink {
    pub rgb: (u8, u8, u8),
    /// From 0, invisible, to 1.
    pub alpha: f64,
}

impl Ink {
    pub const fn solid(r: u8, g: u8, b: u8) -> Self {
        Self { rgb: (r, g, b), alpha: 1.0 }
    }

    pub const fn faint(self, alpha: f64) -> Self {
        Self { alpha, ..self }
    }
}

/// Which point of a text is placed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// Size and weight of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Type {
    /// Pixels of an em.
    pub size: f64,
    pub bold: bool,
}

/// One thing to paint.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    Rectangle { from: Point, to: Point, ink: Ink },
    Fill { points: Vec<Point>, ink: Ink },
    Stroke { points: Vec<Point>, ink: Ink, width: f64 },
    Text { text: String, at: Point, anchor: Anchor, font: Type, ink: Ink },
}

/// A picture; later shapes cover earlier ones.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scene {
    pub width: f64,
    pub height: f64,
    pub shapes: Vec<Shape>,
}

impl Scene {
    pub fn rectangle(&mut self, from: Point, to: Point, ink: Ink) {
        self.shapes.push(Shape::Rectangle { from, to, ink });
    }

    pub fn fill(&mut self, points: Vec<Point>, ink: Ink) {
        self.shapes.push(Shape::Fill { points, ink });
    }

    pub fn stroke(&mut self, points: Vec<Point>, ink: Ink, width: f64) {
        self.shapes.push(Shape::Stroke { points, ink, width });
    }

    pub fn line(&mut self, from: Point, to: Point, ink: Ink, width: f64) {
        self.stroke(vec![from, to], ink, width);
    }

    /// A line of dashes and gaps in turn, their lengths in pixels; an empty pattern is solid.
    pub fn dashed(&mut self, points: &[Point], ink: Ink, width: f64, pattern: &[f64]) {
        if pattern.is_empty() {
            self.stroke(points.to_vec(), ink, width);
            return;
        }
        for dash in dashes(points, pattern) {
            self.stroke(dash, ink, width);
        }
    }

    /// A text whose baseline is at `at`. Control characters, which XML forbids, become spaces.
    pub fn text(&mut self, text: &str, at: Point, anchor: Anchor, font: Type, ink: Ink) {
        let text = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.shapes.push(Shape::Text { text, at, anchor, font, ink });
    }
}

fn dashes(points: &[Point], pattern: &[f64]) -> Vec<Vec<Point>> {
    let mut found = Vec::new();
    let Some(first) = points.first() else { return found };
    let mut dash = vec![*first];
    let mut phase = 0;
    let mut left = pattern[0].max(1.0);
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        loop {
            let length = libm::hypot(to.0 - from.0, to.1 - from.1);
            if !length.is_finite() || length <= left {
                left -= if length.is_finite() { length } else { 0.0 };
                break;
            }
            let share = left / length;
            from = (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
            if phase % 2 == 0 {
                dash.push(from);
                found.push(std::mem::take(&mut dash));
            } else {
                dash = vec![from];
            }
            phase = (phase + 1) % pattern.len();
            left = pattern[phase].max(1.0);
        }
        if phase % 2 == 0 {
            dash.push(to);
        }
    }
    if dash.len() > 1 {
        found.push(dash);
    }
    found
}

// ---- Text that must fit: a font that the program carries, widths, line breaks, ellipses.
//
// SVG is shown in a font of the reader's choice, so widths here are upper bounds: those of
// Ubuntu Light, which is carried along, times what DejaVu Sans, the widest of the usual
// sans-serif fonts, is wider (measured on the texts of these charts: 13 to 16 %, bold 27 to
// 29 %). PNG uses Ubuntu Light itself.

/// Fonts by preference, the last one understood by every viewer. The carried font is registered
/// under exactly this name.
const FAMILY: &str = "Helvetica, Arial, sans-serif";

/// Height (ascent + descent) of Ubuntu Light over its em: 932 and 189 of 1000 units. The size
/// that plotters' ab_glyph wants is that height.
const HEIGHT_PER_EM: f64 = 1.121;

/// Of Ubuntu Light.
const UNITS_PER_EM: f64 = 1000.0;

const WIDER: f64 = 1.16;
const WIDER_IN_BOLD: f64 = 1.30;

/// Makes the carried font known; every chart starts with it.
pub(crate) fn ready() -> anyhow::Result<()> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let font = epaint_default_fonts::UBUNTU_LIGHT;
    let registered =
        REGISTERED.get_or_init(|| register_font(FAMILY, FontStyle::Normal, font).is_ok());
    ensure!(*registered, "the built-in font cannot be used");
    Ok(())
}

/// All these charts of one thing, in this order.
pub(crate) fn drawn<T: Sync, const N: usize>(
    charts: [fn(&T) -> anyhow::Result<Chart>; N],
    of: &T,
) -> anyhow::Result<Vec<Chart>> {
    ready()?;
    charts.into_par_iter().map(|chart| chart(of)).collect()
}

/// At most so many pixels wide in any usual font.
pub(crate) fn width(text: &str, font: Type) -> f64 {
    let carried: i32 = text.chars().map(advance).sum();
    let wider = if font.bold { WIDER_IN_BOLD } else { WIDER };
    f64::from(carried) / UNITS_PER_EM * font.size * wider
}

/// The width of a character of the carried font in its units. It has no kerning, so a text is as
/// wide as its characters. To look one up takes long; most are ASCII.
fn advance(c: char) -> i32 {
    static ASCII: OnceLock<[i32; 128]> = OnceLock::new();
    let ascii = ASCII.get_or_init(|| {
        // Whoever measures before a chart is begun must not leave guesses behind.
        let _ = ready();
        std::array::from_fn(|i| laid_out(&char::from(i as u8).to_string()))
    });
    ascii.get(c as usize).copied().unwrap_or_else(|| laid_out(&c.to_string()))
}

/// The width of a text in units of the carried font.
fn laid_out(text: &str) -> i32 {
    let size = UNITS_PER_EM * HEIGHT_PER_EM;
    let font = FontDesc::new(FontFamily::Name(FAMILY), size, FontStyle::Normal);
    let guessed = text.chars().count() as i32 * 600;
    font.layout_box(text).map_or(guessed, |((low, _), (high, _))| high - low)
}

/// The text, or as much of it as fits with an ellipsis.
pub(crate) fn fitted(text: &str, font: Type, room: f64) -> String {
    if width(text, font) <= room {
        return text.to_owned();
    }
    let chars: Vec<char> = text.chars().collect();
    let cut = |kept: usize| {
        let head: String = chars[..kept].iter().collect();
        format!("{}…", head.trim_end())
    };
    // Widths grow with length, so the longest that fits is found by halving.
    let (mut fits, mut too_long) = (0, chars.len());
    while too_long - fits > 1 {
        let middle = fits + (too_long - fits) / 2;
        if width(&cut(middle), font) <= room { fits = middle } else { too_long = middle }
    }
    cut(fits)
}

/// The text in lines that fit.
pub(crate) fn wrapped(text: &str, font: Type, room: f64) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if line.is_empty() || width(&longer, font) <= room {
            line = longer;
        } else {
            lines.push(std::mem::replace(&mut line, word.to_owned()));
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines.iter().map(|line| fitted(line, font, room)).collect()
}

// ---- Paints a scene with plotters: SVG for people, PNG where it is wanted.
//
// Backends count in whole units, so SVG is drawn on a canvas with ten units a pixel and shown
// at its true size by the view box.

const UNITS_PER_PIXEL: f64 = 10.0;

/// Most pixels of a PNG (three bytes each).
const MOST_PIXELS: f64 = 2e8;

/// How a backend places text: its font size over the em, and how far the baseline lies below the
/// point it is given, in ems.
struct Lettering {
    size_per_em: f64,
    baseline_per_em: f64,
}

/// plotters-svg divides sizes by 1.24 and shifts the baseline of top-anchored text by 0.76 em.
const SVG: Lettering = Lettering { size_per_em: 1.24, baseline_per_em: 0.76 };

/// plotters' ab_glyph draws the baseline half a font size below the top.
const BITMAP: Lettering =
    Lettering { size_per_em: HEIGHT_PER_EM, baseline_per_em: HEIGHT_PER_EM / 2.0 };

/// The scene as an SVG document that introduces itself to screen readers.
pub(crate) fn svg(scene: &Scene, title: &str, description: &str) -> anyhow::Result<String> {
    ready()?;
    let (width, height) = size(scene, UNITS_PER_PIXEL);
    let mut drawn = String::new();
    {
        let mut backend = SVGBackend::with_string(&mut drawn, (width, height));
        paint(scene, &mut backend, UNITS_PER_PIXEL, &SVG)?;
    }
    let body = drawn.split_once(">\n").map_or("", |(_head, body)| body);
    Ok(format!(
        "<svg width=\"{}\" height=\"{}\" viewBox=\"0 0 {width} {height}\" \
         xmlns=\"http://www.w3.org/2000/svg\" role=\"img\">\n\
         <title>{}</title>\n<desc>{}</desc>\n{body}",
        scene.width.round(),
        scene.height.round(),
        escaped(title),
        escaped(description),
    ))
}

fn size(scene: &Scene, scale: f64) -> (u32, u32) {
    ((scene.width * scale).round() as u32, (scene.height * scale).round() as u32)
}

fn paint<B: DrawingBackend>(
    scene: &Scene,
    backend: &mut B,
    scale: f64,
    lettering: &Lettering,
) -> anyhow::Result<()> {
    let at = |p: Point| ((p.0 * scale).round() as i32, (p.1 * scale).round() as i32);
    let drawn = |result: Result<(), _>| result.map_err(|e| anyhow!("a chart cannot be drawn: {e}"));
    let background =
        Shape::Rectangle { from: (0.0, 0.0), to: (scene.width, scene.height), ink: WHITE };
    drawn(backend.ensure_prepared())?;
    for shape in std::iter::once(&background).chain(&scene.shapes) {
        match shape {
            Shape::Rectangle { from, to, ink } => {
                drawn(backend.draw_rect(at(*from), at(*to), &colour(*ink), true))?;
            }
            Shape::Fill { points, ink } => {
                drawn(backend.fill_polygon(path(points, at), &colour(*ink)))?;
            }
            Shape::Stroke { points, ink, width } => {
                let stroke_width = ((width * scale).round() as u32).max(1);
                let style = ShapeStyle { color: colour(*ink), filled: false, stroke_width };
                let points = path(points, at);
                if points.len() > 1 {
                    drawn(backend.draw_path(points, &style))?;
                }
            }
            Shape::Text { text, at: place, anchor, font, ink } => {
                let weight = if font.bold { FontStyle::Bold } else { FontStyle::Normal };
                let em = font.size * scale;
                let h = match anchor {
                    Anchor::Start => HPos::Left,
                    Anchor::Middle => HPos::Center,
                    Anchor::End => HPos::Right,
                };
                let ink = colour(*ink);
                let size = em * lettering.size_per_em;
                let style = TextStyle::from((FontFamily::Name(FAMILY), size, weight))
                    .color(&ink)
                    .pos(Pos::new(h, VPos::Top));
                let (x, baseline) = at(*place);
                let top = (f64::from(baseline) - em * lettering.baseline_per_em).round() as i32;
                drawn(backend.draw_text(text, &style, (x, top)))?;
            }
        }
    }
    drawn(backend.present())
}

/// Points in a backend's units, without repetitions, which its line joints do not like.
fn path(points: &[Point], at: impl Fn(Point) -> (i32, i32)) -> Vec<(i32, i32)> {
    let mut path: Vec<(i32, i32)> = points.iter().map(|p| at(*p)).collect();
    path.dedup();
    path
}

fn colour(ink: Ink) -> RGBAColor {
    RGBAColor(ink.rgb.0, ink.rgb.1, ink.rgb.2, ink.alpha)
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

// ---- Colours, marks and dash patterns, and which strategy owns which.
//
// A strategy keeps its colour, mark and pattern in all charts of a scenario: they follow from
// the position of its label in sorted order. Colours alone never carry meaning. They are those
// of M. Okabe and K. Ito, "Color Universal Design" (2008), without the yellow, which is too pale
// on white; the numbers of colours, marks and patterns have no common factor, so that
// combinations repeat as late as possible.

pub(crate) const WHITE: Ink = Ink::solid(255, 255, 255);
pub(crate) const TEXT: Ink = Ink::solid(0x22, 0x22, 0x22);

/// Text of second importance; contrast 7:1 on white.
pub(crate) const QUIET: Ink = Ink::solid(0x55, 0x55, 0x55);

/// Axes and separators.
pub(crate) const RULE: Ink = Ink::solid(0x99, 0x99, 0x99);

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
        self.stroke(scene, at, radius, ink, 1.8);
    }

    /// The outline only, white inside.
    pub fn draw_hollow(self, scene: &mut Scene, at: Point, radius: f64, ink: Ink) {
        scene.fill(self.outline(at, radius + 1.5), WHITE);
        self.stroke(scene, at, radius, ink, 3.0);
    }

    fn stroke(self, scene: &mut Scene, at: Point, radius: f64, ink: Ink, width: f64) {
        let mut outline = self.outline(at, radius);
        outline.extend(outline.first().copied());
        scene.stroke(outline, ink, width);
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

pub(crate) fn looks(contenders: &[ContenderSummary]) -> Vec<Look> {
    let labels: Vec<(&str, bool)> =
        contenders.iter().map(|c| (c.strategy.as_str(), c.ranking.is_some())).collect();
    looks_of(&labels)
}

/// The looks of strategies by their labels, each with whether it is ranked, not a reference.
pub(crate) fn looks_of(labels: &[(&str, bool)]) -> Vec<Look> {
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
pub(crate) fn palette_colour(n: usize) -> Ink {
    COLOURS[n % COLOURS.len()]
}

/// A sequential ramp of one hue, from almost white at 0 to dark blue at 1 (ColorBrewer's Blues,
/// safe for the colour-blind because lightness falls throughout).
pub(crate) fn ramp(share: f64) -> Ink {
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
pub(crate) fn readable_on(ground: Ink) -> Ink {
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
    fn dashes_turn_corners_and_leave_gaps() {
        let corner = [(0.0, 0.0), (6.0, 0.0), (6.0, 10.0)];
        let expected = [
            vec![(0.0, 0.0), (4.0, 0.0)],
            vec![(6.0, 0.0), (6.0, 4.0)],
            vec![(6.0, 6.0), (6.0, 10.0)],
        ];
        assert_eq!(dashes(&corner, &[4.0, 2.0]), expected);
        assert!(dashes(&[], &[4.0, 2.0]).is_empty());
    }

    const FONT: Type = Type { size: 16.0, bold: false };

    #[test]
    fn long_texts_are_cut_or_broken_to_fit() {
        ready().unwrap();
        let text = "a strategy with a very long name indeed";
        let cut = fitted(text, FONT, 120.0);
        assert!(cut.ends_with('…') && width(&cut, FONT) <= 120.0, "{cut}");
        assert_eq!(fitted("short", FONT, 120.0), "short");
        let lines = wrapped(text, FONT, 120.0);
        assert_eq!(lines.join(" "), text);
        assert!(lines.iter().all(|line| width(line, FONT) <= 120.0), "{lines:?}");
        assert_eq!(fitted("anything", FONT, 0.0), "…");
        assert!(wrapped(" ", FONT, 10.0).is_empty());
    }

    #[test]
    fn a_text_is_as_wide_as_its_characters() {
        ready().unwrap();
        for text in ["", "AVAToWa fi 0.95 %", "V5 thompson-scaled: ±1,234.5 · 7…", "naïve\n→ Ω"]
        {
            assert_eq!(text.chars().map(advance).sum::<i32>(), laid_out(text), "{text:?}");
        }
        let em = Type { size: 1.0, bold: false };
        assert_eq!(width("m", em), f64::from(advance('m')) / UNITS_PER_EM * WIDER);
    }

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
