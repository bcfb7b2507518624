//! Everything behind `ctx.Discord`.
//!
//! Owns the way of one call: arguments, limits, whose things they are, who may, the guild's share, the request. What the
//! methods are is one table (`table`, `methods`), what they take is in `shapes` and `validate`, whether they may in
//! `checks`, and the way to Discord in `rest`.
//!
//! # Whom it believes
//! Arguments are an attacker's. Discord is believed about what is whose, by its answers and by [`Discord::observe`]: what
//! comes there is its own word, as an admin's token passes it on. An event that a guild's token posts proves nothing.

mod book;
mod breaker;
mod buckets;
mod checks;
mod current_user;
mod failure;
mod host_work;
pub mod methods;
mod pace;
mod permissions;
mod request;
mod rest;
pub mod shapes;
mod state;
pub mod table;
pub mod validate;
mod wire;

use book::Book;
use checks::Check;
pub use current_user::{BotUser, CurrentUser};
pub(in crate::host) use host_work::ANY_ACTION;
use host_work::Turns;
use khronos::KhronosValue;
use rest::Rest;
use state::State;
use table::{HostWork, Method, Route, Verb, Work};
use validate::Decoded;

use super::{HostError, HostReply};
use crate::config::DiscordConfig;
use crate::ids::GuildId;

/// The types that scripts see in arguments and results.
pub fn types() -> Vec<khronos::declare::Type> {
    let taken = shapes::ALL.iter().map(|shape| shape.declare());
    taken.chain(shapes::results::TYPES.iter().copied()).collect()
}

/// Serves `ctx.Discord`.
#[derive(Debug)]
pub struct Discord {
    rest: Rest,
    state: State,
    book: Book,
    turns: Turns,
}

impl Discord {
    /// To be called on the runtime that it works on.
    pub fn new(config: &DiscordConfig) -> Self {
        Self {
            rest: Rest::new(config),
            state: State::new(config.application()),
            book: Book::default(),
            turns: Turns::default(),
        }
    }

    /// Takes in what Discord itself says happened in `guild`, before its templates hear of it: who has which permissions,
    /// and which interactions they may answer. Only what an admin's token passes on may come here.
    pub async fn observe(&self, guild: GuildId, event: &str, data: &str) {
        if event == "INTERACTION_CREATE" {
            self.book.write(guild, data);
        } else {
            self.state.observe(guild, event, data).await;
        }
    }

    /// The id of the bot, once Discord has told it.
    pub fn bot(&self) -> Option<u64> {
        self.state.known_bot()
    }

    /// Serves a call of `method` by a template of `guild`. As a part of a bulk operation, which repeats the action `bulk`, it
    /// waits for the next turn of that first; a call that cannot be right takes none.
    ///
    /// # Errors
    /// Why it was not done, for the template's author.
    pub async fn serve(
        &self,
        guild: GuildId,
        method: &'static Method,
        arguments: Vec<KhronosValue>,
        bulk: Option<&str>,
    ) -> Result<HostReply, HostError> {
        let decoded = method.decode(arguments).map_err(|invalid| HostError::Invalid(invalid.to_string()))?;
        let is_turn = matches!(method.work, Work::Host(HostWork::BulkOpWait));
        if bulk.is_some() && !is_turn {
            self.turn(guild, bulk).await?;
        }
        match method.work {
            Work::Host(work) => self.host_work(guild, work, &decoded, bulk).await,
            Work::Request(route) => self.request(guild, method, &route, decoded).await,
        }
    }

    async fn request(
        &self,
        guild: GuildId,
        method: &'static Method,
        route: &Route,
        decoded: Decoded,
    ) -> Result<HostReply, HostError> {
        self.rest.ready()?;
        Check::new((&self.rest, &self.state, &self.book), guild, method, &decoded).run().await?;
        let application = if route.path.contains("{application}") {
            Some(self.state.application(&self.rest, guild).await?)
        } else {
            None
        };
        let changed = Changed::of(route, &decoded);
        let answer = self.rest.send(guild, request::of(route, guild, application, decoded)).await;
        // Also where it is not known whether it was done.
        changed.forget(&self.state, guild).await;
        let answer = match answer {
            Err(failure) if route.may_be_nobody && failure.is_nobody() => "null".to_owned(),
            answer => answer?,
        };
        Ok(match method.gives {
            "()" => HostReply::nothing(),
            _ => HostReply::Json(format!(r#"{{"data":{answer}}}"#)),
        })
    }
}

/// What a request may have changed of what is known.
#[derive(Debug, Default)]
struct Changed {
    is_guild: bool,
    channels: Vec<u64>,
    member: Option<u64>,
}

impl Changed {
    fn of(route: &Route, decoded: &Decoded) -> Self {
        if route.verb == Verb::Get {
            return Self::default();
        }
        let path = route.path;
        let is_channel = path == "channels/{channel_id}" || path.contains("/permissions/");
        let channels = if is_channel || path == "guilds/{guild}/channels" {
            let channels = decoded.references.iter().filter(|one| one.thing == validate::Thing::Channel);
            channels.map(|one| one.id).collect()
        } else {
            Vec::new()
        };
        Self {
            is_guild: path == "guilds/{guild}" || path.starts_with("guilds/{guild}/roles"),
            channels,
            member: path.starts_with("guilds/").then(|| decoded.id("user_id")).flatten(),
        }
    }

    async fn forget(self, state: &State, guild: GuildId) {
        if self.is_guild {
            state.forget_guild(guild).await;
        }
        for channel in self.channels {
            state.forget_channel(guild, channel).await;
        }
        if let Some(member) = self.member {
            state.forget_member(guild, member).await;
        }
    }
}
