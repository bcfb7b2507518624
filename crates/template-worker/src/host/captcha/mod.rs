//! `ctx.ImageCaptcha`: a picture of a text that people can read and programs can hardly.
//!
//! Owns what may be asked for, and that drawing costs a bounded part of the machine: a few pictures at a time, on threads
//! that nobody waits for. What is drawn is for `drawing`, `glyphs` and `filters`.

mod config;
mod drawing;
mod filters;
mod glyphs;
mod png;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{AcquireError, Semaphore};
use tokio::time::timeout;

pub(super) use config::read;
pub use filters::{Direction, Filter};

use drawing::{Canvas, Dice};

use crate::ids::GuildId;
use crate::places::GuildPlaces;

/// Characters of a text.
pub const CHARS: std::ops::RangeInclusive<u32> = 1..=10;
/// Filters of a picture.
pub const MOST_FILTERS: usize = 12;
/// Pixels of a side.
pub const SIDE: std::ops::RangeInclusive<u32> = 1..=511;
/// From the call to the picture, waiting for a turn included.
const TIME: Duration = Duration::from_secs(5);
/// Pictures that are drawn at the same time, of all guilds.
const AT_ONCE: usize = 2;

/// A picture to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct CaptchaRequest {
    /// How many characters.
    pub char_count: u32,
    /// What is done to the picture after the text is on it, in this order.
    pub filters: Vec<Filter>,
    /// Width and height in pixels.
    pub viewbox_size: (u32, u32),
}

impl Default for CaptchaRequest {
    /// The filters that AntiRaid's captchas had in 2025, on a picture that fits into a message.
    fn default() -> Self {
        Self { char_count: 5, filters: filters::usual(), viewbox_size: (320, 160) }
    }
}

/// A picture, and what is on it.
#[derive(Clone, PartialEq, Eq)]
pub struct Captcha {
    /// The text: capital letters and digits that look like no other.
    pub text: String,
    /// The picture, as PNG.
    pub image: Vec<u8>,
}

impl fmt::Debug for Captcha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Captcha(.., {} bytes)", self.image.len())
    }
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum CaptchaError {
    /// It was asked for something that there is not.
    #[error("{0}")]
    Invalid(String),
    /// Too many pictures are drawn already.
    #[error("the service has too many captchas to draw; try again in a moment")]
    Busy,
    /// The operating system has no random numbers.
    #[error("failed to draw a captcha: the operating system gave no random bytes ({0})")]
    NoRandomness(getrandom::Error),
    /// Encoding failed, or the thread that drew.
    #[error("failed to draw a captcha")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Draws the captchas of all guilds.
#[derive(Debug, Clone)]
pub struct Captchas {
    turns: Arc<Semaphore>,
    /// One picture of a guild at a time, so that none takes all turns.
    places: Arc<GuildPlaces>,
}

impl Default for Captchas {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), places: Arc::new(GuildPlaces::new(1)) }
    }
}

impl Captchas {
    /// A new picture with a new text, for a template of `guild`.
    ///
    /// # Errors
    /// `Invalid` says what can be asked for.
    pub async fn create(&self, guild: GuildId, request: CaptchaRequest) -> Result<Captcha, CaptchaError> {
        check(&request)?;
        let turn = async {
            let place = self.places.take(guild).await;
            Ok((place, Arc::clone(&self.turns).acquire_owned().await?))
        };
        let turn = timeout(TIME, turn).await.map_err(|_| CaptchaError::Busy)?;
        let turn = turn.map_err(|error: AcquireError| CaptchaError::Failed(error.into()))?;
        let draw = move || {
            let _turn = turn;
            draw(&request)
        };
        tokio::task::spawn_blocking(draw).await.map_err(|error| CaptchaError::Failed(error.into()))?
    }
}

fn check(request: &CaptchaRequest) -> Result<(), CaptchaError> {
    let invalid = |text: String| Err(CaptchaError::Invalid(text));
    let CaptchaRequest { char_count, filters, viewbox_size: (width, height) } = request;
    if !CHARS.contains(char_count) {
        return invalid(format!("char_count is {char_count}: use {} to {}", CHARS.start(), CHARS.end()));
    }
    if filters.len() > MOST_FILTERS {
        return invalid(format!("there are {} filters: use at most {MOST_FILTERS}", filters.len()));
    }
    for (name, side) in [("width", width), ("height", height)] {
        if !SIDE.contains(side) {
            return invalid(format!(
                "the {name} in viewbox_size is {side}: use {} to {} pixels",
                SIDE.start(),
                SIDE.end()
            ));
        }
    }
    filters.iter().try_for_each(|filter| filter.check().map_err(CaptchaError::Invalid))
}

