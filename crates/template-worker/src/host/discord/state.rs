//! What is known of guilds, channels and members, for the checks before a request.
//!
//! Owns a bounded memory that forgets within half a minute, so that a permission which was just taken away is not believed
//! in for longer; Discord has the last word anyway. It is filled by asking Discord, and by what Discord tells
//! ([`State::observe`]). Only Discord's own word is let in, as an admin's token passes it on: what a guild's token posts
//! never is.

mod models;

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

pub use models::Channel;
use models::{ChannelData, GuildData, Identified, MemberData, ThreadsAndChannels, WithGuild};

use super::failure::Failure;
use super::permissions::{Guild, Kind, Member, Overwrite};
use super::rest::{Request, Rest};
use crate::ids::GuildId;

/// How long a thing is believed.
const BELIEVED: Duration = Duration::from_secs(30);
/// Guilds that are remembered.
const GUILDS: u64 = 10_000;
/// Channels that are remembered.
const CHANNELS: u64 = 100_000;
/// Members that are remembered.
const MEMBERS: u64 = 100_000;
/// Bytes of what Discord said of things that templates asked about.
const SAID_BYTES: u64 = 64 << 20;
/// Bytes of an event that is read; that of a large guild has less.
const MOST_EVENT_BYTES: usize = 64 << 20;

/// What is known of all guilds.
#[derive(Debug)]
pub struct State {
    guilds: Cache<GuildId, Arc<Guild>>,
    /// Each guild has its own answers, also about a channel of another: nobody waits for what another guild asked.
    channels: Cache<(GuildId, u64), Arc<Channel>>,
    /// Nothing for a user who is no member.
    members: Cache<(GuildId, u64), Option<Arc<Member>>>,
    /// What Discord said of things that templates want to see whole, by path.
    said: Cache<(GuildId, String), Arc<str>>,
    bot: OnceCell<u64>,
    application: OnceCell<u64>,
}

impl State {
    /// Knows nothing yet but, maybe, the id of the application.
    pub(super) fn new(application: Option<u64>) -> Self {
        let application = application.map_or_else(OnceCell::new, |id| OnceCell::new_with(Some(id)));
        Self {
            guilds: Cache::builder().max_capacity(GUILDS).time_to_live(BELIEVED).build(),
            channels: Cache::builder().max_capacity(CHANNELS).time_to_live(BELIEVED).build(),
            members: Cache::builder().max_capacity(MEMBERS).time_to_live(BELIEVED).build(),
            said: Cache::builder()
                .weigher(|(_, path): &(GuildId, String), text: &Arc<str>| {
                    u32::try_from(path.len() + text.len()).unwrap_or(u32::MAX)
                })
                .max_capacity(SAID_BYTES)
                .time_to_live(BELIEVED)
                .build(),
            bot: OnceCell::new(),
            application,
        }
    }

    /// The guild.
    ///
    /// # Errors
    /// Where Discord does not say.
    pub async fn guild(&self, rest: &Rest, guild: GuildId) -> Result<Arc<Guild>, Failure> {
        let asked = async {
            let text = rest.send(guild, Request::look(guild_path(guild))).await?;
            read_guild(guild, &text).map(Arc::new)
        };
        self.guilds.try_get_with(guild, asked).await.map_err(|failure| (*failure).clone())
    }

    /// The guild whole: all that Discord says of it as JSON text, and what counts of that.
    ///
    /// # Errors
    /// Where Discord does not say.
    pub async fn whole_guild(&self, rest: &Rest, guild: GuildId) -> Result<(Arc<str>, Guild), Failure> {
        let text = self.whole(rest, guild, Request::look(guild_path(guild))).await?;
        let known = read_guild(guild, &text)?;
        Ok((text, known))
    }

    /// What Discord says at a path, as JSON text.
    async fn whole(&self, rest: &Rest, guild: GuildId, request: Request) -> Result<Arc<str>, Failure> {
        let key = (guild, request.path.clone());
        let asked = async { rest.send(guild, request).await.map(Arc::from) };
        self.said.try_get_with(key, asked).await.map_err(|failure| (*failure).clone())
    }

    /// A channel or thread of the guild; nothing where it is another guild's, or not there.
    ///
    /// # Errors
    /// Where Discord does not say.
    pub async fn channel(
        &self,
        rest: &Rest,
        guild: GuildId,
        id: u64,
    ) -> Result<Option<Arc<Channel>>, Failure> {
        let asked = async {
            let data: ChannelData = ask(rest, guild, channel_path(id)).await?;
            if data.id.get() == id { Ok(Arc::new(data.into())) } else { Err(NOT_ASKED_FOR) }
        };
        match self.channels.try_get_with((guild, id), asked).await {
            Ok(channel) => Ok(Some(channel).filter(|channel| channel.guild == Some(guild.get()))),
            Err(failure) => match &*failure {
                Failure::Refused { status: 403 | 404, .. } => Ok(None),
                other => Err(other.clone()),
            },
        }
    }

