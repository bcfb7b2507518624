//! `ctx.ImageCaptcha`: pictures that people can read and programs can hardly.

use khronos::KhronosValue;
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
    buckets(_call) { &[CAPTCHA] }
}

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
