//! Every route that the simulator serves, and what their handlers get and give.
//!
//! Owns the table and finding a route in it. A handler changes the state and answers as Discord documents; requests
//! reach it only after they were found to be as Discord describes them.

mod audit_logs;
mod auto_moderation;
mod bans;
mod channels;
mod commands;
mod guilds;
mod interactions;
mod invites;
mod members;
pub(super) mod messages;
mod reactions;
mod roles;
mod users;
mod webhooks;

use serde_json::{Map, Value, json};

use super::audit::Entry;
use super::body::File;
use super::errors::{self, Failure};
use super::openapi::Problem;
use super::state::{Id, State};

/// What a handler makes of a request.
type Answer = Result<Reply, Failure>;
type Handler = fn(&mut State, &Call) -> Answer;

/// One operation.
pub(super) struct Route {
    pub(super) method: &'static str,
    /// The path as Discord's description has it.
    pub(super) path: &'static str,
    pub(super) serve: Handler,
}

/// A request that was found to be well-formed.
pub(super) struct Call {
    pub(super) path: Vec<(String, String)>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Value,
    pub(super) files: Vec<File>,
    pub(super) reason: Option<String>,
}

/// An answer that is no error.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Option<Value>,
}

impl Reply {
    fn ok(body: Value) -> Answer {
        Ok(Self { status: 200, body: Some(body) })
    }

    fn created(body: Value) -> Answer {
        Ok(Self { status: 201, body: Some(body) })
    }

    fn empty() -> Answer {
        Ok(Self { status: 204, body: None })
    }
}

/// Every route.
pub(super) fn all() -> impl Iterator<Item = &'static Route> {
    let files: [&[Route]; 14] = [
        audit_logs::ROUTES,
        auto_moderation::ROUTES,
        bans::ROUTES,
        channels::ROUTES,
        commands::ROUTES,
        guilds::ROUTES,
        interactions::ROUTES,
        invites::ROUTES,
        members::ROUTES,
        messages::ROUTES,
        reactions::ROUTES,
        roles::ROUTES,
        users::ROUTES,
        webhooks::ROUTES,
    ];
    files.into_iter().flatten()
}

/// The route of a request, with the decoded values of its path: the one with most fixed parts, so that
/// `/members/search` is no member.
pub(super) fn find(method: &str, path: &str) -> Option<(&'static Route, Vec<(String, String)>)> {
    let mut found: Vec<_> = all()
        .filter(|route| route.method == method)
        .filter_map(|route| Some((route, values(route.path, path)?)))
        .collect();
    found.sort_by_key(|(_, values)| values.len());
    found.into_iter().next()
}

fn values(pattern: &str, path: &str) -> Option<Vec<(String, String)>> {
    if pattern.split('/').count() != path.split('/').count() {
        return None;
    }
    let mut values = Vec::new();
    for (wanted, is) in pattern.split('/').zip(path.split('/')) {
        match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => values.push((name.to_owned(), decode(is))),
            None if wanted == decode(is) => {}
            None => return None,
        }
    }
    Some(values)
}

/// Text without its percent signs.
pub(super) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match code.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Discord's answer to a request that is not as it describes it.
pub(super) fn refuse(problems: &[Problem]) -> Failure {
    let mut errors = json!({});
    for problem in problems {
        let mut place = &mut errors;
        for key in problem.at.split('.').filter(|key| !key.is_empty()) {
            place = &mut place[key];
        }
        *place = json!({"_errors": [{"code": "BASE_TYPE_INVALID", "message": problem.what}]});
    }
    errors::invalid_form(&errors)
}

impl Route {
    /// Whether it is this operation.
    pub(super) fn is(&self, method: &str, path: &str) -> bool {
        self.method.eq_ignore_ascii_case(method) && self.path == path
    }

    /// Interactions and webhooks bring their own token in the path, and invitations are for everybody.
    pub(super) fn needs_token(&self) -> bool {
        let brings_its_own = self.path.contains("_token}");
        !brings_its_own && !self.is("GET", "/invites/{code}")
    }

    /// What has a bucket of its own in the route.
    pub(super) fn major(&self, values: &[(String, String)]) -> String {
        let major = ["channel_id", "guild_id", "webhook_id", "webhook_token", "interaction_id"];
        let values = values.iter().filter(|(key, _)| major.contains(&key.as_str()));
        values.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join("/")
    }
}

impl Call {
    /// A text of the path.
    fn text(&self, name: &str) -> &str {
        let found = self.path.iter().find(|(key, _)| key == name);
        found.map_or_else(|| panic!("no {name} in the path"), |(_, value)| value)
    }

    /// An id of the path.
    fn id(&self, name: &str) -> Id {
        self.text(name).into()
    }

    fn asked(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// An id of the query.
    fn asked_id(&self, name: &str) -> Option<Id> {
        self.asked(name).map(Id::from)
    }

    /// The number of things that are wanted at most.
    fn limit(&self, otherwise: usize) -> usize {
        self.asked("limit").and_then(|limit| limit.parse().ok()).unwrap_or(otherwise)
    }

    fn is_asked(&self, name: &str) -> bool {
        self.asked(name) == Some("true")
    }

    /// The field of the body, if it is there; it may be null.
    fn field(&self, name: &str) -> Option<&Value> {
        self.body.get(name)
    }

    /// The fields of the body that are in `names`, as they came.
    fn fields(&self, names: &[&str]) -> Map<String, Value> {
        let fields = self.body.as_object().into_iter().flatten();
        fields.filter(|(key, _)| names.contains(&key.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect()
    }
}

/// A set of permissions, which comes as a number or as a number in a string.
fn set_of(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

impl State {
    /// Writes into the audit log that the bot did this.
    fn audit(&mut self, guild: Id, action: u64, target: Option<Id>, call: &Call, changes: Vec<Value>) {
        self.audit_with(guild, action, target, call, changes, json!({}));
    }

    /// As [`State::audit`], with what else there is to say.
    fn audit_with(
        &mut self,
        guild: Id,
        action: u64,
        target: Option<Id>,
        call: &Call,
        changes: Vec<Value>,
        options: Value,
    ) {
        let (id, user, reason) = (self.fresh_id(), self.bot, call.reason.clone());
        let options = options.as_object().cloned().unwrap_or_default();
        if let Some(guild) = self.guilds.get_mut(&guild) {
            guild.audit_log.push(Entry { id, action, user, target, reason, changes, options });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_in_discords_description_and_once_in_the_table() {
        let api = super::super::openapi::OpenApi::load();
        let mut seen = std::collections::BTreeSet::new();
        for route in all() {
            assert!(api.knows(route.method, route.path), "{} {}", route.method, route.path);
            assert!(seen.insert((route.method, route.path)), "{} {} twice", route.method, route.path);
        }
    }

    #[test]
    fn a_fixed_part_goes_before_a_value() {
        let (route, values) = find("GET", "/guilds/7/members/search").unwrap();
        assert_eq!((route.path, values.len()), ("/guilds/{guild_id}/members/search", 1));
        let (_, values) = find("PUT", "/channels/1/messages/2/reactions/%F0%9F%91%8D/@me").unwrap();
        assert_eq!(values[2].1, "\u{1f44d}");
    }
}
