//! How the domain's types look in a message, and the checks on their way back.
//!
//! Owns the images of ids, limits, events, templates and log lines, and cutting what is too long; `outcome` has those of
//! answers. The types' own form is the one of the API, which postcard cannot read (it knows no field names), and which
//! says ids as text. An image borrows from what it shows, so that no event is copied to be sent.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use khronos::{LogLevel, Program, ProgramImage};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use time::OffsetDateTime;

use crate::capabilities::{Capabilities, Capability};
use crate::events::{Event, EventFilter};
use crate::execution::{LoadedTemplate, LogEntry};
use crate::host::discord::CurrentUser;
use crate::ids::{EventId, GuildId, UserId};
use crate::limits::Limits;
use crate::template::{
    Author, MAX_CAPABILITIES, MAX_DESCRIPTION_BYTES, MAX_EVENTS, TemplateInfo, TemplateName,
};

/// Most bytes in what a script threw, and in where it was: as many as the runtime leaves of them, and a little more.
pub(super) const MAX_ERROR: usize = khronos::MAX_LOG_LINE + 8;
pub(super) const MAX_TRACEBACK: usize = 16 << 10;
/// Most bytes in a log line: a failure is logged with where it was.
const MAX_LINE: usize = MAX_ERROR + MAX_TRACEBACK;

/// A part of a message that was read and is not legal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {0} in a message is not legal")]
pub(super) struct Illegal(pub(super) &'static str);

/// A type of the domain that travels in messages.
pub(super) trait OnWire: Sized {
    /// What it looks like there.
    type Image<'a>: Serialize + Deserialize<'a>
    where
        Self: 'a;

    /// Its image.
    fn image(&self) -> Self::Image<'_>;

    /// What `image` shows.
    ///
    /// # Errors
    /// Where it shows something that cannot be.
    fn from_image(image: Self::Image<'_>) -> Result<Self, Illegal>;
}

/// For `#[serde(with = "as_image")]`.
pub(super) mod as_image {
    use super::{Deserialize, Deserializer, Error, OnWire, Serialize, Serializer};

    pub(in super::super) fn serialize<T: OnWire, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        value.image().serialize(to)
    }

    pub(in super::super) fn deserialize<'de, T: OnWire + 'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        T::from_image(T::Image::deserialize(from)?).map_err(D::Error::custom)
    }
}

impl<T: OnWire> OnWire for Arc<T> {
    type Image<'a>
        = T::Image<'a>
    where
        Self: 'a;

    fn image(&self) -> Self::Image<'_> {
        T::image(self)
    }

    fn from_image(image: Self::Image<'_>) -> Result<Self, Illegal> {
        T::from_image(image).map(Self::new)
    }
}

impl<T: OnWire> OnWire for Option<T> {
    type Image<'a>
        = Option<T::Image<'a>>
    where
        Self: 'a;

    fn image(&self) -> Self::Image<'_> {
        self.as_ref().map(T::image)
    }

    fn from_image(image: Self::Image<'_>) -> Result<Self, Illegal> {
        image.map(T::from_image).transpose()
    }
}

impl OnWire for GuildId {
    type Image<'a> = u64;

    fn image(&self) -> u64 {
        self.get()
    }

    fn from_image(image: u64) -> Result<Self, Illegal> {
        Self::new(image).ok_or(Illegal("guild id"))
    }
}

impl OnWire for UserId {
    type Image<'a> = u64;

    fn image(&self) -> u64 {
        self.get()
    }

    fn from_image(image: u64) -> Result<Self, Illegal> {
        Self::new(image).ok_or(Illegal("user id"))
    }
}

impl OnWire for EventId {
    type Image<'a> = &'a str;

    fn image(&self) -> &str {
        self.as_str()
    }

    fn from_image(image: &str) -> Result<Self, Illegal> {
        image.parse().map_err(|_| Illegal("event id"))
    }
}

impl OnWire for TemplateName {
    type Image<'a> = &'a str;

    fn image(&self) -> &str {
        self.as_str()
    }

