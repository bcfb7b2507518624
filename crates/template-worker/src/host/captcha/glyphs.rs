//! The characters, and how a text of them is put on a canvas.
//!
//! Owns their shapes: strokes on a grid of five columns and seven rows, drawn for this. Of characters that look alike
//! (0 and O, 1 and I, 2 and Z, 5 and S, 6 and G, 8 and B, U and V) there is one at most.

use super::drawing::{Canvas, Dice};

/// A character and its strokes; a stroke is a list of points, each a column and a row.
type Glyph = (char, &'static [&'static [(u8, u8)]]);

#[rustfmt::skip]
const GLYPHS: &[Glyph] = &[
    ('A', &[&[(0, 6), (2, 0), (4, 6)], &[(1, 4), (3, 4)]]),
    ('B', &[&[(0, 3), (3, 3), (4, 2), (4, 1), (3, 0), (0, 0), (0, 6), (3, 6), (4, 5), (4, 4), (3, 3)]]),
    ('C', &[&[(4, 1), (3, 0), (1, 0), (0, 1), (0, 5), (1, 6), (3, 6), (4, 5)]]),
    ('D', &[&[(0, 0), (0, 6), (2, 6), (4, 4), (4, 2), (2, 0), (0, 0)]]),
    ('E', &[&[(4, 0), (0, 0), (0, 6), (4, 6)], &[(0, 3), (3, 3)]]),
    ('F', &[&[(4, 0), (0, 0), (0, 6)], &[(0, 3), (3, 3)]]),
    ('G', &[&[(4, 1), (3, 0), (1, 0), (0, 1), (0, 5), (1, 6), (3, 6), (4, 5), (4, 3), (2, 3)]]),
    ('H', &[&[(0, 0), (0, 6)], &[(4, 0), (4, 6)], &[(0, 3), (4, 3)]]),
    ('J', &[&[(4, 0), (4, 5), (3, 6), (1, 6), (0, 5)]]),
    ('K', &[&[(0, 0), (0, 6)], &[(4, 0), (0, 3), (4, 6)]]),
    ('L', &[&[(0, 0), (0, 6), (4, 6)]]),
    ('M', &[&[(0, 6), (0, 0), (2, 3), (4, 0), (4, 6)]]),
    ('N', &[&[(0, 6), (0, 0), (4, 6), (4, 0)]]),
    ('P', &[&[(0, 6), (0, 0), (3, 0), (4, 1), (4, 2), (3, 3), (0, 3)]]),
    ('R', &[&[(0, 6), (0, 0), (3, 0), (4, 1), (4, 2), (3, 3), (0, 3)], &[(2, 3), (4, 6)]]),
    ('T', &[&[(0, 0), (4, 0)], &[(2, 0), (2, 6)]]),
    ('U', &[&[(0, 0), (0, 5), (1, 6), (3, 6), (4, 5), (4, 0)]]),
    ('W', &[&[(0, 0), (1, 6), (2, 3), (3, 6), (4, 0)]]),
    ('X', &[&[(0, 0), (4, 6)], &[(4, 0), (0, 6)]]),
    ('Y', &[&[(0, 0), (2, 3), (4, 0)], &[(2, 3), (2, 6)]]),
    ('Z', &[&[(0, 0), (4, 0), (0, 6), (4, 6)]]),
    ('3', &[&[(0, 0), (4, 0), (2, 2), (3, 2), (4, 3), (4, 5), (3, 6), (1, 6), (0, 5)]]),
    ('4', &[&[(3, 6), (3, 0), (0, 4), (4, 4)]]),
    ('5', &[&[(4, 0), (0, 0), (0, 2), (3, 2), (4, 3), (4, 5), (3, 6), (1, 6), (0, 5)]]),
    ('7', &[&[(0, 0), (4, 0), (1, 6)]]),
    ('9', &[&[(4, 2), (3, 3), (1, 3), (0, 2), (0, 1), (1, 0), (3, 0), (4, 1), (4, 3), (2, 6)]]),
];

