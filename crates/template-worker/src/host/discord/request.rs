//! From checked arguments to a request.
//!
//! Owns the only place where a path is put together: of parts that the table wrote down, digits of ids, and texts that are
//! plain or encoded already.

use serde_json::{Map, Value};

use super::rest::Request;
use super::table::{Body, Route};
use super::validate::{Decoded, percent_encoded};
use crate::ids::GuildId;

/// The request that `route` makes of `decoded`.
pub fn of(route: &Route, guild: GuildId, application: Option<u64>, mut decoded: Decoded) -> Request {
    let reason = decoded.arguments.remove("reason");
    let mut path = String::new();
    for part in route.path.split('/') {
        if !path.is_empty() {
            path.push('/');
        }
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            None => path.push_str(part),
            Some("guild") => path.push_str(&guild.to_string()),
            Some("application") => path.push_str(&application.unwrap_or_default().to_string()),
            Some(argument) => {
                let value = decoded.arguments.remove(argument);
                path.push_str(value.as_ref().and_then(Value::as_str).unwrap_or_default());
            }
        }
    }
    let body = match route.body {
        Body::None => None,
        Body::Argument(name) => decoded.arguments.remove(name),
        Body::Fields(fields) => {
            let found = fields
                .iter()
                .filter_map(|(name, key)| Some(((*key).to_owned(), decoded.arguments.remove(*name)?)));
            Some(Value::Object(found.collect()))
        }
    };
    push_query(&mut path, decoded.arguments);
    Request {
        verb: route.verb,
        path,
        body,
        files: decoded.files,
        reason: reason.and_then(|reason| reason.as_str().map(str::to_owned)),
        has_own_token: route.has_own_token,
        may_be_nobody: route.may_be_nobody,
    }
}

/// What is left goes into the query. A target is named by where it is: `before=12`.
fn push_query(path: &mut String, arguments: Map<String, Value>) {
    let mut sign = '?';
    for (name, value) in arguments {
        let (name, value) = match value {
            Value::Object(target) => {
                let text = |key: &str| target.get(key).and_then(Value::as_str).unwrap_or_default();
                (text("type").to_lowercase(), text("id").to_owned())
            }
            Value::String(text) => (name, percent_encoded(&text)),
            other => (name, other.to_string()),
        };
        path.push(sign);
        path.push_str(&name);
        path.push('=');
        path.push_str(&value);
        sign = '&';
    }
}

#[cfg(test)]
mod tests {
    use khronos::KhronosValue;

    use super::super::methods::find;
    use super::super::table::Work;
    use super::*;

    fn made<const N: usize>(method: &str, entries: [(&str, KhronosValue); N]) -> Request {
        let method = find(method).unwrap();
        let Work::Request(route) = method.work else { panic!("{} makes no request", method.name) };
        let arguments = if method.takes.is_bare {
            entries.into_iter().map(|(_, value)| value).collect()
        } else {
            vec![entries.into()]
        };
        of(&route, GuildId::new(1).unwrap(), Some(9), method.decode(arguments).unwrap())
    }

    #[test]
    fn each_argument_goes_where_its_name_stands() {
        let target = [("type", "Before".into()), ("id", "12".into())].into();
        let request = made(
            "get_channel_messages",
            [("channel_id", "40".into()), ("target", target), ("limit", KhronosValue::Integer(5))],
        );
        let (path, query) = request.path.split_once('?').unwrap();
        assert_eq!((path, request.body), ("channels/40/messages", None));
        assert!(["before=12&limit=5", "limit=5&before=12"].contains(&query), "{query}");

        let request = made("create_guild_ban", [("user_id", "3".into()), ("reason", "spam & more".into())]);
        assert_eq!(request.path, "guilds/1/bans/3");
        assert_eq!(request.reason.as_deref(), Some("spam & more"));
        assert_eq!(request.body.unwrap().to_string(), "{}");

        let request = made("search_guild_members", [("query", "a&limit=1000#/../".into())]);
        assert_eq!(request.path, "guilds/1/members/search?query=a%26limit%3D1000%23%2F%2E%2E%2F");

        let reaction = [("channel_id", "40".into()), ("message_id", "5".into()), ("reaction", "👍".into())];
        let request = made("create_reaction", reaction);
        assert_eq!(request.path, "channels/40/messages/5/reactions/%F0%9F%91%8D/@me");

        let request = made("get_original_interaction_response", [("interaction_token", "tok".into())]);
        assert_eq!(
            (request.path.as_str(), request.has_own_token),
            ("webhooks/9/tok/messages/@original", true)
        );
    }

    #[test]
    fn messages_to_delete_are_named_as_discord_names_them() {
        let ids = KhronosValue::List(vec!["5".into(), "6".into()]);
        let request =
            made("bulk_delete_messages", [("channel_id", "40".into()), ("ids", ids), ("reason", "r".into())]);
        assert_eq!(request.body.unwrap().to_string(), r#"{"messages":["5","6"]}"#);
    }
}
