//! One event on its way to the templates.
//!
//! Owns what belongs to an event. Its data stays JSON text until a VM turns it into Luau tables, so that an event that
//! nobody listens to costs nothing; whether that text is JSON, and how large it may be, is checked by its source.

use std::sync::Arc;

use super::{BaseName, EventName};
use crate::ids::{EventId, GuildId, UserId};

/// Most scopes of an event.
pub const MAX_SCOPES: usize = 16;
/// Most bytes in a scope.
pub const MAX_SCOPE_BYTES: usize = 128;

/// An event. Cheap to clone: the data is shared.
#[derive(Debug, Clone)]
pub struct Event {
    id: EventId,
    guild: GuildId,
    name: EventName,
    author: Option<UserId>,
    scopes: Vec<String>,
    data: Arc<str>,
}

/// Why something cannot be an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// More than [`MAX_SCOPES`].
    #[error("{count} scopes are more than an event may have ({MAX_SCOPES})")]
    TooManyScopes {
        /// How many there were.
        count: usize,
    },
    /// An empty scope, or one of more than [`MAX_SCOPE_BYTES`].
    #[error("`{scope}` cannot be a scope: expected 1 to {MAX_SCOPE_BYTES} bytes")]
    BadScope {
        /// The scope, cut to a readable length.
        scope: String,
    },
}

impl Event {
    /// An event; `data` is JSON text.
    ///
    /// # Errors
    /// Too many scopes, or one that is empty or too long.
    pub fn new(
        id: EventId,
        guild: GuildId,
        name: EventName,
        author: Option<UserId>,
        scopes: Vec<String>,
        data: Arc<str>,
    ) -> Result<Self, EventError> {
        if scopes.len() > MAX_SCOPES {
            return Err(EventError::TooManyScopes { count: scopes.len() });
        }
        if let Some(scope) = scopes.iter().find(|scope| !(1..=MAX_SCOPE_BYTES).contains(&scope.len())) {
            return Err(EventError::BadScope { scope: scope.chars().take(80).collect() });
        }
        Ok(Self { id, guild, name, author, scopes, data })
    }

    /// Its id.
    pub fn id(&self) -> &EventId {
        &self.id
    }

    /// The guild that it belongs to.
    pub fn guild(&self) -> GuildId {
        self.guild
    }

    /// Its name.
    pub fn name(&self) -> &EventName {
        &self.name
    }

    /// Where it comes from.
    pub fn base(&self) -> BaseName {
        self.name.base()
    }

    /// Who caused it, where that is known.
    pub fn author(&self) -> Option<UserId> {
        self.author
    }

    /// Its scopes; none for an event that goes to everyone who listens without a scope.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Its data, as JSON text.
    pub fn data(&self) -> &Arc<str> {
        &self.data
    }

    /// The object that templates get, as JSON text.
    pub(crate) fn to_json(&self) -> String {
        // Only the data is somebody else's text, and that is JSON; names and ids have no character to escape.
        let (base, name, id, data) =
            (self.base().as_str(), self.name.as_str(), self.id.as_str(), &*self.data);
        format!(r#"{{"base_name":"{base}","name":"{name}","id":"{id}","data":{data}}}"#)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_scopes(scopes: Vec<String>) -> Result<Event, EventError> {
        let guild = GuildId::new(1).unwrap();
        Event::new(EventId::fresh(), guild, "KeyExpiry".parse().unwrap(), None, scopes, "{}".into())
    }

    #[test]
    fn scopes_are_few_and_short_and_never_empty() {
        assert!(with_scopes(vec!["x".repeat(128); 16]).is_ok());
        assert_eq!(with_scopes(vec!["x".into(); 17]).unwrap_err(), EventError::TooManyScopes { count: 17 });
        assert!(matches!(with_scopes(vec![String::new()]), Err(EventError::BadScope { .. })));
        assert!(matches!(with_scopes(vec!["x".repeat(129)]), Err(EventError::BadScope { .. })));
    }
}
