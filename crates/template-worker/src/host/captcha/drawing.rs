//! Pixels, lines, and the dice that place them.
//!
//! Owns that nothing outside of the canvas is touched, and that a line costs at most as many steps as the canvas has pixels.

/// Red, green, blue.
pub(super) type Color = [u8; 3];

const WHITE: Color = [255; 3];

/// A picture while it is drawn: rows of pixels from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Canvas {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) pixels: Vec<Color>,
}

impl Canvas {
    pub(super) fn new(width: u32, height: u32) -> Self {
        Self { width, height, pixels: vec![WHITE; width as usize * height as usize] }
    }

    /// The rows.
    pub(super) fn rows_mut(&mut self) -> impl Iterator<Item = &mut [Color]> {
        self.pixels.chunks_exact_mut(self.width as usize)
    }

    /// A line with round ends and soft edges.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), thickness: f64, color: Color) {
        let radius = thickness / 2.0;
        let reach = radius + 1.0;
        let columns = range(from.0.min(to.0) - reach, from.0.max(to.0) + reach, self.width);
        let rows = range(from.1.min(to.1) - reach, from.1.max(to.1) + reach, self.height);
        for (y, row) in (0..).zip(self.rows_mut()).take(rows.end as usize).skip(rows.start as usize) {
            for x in columns.clone() {
                let away = distance((f64::from(x) + 0.5, f64::from(y) + 0.5), from, to);
                let cover = (radius + 0.5 - away).clamp(0.0, 1.0);
                if let Some(pixel) = row.get_mut(x as usize).filter(|_| cover > 0.0) {
                    for (under, over) in pixel.iter_mut().zip(color) {
                        *under = mixed(*under, over, cover);
                    }
                }
            }
        }
    }
}

/// The whole numbers from `least` to `most` that are below `end`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate")]
fn range(least: f64, most: f64, end: u32) -> std::ops::Range<u32> {
    (least.floor() as u32).min(end)..(most.ceil().max(0.0) as u32).min(end)
}

/// From a point to the nearest point of a line.
fn distance(point: (f64, f64), from: (f64, f64), to: (f64, f64)) -> f64 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.mul_add(dx, dy * dy);
    let along = (point.0 - from.0).mul_add(dx, (point.1 - from.1) * dy);
    let part = if length > 0.0 { (along / length).clamp(0.0, 1.0) } else { 0.0 };
    (point.0 - part.mul_add(dx, from.0)).hypot(point.1 - part.mul_add(dy, from.1))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between two bytes is a byte")]
fn mixed(under: u8, over: u8, part: f64) -> u8 {
    f64::from(under).mul_add(1.0 - part, f64::from(over) * part).round() as u8
}

/// Random numbers for looks alone: seeded by the operating system, and quick. The text is not drawn from these.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed)?;
        Ok(Self(u64::from_le_bytes(seed)))
    }

    /// SplitMix64.
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `least` up to `most`.
    pub(super) fn between(&mut self, least: f64, most: f64) -> f64 {
        let part = f64::from(u32::try_from(self.bits() >> 32).unwrap_or_default()) / f64::from(u32::MAX);
        (most - least).mul_add(part, least)
    }

    /// A color that stands out from white.
    pub(super) fn dark(&mut self) -> Color {
        let [red, green, blue, ..] = self.bits().to_le_bytes();
        [red / 2, green / 2, blue / 2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_covers_what_lies_on_it_and_nothing_else() {
        let mut canvas = Canvas::new(20, 10);
        canvas.line((2.0, 5.0), (18.0, 5.0), 2.0, [0; 3]);
        assert_eq!(canvas.pixels[5 * 20 + 10], [0; 3]);
        assert_eq!(canvas.pixels[4 * 20 + 10], [0; 3]);
        for (x, y) in [(10, 0), (10, 9), (0, 0), (10, 7), (10, 2)] {
            assert_eq!(canvas.pixels[y * 20 + x], WHITE, "{x}, {y}");
        }
    }

    #[test]
    fn a_line_outside_of_the_canvas_is_not_drawn() {
        let mut canvas = Canvas::new(5, 5);
        canvas.line((-1000.0, -1000.0), (-10.0, -10.0), 5.0, [0; 3]);
        canvas.line((1000.0, 1000.0), (10.0, 10.0), 5.0, [0; 3]);
        assert_eq!(canvas, Canvas::new(5, 5));
        canvas.line((-1000.0, 2.5), (1000.0, 2.5), 1.0, [0; 3]);
        assert_eq!(canvas.pixels[10..15], [[0; 3]; 5]);
    }
}
