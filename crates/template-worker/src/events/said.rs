//! What the data of a Discord event says about itself: in which guild it happened, and who caused it.
//!
//! Owns where that stands, for those events whose data says so. Whoever is believed, and what becomes of the event, is
//! `api`'s business.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::ids::GuildId;

/// Where the data names who caused the event.
#[derive(Debug, Clone, Copy)]
enum By {
    /// In a field with the id.
    Id(&'static str),
    /// In a field with the user, or with whoever else has an `id`.
    User(&'static str),
}

/// Events whose data says who caused them. It doesn't where the one that it names is whom the event happened to, such as a
/// member who was banned or given a role, or the author of a message that somebody deleted.
const CAUSES: &[(&str, By)] = &[
    ("AUTO_MODERATION_ACTION_EXECUTION", By::Id("user_id")),
    ("AUTO_MODERATION_RULE_CREATE", By::Id("creator_id")),
    ("GUILD_AUDIT_LOG_ENTRY_CREATE", By::Id("user_id")),
    ("GUILD_SCHEDULED_EVENT_CREATE", By::Id("creator_id")),
    ("GUILD_SCHEDULED_EVENT_USER_ADD", By::Id("user_id")),
    ("GUILD_SCHEDULED_EVENT_USER_REMOVE", By::Id("user_id")),
    ("GUILD_SOUNDBOARD_SOUND_CREATE", By::User("user")),
    ("INVITE_CREATE", By::User("inviter")),
    ("MESSAGE_CREATE", By::User("author")),
    ("MESSAGE_POLL_VOTE_ADD", By::Id("user_id")),
    ("MESSAGE_POLL_VOTE_REMOVE", By::Id("user_id")),
    ("MESSAGE_REACTION_ADD", By::Id("user_id")),
    ("MESSAGE_REACTION_REMOVE", By::Id("user_id")),
    ("MESSAGE_UPDATE", By::User("author")),
    ("PRESENCE_UPDATE", By::User("user")),
    ("THREAD_CREATE", By::Id("owner_id")),
    ("TYPING_START", By::Id("user_id")),
    ("VOICE_CHANNEL_EFFECT_SEND", By::Id("user_id")),
    ("VOICE_STATE_UPDATE", By::Id("user_id")),
];

/// Events about the guild itself, whose data is the guild.
const OF_THE_GUILD: [&str; 3] = ["GUILD_CREATE", "GUILD_DELETE", "GUILD_UPDATE"];

/// What the data says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said<'d> {
    /// The field that names the guild, and what it says, where it is there.
    pub guild: Option<(&'static str, &'d str)>,
    /// The user who caused it.
    pub by: Option<u64>,
}

impl<'d> Said<'d> {
    /// What `data`, which is JSON text, says as that of the event `name`. Nothing where it is no object.
    pub fn in_data(name: &str, data: &'d str) -> Self {
        let of_guild = if OF_THE_GUILD.contains(&name) { "id" } else { "guild_id" };
        let cause = CAUSES.iter().find(|(known, _)| *known == name).map(|(_, by)| *by);
        let (By::Id(field) | By::User(field)) = cause.unwrap_or(By::Id(""));
        let [guild, by] = fields(data, [of_guild, field]);
        let by = match cause {
            Some(By::Id(_)) => by,
            Some(By::User(_)) => by.and_then(|user| fields(user, ["id"])[0]),
            None => None,
        };
        let id = |text: &'d str| text.trim_matches('"');
        Self { guild: guild.map(|text| (of_guild, id(text))), by: by.and_then(|text| id(text).parse().ok()) }
    }

    /// The guild that it names, and in which field, where that is another one than `guild`.
    pub fn elsewhere(&self, guild: GuildId) -> Option<(&'static str, &'d str)> {
        self.guild.filter(|(_, named)| named.parse() != Ok(guild.get()))
    }
}

/// The events whose data says who caused them.
pub fn with_a_cause() -> impl Iterator<Item = &'static str> {
    CAUSES.iter().map(|(name, _)| *name)
}

/// Whether the data of a `GUILD_DELETE` says that the guild is only out of reach for a while.
pub fn is_an_outage(data: &str) -> bool {
    fields(data, ["unavailable"]) == [Some("true")]
}

/// The fields of an object by their names, each as JSON text; `null` is as good as left out. Of one that is there twice the
/// last counts, as it does where the data is made into tables.
fn fields<'d, const N: usize>(json: &'d str, names: [&str; N]) -> [Option<&'d str>; N] {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let found = serde::Deserializer::deserialize_map(&mut deserializer, Fields(names)).unwrap_or([None; N]);
    found.map(|value| value.map(RawValue::get).filter(|text| *text != "null"))
}

