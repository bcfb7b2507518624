//! Every capability that there is. A text that isn't here is refused when a template is stored, so that a typo can't
//! pass for a permission.
//!
//! Owns the list and the check against it; comparing patterns is `capabilities`' business.

use super::MAX_CAPABILITY_BYTES;
use crate::nearest::nearest;

/// A line of the list: a form, and what it allows. Names in braces stand for what the author fills in.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Such as `kv:{op}:{key}`.
    pub form: &'static str,
    /// What it allows.
    pub allows: &'static str,
}

const fn entry(form: &'static str, allows: &'static str) -> Entry {
    Entry { form, allows }
}

impl Entry {
    /// Whether it stands for `form`, which may name what it leaves open: `kv[{scope}]:{op}:{key}` for `kv[{scope}]:get:{key}`.
    pub fn stands_for(&self, form: &str) -> bool {
        let open = |part: &str| part.starts_with('{');
        let (mut own, mut its) = (self.form.split(':'), form.split(':'));
        loop {
            match (own.next(), its.next()) {
                (None, None) => return true,
                (Some(own), Some(its)) if own == its || open(own) => {}
                _ => return false,
            }
        }
    }
}

/// The list as the reference shows it.
pub const CLOSED_LIST: &[Entry] = &[
    entry("*", "everything"),
    entry("kv:*", "every operation on every key"),
    entry("kv:{op}:*", "one operation on every key"),
    entry("kv:{op}:{key}", "one operation on one key"),
    entry("kv[{scope}]:*", "every operation on the keys of one scope"),
    entry("kv[{scope}]:{op}", "one operation on the keys of one scope"),
    entry("kv[{scope}]:{op}:{key}", "one operation on one key of one scope"),
    entry("kv.meta:list_scopes", "listing the scopes that have keys"),
    entry("kv.meta:keys", "listing the keys of every scope"),
    entry("kv.meta[{scope}]:keys", "listing the keys of one scope"),
    entry("kv.meta:id_ops", "reaching records by their id"),
    entry("discord:{method}", "one method of `ctx.Discord`, or all with `*`"),
    entry("datastore:{Store}", "every method of one data store"),
    entry("datastore:{Store}:{method}", "one method of one data store"),
    entry("objectstorage:{op}", "one operation on the guild's objects, or all with `*`"),
    entry("http:{host}", "requests to one host"),
    entry("http:*", "requests to every public host"),
    entry("captcha:create", "making captcha images"),
    entry("secrets:{name}", "putting one secret into requests, or all with `*`"),
    entry("events:dispatch", "sending events to the guild's templates; nothing asks for it yet"),
    entry("schedule:*", "being run at times; nothing asks for it yet"),
];

const KV: &[&str] = &["get", "exists", "find", "set", "setexpiry", "delete", "increment", "compareandset"];
const KV_META: &[&str] = &["list_scopes", "keys", "id_ops"];
const OBJECTS: &[&str] =
    &["list_files", "file_exists", "download_file", "get_file_url", "upload_file", "delete_file"];
const STORES: &[(&str, &[&str])] = &[
    ("StatsStore", &["stats"]),
    ("LinksStore", &["links", "event_list"]),
    ("CopyDataStore", &["copy", "copySync"]),
    ("TemplateStore", &["list", "get", "create", "update", "delete"]),
];
const FAMILIES: &[&str] = &[
    "kv",
    "kv.meta",
    "discord",
    "datastore",
    "objectstorage",
    "http",
    "captcha",
    "secrets",
    "events",
    "schedule",
];

