//! The methods that the host serves without making a request of their own: checks that a template wants made of its users,
//! and the pace of bulk operations.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use khronos::KhronosValue;
use tokio::time::{Instant, sleep_until};
use twilight_model::guild::Permissions;

use super::super::{HostError, HostReply};
use super::Discord;
use super::checks::now;
use super::methods;
use super::permissions::{Member, missing};
use super::table::HostWork;
use super::validate::{Decoded, permissions_of};
use crate::ids::GuildId;
use crate::nearest::{did_you_mean, nearest};
use crate::remembered::Remembered;

/// Milliseconds between two turns of a bulk operation, by action.
const GAPS: &[(&str, u64)] = &[
    ("create_message", 1200),
    ("create_guild_role", 2200),
    ("modify_guild_role", 2000),
    ("delete_guild_role", 2000),
];
/// The same for all other actions.
const GAP: u64 = 2500;
/// The longest that a turn is waited for.
const LONGEST: Duration = Duration::from_secs(10);

/// When the next turn of each action of each guild is.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<Remembered<(GuildId, &'static str), Instant>>);

impl Turns {
    /// Takes the next turn, and says when it is; nothing where that is too far away.
    fn take(&self, guild: GuildId, action: &'static str) -> Option<Instant> {
        let now = Instant::now();
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = turns.entry((guild, action), |next| *next <= now, || now);
        let turn = (*next).max(now);
        if turn.duration_since(now) > LONGEST {
            return None;
        }
        *next = turn + gap(action);
        Some(turn)
    }
}

fn gap(action: &str) -> Duration {
    Duration::from_millis(GAPS.iter().find(|(known, _)| *known == action).map_or(GAP, |(_, gap)| *gap))
}

impl Discord {
    /// Serves what needs no request of its own.
    pub(super) async fn host_work(
        &self,
        guild: GuildId,
        work: HostWork,
        decoded: &Decoded,
    ) -> Result<HostReply, HostError> {
        match work {
            // Its check was that of the argument.
            HostWork::CheckReason => Ok(HostReply::nothing()),
            HostWork::CheckPermissions => {
                let member = self.member(guild, decoded, "user_id").await?;
                let held = self.state.guild(&self.rest, guild).await?.permissions(&member, now());
                holds(&member, held, decoded, "in this guild")
            }
            HostWork::CheckHierarchy => self.check_hierarchy(guild, decoded).await,
            HostWork::CheckChannel => self.check_channel(guild, decoded).await,
            HostWork::FusedMember => self.fused_member(guild, decoded).await,
            HostWork::BulkOp => {
                let action = action(decoded)?;
                let gap = i64::try_from(gap(action).as_millis()).unwrap_or(i64::MAX);
                Ok(HostReply::value([
                    ("action", KhronosValue::from(action)),
                    ("gap_ms", KhronosValue::Integer(gap)),
                ]))
            }
            HostWork::BulkOpWait => {
                let action = action(decoded)?;
                let full = || {
                    let text =
                        format!("too many turns of `{action}` are waited for: try again in a few seconds");
                    HostError::Quota(text)
                };
                sleep_until(self.turns.take(guild, action).ok_or_else(full)?).await;
                Ok(HostReply::nothing())
            }
        }
    }

    async fn check_hierarchy(&self, guild: GuildId, decoded: &Decoded) -> Result<HostReply, HostError> {
        let member = self.member(guild, decoded, "user_id").await?;
        let known = self.state.guild(&self.rest, guild).await?;
        let target = decoded.id("target_id").unwrap_or_default();
        let other = self.state.member(&self.rest, guild, target).await?;
        let outranks = match &other {
            Some(other) => known.outranks(&member, other),
            // Nobody stands above an owner; who is no member stands above nobody.
            None => target != known.owner,
        };
        if !outranks {
            return Err(HostError::Refused(format!("the user {} does not outrank {target}", member.user)));
        }
        holds(&member, known.permissions(&member, now()), decoded, "in this guild")
    }

    async fn check_channel(&self, guild: GuildId, decoded: &Decoded) -> Result<HostReply, HostError> {
        let id = decoded.id("channel_id").unwrap_or_default();
        let gone = || {
            HostError::NotFound(format!(
                "`channel_id` ({id}) is no channel of this guild that the bot can see"
            ))
        };
        let channel = self.state.channel(&self.rest, guild, id).await?.ok_or_else(gone)?;
        let member = self.member(guild, decoded, "user_id").await?;
        let (overwrites, kind) = self.state.overwrites(&self.rest, guild, &channel).await?;
        let known = self.state.guild(&self.rest, guild).await?;
        let held = known.permissions_in(&overwrites, kind, &member, now());
        holds(&member, held, decoded, &format!("in the channel {id}"))
    }

    async fn fused_member(&self, guild: GuildId, decoded: &Decoded) -> Result<HostReply, HostError> {
        let (whole, known) = self.state.ask_for_guild(&self.rest, guild).await?;
        let mut members = Vec::with_capacity(decoded.references.len());
        for user in &decoded.references {
            let (data, member) = self.state.ask_for_member(&self.rest, guild, user.id).await?;
            let held = known.permissions(&member, now()).bits();
            members.push(format!(r#"{{"member":{data},"resolved_perms":"{held}"}}"#));
        }
        Ok(HostReply::Json(format!(r#"{{"guild":{whole},"members":[{}]}}"#, members.join(","))))
    }

    async fn member(
        &self,
        guild: GuildId,
        decoded: &Decoded,
        argument: &str,
    ) -> Result<std::sync::Arc<Member>, HostError> {
        let user = decoded.id(argument).unwrap_or_default();
        let gone = || HostError::NotFound(format!("`{argument}` ({user}) is no member of this guild"));
        self.state.member(&self.rest, guild, user).await?.ok_or_else(gone)
    }
}

/// The method that a bulk operation repeats.
fn action(decoded: &Decoded) -> Result<&'static str, HostError> {
    let Some(named) = decoded.text("action") else { return Ok("any") };
    match methods::find(named) {
        Some(method) => Ok(method.name),
        None => {
            let meant = did_you_mean(nearest(named, methods::NAMES.iter().copied()));
            Err(HostError::Invalid(format!("`action` ({named}) is no method of `ctx.Discord`{meant}")))
        }
    }
}

/// What `member` holds, where that is all that is needed.
fn holds(member: &Member, held: Permissions, decoded: &Decoded, place: &str) -> Result<HostReply, HostError> {
    let needed = permissions_of(decoded.arguments.get("needed_permissions"));
    if let Some(names) = missing(held, needed) {
        return Err(HostError::Refused(format!("the user {} lacks {names} {place}", member.user)));
    }
    Ok(HostReply::value([
        ("user_id", KhronosValue::from(member.user.to_string())),
        ("permissions", held.bits().to_string().into()),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_of_an_action_come_one_after_the_other_and_not_without_end() {
        let (turns, start) = (Turns::default(), Instant::now());
        let guild = |id| GuildId::new(id).unwrap();
        let at = |guild, action| turns.take(guild, action).map(|turn| turn.duration_since(start).as_millis());
        assert_eq!(at(guild(1), "create_message"), Some(0));
        assert_eq!(at(guild(1), "create_message"), Some(1200));
        assert_eq!(at(guild(1), "delete_guild_role"), Some(0));
        assert_eq!(at(guild(2), "create_message"), Some(0));
        let granted = (0..100).filter(|_| at(guild(1), "create_message").is_some()).count();
        assert_eq!(granted, 7, "up to ten seconds ahead");
    }
}
