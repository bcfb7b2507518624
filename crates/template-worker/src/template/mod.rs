//! Templates as they are kept: their names, their versions, what they listen to and what they may do.
//!
//! Owns what a legal template is. Whether its files compile is `khronos`' business, keeping it that of `storage`.

mod author;
mod name;

use std::sync::Arc;

use khronos::Bundle;
use time::OffsetDateTime;

pub use author::{Author, MAX_AUTHOR_BYTES, UnknownAuthor};
pub use name::{MAX_NAME_BYTES, NameError, TemplateName};

use crate::capabilities::Capabilities;
use crate::events::{Event, EventFilter};
use crate::ids::{GuildId, UserId};

/// Most entries in the list of events: every gateway event by name, and some more.
pub const MAX_EVENTS: usize = 128;
/// Most entries in the list of capabilities.
pub const MAX_CAPABILITIES: usize = 128;
/// Most bytes in a description.
pub const MAX_DESCRIPTION_BYTES: usize = 4096;

/// A template of a guild, in one of its versions.
#[derive(Debug, Clone)]
pub struct Template {
    /// Everything but its files.
    pub info: TemplateInfo,
    /// Its files.
    pub bundle: Arc<Bundle>,
}

/// A template of a guild without its files: small, whatever the template's size, so that a page of them is as well.
#[derive(Debug, Clone)]
pub struct TemplateInfo {
    /// Whose it is.
    pub guild: GuildId,
    /// Its name, unique in the guild.
    pub name: TemplateName,
    /// Counts up from 1 with every change. A template that was deleted and made again starts at 1 again.
    pub version: u32,
    /// What it listens to.
    pub events: Vec<EventFilter>,
    /// What it may do.
    pub capabilities: Capabilities,
    /// What it is for, in its author's words.
    pub description: String,
    /// The Discord channel (a snowflake) that is told about its errors.
    pub error_channel: Option<String>,
    /// A paused template gets no events.
    pub paused: bool,
    /// When its first version was stored.
    pub created_at: OffsetDateTime,
    /// Who stored it; nobody knows where that was before it was written down.
    pub created_by: Option<Author>,
    /// When this version was stored.
    pub updated_at: OffsetDateTime,
    /// Who stored this version.
    pub updated_by: Option<Author>,
}

impl TemplateInfo {
    /// Whether it gets `event`.
    pub fn listens_to(&self, event: &Event) -> bool {
        !self.paused && self.guild == event.guild() && self.events.iter().any(|filter| filter.matches(event))
    }
}

/// What an author sends to create or replace a template.
#[derive(Debug, Clone)]
pub struct TemplateDraft {
    /// Its files.
    pub bundle: Arc<Bundle>,
    /// What it listens to.
    pub events: Vec<EventFilter>,
    /// What it may do.
    pub capabilities: Capabilities,
    /// What it is for.
    pub description: String,
    /// The Discord channel (a snowflake) that is told about its errors.
    pub error_channel: Option<String>,
    /// A paused template gets no events.
    pub paused: bool,
    /// Who it is that sends it, where that is to be known later.
    pub author: Option<Author>,
}

/// What an author sends to change a template and keep its files; `None` keeps what is there.
#[derive(Debug, Clone, Default)]
pub struct TemplatePatch {
    /// What it listens to.
    pub events: Option<Vec<EventFilter>>,
    /// What it may do.
    pub capabilities: Option<Capabilities>,
    /// What it is for.
    pub description: Option<String>,
    /// The channel that is told about its errors; `Some(None)` takes it away.
    pub error_channel: Option<Option<String>>,
    /// A paused template gets no events.
    pub paused: Option<bool>,
    /// Who it is that sends it, where that is to be known later.
    pub author: Option<Author>,
}

/// What is too much, or wrong, in a draft or a patch whose parts are fine in themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// More than [`MAX_EVENTS`].
    #[error(
        "{count} events are more than a template may list ({MAX_EVENTS}); a base name such as `Discord` covers many"
    )]
    TooManyEvents {
        /// How many there were.
        count: usize,
    },
    /// More than [`MAX_CAPABILITIES`].
    #[error(
        "{count} capabilities are more than a template may have ({MAX_CAPABILITIES}); `kv:*` covers many"
    )]
    TooManyCapabilities {
        /// How many there were.
        count: usize,
    },
    /// More than [`MAX_DESCRIPTION_BYTES`].
    #[error("a description of {bytes} bytes is longer than it may be ({MAX_DESCRIPTION_BYTES})")]
    DescriptionTooLong {
        /// How many there were.
        bytes: usize,
    },
    /// Not a snowflake.
    #[error(
        "`{channel}` is not a channel id: expected the decimal digits of a Discord id, such as 826535422381391913"
    )]
    BadErrorChannel {
        /// The id, cut to a readable length.
        channel: String,
    },
}

