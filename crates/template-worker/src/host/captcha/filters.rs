//! What is done to a picture after its text is on it.
//!
//! Owns the filters by name, what each may be asked for, and what it does. Each costs at most some steps for every pixel.

use std::f64::consts::TAU;

use super::drawing::{Canvas, Color, Dice};

/// How far a point or a wave may be from the picture.
const FAR: f64 = 1000.0;

/// A filter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Filter {
    /// Gives some pixels any color.
    Noise {
        /// How many of all, from 0 to 1.
        prob: f64,
    },
    /// Bends the picture.
    Wave {
        /// Waves from one side to the other.
        f: f64,
        /// Pixels to each side.
        amp: f64,
        /// Which way the pixels move.
        d: Direction,
    },
    /// Draws a line.
    Line {
        /// Where it starts, in pixels from the left and from the top.
        p1: (f64, f64),
        /// Where it ends.
        p2: (f64, f64),
        /// Pixels.
        thickness: f64,
        /// Red, green, blue.
        color: Color,
    },
    /// Draws a line from somewhere on the left to somewhere on the right.
    RandomLine,
    /// Draws lines across and down.
    Grid {
        /// Pixels from one line down to the next.
        x_gap: u32,
        /// Pixels from one line across to the next.
        y_gap: u32,
    },
    /// Makes light what is dark.
    ColorInvert,
}

/// Which way pixels move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the left and to the right.
    Horizontal,
    /// Up and down.
    Vertical,
}

/// The filters of a picture for which none are named.
pub(super) fn usual() -> Vec<Filter> {
    vec![
        Filter::Noise { prob: 0.1 },
        Filter::Wave { f: 4.0, amp: 2.0, d: Direction::Horizontal },
        Filter::Line { p1: (1.0, 0.0), p2: (20.0, 20.0), thickness: 2.0, color: [0, 30, 100] },
        Filter::RandomLine,
        Filter::Grid { x_gap: 10, y_gap: 30 },
        Filter::ColorInvert,
    ]
}

impl Filter {
    /// Whether it can be applied; the error says what can.
    pub(super) fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: f64, least: f64, most: f64| {
            // NaN is in no range.
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(format!("{name} is {value}: use a number from {least} to {most}"))
        };
        match *self {
            Self::Noise { prob } => within("prob of the filter Noise", prob, 0.0, 1.0),
            Self::Wave { f, amp, .. } => {
                within("f of the filter Wave", f, -FAR, FAR)?;
                within("amp of the filter Wave", amp, -FAR, FAR)
            }
            Self::Line { p1, p2, thickness, .. } => {
                [p1.0, p1.1, p2.0, p2.1]
                    .into_iter()
                    .try_for_each(|value| within("a point of the filter Line", value, -FAR, FAR))?;
                within("thickness of the filter Line", thickness, 0.0, 64.0)
            }
            Self::Grid { x_gap, y_gap } => {
                [("x_gap", x_gap), ("y_gap", y_gap)].into_iter().try_for_each(|(name, gap)| {
                    within(&format!("{name} of the filter Grid"), gap.into(), 1.0, 511.0)
                })
            }
            Self::RandomLine | Self::ColorInvert => Ok(()),
        }
    }

    pub(super) fn apply(&self, canvas: &mut Canvas, dice: &mut Dice) {
        let (width, height) = (f64::from(canvas.width), f64::from(canvas.height));
        match *self {
            Self::Noise { prob } => {
                for pixel in &mut canvas.pixels {
                    if dice.between(0.0, 1.0) < prob {
                        let [red, green, blue, ..] = dice.bits().to_le_bytes();
                        *pixel = [red, green, blue];
                    }
                }
            }
            Self::Wave { f, amp, d } => wave(canvas, f, amp, d),
            Self::Line { p1, p2, thickness, color } => canvas.line(p1, p2, thickness, color),
            Self::RandomLine => {
                let from = (dice.between(0.0, width / 4.0), dice.between(0.0, height));
                let to = (dice.between(width * 0.75, width), dice.between(0.0, height));
                let color = dice.dark();
                canvas.line(from, to, 2.0, color);
            }
            Self::Grid { x_gap, y_gap } => {
                for (y, row) in (0_u32..).zip(canvas.rows_mut()) {
                    for (x, pixel) in (0_u32..).zip(row) {
                        if x % x_gap == x_gap - 1 || y % y_gap == y_gap - 1 {
                            *pixel = [160; 3];
                        }
                    }
                }
            }
            Self::ColorInvert => {
                for value in canvas.pixels.iter_mut().flatten() {
                    *value = 255 - *value;
                }
            }
        }
    }
}