    fn from_image(image: &str) -> Result<Self, Illegal> {
        image.parse().map_err(|_| Illegal("template name"))
    }
}

impl OnWire for Author {
    type Image<'a> = &'a str;

    fn image(&self) -> &str {
        self.as_str()
    }

    fn from_image(image: &str) -> Result<Self, Illegal> {
        image.parse().map_err(|_| Illegal("author"))
    }
}

/// Nanoseconds since 1970. What was before, or will be after the year 9999, has no form in text.
impl OnWire for OffsetDateTime {
    type Image<'a> = i128;

    fn image(&self) -> i128 {
        self.unix_timestamp_nanos()
    }

    fn from_image(image: i128) -> Result<Self, Illegal> {
        let time = Self::from_unix_timestamp_nanos(image).ok();
        time.filter(|time| (1970..=9999).contains(&time.year())).ok_or(Illegal("time"))
    }
}

/// Their form outside has nothing that postcard cannot read.
impl OnWire for Limits {
    type Image<'a> = Cow<'a, Self>;

    fn image(&self) -> Self::Image<'_> {
        Cow::Borrowed(self)
    }

    fn from_image(image: Self::Image<'_>) -> Result<Self, Illegal> {
        image.validate().map_err(|_| Illegal("set of limits"))?;
        Ok(image.into_owned())
    }
}

/// As for limits: its form outside is one that postcard can read.
impl OnWire for CurrentUser {
    type Image<'a> = Cow<'a, Self>;

    fn image(&self) -> Self::Image<'_> {
        Cow::Borrowed(self)
    }

    fn from_image(image: Self::Image<'_>) -> Result<Self, Illegal> {
        if image.is_short() { Ok(image.into_owned()) } else { Err(Illegal("bot's user")) }
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct EventImage<'a> {
    id: &'a str,
    guild: u64,
    name: &'a str,
    author: Option<u64>,
    scopes: Cow<'a, [String]>,
    data: &'a str,
}

impl OnWire for Event {
    type Image<'a> = EventImage<'a>;

    fn image(&self) -> EventImage<'_> {
        EventImage {
            id: self.id().image(),
            guild: self.guild().image(),
            name: self.name().as_str(),
            author: self.author().map(UserId::get),
            scopes: Cow::Borrowed(self.scopes()),
            data: self.data(),
        }
    }

    fn from_image(image: EventImage<'_>) -> Result<Self, Illegal> {
        let EventImage { id, guild, name, author, scopes, data } = image;
        let name = name.parse().map_err(|_| Illegal("event name"))?;
        let (id, guild) = (EventId::from_image(id)?, GuildId::from_image(guild)?);
        let author = Option::from_image(author)?;
        Self::new(id, guild, name, author, scopes.into_owned(), data.into()).map_err(|_| Illegal("scope"))
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct TemplateImage<'a> {
    guild: u64,
    name: &'a str,
    version: u32,
    #[serde(deserialize_with = "list::<_, _, MAX_EVENTS>")]
    events: Vec<EventFilter>,
    #[serde(borrow, deserialize_with = "list::<_, _, MAX_CAPABILITIES>")]
    capabilities: Vec<&'a str>,
    description: &'a str,
    error_channel: Option<&'a str>,
    paused: bool,
    created_at: i128,
    created_by: Option<&'a str>,
    updated_at: i128,
    updated_by: Option<&'a str>,
    current_user: Option<Cow<'a, CurrentUser>>,
    program: ProgramImage,
}

impl OnWire for Capabilities {
    type Image<'a> = Vec<&'a str>;

    fn image(&self) -> Vec<&str> {
        self.iter().map(Capability::as_str).collect()
    }

    fn from_image(image: Vec<&str>) -> Result<Self, Illegal> {
        if image.len() > MAX_CAPABILITIES {
            return Err(Illegal("list of capabilities"));
        }
        image.into_iter().map(|text| text.parse().map_err(|_| Illegal("capability"))).collect()
    }
}