    /// A channel or thread of the guild whole, as JSON text; it is known to be the guild's.
    ///
    /// # Errors
    /// Where Discord does not say.
    pub async fn whole_channel(
        &self,
        rest: &Rest,
        guild: GuildId,
        channel: &Channel,
    ) -> Result<Arc<str>, Failure> {
        self.whole(rest, guild, Request::look(channel_path(channel.id))).await
    }

    /// Asks for all channels of the guild at once; threads are not among them.
    ///
    /// # Errors
    /// Where Discord does not say.
    pub async fn learn_channels(&self, rest: &Rest, guild: GuildId) -> Result<(), Failure> {
        let all: Vec<ChannelData> = ask(rest, guild, format!("guilds/{guild}/channels")).await?;
        for mut channel in all {
            channel.set_guild(guild.get());
            self.learn_channel(guild, channel).await;
        }
        Ok(())
    }

    /// A member of the guild; nothing where the user is none.
    ///
    /// # Errors
    /// Where Discord does not say.
    pub async fn member(
        &self,
        rest: &Rest,
        guild: GuildId,
        user: u64,
    ) -> Result<Option<Arc<Member>>, Failure> {
        let asked = async {
            match rest.send(guild, look_at_member(guild, user)).await {
                Ok(text) => Ok(Some(Arc::new(read_member(user, &text)?))),
                Err(failure) if failure.is_nobody() => Ok(None),
                Err(failure) => Err(failure),
            }
        };
        self.members.try_get_with((guild, user), asked).await.map_err(|failure| (*failure).clone())
    }

