//! Changes by which somebody could gain something: roles, overwrites, members, the guild itself. Nobody gets through a
//! template what the bot lacks.

use std::collections::BTreeSet;

use serde_json::Value;
use twilight_model::guild::Permissions;

use super::super::super::HostError;
use super::super::permissions::{Overwrite, missing};
use super::super::validate::permissions_of;
use super::{Check, above, id_of, now};

impl Check<'_> {
    /// What the role in `data` may and did not before, the bot may.
    pub(super) async fn granted_by_role(&self) -> Result<(), HostError> {
        let wanted = permissions_of(self.decoded.data().and_then(|data| data.get("permissions")));
        let (guild, bot) = (self.guild().await?, self.bot().await?);
        let role = self.decoded.id("role_id").and_then(|role| guild.roles.get(&role));
        let before = role.map_or(Permissions::empty(), |role| role.permissions);
        granted(guild.permissions(&bot, now()), wanted.difference(before), "data.permissions")
    }

    /// What overwrites in `data` change, the bot may.
    pub(super) async fn granted_by_overwrites(&self) -> Result<(), HostError> {
        let Some(Value::Array(wanted)) =
            self.decoded.data().and_then(|data| data.get("permission_overwrites"))
        else {
            return Ok(());
        };
        self.in_guild_or_channel(Permissions::MANAGE_ROLES).await?;
        let before = match self.decoded.id("channel_id") {
            Some(_) => self.channel("channel_id").await?.overwrites.clone(),
            None => Vec::new(),
        };
        let wanted: Vec<Overwrite> = wanted.iter().filter_map(overwrite).collect();
        let guild = self.guild().await?;
        let mut changed = Permissions::empty();
        for (index, one) in wanted.iter().enumerate() {
            if !one.is_member && !guild.roles.contains_key(&one.id) {
                return Err(HostError::NotFound(format!(
                    "`data.permission_overwrites[{}].id` ({}) is no role of this guild",
                    index + 1,
                    one.id
                )));
            }
            let old = before.iter().find(|old| old.id == one.id && old.is_member == one.is_member);
            changed |= difference(one, old);
        }
        let dropped =
            |old: &&Overwrite| !wanted.iter().any(|one| one.id == old.id && one.is_member == old.is_member);
        for old in before.iter().filter(dropped) {
            changed |= old.allow | old.deny;
        }
        granted(self.held().await?, changed, "data.permission_overwrites")
    }

    /// What an overwrite changes, or its end, the bot may; a role that it is for is the guild's.
    pub(super) async fn granted_by_overwrite(&self) -> Result<(), HostError> {
        let arguments = &self.decoded.arguments;
        let target = self.decoded.id("target_id").or_else(|| self.decoded.id("overwrite_id"));
        let target = target.unwrap_or_default();
        let is_role = arguments.get("type").and_then(Value::as_i64) == Some(0);
        if is_role && !self.guild().await?.roles.contains_key(&target) {
            return Err(HostError::NotFound(format!("`target_id` ({target}) is no role of this guild")));
        }
        let channel = self.channel("channel_id").await?;
        let wanted = Overwrite {
            id: target,
            is_member: !is_role,
            allow: permissions_of(arguments.get("allow")),
            deny: permissions_of(arguments.get("deny")),
        };
        let old = channel.overwrites.iter().find(|old| old.id == target);
        granted(self.held().await?, difference(&wanted, old), "allow")
    }

    /// What the bot may: in the channel that is named, or in the guild.
    async fn held(&self) -> Result<Permissions, HostError> {
        let bot = self.bot().await?;
        match self.decoded.id("channel_id") {
            Some(_) => self.permissions_in(&*self.channel("channel_id").await?, &bot).await,
            None => Ok(self.guild().await?.permissions(&bot, now())),
        }
    }

    async fn in_guild_or_channel(&self, needed: Permissions) -> Result<(), HostError> {
        match self.decoded.id("channel_id") {
            Some(_) => self.in_channel(&*self.channel("channel_id").await?, needed).await,
            None => self.in_guild(needed).await,
        }
    }

    /// For each field of a member that changes, what it takes; roles that come and go are below the bot's highest.
    pub(super) async fn edit_member(&self) -> Result<(), HostError> {
        let Some(data) = self.decoded.data() else { return Ok(()) };
        let each = [
            ("nick", Permissions::MANAGE_NICKNAMES),
            ("roles", Permissions::MANAGE_ROLES),
            ("mute", Permissions::MUTE_MEMBERS),
            ("deaf", Permissions::DEAFEN_MEMBERS),
            ("channel_id", Permissions::MOVE_MEMBERS),
            ("communication_disabled_until", Permissions::MODERATE_MEMBERS),
        ];
        let needed = each.iter().filter(|(field, _)| data.contains_key(*field));
        self.in_guild(needed.fold(Permissions::empty(), |all, (_, one)| all | *one)).await?;
        if data.contains_key("flags") {
            self.change_flags().await?;
        }
        if let Some(Value::Array(roles)) = data.get("roles") {
            self.change_roles(roles.iter().filter_map(id_of).collect()).await?;
        }
        Ok(())
    }

    /// Any of these is enough for flags.
    async fn change_flags(&self) -> Result<(), HostError> {
        let moderate = Permissions::MODERATE_MEMBERS | Permissions::KICK_MEMBERS | Permissions::BAN_MEMBERS;
        for enough in [Permissions::MANAGE_ROLES, moderate] {
            if self.lacked_in_guild(enough).await?.is_none() {
                return Ok(());
            }
        }
        self.in_guild(Permissions::MANAGE_GUILD).await
    }

    async fn change_roles(&self, wanted: BTreeSet<u64>) -> Result<(), HostError> {
        let user = self.decoded.id("user_id").unwrap_or_default();
        let (guild, bot) = (self.guild().await?, self.bot().await?);
        let member = self.state.member(self.rest, self.guild, user).await?;
        let before: BTreeSet<u64> = member.iter().flat_map(|member| member.roles.iter().copied()).collect();
        let changed = wanted.symmetric_difference(&before).filter_map(|role| guild.roles.get(role));
        for role in changed {
            if !guild.is_below(role, &bot) {
                return Err(above(role.id));
            }
        }
        Ok(())
    }

    /// Two features are an administrator's.
    pub(super) async fn edit_guild(&self) -> Result<(), HostError> {
        let Some(Value::Array(wanted)) = self.decoded.data().and_then(|data| data.get("features")) else {
            return Ok(());
        };
        let guild = self.guild().await?;
        let changes = |feature: &&str| {
            wanted.iter().any(|one| one == *feature) != guild.features.iter().any(|one| one == *feature)
        };
        if ["COMMUNITY", "DISCOVERABLE"].iter().any(changes) {
            return self.in_guild(Permissions::ADMINISTRATOR).await;
        }
        Ok(())
    }

    /// Roles that move are below the bot's highest, before and after.
    pub(super) async fn move_roles(&self) -> Result<(), HostError> {
        let Some(Value::Array(moves)) = self.decoded.arguments.get("data") else { return Ok(()) };
        let (guild, bot) = (self.guild().await?, self.bot().await?);
        for one in moves {
            let role = one.get("id").and_then(id_of).and_then(|role| guild.roles.get(&role));
            let position = one.get("position").and_then(Value::as_i64).unwrap_or_default();
            match role {
                Some(role) if !guild.is_below(role, &bot) || !guild.can_place(position, &bot) => {
                    return Err(above(role.id));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The overwrite in a value that was checked.
fn overwrite(value: &Value) -> Option<Overwrite> {
    Some(Overwrite {
        id: value.get("id").and_then(id_of)?,
        is_member: value.get("type").and_then(Value::as_i64) == Some(1),
        allow: permissions_of(value.get("allow")),
        deny: permissions_of(value.get("deny")),
    })
}

/// The bits in which an overwrite differs from what it replaces.
fn difference(one: &Overwrite, old: Option<&Overwrite>) -> Permissions {
    match old {
        Some(old) => one.allow.symmetric_difference(old.allow) | one.deny.symmetric_difference(old.deny),
        None => one.allow | one.deny,
    }
}

fn granted(held: Permissions, wanted: Permissions, path: &str) -> Result<(), HostError> {
    match missing(held, wanted) {
        Some(names) => Err(HostError::Refused(format!(
            "`{path}` changes {names}, which the bot lacks itself: nobody can hand out what they do not have"
        ))),
        None => Ok(()),
    }
}
