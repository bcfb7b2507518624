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
            bot: OnceCell::new(),
            application,
        }
    }

    /// The guild.
    ///
    /// # Errors
    /// Where Discord does not say.
    pub async fn guild(&self, rest: &Rest, guild: GuildId) -> Result<Arc<Guild>, Failure> {
        let asked = async { self.ask_for_guild(rest, guild).await.map(|(_, known)| Arc::new(known)) };
        self.guilds.try_get_with(guild, asked).await.map_err(|failure| (*failure).clone())
    }

    /// Asks for the guild: all that Discord says of it, and what counts of that.
    ///
    /// # Errors
    /// Where Discord does not say.
    pub async fn ask_for_guild(&self, rest: &Rest, guild: GuildId) -> Result<(String, Guild), Failure> {
        let text = rest.send(guild, Request::look(format!("guilds/{guild}"))).await?;
        let data: GuildData = read(&text)?;
        if data.id.get() == guild.get() { Ok((text, data.into())) } else { Err(NOT_ASKED_FOR) }
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
            let data: ChannelData = ask(rest, guild, format!("channels/{id}")).await?;
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
            match self.ask_for_member(rest, guild, user).await {
                Ok((_, member)) => Ok(Some(Arc::new(member))),
                Err(Failure::Refused { status: 404, .. }) => Ok(None),
                Err(failure) => Err(failure),
            }
        };
        self.members.try_get_with((guild, user), asked).await.map_err(|failure| (*failure).clone())
    }

    /// Asks for a member: all that Discord says of it, and what counts of that.
    ///
    /// # Errors
    /// Where Discord does not say, or the user is no member.
    pub async fn ask_for_member(
        &self,
        rest: &Rest,
        guild: GuildId,
        user: u64,
    ) -> Result<(String, Member), Failure> {
        let look = Request::look(format!("guilds/{guild}/members/{user}"));
        // Anybody may leave at any time, and templates also ban who has left.
        let text = rest.send(guild, Request { may_be_gone: true, ..look }).await?;
        let data: MemberData = read(&text)?;
        Ok((text, data.into_member(user)))
    }

    /// The bot as a member of the guild.
    ///
    /// # Errors
    /// Where it is none, or Discord does not say.
    pub async fn bot(&self, rest: &Rest, guild: GuildId) -> Result<Arc<Member>, Failure> {
        let id = self.bot_id(rest, guild).await?;
        let gone = || Failure::Refused { status: 404, text: "the bot is not in this guild".to_owned() };
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
        let gone = || Failure::Refused { status: 404, text: "the channel of the thread is gone".to_owned() };
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
                    let member = Arc::new(member.into_member(user));
                    self.members.insert((guild, user), Some(member)).await;
                }
            }
            "GUILD_MEMBER_REMOVE" => {
                if let Some(user) = of_guild::<MemberData>(guild, data).and_then(|member| member.user_id()) {
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
            self.channels.insert((guild, id), channel).await;
        }
    }

    /// Forgets the guild itself, with its roles.
    pub async fn forget_guild(&self, guild: GuildId) {
        self.guilds.invalidate(&guild).await;
    }

    /// Forgets a member.
    pub async fn forget_member(&self, guild: GuildId, user: u64) {
        self.members.invalidate(&(guild, user)).await;
    }

    /// Forgets a channel of the guild.
    pub async fn forget_channel(&self, guild: GuildId, id: u64) {
        self.channels.invalidate(&(guild, id)).await;
    }
}

const NOT_ASKED_FOR: Failure = Failure::BadAnswer("is about something else; try again later");

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