impl OnWire for LoadedTemplate {
    type Image<'a> = TemplateImage<'a>;

    fn image(&self) -> TemplateImage<'_> {
        let info = &self.info;
        TemplateImage {
            guild: info.guild.image(),
            name: info.name.image(),
            version: info.version,
            events: info.events.clone(),
            capabilities: info.capabilities.image(),
            description: &info.description,
            error_channel: info.error_channel.as_deref(),
            paused: info.paused,
            created_at: info.created_at.image(),
            created_by: info.created_by.as_ref().map(Author::image),
            updated_at: info.updated_at.image(),
            updated_by: info.updated_by.as_ref().map(Author::image),
            current_user: self.current_user.image(),
            program: self.program.image(),
        }
    }

    fn from_image(image: TemplateImage<'_>) -> Result<Self, Illegal> {
        if image.description.len() > MAX_DESCRIPTION_BYTES {
            return Err(Illegal("description"));
        }
        let info = TemplateInfo {
            guild: GuildId::from_image(image.guild)?,
            name: TemplateName::from_image(image.name)?,
            version: image.version,
            events: image.events,
            capabilities: Capabilities::from_image(image.capabilities)?,
            description: image.description.to_owned(),
            error_channel: image.error_channel.map(str::to_owned),
            paused: image.paused,
            created_at: OffsetDateTime::from_image(image.created_at)?,
            created_by: Option::from_image(image.created_by)?,
            updated_at: OffsetDateTime::from_image(image.updated_at)?,
            updated_by: Option::from_image(image.updated_by)?,
        };
        Ok(Self {
            info: Arc::new(info),
            program: Program::from_image(image.program),
            current_user: Option::from_image(image.current_user)?,
        })
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct LogImage<'a> {
    at: i128,
    guild: u64,
    template: &'a str,
    event: Option<&'a str>,
    #[serde(with = "LevelImage")]
    level: LogLevel,
    #[serde(borrow, deserialize_with = "cut::<_, _, MAX_LINE>")]
    text: &'a str,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(remote = "LogLevel")]
enum LevelImage {
    Info,
    Warn,
    Error,
}

impl OnWire for LogEntry {
    type Image<'a> = LogImage<'a>;

    fn image(&self) -> LogImage<'_> {
        LogImage {
            at: self.at.image(),
            guild: self.guild.image(),
            template: &self.template,
            event: self.event.as_ref().map(EventId::image),
            level: self.level,
            text: &self.text,
        }
    }

    fn from_image(image: LogImage<'_>) -> Result<Self, Illegal> {
        Ok(Self {
            at: OffsetDateTime::from_image(image.at)?,
            guild: GuildId::from_image(image.guild)?,
            template: TemplateName::from_image(image.template)?.as_str().into(),
            event: Option::from_image(image.event)?,
            level: image.level,
            text: image.text.to_owned(),
        })
    }
}

/// Reads a text and leaves off what is beyond `MOST` bytes, before anything is copied.
pub(super) fn cut<'de, D: Deserializer<'de>, T: From<&'de str>, const MOST: usize>(
    from: D,
) -> Result<T, D::Error> {
    let text = <&str>::deserialize(from)?;
    Ok(T::from(text.get(..text.floor_char_boundary(MOST)).unwrap_or_default()))
}

/// As [`cut`], where there may be no text.
pub(super) fn cut_some<'de, D: Deserializer<'de>, const MOST: usize>(
    from: D,
) -> Result<Option<&'de str>, D::Error> {
    let text = Option::<&str>::deserialize(from)?;
    Ok(text.and_then(|text| text.get(..text.floor_char_boundary(MOST))))
}

/// Reads a list of at most `MOST` elements.
pub(super) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MOST: usize>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    from.deserialize_seq(List::<T, MOST>(PhantomData))
}

struct List<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for List<T, MOST> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MOST}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            if list.len() == MOST {
                return Err(A::Error::custom(format_args!("a list of more than {MOST}")));
            }
            list.push(item);
        }
        Ok(list)
    }
}
