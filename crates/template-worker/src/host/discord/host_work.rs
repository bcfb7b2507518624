//! The methods that the host serves without making a request of their own: checks that a template wants made of its users,
//! and the pace of bulk operations.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use khronos::KhronosValue;
use tokio::time::{Instant, sleep_until};
use twilight_model::guild::Permissions;

use super::super::{HostError, HostReply};
use super::Discord;
use super::checks::now;
use super::methods;
use super::permissions::{Guild, Member, missing};
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
    /// Serves what needs no request of its own, as a part of the bulk operation `bulk` where there is one.
    pub(super) async fn host_work(
        &self,
        guild: GuildId,
        work: HostWork,
        decoded: &Decoded,
        bulk: Option<&str>,
    ) -> Result<HostReply, HostError> {
        match work {
            // Its check was that of the argument.
            HostWork::CheckReason => Ok(HostReply::nothing()),
            HostWork::CheckPermissions => {
                let asked = self.asked(guild, decoded).await?;
                asked.holds(asked.permissions(), decoded, "in this guild")?;
                Ok(asked.shown(asked.permissions(), ""))
            }
            HostWork::CheckHierarchy => self.check_hierarchy(guild, decoded).await,
            HostWork::CheckChannel => self.check_channel(guild, decoded).await,
            HostWork::FusedMember => self.fused_member(guild, decoded).await,
            HostWork::BulkOp => {
                let action = action(decoded.text("action"))?;
                let gap = i64::try_from(gap(action).as_millis()).unwrap_or(i64::MAX);
                Ok(HostReply::value([
                    ("action", KhronosValue::from(action)),
                    ("gap_ms", KhronosValue::Integer(gap)),
                ]))
            }
            HostWork::BulkOpWait => {
                self.turn(guild, decoded.text("action").or(bulk)).await?;
                Ok(HostReply::nothing())
            }
        }
    }

    /// Waits for the next turn of an action.
    pub(super) async fn turn(&self, guild: GuildId, named: Option<&str>) -> Result<(), HostError> {
        let action = action(named)?;
        let full = || {
            let text = format!("too many turns of `{action}` are waited for: try again in a few seconds");
            HostError::Quota(text)
        };
        sleep_until(self.turns.take(guild, action).ok_or_else(full)?).await;
        Ok(())
    }

    async fn check_hierarchy(&self, guild: GuildId, decoded: &Decoded) -> Result<HostReply, HostError> {
        let asked = self.asked(guild, decoded).await?;
        let target = decoded.id("target_id").unwrap_or_default();
        let other = self.state.member(&self.rest, guild, target).await?;
        let outranks = match &other {
            Some(other) => asked.guild.outranks(&asked.member, other),
            // Nobody stands above an owner; who is no member stands above nobody.
            None => target != asked.guild.owner,
        };
        if !outranks {
            let user = asked.member.user;
            return Err(HostError::Refused(format!("the user {user} does not outrank {target}")));
        }
        asked.holds(asked.permissions(), decoded, "in this guild")?;
        Ok(asked.shown(asked.permissions(), ""))
    }

    async fn check_channel(&self, guild: GuildId, decoded: &Decoded) -> Result<HostReply, HostError> {
        let id = decoded.id("channel_id").unwrap_or_default();
        let gone = || {
            HostError::NotFound(format!(
                "`channel_id` ({id}) is no channel of this guild that the bot can see"
            ))
        };
        let channel = self.state.channel(&self.rest, guild, id).await?.ok_or_else(gone)?;
        let asked = self.asked(guild, decoded).await?;
        let (overwrites, kind) = self.state.overwrites(&self.rest, guild, &channel).await?;
        let held = asked.guild.permissions_in(&overwrites, kind, &asked.member, now());
        asked.holds(held, decoded, &format!("in the channel {id}"))?;
        let whole = self.state.whole_channel(&self.rest, guild, &channel).await?;
        Ok(asked.shown(held, &format!(r#","channel":{whole}"#)))
    }

    async fn fused_member(&self, guild: GuildId, decoded: &Decoded) -> Result<HostReply, HostError> {
        let (whole, known) = self.state.whole_guild(&self.rest, guild).await?;
        let mut members = Vec::with_capacity(decoded.references.len());
        for user in &decoded.references {
            let found = self.state.whole_member(&self.rest, guild, user.id).await?;
            let (data, member) = found.ok_or_else(|| no_member(&user.path, user.id))?;
            let held = known.permissions(&member, now()).bits();
            members.push(format!(r#"{{"member":{data},"resolved_perms":"{held}"}}"#));
        }
        let members = members.join(",");
        Ok(HostReply::Json(format!(r#"{{"data":{{"guild":{whole},"members":[{members}]}}}}"#)))
    }

    /// The user that a template asks about.
    async fn asked(&self, guild: GuildId, decoded: &Decoded) -> Result<Asked, HostError> {
        let user = decoded.id("user_id").unwrap_or_default();
        let found = self.state.whole_member(&self.rest, guild, user).await?;
        let (whole_member, member) = found.ok_or_else(|| no_member("user_id", user))?;
        let (whole_guild, guild) = self.state.whole_guild(&self.rest, guild).await?;
        Ok(Asked { whole_guild, guild, whole_member, member })
    }
}

fn no_member(path: &str, user: u64) -> HostError {
    HostError::NotFound(format!("`{path}` ({user}) is no member of this guild"))
}

/// A user that a template asks about, and the guild, each with all that Discord says of it.
struct Asked {
    whole_guild: Arc<str>,
    guild: Guild,
    whole_member: Arc<str>,
    member: Member,
}

impl Asked {
    /// What the user may in the guild.
    fn permissions(&self) -> Permissions {
        self.guild.permissions(&self.member, now())
    }

    /// Whether what the user holds is all that is needed.
    fn holds(&self, held: Permissions, decoded: &Decoded, place: &str) -> Result<(), HostError> {
        let needed = permissions_of(decoded.arguments.get("needed_permissions"));
        match missing(held, needed) {
            Some(names) => {
                let user = self.member.user;
                Err(HostError::Refused(format!("the user {user} lacks {names} {place}")))
            }
            None => Ok(()),
        }
    }

    /// What the template gets to see of it; `more` is further fields.
    fn shown(&self, held: Permissions, more: &str) -> HostReply {
        let Self { whole_guild, whole_member, member, .. } = self;
        let (user, held) = (member.user, held.bits());
        HostReply::Json(format!(
            r#"{{"data":{{"user_id":"{user}","permissions":"{held}","partial_guild":{whole_guild},"member":{whole_member}{more}}}}}"#
        ))
    }
}

/// What the action of a bulk operation is called that repeats no method in particular.
pub(in crate::host) const ANY_ACTION: &str = "any";

/// The method that a bulk operation repeats.
fn action(named: Option<&str>) -> Result<&'static str, HostError> {
    let Some(named) = named.filter(|named| *named != ANY_ACTION) else { return Ok(ANY_ACTION) };
    match methods::find(named) {
        Some(method) => Ok(method.name),
        None => {
            let meant = did_you_mean(nearest(named, methods::NAMES.iter().copied()));
            Err(HostError::Invalid(format!("`action` ({named}) is no method of `ctx.Discord`{meant}")))
        }
    }
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
