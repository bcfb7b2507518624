//! `ctx.Discord`. Its calls are declared in a table of their own, `host::discord::table`: a method there is a call here.

use khronos::KhronosValue;
use khronos::declare::Type;
use serde::{Deserialize, Serialize};

use super::super::discord::table::Method;
use super::super::discord::{ANY_ACTION, methods, shapes};
use super::{Any, Declared, Family};

/// What a template wants of Discord.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiscordCall {
    method: Name,
    /// What it is called with; checked where it is served.
    pub arguments: Vec<Any>,
    /// The bulk operation that it is a part of: it waits for a turn of that.
    bulk: Option<Bulk>,
}

/// A bulk operation, by what it repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Bulk {
    /// No method in particular.
    Any,
    /// This one.
    Of(Name),
}

/// The number of a method in the table. It travels as the name, and one that is not there is no call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
struct Name(usize);

impl From<Name> for &'static str {
    fn from(name: Name) -> Self {
        methods::NAMES[name.0]
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::of(&name).ok_or_else(|| "there is no such method of Discord".to_owned())
    }
}

impl Name {
    fn of(name: &str) -> Option<Self> {
        methods::NAMES.iter().position(|known| *known == name).map(Self)
    }
}

impl DiscordCall {
    /// The method that is called.
    pub fn method(&self) -> &'static Method {
        &methods::ALL[self.method.0]
    }

    /// The same call as a part of a bulk operation, which repeats `action`.
    pub fn of_bulk(self, action: &str) -> Self {
        Self { bulk: Some(Name::of(action).map_or(Bulk::Any, Bulk::Of)), ..self }
    }

    /// The action that the bulk operation repeats which it is a part of.
    pub fn bulk(&self) -> Option<&'static str> {
        self.bulk.map(|bulk| match bulk {
            Bulk::Any => ANY_ACTION,
            Bulk::Of(method) => method.into(),
        })
    }
}

/// Ids that the operator's log tells of one call.
const MOST_NAMED: usize = 8;
/// Bytes of the name of an argument that is one.
const MOST_NAME: usize = 32;

fn is_id(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl Family for DiscordCall {
    const OBJECT: &'static str = "Discord";
    const DOC: &'static str =
        "Discord, as far as it is the guild's: messages, members, roles, channels, and the rest.";
    const CALLS: &'static [Declared] = methods::DECLARED;
    const NAMES: &'static [&'static str] = methods::NAMES;
    const TYPES: &'static [Type] = shapes::TYPES;
    const EXTENDED: Option<&'static Type> = Some(&shapes::results::BULK_OP);

    fn from_arguments(number: usize, arguments: Vec<KhronosValue>) -> Result<Self, String> {
        if number >= Self::NAMES.len() {
            return Err("there is no such function".to_owned());
        }
        let arguments = arguments.into_iter().map(Any).collect();
        Ok(Self { method: Name(number), arguments, bulk: None })
    }

    fn declared(&self) -> &'static Declared {
        &Self::CALLS[self.method.0]
    }

    fn wants(&self) -> Vec<String> {
        self.method().capability().into_iter().collect()
    }

    fn names(&self) -> String {
        let parameters = self.declared().function.parameters.iter().map(|parameter| parameter.name);
        let given = parameters.zip(&self.arguments).flat_map(|(name, Any(argument))| {
            let fields = if let KhronosValue::Map(fields) = argument { Some(fields) } else { None };
            let fields = fields.into_iter().flatten().map(|(name, value)| (name.as_str(), value));
            fields.chain([(name, argument)])
        });
        let id = |(name, value): (&str, &KhronosValue)| match value {
            KhronosValue::Text(id) if is_id(id) && name.len() <= MOST_NAME => Some(format!("{name}={id}")),
            _ => None,
        };
        given.filter_map(id).take(MOST_NAMED).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_travels_by_name_and_one_that_is_not_there_is_none() {
        let at = DiscordCall::NAMES.iter().position(|name| *name == "get_channel").unwrap();
        let call = DiscordCall::from_arguments(at, vec!["12".into()]).unwrap();
        let text = serde_json::to_string(&call).unwrap();
        assert!(text.contains(r#""method":"get_channel""#), "{text}");
        assert_eq!(serde_json::from_str::<DiscordCall>(&text).unwrap(), call);
        assert!(serde_json::from_str::<DiscordCall>(&text.replace("get_channel", "get_chanel")).is_err());
        for (action, expected) in [("create_message", "create_message"), ("any", "any")] {
            let bulk = call.clone().of_bulk(action);
            assert_eq!((call.bulk(), bulk.bulk()), (None, Some(expected)));
            let text = serde_json::to_string(&bulk).unwrap();
            assert_eq!(serde_json::from_str::<DiscordCall>(&text).unwrap(), bulk);
        }
        let text = serde_json::to_string(&call.clone().of_bulk("create_message")).unwrap();
        assert!(serde_json::from_str::<DiscordCall>(&text.replace("create_message", "x")).is_err());
        assert_eq!(call.wants(), ["discord:get_channel"]);
        assert_eq!(call.declared().function.name, "get_channel");
        assert!(DiscordCall::from_arguments(DiscordCall::NAMES.len(), vec![]).is_err());
    }
}
