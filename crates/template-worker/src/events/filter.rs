//! What a template listens to: `MESSAGE_CREATE`, `Discord`, `KeyExpiry[reminders]`, `AntiRaid[reminders]`.
//!
//! Owns reading such entries and the rules of matching; which template has which entries is `template`'s business.

use std::fmt;
use std::str::FromStr;

use super::name::{BaseName, EventName, UnknownEvent};
use super::{Event, MAX_SCOPE_BYTES};
use crate::ids::text_outside;

/// An entry of a template's list of events.
///
/// Without a scope it receives events of every scope and of none. With a scope, only events that have that scope.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventFilter {
    subject: Subject,
    scope: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Subject {
    Base(BaseName),
    Name(EventName),
}

/// A text that is nothing to listen to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Neither the name of an event nor a base name.
    #[error(transparent)]
    UnknownEvent(#[from] UnknownEvent),
    /// Brackets without a legal scope between them.
    #[error(
        "`{text}` has no scope: expected a form such as `KeyExpiry[reminders]`, of 1 to {MAX_SCOPE_BYTES} bytes"
    )]
    BadScope {
        /// The entry, cut to a readable length.
        text: String,
    },
}

impl EventFilter {
    /// Whether a template with this entry gets `event`.
    pub fn matches(&self, event: &Event) -> bool {
        let named = match &self.subject {
            Subject::Base(base) => *base == event.base(),
            Subject::Name(name) => name == event.name(),
        };
        named && self.scope.as_ref().is_none_or(|scope| event.scopes().contains(scope))
    }
}

impl EventFilter {
    /// Whether a template with this entry gets some events of this name.
    pub(crate) fn may_match(&self, name: &EventName) -> bool {
        match &self.subject {
            Subject::Base(base) => *base == name.base(),
            Subject::Name(own) => own == name,
        }
    }
}

impl FromStr for EventFilter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        // No name holds a bracket, so the first one ends the name; the scope may hold any.
        let (name, scope) = match text.split_once('[') {
            None => (text, None),
            Some((name, rest)) => {
                let scope = rest
                    .strip_suffix(']')
                    .filter(|scope| (1..=MAX_SCOPE_BYTES).contains(&scope.len()))
                    .ok_or_else(|| FilterError::BadScope { text: text.chars().take(80).collect() })?;
                (name, Some(scope.to_owned()))
            }
        };
        let subject = match BaseName::ALL.into_iter().find(|base| base.as_str() == name) {
            Some(base) => Subject::Base(base),
            None => Subject::Name(name.parse()?),
        };
        Ok(Self { subject, scope })
    }
}

impl fmt::Display for EventFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Subject::Base(base) => base.fmt(f)?,
            Subject::Name(name) => name.fmt(f)?,
        }
        match &self.scope {
            Some(scope) => write!(f, "[{scope}]"),
            None => Ok(()),
        }
    }
}

text_outside!(
    EventFilter,
    "What a template listens to: the name of an event or a base name (`Discord`, `AntiRaid`, `Custom`), either with a \
     scope in brackets or without.",
    "KeyExpiry[reminders]"
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{EventId, GuildId};

    fn event(name: &str, scopes: &[&str]) -> Event {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let guild = GuildId::new(1).unwrap();
        Event::new(EventId::fresh(), guild, name.parse().unwrap(), None, scopes, "{}".into()).unwrap()
    }

    fn matches(filter: &str, event: &Event) -> bool {
        filter.parse::<EventFilter>().unwrap().matches(event)
    }

    #[test]
    fn a_name_matches_its_event_and_a_base_name_all_of_them() {
        let message = event("MESSAGE_CREATE", &[]);
        assert!(matches("MESSAGE_CREATE", &message));
        assert!(matches("MESSAGE", &message), "the old name still matches");
        assert!(matches("Discord", &message));
        assert!(!matches("MESSAGE_UPDATE", &message));
        assert!(!matches("AntiRaid", &message));
        assert!(matches("Custom", &event("WebSettings", &[])));
        assert!(matches("WebSettings", &event("WebSettings", &[])));
        assert!(!matches("WebOther", &event("WebSettings", &[])));
    }

    #[test]
    fn an_entry_without_scope_receives_every_scope() {
        assert!(matches("KeyExpiry", &event("KeyExpiry", &["a", "b"])));
        assert!(matches("AntiRaid", &event("KeyExpiry", &["a"])));
    }

    #[test]
    fn an_entry_with_scope_matches_any_equal_scope_and_never_an_event_without() {
        let scoped = event("KeyExpiry", &["a", "b"]);
        assert!(matches("KeyExpiry[b]", &scoped));
        assert!(matches("AntiRaid[a]", &scoped));
        assert!(!matches("KeyExpiry[c]", &scoped));
        assert!(!matches("KeyResume[a]", &scoped));
        assert!(!matches("KeyExpiry[a]", &event("KeyExpiry", &[])));
        assert!(!matches("AntiRaid[a]", &event("KeyExpiry", &[])));
    }

    #[test]
    fn an_entry_reads_back_as_it_was_written() {
        for text in
            ["MESSAGE_CREATE", "Discord", "KeyExpiry[a]", "AntiRaid[builtins.remindme]", "KeyExpiry[a[b]]"]
        {
            let filter: EventFilter = serde_json::from_value(text.into()).unwrap();
            assert_eq!(filter.to_string(), text);
        }
        assert!(matches("KeyExpiry[a[b]]", &event("KeyExpiry", &["a[b]"])));
    }

    #[test]
    fn a_bad_entry_says_what_is_wrong() {
        let error = |text: &str| text.parse::<EventFilter>().unwrap_err().to_string();
        assert!(
            error("MESAGE_CREATE").ends_with("did you mean `MESSAGE_CREATE`?"),
            "{}",
            error("MESAGE_CREATE")
        );
        assert!(error("MESAGE_CREATE[x]").contains("did you mean"));
        for text in
            ["KeyExpiry[]", "KeyExpiry[a", "KeyExpiry[a]b", &format!("KeyExpiry[{}]", "x".repeat(129))]
        {
            assert!(error(text).contains("has no scope"), "{text} gave {}", error(text));
        }
        assert!("".parse::<EventFilter>().is_err());
        assert!("[a]".parse::<EventFilter>().is_err());
    }
}
