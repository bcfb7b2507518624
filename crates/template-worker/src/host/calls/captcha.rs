//! `ctx.ImageCaptcha`: pictures that people can read and programs can hardly.

use khronos::KhronosValue;
use khronos::declare::{Type, field, table};
use serde::{Deserialize, Serialize};

use super::arguments::kind;
use super::{Any, Argument, Bucket, host_calls};

/// Drawing is work for the whole machine: some at once, and two a second.
const CAPTCHA: Bucket = Bucket { name: "captcha", burst: 10, every_ms: 500 };

host_calls! {
    /// Pictures that people can read and programs can hardly.
    pub enum CaptchaCall in "ImageCaptcha" {
        /// Draws a picture of a new text.
        Create "Create" (
            /// What it looks like.
            config: Option<CaptchaConfig>,
        ) -> "Captcha", gated "captcha:create";
    }
    wants(_call) { vec!["captcha:create".to_owned()] }
    buckets [CAPTCHA];
    types TYPES;
}

const TYPES: &[Type] = &[
    table(
        "Captcha",
        "A picture, and what stands on it.",
        &[
            field("text", "string", "What whoever can read it will type."),
            field("image", "buffer", "The picture, as PNG."),
        ],
    ),
    table(
        "CaptchaConfig",
        "What a picture looks like. What is left out is as usual.",
        &[
            field("char_count", "number?", "How many characters: 1 to 10, usually 5."),
            field(
                "filters",
                "{CaptchaFilter}?",
                "What is done to the picture, one after the other: at most 12.",
            ),
            field("viewbox_size", "({number} | CaptchaPoint)?", "Width and height in pixels, each 1 to 511."),
        ],
    ),
    table(
        "CaptchaPoint",
        "Two numbers with names; where it is taken, a list of two does as well.",
        &[field("x", "number", "To the right."), field("y", "number", "Down.")],
    ),
    table(
        "CaptchaColor",
        "A color; where it is taken, a list of the three does as well.",
        &[
            field("r", "number", "Red, a whole number from 0 to 255."),
            field("g", "number", "Green."),
            field("b", "number", "Blue."),
        ],
    ),
    table(
        "CaptchaFilter",
        "Something that is done to a picture. Each filter needs all the fields that are its own, but for `d`, and takes no others.",
        &[
            field("filter", "string", "`Noise`, `Wave`, `Line`, `RandomLine`, `Grid` or `ColorInvert`."),
            field("prob", "number?", "Of `Noise`: the part of the pixels that are hit, 0 to 1."),
            field("f", "number?", "Of `Wave`: how often it swings."),
            field("amp", "number?", "Of `Wave`: how far, in pixels."),
            field("d", "string?", "Of `Wave`: `horizontal`, as where it is left out, or `vertical`."),
            field("p1", "({number} | CaptchaPoint)?", "Of `Line`: where it begins."),
            field("p2", "({number} | CaptchaPoint)?", "Of `Line`: where it ends."),
            field("thickness", "number?", "Of `Line`: in pixels."),
            field(
                "color",
                "({number} | CaptchaColor)?",
                "Of `Line`: red, green and blue, 0 to 255, as a list or by name.",
            ),
            field("x_gap", "number?", "Of `Grid`: pixels between its upright lines, 1 to 511."),
            field("y_gap", "number?", "Of `Grid`: pixels between its level lines, 1 to 511."),
        ],
    ),
];

/// What a picture looks like, as a script wrote it: read where it is drawn.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CaptchaConfig(pub Any);

impl Argument for CaptchaConfig {
    const LUAU: &'static str = "CaptchaConfig";
    const LUAU_OPTIONAL: &'static str = "CaptchaConfig?";

    fn take(value: KhronosValue) -> Result<Self, String> {
        match value {
            table @ KhronosValue::Map(_) => Ok(Self(Any(table))),
            other => Err(format!("a table, got {}", kind(&other))),
        }
    }
}