impl TemplateDraft {
    /// Whether it may be stored.
    ///
    /// # Errors
    /// The first part that is too much or wrong.
    pub fn check(&self) -> Result<(), DraftError> {
        check_events(&self.events)?;
        check_capabilities(&self.capabilities)?;
        check_description(&self.description)?;
        check_error_channel(self.error_channel.as_deref())
    }
}

impl TemplatePatch {
    /// Whether it may be stored.
    ///
    /// # Errors
    /// The first part that is too much or wrong.
    pub fn check(&self) -> Result<(), DraftError> {
        self.events.as_deref().map_or(Ok(()), check_events)?;
        self.capabilities.as_ref().map_or(Ok(()), check_capabilities)?;
        self.description.as_deref().map_or(Ok(()), check_description)?;
        check_error_channel(self.error_channel.as_ref().and_then(Option::as_deref))
    }
}

fn check_events(events: &[EventFilter]) -> Result<(), DraftError> {
    let count = events.len();
    if count > MAX_EVENTS { Err(DraftError::TooManyEvents { count }) } else { Ok(()) }
}

fn check_capabilities(capabilities: &Capabilities) -> Result<(), DraftError> {
    let count = capabilities.len();
    if count > MAX_CAPABILITIES { Err(DraftError::TooManyCapabilities { count }) } else { Ok(()) }
}

fn check_description(description: &str) -> Result<(), DraftError> {
    let bytes = description.len();
    if bytes > MAX_DESCRIPTION_BYTES { Err(DraftError::DescriptionTooLong { bytes }) } else { Ok(()) }
}

/// A channel's id is a snowflake like a user's.
fn check_error_channel(channel: Option<&str>) -> Result<(), DraftError> {
    match channel.filter(|channel| channel.parse::<UserId>().is_err()) {
        Some(channel) => Err(DraftError::BadErrorChannel { channel: channel.chars().take(80).collect() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::EventId;

    fn template() -> TemplateInfo {
        TemplateInfo {
            guild: GuildId::new(1).unwrap(),
            name: "greet".parse().unwrap(),
            version: 1,
            events: vec!["MESSAGE".parse().unwrap(), "KeyExpiry[a]".parse().unwrap()],
            capabilities: Capabilities::default(),
            description: String::new(),
            error_channel: None,
            paused: false,
            created_at: OffsetDateTime::UNIX_EPOCH,
            created_by: None,
            updated_at: OffsetDateTime::UNIX_EPOCH,
            updated_by: None,
        }
    }

    fn event(guild: u64, name: &str) -> Event {
        let guild = GuildId::new(guild).unwrap();
        Event::new(EventId::fresh(), guild, name.parse().unwrap(), None, vec![], "{}".into()).unwrap()
    }

    #[test]
    fn a_template_listens_to_what_any_of_its_entries_matches() {
        assert!(template().listens_to(&event(1, "MESSAGE_CREATE")));
        assert!(!template().listens_to(&event(1, "KeyExpiry")));
        assert!(!template().listens_to(&event(1, "MESSAGE_UPDATE")));
    }

    #[test]
    fn a_paused_template_listens_to_nothing_and_nobody_to_another_guilds_events() {
        assert!(!TemplateInfo { paused: true, ..template() }.listens_to(&event(1, "MESSAGE_CREATE")));
        assert!(!template().listens_to(&event(2, "MESSAGE_CREATE")));
    }

    #[test]
    fn too_much_of_anything_is_refused_in_a_draft_and_in_a_patch() {
        let fine = TemplatePatch {
            events: Some(vec!["Discord".parse().unwrap(); MAX_EVENTS]),
            description: Some("x".repeat(MAX_DESCRIPTION_BYTES)),
            error_channel: Some(Some("826535422381391913".to_owned())),
            ..TemplatePatch::default()
        };
        assert_eq!(fine.check(), Ok(()));
        let events = vec!["Discord".parse().unwrap(); MAX_EVENTS + 1];
        let patch = TemplatePatch { events: Some(events.clone()), ..TemplatePatch::default() };
        assert_eq!(patch.check(), Err(DraftError::TooManyEvents { count: MAX_EVENTS + 1 }));
        let patch =
            TemplatePatch { error_channel: Some(Some("#general".to_owned())), ..TemplatePatch::default() };
        assert!(matches!(patch.check(), Err(DraftError::BadErrorChannel { .. })));
        let draft = TemplateDraft {
            bundle: Arc::new(Bundle::new([("init.luau".to_owned(), "return 1".to_owned())]).unwrap()),
            events,
            capabilities: Capabilities::default(),
            description: String::new(),
            error_channel: None,
            paused: false,
            author: None,
        };
        assert!(draft.check().is_err());
    }
}
