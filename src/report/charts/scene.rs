//! A picture as a list of shapes, in pixels of the full-size chart, before any backend.
//!
//! Charts are laid out once and then painted as SVG or PNG, so both show the same thing and a
//! chart file knows nothing of backends.

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

/// Splits a line into its dashes.
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
}
