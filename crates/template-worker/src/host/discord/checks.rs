//! What is checked before a request goes out: that everything it names is the guild's, and that the bot may do it.
//!
//! Owns the order: whose things these are first, so that nobody hears anything about another guild's. Discord checks as well,
//! but with the rights of the bot in all its guilds, which is just what a template must not have.

mod changes;
mod messages;

use std::sync::Arc;

use serde_json::Value;
use time::OffsetDateTime;
use twilight_model::guild::Permissions;

use super::super::HostError;
use super::book::{Book, Known};
use super::failure::Failure;
use super::permissions::{Guild, Member, missing};
use super::rest::{Request, Rest};
use super::state::{Channel, State};
use super::table::{Method, Need, Work};
use super::validate::{Decoded, Thing};
use crate::ids::GuildId;

/// From so many channels on, all of the guild are asked for at once.
const MANY_CHANNELS: usize = 3;

/// One call that is checked.
pub struct Check<'a> {
    pub(super) rest: &'a Rest,
    pub(super) state: &'a State,
    pub(super) book: &'a Book,
    pub(super) guild: GuildId,
    pub(super) method: &'static Method,
    pub(super) decoded: &'a Decoded,
    /// The webhook that was named, once it is known to be the guild's.
    webhook: Option<Webhook>,
    /// The interaction that a token was sent with.
    interaction: Option<Known>,
}

/// A webhook of the guild.
#[derive(Debug, Clone, Copy)]
struct Webhook {
    channel: Option<u64>,
}