/// Moves each pixel along by what the wave says at its place; what comes from outside stays white.
fn wave(canvas: &mut Canvas, f: f64, amp: f64, d: Direction) {
    let before = canvas.clone();
    let (width, height) = (i64::from(canvas.width), i64::from(canvas.height));
    let moved = |at: u32, of: u32| {
        let offset = amp * (TAU * f * f64::from(at) / f64::from(of)).sin();
        #[expect(clippy::cast_possible_truncation, reason = "it is at most the amplitude, which is checked")]
        let offset = offset.round() as i64;
        offset
    };
    let (columns, rows) = (canvas.width, canvas.height);
    for (y, row) in (0..).zip(canvas.rows_mut()) {
        for (x, pixel) in (0..).zip(row) {
            let (from_x, from_y) = match d {
                Direction::Horizontal => (i64::from(x) + moved(y, rows), i64::from(y)),
                Direction::Vertical => (i64::from(x), i64::from(y) + moved(x, columns)),
            };
            let inside = (0..width).contains(&from_x) && (0..height).contains(&from_y);
            let from = inside.then(|| usize::try_from(from_y * width + from_x).ok()).flatten();
            *pixel = from.and_then(|from| before.pixels.get(from).copied()).unwrap_or([255; 3]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(filter: Filter) -> Canvas {
        let mut canvas = Canvas::new(40, 30);
        canvas.line((20.0, 0.0), (20.0, 30.0), 4.0, [10, 20, 30]);
        filter.apply(&mut canvas, &mut Dice::new().unwrap());
        canvas
    }

    #[test]
    fn each_filter_changes_the_picture_as_it_says() {
        let plain = applied(Filter::Noise { prob: 0.0 });
        let inverted = applied(Filter::ColorInvert);
        assert_eq!((plain.pixels[20], inverted.pixels[20]), ([10, 20, 30], [245, 235, 225]));
        let changed = |filter| {
            let other = applied(filter);
            plain.pixels.iter().zip(&other.pixels).filter(|(one, other)| one != other).count()
        };
        assert!(changed(Filter::Noise { prob: 1.0 }) > 1100);
        assert_eq!(changed(Filter::Wave { f: 0.0, amp: 10.0, d: Direction::Horizontal }), 0);
        assert!(changed(Filter::Wave { f: 1.0, amp: 10.0, d: Direction::Horizontal }) > 100);
        assert_eq!(applied(Filter::Wave { f: 1.0, amp: 1000.0, d: Direction::Vertical }).pixels.len(), 1200);
        assert!(changed(Filter::RandomLine) > 20);
        assert!(
            changed(Filter::Line { p1: (0.0, 0.0), p2: (40.0, 30.0), thickness: 3.0, color: [0; 3] }) > 50
        );
        let grid = applied(Filter::Grid { x_gap: 10, y_gap: 30 });
        assert_eq!(
            (grid.pixels[9], grid.pixels[8], grid.pixels[29 * 40 + 8]),
            ([160; 3], [255; 3], [160; 3])
        );
    }

    #[test]
    fn the_usual_filters_can_be_applied() {
        assert!(usual().iter().all(|filter| filter.check().is_ok()));
    }
}
