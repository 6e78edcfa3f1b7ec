//! Paints a scene with plotters: SVG for people, PNG where it is wanted.
//!
//! Backends count in whole units, so SVG is drawn on a canvas with ten units a pixel and shown
//! at its true size by the view box.

use plotters::prelude::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontFamily, FontStyle, RGBAColor, ShapeStyle, TextStyle};

use super::ChartError;
use super::lettering::{self, FAMILY, HEIGHT_PER_EM};
use super::palette::WHITE;
use super::scene::{Anchor, Ink, Point, Scene, Shape};

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
pub(super) fn svg(scene: &Scene, title: &str, description: &str) -> Result<String, ChartError> {
    lettering::ready()?;
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

/// The scene as a PNG file's bytes, `scale` pixels for each of the scene's.
pub(super) fn png(scene: &Scene, scale: u32) -> Result<Vec<u8>, ChartError> {
    lettering::ready()?;
    let scale = f64::from(scale.clamp(1, 8));
    let (width, height) = size(scene, scale);
    if f64::from(width) * f64::from(height) > MOST_PIXELS {
        return Err(ChartError::TooLarge { width, height });
    }
    // plotters encodes only into files whose name says how.
    let file = tempfile::Builder::new().prefix("flakelab-chart-").suffix(".png").tempfile()?;
    {
        let mut backend = BitMapBackend::new(file.path(), (width, height));
        paint(scene, &mut backend, scale, &BITMAP)?;
    }
    Ok(std::fs::read(file.path())?)
}

fn size(scene: &Scene, scale: f64) -> (u32, u32) {
    ((scene.width * scale).round() as u32, (scene.height * scale).round() as u32)
}

fn paint<B: DrawingBackend>(
    scene: &Scene,
    backend: &mut B,
    scale: f64,
    lettering: &Lettering,
) -> Result<(), ChartError> {
    let at = |p: Point| ((p.0 * scale).round() as i32, (p.1 * scale).round() as i32);
    let drawn = |result: Result<(), _>| result.map_err(|e| ChartError::Draw(format!("{e}")));
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