impl<'a> Check<'a> {
    /// A call of `method` by a template of `guild`.
    pub fn new(
        (rest, state, book): (&'a Rest, &'a State, &'a Book),
        guild: GuildId,
        method: &'static Method,
        decoded: &'a Decoded,
    ) -> Self {
        Self { rest, state, book, guild, method, decoded, webhook: None, interaction: None }
    }

    /// Checks everything.
    ///
    /// # Errors
    /// The first thing that is not the guild's, or that the bot may not do.
    pub async fn run(&mut self) -> Result<(), HostError> {
        self.ownership().await?;
        for need in self.method.needs {
            self.need(need).await?;
        }
        // Whether a role may be mentioned by anybody is looked at for a bot's messages, and nobody says that it is for others.
        let is_bots = !matches!(self.method.work, Work::Request(route) if route.has_own_token);
        if self.decoded.mentions_everyone || (self.decoded.mentions_roles && !is_bots) {
            self.mention_everyone().await?;
        }
        Ok(())
    }

    /// Whether all that is named is the guild's.
    async fn ownership(&mut self) -> Result<(), HostError> {
        let decoded = self.decoded;
        let channels = decoded.references.iter().filter(|one| one.thing == Thing::Channel).count();
        if channels >= MANY_CHANNELS {
            self.state.learn_channels(self.rest, self.guild).await?;
        }
        for reference in &decoded.references {
            let is_ours = match reference.thing {
                Thing::Channel => self.state.channel(self.rest, self.guild, reference.id).await?.is_some(),
                Thing::Role => self.guild().await?.roles.contains_key(&reference.id),
                Thing::Guild => reference.id == self.guild.get(),
                Thing::Webhook => {
                    self.webhook = self.find_webhook(reference.id).await?;
                    self.webhook.is_some()
                }
                // Known by its token.
                Thing::Interaction => true,
                Thing::User | Thing::Message | Thing::OfGuild | Thing::Other => true,
            };
            if !is_ours {
                let what = match reference.thing {
                    Thing::Channel => "channel of this guild that the bot can see",
                    Thing::Role => "role of this guild",
                    Thing::Webhook => "webhook of this guild that the bot can see",
                    _ => "id of this guild",
                };
                let text = format!("`{}` ({}) is no {what}", reference.path, reference.id);
                return Err(HostError::NotFound(text));
            }
        }
        Ok(())
    }

    async fn need(&mut self, need: &Need) -> Result<(), HostError> {
        match need {
            Need::Guild(needed) => self.in_guild(*needed).await,
            Need::Channel(argument, needed) => {
                let channel = self.channel(argument).await?;
                self.in_channel(&channel, *needed).await
            }
            Need::Read(argument) => {
                let channel = self.channel(argument).await?;
                self.read(&channel).await
            }
            Need::Send(argument) => self.send(argument).await,
            Need::Manage(argument) => {
                let channel = self.channel(argument).await?;
                let threads = channel.is_thread();
                let needed = if threads { Permissions::MANAGE_THREADS } else { Permissions::MANAGE_CHANNELS };
                self.in_channel(&channel, needed).await
            }
            Need::OwnMessage => self.own_message().await,
            Need::Outranks(argument) => self.outranks(argument).await,
            Need::Below(argument) => {
                let guild = self.guild().await?;
                let role = self.decoded.id(argument).and_then(|role| guild.roles.get(&role));
                match role {
                    Some(role) if !guild.is_below(role, &*self.bot().await?) => Err(above(role.id)),
                    _ => Ok(()),
                }
            }
            Need::GrantedByRole => self.granted_by_role().await,
            Need::GrantedByOverwrites => self.granted_by_overwrites().await,
            Need::GrantedByOverwrite => self.granted_by_overwrite().await,
            Need::EditMember => self.edit_member().await,
            Need::EditGuild => self.edit_guild().await,
            Need::MoveRoles => self.move_roles().await,
            Need::Invite { deletes } => self.invite(*deletes).await,
            Need::ManageWebhook => {
                let moved = self.decoded.data().and_then(|data| data.get("channel_id")).and_then(id_of);
                for channel in self.webhook.and_then(|webhook| webhook.channel).into_iter().chain(moved) {
                    let channel = self.channel_of(channel).await?;
                    self.in_channel(&channel, Permissions::MANAGE_WEBHOOKS).await?;
                }
                Ok(())
            }
            Need::Follow => {
                let target =
                    self.decoded.data().and_then(|data| data.get("webhook_channel_id")).and_then(id_of);
                let channel = self.channel_of(target.unwrap_or_default()).await?;
                self.in_channel(&channel, Permissions::MANAGE_WEBHOOKS).await
            }
            Need::InteractionToken => self.interaction(),
        }
    }

    /// The guild.
    pub(super) async fn guild(&self) -> Result<Arc<Guild>, HostError> {
        Ok(self.state.guild(self.rest, self.guild).await?)
    }

    /// The bot.
    pub(super) async fn bot(&self) -> Result<Arc<Member>, HostError> {
        Ok(self.state.bot(self.rest, self.guild).await?)
    }

    /// The channel that an argument names.
    pub(super) async fn channel(&self, argument: &str) -> Result<Arc<Channel>, HostError> {
        self.channel_of(self.decoded.id(argument).unwrap_or_default()).await
    }

    /// A channel of the guild.
    async fn channel_of(&self, id: u64) -> Result<Arc<Channel>, HostError> {
        let gone = || HostError::NotFound(format!("{id} is no channel of this guild that the bot can see"));
        self.state.channel(self.rest, self.guild, id).await?.ok_or_else(gone)
    }

    /// What `member` may in a channel.
    pub(super) async fn permissions_in(
        &self,
        channel: &Channel,
        member: &Member,
    ) -> Result<Permissions, HostError> {
        let (overwrites, kind) = self.state.overwrites(self.rest, self.guild, channel).await?;
        Ok(self.guild().await?.permissions_in(&overwrites, kind, member, now()))
    }

    /// The bot may all of `needed` in the guild.
    async fn in_guild(&self, needed: Permissions) -> Result<(), HostError> {
        self.lacked_in_guild(needed).await?.map_or(Ok(()), Err)
    }

    /// What is to be said where the bot lacks some of `needed` in the guild; an error means that this is not known.
    async fn lacked_in_guild(&self, needed: Permissions) -> Result<Option<HostError>, HostError> {
        let held = self.guild().await?.permissions(&*self.bot().await?, now());
        Ok(missing(held, needed).map(|names| lacks(&names, "in this guild")))
    }

    /// The bot may all of `needed` in a channel.
    async fn in_channel(&self, channel: &Channel, needed: Permissions) -> Result<(), HostError> {
        self.lacked_in_channel(channel, needed).await?.map_or(Ok(()), Err)
    }

    /// The same as for the guild, in a channel.
    async fn lacked_in_channel(
        &self,
        channel: &Channel,
        needed: Permissions,
    ) -> Result<Option<HostError>, HostError> {
        let needed = if channel.is_thread() && needed.contains(Permissions::SEND_MESSAGES) {
            needed.difference(Permissions::SEND_MESSAGES).union(Permissions::SEND_MESSAGES_IN_THREADS)
        } else {
            needed
        };
        let held = self.permissions_in(channel, &*self.bot().await?).await?;
        Ok(missing(held, needed).map(|names| lacks(&names, &format!("in the channel {}", channel.id))))
    }

    /// The bot outranks a user, where that is a member.
    async fn outranks(&self, argument: &str) -> Result<(), HostError> {
        let user = self.decoded.id(argument).unwrap_or_default();
        let (guild, bot) = (self.guild().await?, self.bot().await?);
        if user == bot.user {
            return self.of_itself();
        }
        if user == guild.owner {
            return Err(HostError::Refused(format!("{user} owns this guild, and nobody outranks the owner")));
        }
        match self.state.member(self.rest, self.guild, user).await? {
            Some(other) if !guild.outranks(&bot, &other) => Err(HostError::Refused(format!(
                "the bot does not outrank {user}: an admin of the guild can move the bot's role above those of {user}"
            ))),
            _ => Ok(()),
        }
    }

    /// The bot may change itself, and neither ban or kick itself nor time itself out.
    fn of_itself(&self) -> Result<(), HostError> {
        let what = match self.decoded.data() {
            Some(data) if !data.contains_key("communication_disabled_until") => return Ok(()),
            Some(_) => "time itself out",
            None => "do that to itself",
        };
        let user = self.decoded.id("user_id").unwrap_or_default();
        Err(HostError::Refused(format!("{user} is the bot, which cannot {what}")))
    }

    /// The webhook with this id, where it is the guild's. Its token is enough to look at it, without a permission.
    async fn find_webhook(&self, id: u64) -> Result<Option<Webhook>, HostError> {
        let request = match self.decoded.text("webhook_token") {
            Some(token) => Request { has_own_token: true, ..Request::look(format!("webhooks/{id}/{token}")) },
            None => Request::look(format!("webhooks/{id}")),
        };
        let found = self.look(request).await?;
        let Some(found) =
            found.filter(|found| found.get("guild_id").and_then(id_of) == Some(self.guild.get()))
        else {
            return Ok(None);
        };
        Ok(Some(Webhook { channel: found.get("channel_id").and_then(id_of) }))
    }

    /// What Discord has at a path; nothing where it is not there, or not for the bot.
    async fn look(&self, request: Request) -> Result<Option<Value>, HostError> {
        match self.rest.send(self.guild, request).await {
            Ok(text) => Ok(serde_json::from_str(&text).ok()),
            Err(Failure::Refused { status: 401 | 403 | 404, .. }) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn invite(&self, deletes: bool) -> Result<(), HostError> {
        let code = self.decoded.text("code").unwrap_or_default();
        let found = self.look(Request::look(format!("invites/{code}"))).await?;
        let of = |what: &str| found.as_ref().and_then(|invite| invite.get(what)?.get("id")).and_then(id_of);
        if of("guild") != Some(self.guild.get()) {
            return Err(HostError::NotFound(format!("`code` ({code}) is no invite to this guild")));
        }
        if !deletes || self.lacked_in_guild(Permissions::MANAGE_GUILD).await?.is_none() {
            return Ok(());
        }
        let channel = self.channel_of(of("channel").unwrap_or_default()).await?;
        self.in_channel(&channel, Permissions::MANAGE_CHANNELS).await
    }

    fn interaction(&mut self) -> Result<(), HostError> {
        let token = self.decoded.text("interaction_token").unwrap_or_default();
        let known = self.book.find(self.guild, token);
        let named = self.decoded.id("interaction_id");
        match known {
            Some(known) if named.is_none_or(|named| named == known.id) => {
                self.interaction = Some(known);
                Ok(())
            }
            _ => Err(HostError::NotFound(
                "`interaction_token` is that of no interaction that Discord sent to this guild within the last 15 minutes"
                    .to_owned(),
            )),
        }
    }
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// The id in a value that was checked.
pub(super) fn id_of(value: &Value) -> Option<u64> {
    value.as_str()?.parse().ok()
}

fn lacks(names: &str, place: &str) -> HostError {
    HostError::Refused(format!(
        "the bot lacks {names} {place}: an admin of the guild can give it to a role of the bot"
    ))
}

fn above(role: u64) -> HostError {
    HostError::Refused(format!(
        "the role {role} is not below the bot's highest: an admin of the guild can move the bot's role up"
    ))
}
