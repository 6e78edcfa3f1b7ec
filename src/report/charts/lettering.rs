//! Text that must fit: a font that the program carries, widths, line breaks, ellipses.
//!
//! SVG is shown in a font of the reader's choice, so widths here are upper bounds: those of
//! Ubuntu Light, which is carried along, times what DejaVu Sans, the widest of the usual
//! sans-serif fonts, is wider (measured on the texts of these charts: 13 to 16 %, bold 27 to
//! 29 %). PNG uses Ubuntu Light itself.

use std::sync::OnceLock;

use plotters::style::{FontDesc, FontFamily, FontStyle, register_font};

use super::ChartError;
use super::scene::Type;

/// Fonts by preference, the last one understood by every viewer. The carried font is registered
/// under exactly this name.
pub(super) const FAMILY: &str = "Helvetica, Arial, sans-serif";
/// Height (ascent + descent) of Ubuntu Light over its em: 932 and 189 of 1000 units. The size
/// that plotters' ab_glyph wants is that height.
pub(super) const HEIGHT_PER_EM: f64 = 1.121;

const WIDER: f64 = 1.16;
const WIDER_IN_BOLD: f64 = 1.30;

/// Makes the carried font known; every chart starts with it.
pub(crate) fn ready() -> Result<(), ChartError> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let font = epaint_default_fonts::UBUNTU_LIGHT;
    let registered =
        REGISTERED.get_or_init(|| register_font(FAMILY, FontStyle::Normal, font).is_ok());
    if *registered { Ok(()) } else { Err(ChartError::Font) }
}

/// At most so many pixels wide in any usual font.
pub(crate) fn width(text: &str, font: Type) -> f64 {
    const EM: f64 = 1000.0;
    let family = FontFamily::Name(FAMILY);
    let carried = FontDesc::new(family, EM * HEIGHT_PER_EM, FontStyle::Normal)
        .layout_box(text)
        .map_or(text.chars().count() as f64 * 0.6, |((low, _), (high, _))| {
            f64::from(high - low) / EM
        });
    carried * font.size * if font.bold { WIDER_IN_BOLD } else { WIDER }
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
pub(super) fn wrapped(text: &str, font: Type, room: f64) -> Vec<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