/// A text of `count` characters, each as likely as any other, and not to be guessed.
pub(super) fn text(count: usize) -> Result<String, getrandom::Error> {
    // A byte above the last whole round would make the first characters likelier.
    let fair = 256 / GLYPHS.len() * GLYPHS.len();
    let mut text = String::with_capacity(count);
    while text.len() < count {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        let chosen = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair);
        text.extend(chosen.map(|byte| GLYPHS[byte % GLYPHS.len()].0).take(count - text.len()));
    }
    Ok(text)
}

/// Puts `text` on the canvas, each character in a place of its own, a little turned and moved.
pub(super) fn draw(canvas: &mut Canvas, dice: &mut Dice, text: &str) {
    let count = f64::from(u32::try_from(text.len()).unwrap_or(1).max(1));
    let (width, height) = (f64::from(canvas.width), f64::from(canvas.height));
    let cell = width / count;
    // A character is 4 steps wide and 6 high; some room is left for turning and moving it.
    let step = (cell * 0.54 / 4.0).min(height * 0.6 / 6.0);
    for (number, character) in (0..).zip(text.chars()) {
        let Some((_, strokes)) = GLYPHS.iter().find(|(known, _)| *known == character) else { continue };
        let center = (
            cell * (f64::from(number) + 0.5) + dice.between(-0.06, 0.06) * cell,
            height / 2.0 + dice.between(-0.1, 0.1) * height,
        );
        let (sin, cos) = dice.between(-0.35, 0.35).sin_cos();
        let (thickness, color) = ((step * 0.6).max(1.0), dice.dark());
        let place = |(x, y): (u8, u8)| {
            let (x, y) = ((f64::from(x) - 2.0) * step, (f64::from(y) - 3.0) * step);
            (center.0 + x * cos - y * sin, center.1 + x * sin + y * cos)
        };
        for pair in strokes.iter().flat_map(|stroke| stroke.windows(2)) {
            if let [from, to] = pair {
                canvas.line(place(*from), place(*to), thickness, color);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn no_two_characters_look_alike_and_all_fit_their_grid() {
        let known: BTreeSet<char> = GLYPHS.iter().map(|(character, _)| *character).collect();
        assert_eq!(known.len(), GLYPHS.len());
        for alike in ["0OQD", "1IL", "2Z", "5S", "6G", "8B", "UV"] {
            let both = alike.chars().filter(|character| known.contains(character)).count();
            assert!(both <= 1, "{alike}");
        }
        for (character, strokes) in GLYPHS {
            let mut points = strokes.iter().flat_map(|stroke| stroke.iter());
            assert!(points.all(|(x, y)| *x <= 4 && *y <= 6), "{character}");
        }
    }

    #[test]
    fn every_character_is_drawn_as_often_as_any_other() {
        let mut counts: BTreeMap<char, usize> = BTreeMap::new();
        for character in text(26_000).unwrap().chars() {
            *counts.entry(character).or_default() += 1;
        }
        assert_eq!(counts.len(), GLYPHS.len());
        assert!(counts.values().all(|count| (700..1300).contains(count)), "{counts:?}");
        assert_ne!(text(10).unwrap(), text(10).unwrap());
    }

    #[test]
    fn each_character_marks_its_own_part_of_the_canvas() {
        let (mut canvas, mut dice) = (Canvas::new(200, 60), Dice::new().unwrap());
        draw(&mut canvas, &mut dice, "A");
        let marked = |canvas: &Canvas| canvas.pixels.iter().filter(|pixel| **pixel != [255; 3]).count();
        let one = marked(&canvas);
        assert!(one > 50, "{one}");
        let mut canvas = Canvas::new(200, 60);
        draw(&mut canvas, &mut dice, "AAAAA");
        assert!(marked(&canvas) > 2 * one, "{} and {one}", marked(&canvas));
    }
}
