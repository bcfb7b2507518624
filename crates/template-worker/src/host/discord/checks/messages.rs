//! What the bot has to be allowed for a message, which depends on what is in it.

use serde_json::{Map, Value};
use twilight_model::guild::Permissions;

use super::super::super::HostError;
use super::super::rest::Request;
use super::super::state::Channel;
use super::{Check, id_of};

impl Check<'_> {
    /// The bot may read a channel.
    pub(super) async fn read(&self, channel: &Channel) -> Result<(), HostError> {
        let connect = if channel.is_voice() { Permissions::CONNECT } else { Permissions::empty() };
        self.in_channel(channel, Permissions::VIEW_CHANNEL | connect).await
    }

    /// The bot may send to a channel, and what the message holds.
    pub(super) async fn send(&self, argument: &str) -> Result<(), HostError> {
        let channel = self.channel(argument).await?;
        let data = self.decoded.data();
        let needed = Permissions::VIEW_CHANNEL | Permissions::SEND_MESSAGES;
        let inside = data.map_or(Permissions::empty(), for_parts);
        self.in_channel(&channel, needed | inside).await?;
        let from = data.and_then(|data| data.get("message_reference")?.get("channel_id")).and_then(id_of);
        match from {
            Some(from) if from != channel.id => {
                let from = self.channel_of(from).await?;
                let read = Permissions::VIEW_CHANNEL | Permissions::READ_MESSAGE_HISTORY;
                self.in_channel(&from, read).await
            }
            _ => Ok(()),
        }
    }

    /// The message is the bot's own, or it manages messages.
    pub(super) async fn own_message(&self) -> Result<(), HostError> {
        let channel = self.channel("channel_id").await?;
        let Some(lacks) = self.lacked_in_channel(&channel, Permissions::MANAGE_MESSAGES).await? else {
            return Ok(());
        };
        let message = self.decoded.id("message_id").unwrap_or_default();
        let bot = self.state.bot_id(self.rest, self.guild).await?;
        let request = Request::look(format!("channels/{}/messages/{message}", channel.id));
        let Some(found) = self.look(request).await? else {
            let text = format!("`message_id` ({message}) is no message of the channel {}", channel.id);
            return Err(HostError::NotFound(text));
        };
        let author = found.get("author").and_then(|author| author.get("id")).and_then(id_of);
        if author == Some(bot) { Ok(()) } else { Err(lacks) }
    }

    /// The bot may mention everyone where the message goes; webhooks and answers could without being asked.
    pub(super) async fn mention_everyone(&self) -> Result<(), HostError> {
        let named = self.decoded.id("thread_id").or_else(|| self.decoded.id("channel_id"));
        let place = named
            .or_else(|| self.webhook.and_then(|webhook| webhook.channel))
            .or_else(|| self.interaction.and_then(|interaction| interaction.channel));
        match place {
            Some(channel) => {
                let channel = self.channel_of(channel).await?;
                self.in_channel(&channel, Permissions::MENTION_EVERYONE).await
            }
            None => self.in_guild(Permissions::MENTION_EVERYONE).await,
        }
    }
}

/// What the parts of a message take.
fn for_parts(message: &Map<String, Value>) -> Permissions {
    let has = |part: &str| match message.get(part) {
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(_)) => true,
        Some(Value::Bool(b)) => *b,
        _ => false,
    };
    let parts = [
        ("embeds", Permissions::EMBED_LINKS),
        ("attachments", Permissions::ATTACH_FILES),
        ("poll", Permissions::SEND_POLLS),
        ("tts", Permissions::SEND_TTS_MESSAGES),
        ("message_reference", Permissions::READ_MESSAGE_HISTORY),
    ];
    parts.iter().filter(|(part, _)| has(part)).fold(Permissions::empty(), |all, (_, needed)| all | *needed)
}
