//! The bot's user, as Discord describes it.
//!
//! Owns asking for it at the start of the service, in the background and until there is an answer, and what is kept of the
//! answer. What scripts see of it is made in `execution`.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::Discord;
use super::failure::{Doubt, Failure};
use super::rest::{Request, Rest};
use crate::ids::UserId;
use crate::shutdown::Stopping;

/// How long the first attempt may take: what loads templates waits for it.
const FIRST_ATTEMPT: Duration = Duration::from_secs(5);
/// Between the first two attempts; twice as long after each.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest time between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Bytes of a text of the user: Discord's names have 32 characters at most.
const MOST_TEXT_BYTES: usize = 256;

/// What is kept of the bot's user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrentUser {
    /// Its id.
    pub id: UserId,
    /// Its name.
    pub username: String,
    /// Four digits that belong to the name.
    pub discriminator: Option<String>,
    /// The name that is shown.
    pub global_name: Option<String>,
    /// The hash of the image.
    pub avatar: Option<String>,
    /// Whether it is a bot; left out where it is none.
    #[serde(default)]
    pub bot: bool,
}

impl CurrentUser {
    /// Whether its texts are no longer than Discord's could be.
    pub fn is_short(&self) -> bool {
        let optional = [&self.discriminator, &self.global_name, &self.avatar];
        let mut texts = optional.into_iter().flatten().chain([&self.username]);
        texts.all(|text| text.len() <= MOST_TEXT_BYTES)
    }
}

#[derive(Debug)]
enum Known {
    /// The first attempt is under way.
    NotYet,
    /// It came to nothing, or there is no bot.
    Nothing,
    User(Arc<CurrentUser>),
}

/// The bot's user, as far as it is known. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BotUser(watch::Receiver<Known>);

impl BotUser {
    /// What is known now; while the first attempt to ask is under way, at its end.
    pub async fn known(&self) -> Option<Arc<CurrentUser>> {
        let mut known = self.0.clone();
        // An error means that the service stops.
        match &*known.wait_for(|known| !matches!(known, Known::NotYet)).await.ok()? {
            Known::User(user) => Some(Arc::clone(user)),
            Known::NotYet | Known::Nothing => None,
        }
    }
}

/// That of a service without a bot.
impl Default for BotUser {
    fn default() -> Self {
        Self(watch::channel(Known::Nothing).1)
    }
}

impl Discord {
    /// Begins to ask Discord in the background, where there is a bot. To be called once.
    pub fn ask_who_the_bot_is(self: &Arc<Self>, stopping: &Stopping) -> BotUser {
        if self.rest.ready().is_err() {
            return BotUser::default();
        }
        let (tell, known) = watch::channel(Known::NotYet);
        let (discord, stopping) = (Arc::clone(self), stopping.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stopping.wait() => {}
                () = discord.ask(tell) => {}
            }
        });
        BotUser(known)
    }

    /// Asks until Discord says who the bot is, or that it is nobody's.
    async fn ask(&self, tell: watch::Sender<Known>) {
        let first = timeout(FIRST_ATTEMPT, current_user(&self.rest)).await;
        let mut came = first.unwrap_or(Err(Failure::TimedOut(Doubt::Nothing)));
        let mut pause = FIRST_PAUSE;
        loop {
            match came {
                Ok(user) => {
                    self.state.know_bot(user.id.get());
                    tracing::info!(id = %user.id, "Discord: {}", user.username);
                    tell.send_replace(Known::User(Arc::new(user)));
                    return;
                }
                Err(failure) => {
                    tell.send_replace(Known::Nothing);
                    let error = &failure as &dyn std::error::Error;
                    tracing::warn!(
                        error,
                        "failed to ask Discord who the bot is: check `discord.address`, `discord.token` and the network"
                    );
                    // Nothing but another token helps, and each further request would count as an offence.
                    if matches!(failure, Failure::BadToken) {
                        return;
                    }
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            came = current_user(&self.rest).await;
        }
    }
}

async fn current_user(rest: &Rest) -> Result<CurrentUser, Failure> {
    let text = rest.send(None, Request::look("users/@me".to_owned())).await?;
    read(&text).ok_or(Failure::BadAnswer("is no user"))
}

fn read(text: &str) -> Option<CurrentUser> {
    serde_json::from_str(text).ok().filter(CurrentUser::is_short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_answer_is_kept_what_is_known_and_short() {
        let text =
            r#"{"id": "9", "username": "antiraid", "bot": true, "email": null, "banner": {"deep": [[[]]]}}"#;
        let user = read(text).unwrap();
        assert_eq!(
            (user.id.get(), user.username.as_str(), user.global_name, user.bot),
            (9, "antiraid", None, true)
        );
        let long = "x".repeat(MOST_TEXT_BYTES + 1);
        let name = |name: &str| format!(r#"{{"id": "9", "username": "{name}"}}"#);
        let avatar = format!(r#"{{"id": "9", "username": "a", "avatar": "{long}"}}"#);
        assert!(read(&name(&long[1..])).is_some());
        for text in [&name(&long), &avatar, "null", "[]", r#"{"id": 9, "username": "a"}"#, r#"{"id": "9"}"#] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn nobody_waits_where_there_is_no_bot_or_the_service_stops() {
        assert_eq!(BotUser::default().known().await, None);
        let (tell, known) = watch::channel(Known::NotYet);
        drop(tell);
        assert_eq!(BotUser(known).known().await, None);
    }
}