fn draw(request: &CaptchaRequest) -> Result<Captcha, CaptchaError> {
    let mut dice = Dice::new().map_err(CaptchaError::NoRandomness)?;
    let text = glyphs::text(request.char_count as usize).map_err(CaptchaError::NoRandomness)?;
    let (width, height) = request.viewbox_size;
    let mut canvas = Canvas::new(width, height);
    glyphs::draw(&mut canvas, &mut dice, &text);
    for filter in &request.filters {
        filter.apply(&mut canvas, &mut dice);
    }
    let image = png::encode(&canvas).map_err(|error| CaptchaError::Failed(error.into()))?;
    Ok(Captcha { text, image })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guild() -> GuildId {
        GuildId::new(1).unwrap()
    }

    fn size(image: &[u8]) -> (u32, u32) {
        let number = |at: usize| u32::from_be_bytes(image[at..at + 4].try_into().unwrap());
        (number(16), number(20))
    }

    #[tokio::test]
    async fn a_captcha_is_a_picture_of_a_new_text() {
        let captchas = Captchas::default();
        let first = captchas.create(guild(), CaptchaRequest::default()).await.unwrap();
        let second = captchas.create(guild(), CaptchaRequest::default()).await.unwrap();
        assert_eq!((first.text.len(), size(&first.image)), (5, (320, 160)));
        assert!(
            first.text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()),
            "{}",
            first.text
        );
        assert_ne!(first.image, second.image);
        assert_eq!(
            format!("{first:?}"),
            format!("Captcha(.., {} bytes)", first.image.len()),
            "the text is not logged"
        );
    }

    #[tokio::test]
    async fn everything_that_may_be_asked_for_can_be_drawn() {
        for char_count in CHARS {
            for viewbox_size in [(1, 1), (511, 1), (1, 511), (511, 511)] {
                let request = CaptchaRequest { char_count, viewbox_size, ..CaptchaRequest::default() };
                let made = Captchas::default().create(guild(), request).await.unwrap();
                assert_eq!((made.text.len(), size(&made.image)), (char_count as usize, viewbox_size));
            }
        }
    }

    #[tokio::test]
    async fn what_may_not_be_asked_for_is_refused_with_what_may() {
        let usual = CaptchaRequest::default;
        let line = |x| Filter::Line { p1: (x, 0.0), p2: (1.0, 1.0), thickness: 1.0, color: [0; 3] };
        for (wrong, text) in [
            (CaptchaRequest { char_count: 0, ..usual() }, "use 1 to 10"),
            (CaptchaRequest { char_count: 11, ..usual() }, "use 1 to 10"),
            (
                CaptchaRequest { viewbox_size: (0, 100), ..usual() },
                "the width in viewbox_size is 0: use 1 to 511",
            ),
            (
                CaptchaRequest { viewbox_size: (100, 512), ..usual() },
                "the height in viewbox_size is 512: use 1 to 511",
            ),
            (CaptchaRequest { filters: vec![Filter::ColorInvert; 13], ..usual() }, "use at most 12"),
            (CaptchaRequest { filters: vec![Filter::Noise { prob: 1.5 }], ..usual() }, "from 0 to 1"),
            (CaptchaRequest { filters: vec![Filter::Noise { prob: f64::NAN }], ..usual() }, "from 0 to 1"),
            (
                CaptchaRequest { filters: vec![Filter::Grid { x_gap: 0, y_gap: 1 }], ..usual() },
                "from 1 to 511",
            ),
            (CaptchaRequest { filters: vec![line(f64::INFINITY)], ..usual() }, "from -1000 to 1000"),
        ] {
            let error = Captchas::default().create(guild(), wrong).await.unwrap_err();
            assert!(matches!(&error, CaptchaError::Invalid(said) if said.contains(text)), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_guild_takes_one_turn_however_much_it_asks_for() {
        let captchas = Captchas::default();
        let _place = captchas.places.take(guild()).await;
        assert!(matches!(captchas.create(guild(), CaptchaRequest::default()).await, Err(CaptchaError::Busy)));
        let other = GuildId::new(2).unwrap();
        assert!(captchas.create(other, CaptchaRequest::default()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_turn_in_time_is_told_so() {
        let captchas = Captchas::default();
        let _turns = captchas.turns.acquire_many(2).await.unwrap();
        assert!(matches!(captchas.create(guild(), CaptchaRequest::default()).await, Err(CaptchaError::Busy)));
    }
}