struct Fields<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> Visitor<'de> for Fields<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(at) = map.next_key_seed(Place(&self.0))? {
            match at.and_then(|at| found.get_mut(at)) {
                Some(place) => *place = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// Which of some names a key is.
struct Place<'n>(&'n [&'n str]);

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Place<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|name| *name == key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{DISCORD, FOR_THE_SERVICE};

    fn by(name: &str, data: &str) -> Option<u64> {
        Said::in_data(name, data).by
    }

    #[test]
    fn every_event_of_the_tables_is_one_and_none_is_there_twice() {
        for (at, (name, _)) in CAUSES.iter().enumerate() {
            assert!(DISCORD.contains(name), "{name}");
            assert!(CAUSES.iter().skip(at + 1).all(|(other, _)| other != name), "{name}");
        }
        assert!(OF_THE_GUILD.iter().all(|name| DISCORD.contains(name) || FOR_THE_SERVICE.contains(name)));
    }

    #[test]
    fn who_caused_an_event_is_read_where_its_data_says_so() {
        assert_eq!(by("MESSAGE_CREATE", r#"{"user_id": "1", "author": {"bot": true, "id": "9"}}"#), Some(9));
        assert_eq!(by("MESSAGE_REACTION_ADD", r#"{"user_id": "9", "author": {"id": "1"}}"#), Some(9));
        assert_eq!(by("PRESENCE_UPDATE", r#"{"user": {"id": "9"}}"#), Some(9));
        assert_eq!(by("THREAD_CREATE", r#"{"owner_id": "9", "id": "1"}"#), Some(9));
        // It happened to them.
        assert_eq!(by("GUILD_MEMBER_UPDATE", r#"{"user": {"id": "9"}}"#), None);
        assert_eq!(by("GUILD_BAN_ADD", r#"{"user": {"id": "9"}, "user_id": "9"}"#), None);
        assert_eq!(
            by("INTERACTION_CREATE", r#"{"member": {"user": {"id": "9"}}, "user": {"id": "9"}}"#),
            None
        );
        assert_eq!(by("MESSAGE_DELETE", r#"{"": "9", "author": {"id": "9"}}"#), None);
    }

    #[test]
    fn what_is_no_such_data_says_nothing() {
        for data in [
            "null",
            "1",
            r#""author""#,
            r#"[{"id": "9"}, "9"]"#,
            r#"{"author": "9"}"#,
            r#"{"author": null}"#,
            r#"{"author": ["9"]}"#,
            r#"{"author": {"id": {}}}"#,
            r#"{"author": {"id": "-9"}}"#,
            r#"{"a": {"author": {"id": "9"}}}"#,
        ] {
            assert_eq!(Said::in_data("MESSAGE_CREATE", data), Said { guild: None, by: None }, "{data}");
        }
        let deep = format!(r#"{{"a": {}{}, "author": {{"id": "9"}}}}"#, "[".repeat(9_999), "]".repeat(9_999));
        assert_eq!(by("MESSAGE_CREATE", &deep), Some(9));
    }

    #[test]
    fn the_guild_is_read_where_the_event_has_it_and_the_last_of_two_counts() {
        let elsewhere = |name, data| {
            Said::in_data(name, data).elsewhere(GuildId::new(7).unwrap()).map(|(field, _)| field)
        };
        for data in [
            r#"{}"#,
            r#"{"guild_id": null}"#,
            r#"{"guild_id": "7", "id": "1"}"#,
            r#"{"guild_id": 7}"#,
            r#"{"guild_id": "8", "g\u0075ild_id": "7"}"#,
        ] {
            assert_eq!(elsewhere("MESSAGE_CREATE", data), None, "{data}");
        }
        for data in [r#"{"guild_id": "8"}"#, r#"{"guild_id": [7]}"#, r#"{"guild_id": "7", "guild_id": ""}"#] {
            assert_eq!(elsewhere("MESSAGE_CREATE", data), Some("guild_id"), "{data}");
        }
        assert_eq!(elsewhere("GUILD_UPDATE", r#"{"id": "7", "guild_id": "8"}"#), None);
        assert_eq!(elsewhere("GUILD_DELETE", r#"{"id": "8"}"#), Some("id"));
    }

    #[test]
    fn an_outage_is_what_says_so() {
        assert!(is_an_outage(r#"{"id": "1", "unavailable": true}"#));
        for data in ["{}", "null", r#"{"unavailable": false}"#, r#"{"unavailable": "true"}"#] {
            assert!(!is_an_outage(data), "{data}");
        }
    }
}