#[rustfmt::skip]
pub(crate) const DISCORD: &[&str] = &[
    "add_guild_member_role", "antiraid_bulk_op", "antiraid_bulk_op_wait", "bulk_delete_messages",
    "create_auto_moderation_rule", "create_channel_invite", "create_followup_message", "create_guild_ban",
    "create_guild_channel", "create_guild_command", "create_guild_commands", "create_guild_role",
    "create_interaction_response", "create_message", "create_reaction", "create_webhook", "crosspost_message",
    "delete_all_reactions", "delete_all_reactions_for_emoji", "delete_auto_moderation_rule", "delete_channel",
    "delete_channel_permission", "delete_followup_message", "delete_guild_role", "delete_invite", "delete_message",
    "delete_original_interaction_response", "delete_own_reaction", "delete_user_reaction", "delete_webhook",
    "edit_auto_moderation_rule", "edit_channel", "edit_channel_permissions", "edit_followup_message", "edit_message",
    "edit_original_interaction_response", "execute_webhook", "follow_announcement_channel", "get_audit_logs",
    "get_auto_moderation_rule", "get_channel", "get_channel_invites", "get_channel_message", "get_channel_messages",
    "get_channel_webhooks", "get_followup_message", "get_guild", "get_guild_ban", "get_guild_bans",
    "get_guild_channels", "get_guild_command", "get_guild_commands", "get_guild_member", "get_guild_preview",
    "get_guild_role", "get_guild_roles", "get_guild_webhooks", "get_invite", "get_original_interaction_response",
    "get_reactions", "get_webhook", "list_active_guild_threads", "list_auto_moderation_rules", "list_guild_members",
    "modify_guild", "modify_guild_channel_positions", "modify_guild_member", "modify_guild_role",
    "modify_guild_role_positions", "modify_webhook", "remove_guild_ban", "remove_guild_member",
    "remove_guild_member_role", "search_guild_members",
];

/// Whether `text` has a form of the list; the error says what is wrong with it.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    if text == "*" {
        return Ok(());
    }
    if text.len() > MAX_CAPABILITY_BYTES {
        return Err("it is longer than any capability");
    }
    if text.chars().any(char::is_control) {
        return Err("it holds a control character");
    }
    let parts = super::Parts::of(text)
        .ok_or("expected a form such as `kv:get:greeting` or `discord:create_message`")?;
    if text.strip_suffix(":*").unwrap_or(text).contains('*') {
        return Err("a `*` stands for everything at the end, as in `kv:get:*`; it is not part of a name");
    }
    let known = |one: bool| if one { Ok(()) } else { Err("there is no such capability") };
    match (parts.family, parts.scope, parts.rest.as_slice()) {
        ("kv", None, [only]) if KV.contains(only) => {
            Err("say for which key, or for every key with `:*` at the end")
        }
        (family, None, ["*"]) => known(FAMILIES.contains(&family)),
        ("kv", Some(_), ["*"]) => Ok(()),
        ("kv", Some(_), [op]) | ("kv", _, [op, _]) => known(KV.contains(op)),
        ("kv.meta", None, [op]) => known(KV_META.contains(op)),
        ("kv.meta", Some(_), [op]) => known(*op == "keys"),
        ("discord", None, [method]) => known(DISCORD.contains(method)),
        ("datastore", None, [store]) => known(methods(store).is_some()),
        ("datastore", None, [store, method]) => {
            known(methods(store).is_some_and(|methods| *method == "*" || methods.contains(method)))
        }
        ("objectstorage", None, [op]) => known(OBJECTS.contains(op)),
        ("http", None, [host]) if is_address(host) => {
            Err("requests go to hosts by their names; an address cannot be requested")
        }
        ("http", None, [host]) if is_host(host) => Ok(()),
        ("http", ..) => Err(
            "expected a host name in lower case, without scheme, port or path, as in `http:api.example.com`",
        ),
        ("captcha", None, ["create"]) | ("events", None, ["dispatch"]) => Ok(()),
        ("secrets", None, [name]) if is_secret(name) => Ok(()),
        ("secrets", ..) => Err("expected the name of a secret, in letters, digits and underscores"),
        ("schedule", ..) => Err("there is only `schedule:*`"),
        _ => Err("there is no such capability"),
    }
}

/// What `text` is made of: the family and the scope behind its bracket, the operation, and the rest.
struct Written<'a> {
    family: Option<&'static str>,
    scope: Option<&'a str>,
    all: &'a str,
    op: &'a str,
    key: Option<&'a str>,
}

