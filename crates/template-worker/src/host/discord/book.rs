//! Interactions that Discord has sent to guilds. A token of one is all that Discord asks for to answer it, and says nothing
//! about the guild; so the book is what keeps a template from answering another guild's.
//!
//! Owns which token was sent to which guild, for as long as Discord takes it. Only Discord's own word is written down, as
//! an admin's token passes it on: an interaction that a guild's token posts never is.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use crate::ids::{GuildId, UserId};
use crate::remembered::Remembered;

/// How long Discord takes a token.
const GOOD_FOR: Duration = Duration::from_secs(15 * 60);
/// Interactions of a guild that are remembered; the oldest go first.
const OF_A_GUILD: usize = 1000;
/// Bytes of a token.
const MOST_TOKEN_BYTES: usize = 512;

#[derive(Debug)]
struct Entry {
    id: u64,
    token: String,
    channel: Option<u64>,
    ends: Instant,
}

/// What was sent with an interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its id.
    pub id: u64,
    /// Where it happened.
    pub channel: Option<u64>,
}

/// The interactions of all guilds.
#[derive(Debug, Default)]
pub struct Book(Mutex<Remembered<GuildId, VecDeque<Entry>>>);

#[derive(Deserialize)]
struct Interaction {
    id: UserId,
    token: String,
    guild_id: GuildId,
    channel_id: Option<UserId>,
}

impl Book {
    /// Writes down an interaction that Discord sent to `guild`. One that names another guild is left out.
    pub fn write(&self, guild: GuildId, data: &str) {
        let Ok(sent) = serde_json::from_str::<Interaction>(data) else { return };
        if sent.guild_id != guild || sent.token.len() > MOST_TOKEN_BYTES {
            return;
        }
        let now = Instant::now();
        let mut guilds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |entries: &VecDeque<Entry>| entries.back().is_none_or(|last| last.ends <= now);
        let entries = guilds.entry(guild, is_over, VecDeque::new);
        while entries.front().is_some_and(|first| first.ends <= now) || entries.len() >= OF_A_GUILD {
            entries.pop_front();
        }
        let (id, channel) = (sent.id.get(), sent.channel_id.map(UserId::get));
        entries.push_back(Entry { id, token: sent.token, channel, ends: now + GOOD_FOR });
    }

    /// The interaction that `token` was sent to `guild` with.
    pub fn find(&self, guild: GuildId, token: &str) -> Option<Known> {
        let now = Instant::now();
        let guilds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = guilds.get(&guild)?.iter().rev().find(|entry| entry.token == token)?;
        (entry.ends > now).then_some(Known { id: entry.id, channel: entry.channel })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guild(id: u64) -> GuildId {
        GuildId::new(id).unwrap()
    }

    fn interaction(id: usize, token: &str, guild: u64) -> String {
        format!(
            r#"{{"id": "{id}", "token": "{token}", "guild_id": "{guild}", "channel_id": "40", "type": 2}}"#
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_good_for_its_own_guild_and_for_15_minutes() {
        let book = Book::default();
        book.write(guild(1), &interaction(7, "aw.token", 1));
        assert_eq!(book.find(guild(1), "aw.token"), Some(Known { id: 7, channel: Some(40) }));
        assert_eq!(book.find(guild(2), "aw.token"), None);
        assert_eq!(book.find(guild(1), "aw.toke"), None);
        tokio::time::advance(GOOD_FOR).await;
        assert_eq!(book.find(guild(1), "aw.token"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_names_another_guild_or_is_broken_is_left_out() {
        let book = Book::default();
        book.write(guild(1), &interaction(7, "t", 2));
        for data in ["", "{}", "[1]", r#"{"id": 7}"#, &interaction(7, &"x".repeat(1000), 1)] {
            book.write(guild(1), data);
        }
        assert_eq!((book.find(guild(1), "t"), book.find(guild(2), "t")), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_one_guild_drops_its_own_oldest_and_nobody_elses() {
        let book = Book::default();
        book.write(guild(2), &interaction(7, "other", 2));
        for id in 1..=OF_A_GUILD + 10 {
            book.write(guild(1), &interaction(id, &format!("t{id}"), 1));
        }
        assert_eq!(book.find(guild(1), "t10"), None);
        assert_eq!(book.find(guild(1), "t11").map(|known| known.id), Some(11));
        assert_eq!(book.find(guild(2), "other").map(|known| known.id), Some(7));
        assert_eq!(book.0.lock().unwrap().get(&guild(1)).unwrap().len(), OF_A_GUILD);
    }

    #[tokio::test(start_paused = true)]
    async fn guilds_whose_tokens_are_over_are_forgotten() {
        let book = Book::default();
        for id in 1..=5_000 {
            book.write(guild(id), &interaction(1, "t", id));
            tokio::time::advance(GOOD_FOR / 100).await;
        }
        let remembered = book.0.lock().unwrap().len();
        assert!(remembered < 5_000, "{remembered}");
    }
}
