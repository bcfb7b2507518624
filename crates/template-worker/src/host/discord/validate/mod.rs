//! What a value has to look like before anything is done with it: rules, and shapes made of them.
//!
//! Owns the language in which Discord's published limits are written down; the shapes are in `shapes`, and the one walk
//! that checks a value against a rule and makes JSON of it is in `walk`.

mod scalars;
#[cfg(test)]
mod tests;
mod text;
mod walk;

use serde_json::{Map, Value};
use twilight_model::guild::Permissions;

pub(crate) use text::percent_encoded;
pub use walk::{Decoded, File, Reference};

/// What an id is the id of; decides what is checked about it before Discord sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// A channel or thread, which has to be of the guild.
    Channel,
    /// A role, which has to be of the guild.
    Role,
    /// A guild, which has to be the guild itself.
    Guild,
    /// A webhook, which has to be of the guild.
    Webhook,
    /// An interaction, which has to have been sent to the guild.
    Interaction,
    /// A user: anybody. Reached through the guild or one of its channels.
    User,
    /// A message, reached through its channel.
    Message,
    /// Something that the path of the request keeps inside the guild: a rule, a command, an overwrite.
    OfGuild,
    /// Something that is nobody's: an application, an emoji, a place in a list.
    Other,
}

/// What one value has to be.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// `true` or `false`.
    Boolean,
    /// A whole number within these bounds.
    Integer(i64, i64),
    /// A whole number that is one of these.
    Choice(&'static [i64]),
    /// A number within these bounds.
    Number(f64, f64),
    /// Text with so many characters.
    Text(usize, usize),
    /// Text that is one of these.
    Word(&'static [&'static str]),
    /// A number that is one of these, or its name.
    Named(&'static [(&'static str, i64)]),
    /// Text of letters, digits, `-` and `_` with at most so many bytes: a token, a code.
    Token(usize),
    /// The code of an invite, or the address that it is a part of.
    Invite,
    /// A web address, or one of an attachment.
    Link,
    /// A moment: as ISO 8601 writes it, or a `DateTime`.
    Moment,
    /// An image as a data URI of one of these types.
    Image(&'static [&'static str]),
    /// The id of something.
    Id(Thing),
    /// Bits of permissions, as text or number.
    Permissions,
    /// An emoji: the character itself, `name:id`, or a table with `name` and `id`.
    Emoji,
    /// The bytes of a file: a buffer or text.
    Content,
    /// One of those, or null.
    OrNull(&'static Rule),
    /// A list of so many.
    List(&'static Rule, usize, usize),
    /// A table with the keys that Discord has for languages.
    Languages(&'static Rule),
    /// A table with these fields.
    Object(&'static Shape),
    /// A table whose field of this name says which of these shapes it has.
    Tagged(&'static str, &'static [(i64, &'static Shape)]),
    /// Any of these, whichever fits first.
    Either(&'static Rule, &'static Rule),
}

/// A field of a shape, or an argument of a method.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its type, as Luau writes it. With a `?` at its end it can be left out.
    pub ty: &'static str,
    /// What it has to be.
    pub rule: Rule,
    /// What it means.
    pub doc: &'static str,
}

impl Field {
    /// Whether it can be left out.
    pub fn is_optional(&self) -> bool {
        self.ty.ends_with('?')
    }
}

/// Says what is wrong with the fields together, and where, and adds what is taken for granted; fields for themselves are
/// right already.
pub type Together = fn(&mut Map<String, Value>) -> Result<(), Wrong>;

/// A table with fixed fields.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Its name among the types that scripts see.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// Its fields; others are refused.
    pub fields: &'static [Field],
    /// The same for the declaration.
    pub declared: &'static [khronos::declare::Field],
    /// What Discord adds to it when it gives it: left out when it is sent again.
    pub left_out: &'static [&'static str],
    /// What has to hold between them.
    pub together: Option<Together>,
}

impl Shape {
    /// The same with a rule about its fields together.
    pub const fn with(self, together: Together) -> Self {
        Self { together: Some(together), ..self }
    }

    /// The same with fields that are left out.
    pub const fn leaving_out(self, left_out: &'static [&'static str]) -> Self {
        Self { left_out, ..self }
    }

    /// How scripts see it.
    pub const fn declare(&self) -> khronos::declare::Type {
        khronos::declare::Type {
            name: self.name,
            doc: self.doc,
            is_object: false,
            fields: self.declared,
            methods: &[],
            operators: &[],
        }
    }
}

/// Makes a [`Shape`]: `shape!("DiscordEmbed", "An embed.", { title: "string?" = Rule::Text(0, 256), "Its title."; })`.
macro_rules! shape {
    ($name:literal, $about:literal, { $( $field:ident : $ty:literal = $rule:expr, $doc:literal; )* }) => {
        $crate::host::discord::validate::Shape {
            name: $name,
            doc: $about,
            fields: &[ $( $crate::host::discord::validate::Field {
                name: stringify!($field), ty: $ty, rule: $rule, doc: $doc,
            }, )* ],
            declared: &[ $( khronos::declare::Field { name: stringify!($field), ty: $ty, doc: $doc }, )* ],
            left_out: &[],
            together: None,
        }
    };
}
pub(crate) use shape;

/// What is wrong inside a value: where, relative to it, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Such as `embeds[2].title`; empty for the value itself.
    pub at: String,
    /// Such as `has 300 characters: Discord takes at most 256`.
    pub what: String,
}

impl Wrong {
    /// Something wrong with the value itself.
    pub fn here(what: impl Into<String>) -> Self {
        Self { at: String::new(), what: what.into() }
    }

    /// Something wrong with a part of it.
    pub fn at(at: impl Into<String>, what: impl Into<String>) -> Self {
        Self { at: at.into(), what: what.into() }
    }
}

/// Arguments that a method cannot take. The text is for template authors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` {problem}")]
pub struct Invalid {
    /// Where: `data.embeds[2].title`.
    pub path: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// The bits of permissions that `value` holds after its check.
pub fn permissions_of(value: Option<&Value>) -> Permissions {
    Permissions::from_bits_retain(value.and_then(Value::as_u64).unwrap_or_default())
}

/// Checks `value`, which is called `path`, against `rule`.
#[cfg(test)]
pub fn check(path: &str, rule: &Rule, value: &khronos::KhronosValue) -> Result<Value, Invalid> {
    walk::Walk::new(path).value(rule, value)
}
