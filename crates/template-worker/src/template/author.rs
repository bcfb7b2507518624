//! Who stores a template.
//!
//! Owns the text that says so, and how long it is. Who may is decided before, by `api` and `host`.

use std::fmt;
use std::str::FromStr;

use super::TemplateName;

/// Most bytes in an [`Author`]; a longer name of a token is cut.
pub const MAX_AUTHOR_BYTES: usize = 256;

const TOKEN: &str = "token:";
const TEMPLATE: &str = "template:";

/// Who stored a version of a template: `token:deploy` is the API's token of this name, `template:greet` the guild's
/// template. Names are not unique over time, so that this is for people to read, and nothing is decided by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author(String);

/// A text that is no author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected `token:` or `template:` with a name, {MAX_AUTHOR_BYTES} bytes at most")]
pub struct UnknownAuthor;

impl Author {
    /// The holder of the token that is called `name`.
    pub fn token(name: &str) -> Self {
        let end = name.floor_char_boundary(MAX_AUTHOR_BYTES - TOKEN.len());
        Self(format!("{TOKEN}{}", name.get(..end).unwrap_or_default()))
    }

    /// A template of the same guild.
    pub fn template(name: &TemplateName) -> Self {
        Self(format!("{TEMPLATE}{name}"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Author {
    type Err = UnknownAuthor;

    fn from_str(text: &str) -> Result<Self, UnknownAuthor> {
        let is_one = text.starts_with(TOKEN) || text.starts_with(TEMPLATE);
        if is_one && text.len() <= MAX_AUTHOR_BYTES { Ok(Self(text.to_owned())) } else { Err(UnknownAuthor) }
    }
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_is_short_and_says_what_it_is() {
        let long = Author::token(&"ä".repeat(1000));
        assert_eq!(long.as_str().len(), MAX_AUTHOR_BYTES);
        for author in [Author::token("deploy"), Author::template(&"greet".parse().unwrap()), long] {
            assert_eq!(author.as_str().parse(), Ok(author.clone()));
        }
        // A token cannot pass for a template, whatever it is called.
        assert_eq!(Author::token("template:greet").as_str(), "token:template:greet");
        for text in ["", "deploy", "user:1", &format!("token:{}", "x".repeat(MAX_AUTHOR_BYTES))] {
            assert_eq!(text.parse::<Author>(), Err(UnknownAuthor), "{text}");
        }
    }
}
