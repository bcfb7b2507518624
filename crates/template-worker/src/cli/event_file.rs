//! Event files: one event as `POST .../events` takes it, or an array of them.
//!
//! Owns reading them, also from stdin. How large an event may be is checked where events are accepted.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::events::{Event, EventName};
use crate::ids::{EventId, GuildId, UserId};

use super::console::Failure;

/// Bytes in one file: some dozen of the largest events.
const MAX_BYTES: u64 = 64 << 20;

const FORM: &str = "an event file holds {\"name\": \"MESSAGE_CREATE\", \"data\": {..}}, or an array of those; \
                    `examples/ping/events` has some";

/// An event without its guild.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventText {
    name: EventName,
    data: Box<RawValue>,
    #[serde(default)]
    id: Option<EventId>,
    #[serde(default)]
    author: Option<UserId>,
    #[serde(default)]
    scopes: Vec<String>,
}

impl EventText {
    /// The guild that the data names, as most of what Discord sends does.
    pub(super) fn guild(&self) -> Option<GuildId> {
        #[derive(Deserialize)]
        struct Place {
            guild_id: GuildId,
        }
        serde_json::from_str::<Place>(self.data.get()).ok().map(|place| place.guild_id)
    }

    /// The event, as one of `guild`.
    pub(super) fn into_event(self, guild: GuildId) -> anyhow::Result<Event> {
        let id = self.id.unwrap_or_else(EventId::fresh);
        let data: Arc<str> = self.data.get().into();
        Event::new(id, guild, self.name, self.author, self.scopes, data).context("failed to make an event")
    }
}

/// The events in the file at `path`, at least one; `-` is `input`.
pub(super) fn read(path: &Path, input: &mut dyn Read) -> anyhow::Result<Vec<EventText>> {
    let failed = || format!("failed to read the event file {}", path.display());
    let mut text = String::new();
    let reader: &mut dyn Read =
        if path == Path::new("-") { input } else { &mut File::open(path).with_context(failed)? };
    reader.take(MAX_BYTES + 1).read_to_string(&mut text).with_context(failed)?;
    if text.len() as u64 > MAX_BYTES {
        bail!("{}: it is larger than {} MiB; split it", failed(), MAX_BYTES >> 20);
    }
    let events = parse(&text).map_err(|source| Failure::new(failed(), FORM).because(source))?;
    if events.is_empty() {
        return Err(Failure::new(format!("{}: there is no event in it", failed()), FORM).into());
    }
    Ok(events)
}

fn parse(text: &str) -> serde_json::Result<Vec<EventText>> {
    if text.trim_start().starts_with('[') {
        serde_json::from_str(text)
    } else {
        serde_json::from_str(text).map(|event| vec![event])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<EventText>, String> {
        read(Path::new("-"), &mut text.as_bytes())
            .map_err(|error| super::super::console::chain(error.as_ref()))
    }

    #[test]
    fn one_event_and_an_array_of_events_are_taken() {
        let one = r#"{"name": "MESSAGE_CREATE", "data": {"guild_id": "42", "content": "x"}}"#;
        let events = read_text(one).unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].guild(), GuildId::new(42));
        let event = events[0].clone().into_event(GuildId::new(42).unwrap()).unwrap();
        assert_eq!(&**event.data(), r#"{"guild_id": "42", "content": "x"}"#);
        assert_eq!(read_text(&format!(" [{one}, {one}]")).unwrap().len(), 2);
        let rich = r#"{"name": "KeyExpiry", "data": null, "id": "a-b", "author": "7", "scopes": ["s"]}"#;
        let event = read_text(rich).unwrap().remove(0);
        assert_eq!(event.guild(), None);
        let event = event.into_event(GuildId::new(1).unwrap()).unwrap();
        assert_eq!((event.id().as_str(), event.scopes().len()), ("a-b", 1));
    }

    #[test]
    fn a_mistake_says_where_it_is_or_what_was_meant() {
        for (text, want) in [
            (r#"{"name": "MESAGE_CREATE", "data": {}}"#, "did you mean `MESSAGE_CREATE`?"),
            (r#"{"name": "MESSAGE_CREATE", "dat": {}}"#, "unknown field `dat`"),
            (r#"{"name": "MESSAGE_CREATE"}"#, "missing field `data`"),
            ("{\n  \"name\": x}", "line 2 column 11"),
            ("", "EOF"),
            ("[]", "there is no event in it"),
        ] {
            let error = read_text(text).unwrap_err();
            assert!(error.contains(want) && error.contains("event file -"), "{text}: {error}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Path::new("no/such.json"), &mut std::io::empty()).unwrap_err();
        assert!(error.to_string().contains("no/such.json"), "{error:#}");
    }
}
