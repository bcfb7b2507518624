//! For each method of the table: arguments that are right, arguments that are wrong, and what the bot needs for it.

use testkit::discord::permissions::{
    ADD_REACTIONS, BAN_MEMBERS, CREATE_INSTANT_INVITE, KICK_MEMBERS, MANAGE_CHANNELS, MANAGE_GUILD,
    MANAGE_MESSAGES, MANAGE_NICKNAMES, MANAGE_ROLES, MANAGE_WEBHOOKS, Permissions, SEND_MESSAGES,
    VIEW_AUDIT_LOG, VIEW_CHANNEL,
};

/// One method.
pub struct Case {
    pub method: &'static str,
    /// As a JSON list; `"$channel"` and its like stand for the guild's own.
    pub right: &'static str,
    pub wrong: &'static str,
    /// What the bot needs; nothing where it needs nothing.
    pub needs: Permissions,
}

const fn case(method: &'static str, needs: Permissions, right: &'static str, wrong: &'static str) -> Case {
    Case { method, right, wrong, needs }
}

#[rustfmt::skip]
pub const CASES: &[Case] = &[
    case("antiraid_bulk_op", 0, r#"["create_message"]"#, r#"["create_mesage"]"#),
    case("antiraid_bulk_op_wait", 0, r#"["create_message"]"#, r#"[7]"#),
    case("antiraid_check_reason", 0, r#"["spam"]"#, r#"[""]"#),
    case("antiraid_check_permissions", 0, r#"[{"user_id": "$member", "needed_permissions": 1024}]"#, r#"[{"user_id": "$member", "needed_permissions": "all"}]"#),
    case("antiraid_check_permissions_and_hierarchy", 0, r#"[{"user_id": "700000000000000002", "target_id": "$member", "needed_permissions": "8"}]"#, r#"[{"user_id": "x"}]"#),
    case("antiraid_check_channel_permissions", 0, r#"[{"user_id": "$member", "channel_id": "$channel", "needed_permissions": 1024}]"#, r#"[{"user_id": "$member"}]"#),
    case("antiraid_get_fused_member", 0, r#"[["$member"]]"#, r#"[[]]"#),

    case("list_auto_moderation_rules", MANAGE_GUILD, "[]", r#"[1]"#),
    case("get_auto_moderation_rule", MANAGE_GUILD, r#"[{"rule_id": "$rule"}]"#, r#"[{"rule_id": "../1"}]"#),
    case("create_auto_moderation_rule", MANAGE_GUILD, r#"[{"reason": "r", "data": {"name": "n", "event_type": 1, "trigger_type": 1, "trigger_metadata": {"keyword_filter": ["bad"]}, "actions": [{"type": 2, "metadata": {"channel_id": "$channel"}}], "exempt_roles": ["$role"], "exempt_channels": ["$channel"]}}]"#, r#"[{"reason": "r", "data": {"name": "n", "event_type": 9}}]"#),
    case("edit_auto_moderation_rule", MANAGE_GUILD, r#"[{"rule_id": "$rule", "reason": "r", "data": {"name": "new"}}]"#, r#"[{"rule_id": "$rule", "reason": "r", "data": {"nam": "new"}}]"#),
    case("delete_auto_moderation_rule", MANAGE_GUILD, r#"[{"rule_id": "$rule", "reason": "r"}]"#, r#"[{"rule_id": "$rule"}]"#),

    case("get_channel", 0, r#"["$channel"]"#, r#"["40/messages"]"#),
    case("edit_channel", MANAGE_CHANNELS, r#"[{"channel_id": "$channel", "reason": "r", "data": {"topic": "t", "permission_overwrites": [{"id": "$role", "type": 0, "allow": 1024, "deny": 2048}]}}]"#, r#"[{"channel_id": "$channel", "reason": "r", "data": {"rate_limit_per_user": 21601}}]"#),
    case("delete_channel", MANAGE_CHANNELS, r#"[{"channel_id": "$channel", "reason": "r"}]"#, r#"[{"channel_id": "$channel", "reason": ""}]"#),
    case("edit_channel_permissions", MANAGE_ROLES, r#"[{"channel_id": "$channel", "target_id": "$role", "allow": "1024", "deny": 2048, "type": 0, "reason": "r"}]"#, r#"[{"channel_id": "$channel", "target_id": "$role", "allow": -1, "type": 0, "reason": "r"}]"#),
    case("delete_channel_permission", MANAGE_ROLES, r#"[{"channel_id": "$channel", "overwrite_id": "$role", "reason": "r"}]"#, r#"[{"channel_id": "$channel", "overwrite_id": "role", "reason": "r"}]"#),
    case("follow_announcement_channel", MANAGE_WEBHOOKS, r#"[{"channel_id": "$news", "data": {"webhook_channel_id": "$channel"}, "reason": "r"}]"#, r#"[{"channel_id": "$news", "data": {}, "reason": "r"}]"#),
    case("get_channel_invites", MANAGE_CHANNELS, r#"["$channel"]"#, r#"[true]"#),
    case("create_channel_invite", CREATE_INSTANT_INVITE, r#"[{"channel_id": "$channel", "data": {"max_age": 60}, "reason": "r"}]"#, r#"[{"channel_id": "$channel", "data": {"max_age": -1}, "reason": "r"}]"#),
    case("get_invite", 0, r#"[{"code": "$invite", "with_counts": true}]"#, r#"[{"code": "a/../b"}]"#),
    case("delete_invite", MANAGE_GUILD | MANAGE_CHANNELS, r#"[{"code": "$invite", "reason": "r"}]"#, r#"[{"code": "a?b", "reason": "r"}]"#),

    case("get_guild", 0, "[]", r#"["$guild"]"#),
    case("get_guild_preview", 0, "[]", r#"["$guild"]"#),
    case("modify_guild", MANAGE_GUILD, r#"[{"data": {"name": "new", "system_channel_id": "$channel"}, "reason": "r"}]"#, r#"[{"data": {"name": "n"}, "reason": "r"}]"#),
    case("get_guild_channels", 0, "[]", r#"[{"a": 1}]"#),
    case("create_guild_channel", MANAGE_CHANNELS, r#"[{"reason": "r", "data": {"name": "n", "permission_overwrites": [{"id": "$role", "type": 0, "deny": "1024"}]}}]"#, r#"[{"reason": "r", "data": {"name": ""}}]"#),
    case("modify_guild_channel_positions", MANAGE_CHANNELS, r#"[{"data": [{"id": "$channel", "position": 3}]}]"#, r#"[{"data": []}]"#),
    case("list_active_guild_threads", 0, "[]", r#"[1]"#),

    case("get_guild_member", 0, r#"["$member"]"#, r#"["@me"]"#),
    case("list_guild_members", 0, r#"[{"limit": 10}]"#, r#"[{"limit": 1001}]"#),
    case("search_guild_members", 0, r#"[{"query": "user", "limit": 5}]"#, r#"[{"query": ""}]"#),
    case("modify_guild_member", MANAGE_NICKNAMES, r#"[{"user_id": "$member", "reason": "r", "data": {"nick": "n"}}]"#, r#"[{"user_id": "$member", "reason": "r", "data": {"nick": 3}}]"#),
    case("add_guild_member_role", MANAGE_ROLES, r#"[{"user_id": "$member", "role_id": "$role", "reason": "r"}]"#, r#"[{"user_id": "$member", "reason": "r"}]"#),
    case("remove_guild_member_role", MANAGE_ROLES, r#"[{"user_id": "$member", "role_id": "$role", "reason": "r"}]"#, r#"[{"user_id": "$member", "role_id": "$role"}]"#),
    case("remove_guild_member", KICK_MEMBERS, r#"[{"user_id": "$member", "reason": "r"}]"#, r#"[{"user_id": "$member"}]"#),

    case("get_audit_logs", VIEW_AUDIT_LOG, r#"[{"limit": 5}]"#, r#"[{"limit": 0}]"#),
    case("get_guild_bans", BAN_MEMBERS, r#"[{"limit": 5}]"#, r#"[{"limit": "5"}]"#),
    case("get_guild_ban", BAN_MEMBERS, r#"["$banned"]"#, r#"[""]"#),
    case("create_guild_ban", BAN_MEMBERS, r#"[{"user_id": "$member", "reason": "r", "delete_message_seconds": 60}]"#, r#"[{"user_id": "$member", "reason": "r", "delete_message_seconds": 604801}]"#),
    case("remove_guild_ban", BAN_MEMBERS, r#"[{"user_id": "$banned", "reason": "r"}]"#, r#"[{"user_id": "$banned", "reason": 1}]"#),

    case("get_guild_roles", 0, "[]", r#"[1]"#),
    case("get_guild_role", 0, r#"["$role"]"#, r#"["0"]"#),
    case("create_guild_role", MANAGE_ROLES, r#"[{"reason": "r", "data": {"name": "n", "permissions": "1024"}}]"#, r#"[{"reason": "r", "data": {"color": 16777216}}]"#),
    case("modify_guild_role_positions", MANAGE_ROLES, r#"[{"data": [{"id": "$role", "position": 2}], "reason": "r"}]"#, r#"[{"data": [{"id": "$role"}], "reason": "r"}]"#),
    case("modify_guild_role", MANAGE_ROLES, r#"[{"role_id": "$role", "reason": "r", "data": {"name": "n"}}]"#, r#"[{"role_id": "$role", "reason": "r", "data": {"icon": "x"}}]"#),
    case("delete_guild_role", MANAGE_ROLES, r#"[{"role_id": "$role", "reason": "r"}]"#, r#"[{"role_id": "$role"}]"#),

    case("get_channel_messages", VIEW_CHANNEL, r#"[{"channel_id": "$channel", "target": {"type": "Around", "id": "$message"}, "limit": 5}]"#, r#"[{"channel_id": "$channel", "target": {"type": "Near", "id": "1"}}]"#),
    case("get_channel_message", VIEW_CHANNEL, r#"[{"channel_id": "$channel", "message_id": "$message"}]"#, r#"[{"channel_id": "$channel", "message_id": "1/2"}]"#),
    case("create_message", SEND_MESSAGES, r#"[{"channel_id": "$channel", "data": {"content": "hi", "message_reference": {"message_id": "$message", "channel_id": "$channel", "guild_id": "$guild"}, "allowed_mentions": {"roles": ["$role"]}}}]"#, r#"[{"channel_id": "$channel", "data": {"content": ""}}]"#),
    case("crosspost_message", MANAGE_MESSAGES, r#"["$news", "$announced"]"#, r#"["$news"]"#),
    case("edit_message", MANAGE_MESSAGES | VIEW_CHANNEL, r#"[{"channel_id": "$channel", "message_id": "$mine", "data": {"content": "new"}}]"#, r#"[{"channel_id": "$channel", "message_id": "$mine", "data": {"content": 1}}]"#),
    case("delete_message", MANAGE_MESSAGES, r#"["$channel", "$message", "r"]"#, r#"["$channel", "$message", ""]"#),
    case("bulk_delete_messages", MANAGE_MESSAGES, r#"["$channel", ["$message", "$mine"], "r"]"#, r#"["$channel", ["$message"], "r"]"#),

    case("create_reaction", ADD_REACTIONS, r#"[{"channel_id": "$channel", "message_id": "$message", "reaction": "👍"}]"#, r#"[{"channel_id": "$channel", "message_id": "$message", "reaction": "👍/../@me"}]"#),
    case("delete_own_reaction", ADD_REACTIONS, r#"[{"channel_id": "$channel", "message_id": "$message", "reaction": "👍"}]"#, r#"[{"channel_id": "$channel", "message_id": "$message", "reaction": "%2f"}]"#),
    case("delete_user_reaction", MANAGE_MESSAGES, r#"[{"channel_id": "$channel", "message_id": "$message", "user_id": "$member", "reaction": "👍"}]"#, r#"[{"channel_id": "$channel", "message_id": "$message", "user_id": "@me", "reaction": "👍"}]"#),
    case("get_reactions", VIEW_CHANNEL, r#"[{"channel_id": "$channel", "message_id": "$message", "reaction": "👍", "limit": 5}]"#, r#"[{"channel_id": "$channel", "message_id": "$message", "reaction": ""}]"#),
    case("delete_all_reactions", MANAGE_MESSAGES, r#"["$channel", "$message"]"#, r#"["$channel", "$message", "👍"]"#),
    case("delete_all_reactions_for_emoji", MANAGE_MESSAGES, r#"[{"channel_id": "$channel", "message_id": "$message", "reaction": "👍"}]"#, r#"[{"channel_id": "$channel", "message_id": "$message"}]"#),

    case("create_interaction_response", 0, r#"[{"interaction_id": "$interaction", "interaction_token": "$token", "data": {"type": 4, "data": {"content": "hi"}}}]"#, r#"[{"interaction_id": "$interaction", "interaction_token": "$token", "data": {"type": 2}}]"#),
    case("get_original_interaction_response", 0, r#"["$answered_token"]"#, r#"["a/b"]"#),
    case("edit_original_interaction_response", 0, r#"[{"interaction_token": "$answered_token", "data": {"content": "new"}}]"#, r#"[{"interaction_token": "$answered_token", "data": {"content": false}}]"#),
    case("delete_original_interaction_response", 0, r#"["$answered_token"]"#, r#"[".."]"#),
    case("create_followup_message", 0, r#"[{"interaction_token": "$answered_token", "data": {"content": "more"}}]"#, r#"[{"interaction_token": "$answered_token", "data": {}}]"#),
    case("get_followup_message", 0, r#"[{"interaction_token": "$answered_token", "message_id": "$followup"}]"#, r#"[{"interaction_token": "$answered_token", "message_id": "@original"}]"#),
    case("edit_followup_message", 0, r#"[{"interaction_token": "$answered_token", "message_id": "$followup", "data": {"content": "new"}}]"#, r#"[{"interaction_token": "$answered_token", "message_id": "$followup"}]"#),
    case("delete_followup_message", 0, r#"[{"interaction_token": "$answered_token", "message_id": "$followup"}]"#, r#"[{"message_id": "$followup"}]"#),

    case("get_guild_command", 0, r#"["$command"]"#, r#"["permissions"]"#),
    case("get_guild_commands", 0, "[]", r#"[1]"#),
    case("create_guild_command", 0, r#"[{"data": {"name": "ping", "description": "d", "options": [{"type": 3, "name": "text", "description": "d"}]}}]"#, r#"[{"data": {"name": "Ping", "description": "d"}}]"#),
    case("create_guild_commands", 0, r#"[{"data": [{"name": "ping", "description": "d"}]}]"#, r#"[{"data": {"name": "ping"}}]"#),

    case("create_webhook", MANAGE_WEBHOOKS, r#"[{"channel_id": "$channel", "data": {"name": "n"}, "reason": "r"}]"#, r#"[{"channel_id": "$channel", "data": {"name": ""}, "reason": "r"}]"#),
    case("get_channel_webhooks", MANAGE_WEBHOOKS, r#"["$channel"]"#, r#"[]"#),
    case("get_guild_webhooks", MANAGE_WEBHOOKS, "[]", r#"["$guild"]"#),
    case("get_webhook", 0, r#"["$webhook"]"#, r#"["1/token"]"#),
    case("modify_webhook", MANAGE_WEBHOOKS, r#"[{"webhook_id": "$webhook", "data": {"name": "new", "channel_id": "$channel"}, "reason": "r"}]"#, r#"[{"webhook_id": "$webhook", "data": {"token": "x"}, "reason": "r"}]"#),
    case("delete_webhook", MANAGE_WEBHOOKS, r#"[{"webhook_id": "$webhook", "reason": "r"}]"#, r#"[{"webhook_id": "$webhook"}]"#),
    case("execute_webhook", 0, r#"[{"webhook_id": "$webhook", "webhook_token": "$hook_token", "data": {"content": "hi"}, "thread_id": "$thread", "wait": true}]"#, r#"[{"webhook_id": "$webhook", "webhook_token": "a/github", "data": {"content": "hi"}}]"#),
];