impl<'a> Written<'a> {
    fn of(text: &'a str) -> Self {
        let (head, all) = text.split_once(':').unwrap_or((text, ""));
        let (family, scope) = match head.split_once('[') {
            Some((family, scope)) => (family, Some(scope)),
            None => (head, None),
        };
        let (op, key) = match all.split_once(':') {
            Some((op, key)) => (op, Some(key)),
            None => (all, None),
        };
        // Of a few letters anything is near.
        let near = FAMILIES.iter().copied().filter(|known| known.chars().next() == family.chars().next());
        let exact = FAMILIES.iter().copied().find(|known| *known == family);
        Self { family: exact.or_else(|| nearest(family, near)), scope, all, op, key }
    }
}

/// The known capability that `text` was most likely meant to be; none that allows more than `text` says.
pub(super) fn nearest_to(text: &str) -> Option<String> {
    let text: String = text.chars().take(MAX_CAPABILITY_BYTES).collect();
    let Written { family, scope, all, op, key } = Written::of(&text);
    let family = family?;
    let word = |known: &[&'static str]| nearest(op, known.iter().copied());
    let suggestion = match (family, scope) {
        (_, None) if all == "*" => format!("{family}:*"),
        ("kv", None) => format!("kv:{}:{}", word(KV)?, key.unwrap_or("*")),
        ("kv", Some(scope)) => format!("kv[{scope}:{}:{}", word(KV)?, key.unwrap_or("*")),
        ("kv.meta", None) => format!("kv.meta:{}", word(KV_META)?),
        ("kv.meta", Some(scope)) => format!("kv.meta[{scope}:{}", word(KV_META)?),
        (_, Some(_)) => return None,
        ("discord", None) => format!("discord:{}", word(DISCORD)?),
        ("datastore", None) => {
            let store = nearest(op, STORES.iter().map(|(store, _)| *store))?;
            match key {
                Some(key) => format!("datastore:{store}:{}", nearest(key, methods(store)?.iter().copied())?),
                None => format!("datastore:{store}"),
            }
        }
        ("objectstorage", None) => format!("objectstorage:{}", word(OBJECTS)?),
        ("http", None) => format!("http:{}", op.to_lowercase()),
        ("captcha", None) => "captcha:create".to_owned(),
        ("events", None) => "events:dispatch".to_owned(),
        ("secrets", None) => format!("secrets:{all}"),
        _ => return None,
    };
    // What would be refused itself helps nobody.
    check(&suggestion).is_ok().then_some(suggestion)
}

/// Where nothing is near `text`: the forms of its family, or the families.
pub(super) fn forms_like(text: &str) -> String {
    let text: String = text.chars().take(MAX_CAPABILITY_BYTES).collect();
    if nearest_to(&text).is_some() {
        return String::new();
    }
    let quoted =
        |names: Vec<&str>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match Written::of(&text).family {
        Some(family) => {
            let own = |form: &&str| form.split([':', '[']).next() == Some(family);
            let forms = quoted(CLOSED_LIST.iter().map(|entry| entry.form).filter(own).collect());
            let ops = match family {
                "kv" => format!(", where `{{op}}` is one of {}", quoted(KV.to_vec())),
                "objectstorage" => format!(", where `{{op}}` is one of {}", quoted(OBJECTS.to_vec())),
                _ => String::new(),
            };
            format!("; there are {forms}{ops}")
        }
        None => format!("; a capability begins with one of {}", quoted(FAMILIES.to_vec())),
    }
}

fn methods(store: &str) -> Option<&'static [&'static str]> {
    STORES.iter().find(|(name, _)| *name == store).map(|(_, methods)| *methods)
}

fn is_secret(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= 253 && host.split('.').all(label)
}

/// Whether a URL's host of this form is an address to every browser: its last part is a number.
fn is_address(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or(host);
    let is_hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(is_hex)
}