    /// A member whole: all that Discord says of it as JSON text, and what counts of that; nothing where the user is none.
    ///
    /// # Errors
    /// Where Discord does not say.
    pub async fn whole_member(
        &self,
        rest: &Rest,
        guild: GuildId,
        user: u64,
    ) -> Result<Option<(Arc<str>, Member)>, Failure> {
        if self.members.get(&(guild, user)).await == Some(None) {
            return Ok(None);
        }
        match self.whole(rest, guild, look_at_member(guild, user)).await {
            Ok(text) => {
                let member = read_member(user, &text)?;
                Ok(Some((text, member)))
            }
            Err(failure) if failure.is_nobody() => {
                self.members.insert((guild, user), None).await;
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// The bot as a member of the guild.
    ///
    /// # Errors
    /// Where it is none, or Discord does not say.
    pub async fn bot(&self, rest: &Rest, guild: GuildId) -> Result<Arc<Member>, Failure> {
        let id = self.bot_id(rest, guild).await?;
        let gone = || Failure::gone("the bot is not in this guild");
        self.member(rest, guild, id).await?.ok_or_else(gone)
    }

    /// The id of the bot.
    ///
    /// # Errors
    /// Where Discord does not say.
    pub async fn bot_id(&self, rest: &Rest, guild: GuildId) -> Result<u64, Failure> {
        let asked = || async {
            ask::<Identified>(rest, guild, "users/@me".to_owned()).await.map(|user| user.id.get())
        };
        self.bot.get_or_try_init(asked).await.copied()
    }

    /// The id of the bot, where Discord has told it.
    pub(super) fn known_bot(&self) -> Option<u64> {
        self.bot.get().copied()
    }

    /// Takes in the id of the bot, as Discord has told it.
    pub(super) fn know_bot(&self, id: u64) {
        // An error means that it is known already.
        let _ = self.bot.set(id);
    }

    /// The id of the application, which commands and answers to interactions belong to.
    ///
    /// # Errors
    /// Where Discord does not say.
    pub async fn application(&self, rest: &Rest, guild: GuildId) -> Result<u64, Failure> {
        let asked = || async {
            ask::<Identified>(rest, guild, "applications/@me".to_owned()).await.map(|app| app.id.get())
        };
        self.application.get_or_try_init(asked).await.copied()
    }

    /// The overwrites that count in a channel, and as what: a thread has those of its parent.
    ///
    /// # Errors
    /// Where Discord does not say.
    pub async fn overwrites(
        &self,
        rest: &Rest,
        guild: GuildId,
        channel: &Channel,
    ) -> Result<(Vec<Overwrite>, Kind), Failure> {
        if !channel.is_thread() {
            let kind = if channel.is_voice() { Kind::Voice } else { Kind::Text };
            return Ok((channel.overwrites.clone(), kind));
        }
        let parent = match channel.parent {
            Some(parent) => self.channel(rest, guild, parent).await?,
            None => None,
        };
        let gone = || Failure::gone("the channel of the thread is gone");
        Ok((parent.ok_or_else(gone)?.overwrites.clone(), Kind::Thread))
    }

    /// Takes in what Discord itself tells of `guild`, as an admin's token passes it on. What does not fit, or names another
    /// guild, is left out, and the next check asks.
    pub async fn observe(&self, guild: GuildId, event: &str, data: &str) {
        if data.len() > MOST_EVENT_BYTES {
            return;
        }
        match event {
            "GUILD_CREATE" | "GUILD_UPDATE" => self.observe_guild(guild, data).await,
            "GUILD_DELETE" => {
                self.forget_guild(guild).await;
                if let Some(bot) = self.bot.get() {
                    self.forget_member(guild, *bot).await;
                }
            }
            "GUILD_ROLE_CREATE" | "GUILD_ROLE_UPDATE" | "GUILD_ROLE_DELETE" => self.forget_guild(guild).await,
            "CHANNEL_CREATE" | "CHANNEL_UPDATE" | "THREAD_CREATE" | "THREAD_UPDATE" => {
                if let Some(channel) = of_guild::<ChannelData>(guild, data) {
                    self.learn_channel(guild, channel).await;
                }
            }
            "CHANNEL_DELETE" | "THREAD_DELETE" => {
                if let Some(channel) = of_guild::<Identified>(guild, data) {
                    self.forget_channel(guild, channel.id.get()).await;
                }
            }
            "GUILD_MEMBER_ADD" | "GUILD_MEMBER_UPDATE" => {
                if let Some(member) = of_guild::<MemberData>(guild, data)
                    && let Some(user) = member.user_id()
                {
                    self.forget_member(guild, user).await;
                    let member = Arc::new(member.into_member(user));
                    self.members.insert((guild, user), Some(member)).await;
                }
            }
            "GUILD_MEMBER_REMOVE" => {
                if let Some(user) = of_guild::<MemberData>(guild, data).and_then(|member| member.user_id()) {
                    self.forget_member(guild, user).await;
                    self.members.insert((guild, user), None).await;
                }
            }
            _ => {}
        }
    }

    async fn observe_guild(&self, guild: GuildId, data: &str) {
        let Ok(found) = serde_json::from_str::<GuildData>(data) else { return };
        if found.id.get() != guild.get() {
            return;
        }
        self.forget_guild(guild).await;
        self.guilds.insert(guild, Arc::new(found.into())).await;
        let Ok(inside) = serde_json::from_str::<ThreadsAndChannels>(data) else { return };
        for mut channel in inside.channels.into_iter().chain(inside.threads) {
            // Inside a guild they do not say whose they are.
            channel.set_guild(guild.get());
            self.learn_channel(guild, channel).await;
        }
    }

    async fn learn_channel(&self, guild: GuildId, channel: ChannelData) {
        let id = channel.id.get();
        let channel = Arc::new(Channel::from(channel));
        // What Discord answered counts more than an event, which came through more hands.
        let known = self.channels.get(&(guild, id)).await;
        let is_others = known.is_some_and(|known| known.guild != Some(guild.get()));
        if channel.guild == Some(guild.get()) && !is_others {
            self.forget_channel(guild, id).await;
            self.channels.insert((guild, id), channel).await;
        }
    }

    /// Forgets the guild itself, with its roles.
    pub async fn forget_guild(&self, guild: GuildId) {
        self.guilds.invalidate(&guild).await;
        self.said.invalidate(&(guild, guild_path(guild))).await;
    }

    /// Forgets a member.
    pub async fn forget_member(&self, guild: GuildId, user: u64) {
        self.members.invalidate(&(guild, user)).await;
        self.said.invalidate(&(guild, look_at_member(guild, user).path)).await;
    }

    /// Forgets a channel of the guild.
    pub async fn forget_channel(&self, guild: GuildId, id: u64) {
        self.channels.invalidate(&(guild, id)).await;
        self.said.invalidate(&(guild, channel_path(id))).await;
    }
}

const NOT_ASKED_FOR: Failure = Failure::BadAnswer("is about something else; try again later");

fn guild_path(guild: GuildId) -> String {
    format!("guilds/{guild}")
}

fn channel_path(id: u64) -> String {
    format!("channels/{id}")
}

/// Anybody may leave at any time, and templates also ban who has left.
fn look_at_member(guild: GuildId, user: u64) -> Request {
    Request { may_be_nobody: true, ..Request::look(format!("guilds/{guild}/members/{user}")) }
}

fn read_guild(guild: GuildId, text: &str) -> Result<Guild, Failure> {
    let data: GuildData = read(text)?;
    if data.id.get() == guild.get() { Ok(data.into()) } else { Err(NOT_ASKED_FOR) }
}

fn read_member(user: u64, text: &str) -> Result<Member, Failure> {
    Ok(read::<MemberData>(text)?.into_member(user))
}

/// Asks Discord for one thing.
async fn ask<T: DeserializeOwned>(rest: &Rest, guild: GuildId, path: String) -> Result<T, Failure> {
    read(&rest.send(guild, Request::look(path)).await?)
}

/// What an answer says.
fn read<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text)
        .map_err(|_| Failure::BadAnswer("has another form than expected; try again later"))
}

/// The data of an event, where it is about `guild`.
fn of_guild<T: DeserializeOwned>(guild: GuildId, data: &str) -> Option<T> {
    let named: WithGuild = serde_json::from_str(data).ok()?;
    if named.guild_id.get() != guild.get() {
        return None;
    }
    serde_json::from_str(data).ok()
}
