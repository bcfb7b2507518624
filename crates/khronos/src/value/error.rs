//! Why a value cannot cross the border, in words for template authors.
//!
//! A value is returned, passed, or neither, as in an encoder: the words go with what its template was about.

use std::fmt;

use super::typed::TYPE_KEY;

/// Why a value cannot leave a VM, or be read. `path` is where it was found, such as `result.users[3]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueError {
    /// Deeper than [`ValueLimits::depth`](super::ValueLimits::depth).
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// More than [`ValueLimits::nodes`](super::ValueLimits::nodes).
    TooManyNodes {
        /// The limit.
        limit: usize,
    },
    /// More than [`ValueLimits::bytes`](super::ValueLimits::bytes).
    TooManyBytes {
        /// The limit.
        limit: usize,
    },
    /// Tables with much more room than entries, many times over.
    TooSlow,
    /// A function, a thread, an object that is no value.
    Unsupported {
        /// Where.
        path: String,
        /// What Luau's `typeof` calls it.
        kind: String,
    },
    /// Both list and map keys, or keys that are neither.
    MixedKeys {
        /// Where.
        path: String,
        /// The key, rendered.
        key: String,
    },
    /// The key that typed JSON marks its values with.
    ReservedKey {
        /// Where.
        path: String,
    },
    /// Text that is not the JSON of [`KhronosValue::to_typed_json`](super::KhronosValue::to_typed_json); says why.
    TypedJson(String),
    /// A string that is not UTF-8.
    NotUtf8 {
        /// Where.
        path: String,
    },
}

/// What a template did with the value.
struct Deed {
    verb: &'static str,
    participle: &'static str,
    is: &'static str,
    has: &'static str,
    takes: &'static str,
    /// What the limits of depth, nodes and bytes are called, where they have a name.
    limits: [&'static str; 3],
}

const RETURNED: Deed = Deed {
    verb: "return",
    participle: "returned",
    is: "the value is",
    has: "the value has",
    takes: "the value takes",
    limits: [", the limit of result depth", ", the limit of result nodes", ", the limit of result bytes"],
};

const PASSED: Deed = Deed {
    verb: "pass",
    participle: "passed",
    is: "the arguments are",
    has: "the arguments have",
    takes: "the arguments take",
    limits: [""; 3],
};

const USED: Deed = Deed { verb: "use", participle: "used", limits: [""; 3], ..RETURNED };

impl ValueError {
    /// The text for whoever returned the value, which is the end of the text that an execution fails with.
    pub fn returned(&self) -> String {
        Said(self, &RETURNED).to_string()
    }

    /// The text for whoever passed the value to a function.
    pub(crate) fn passed(&self) -> String {
        Said(self, &PASSED).to_string()
    }
}

impl std::error::Error for ValueError {}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Said(self, &USED).fmt(f)
    }
}

/// An error in the words of a deed.
struct Said<'a>(&'a ValueError, &'a Deed);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Deed { verb, participle, is, has, takes, limits: [depth, nodes, bytes] } = self.1;
        match self.0 {
            ValueError::TooDeep { limit } => {
                write!(f, "{is} nested deeper than {limit} levels{depth}: {verb} flatter tables")
            }
            ValueError::TooManyNodes { limit } => {
                write!(f, "{has} more than {limit} parts{nodes}: {verb} less")
            }
            ValueError::TooManyBytes { limit } => {
                write!(f, "{has} more than {limit} bytes of text{bytes}: {verb} less")
            }
            ValueError::TooSlow => write!(
                f,
                "{takes} too long to read: some of the tables had very many entries once; {verb} fresh tables instead"
            ),
            ValueError::Unsupported { path, kind } => write!(
                f,
                "{path} is {}: only nil, booleans, numbers, strings, buffers, vectors, `U64`, `I64`, `DateTime`, \
                 `TimeDelta`, `Timezone` and tables of them can be {participle}",
                with_article(kind)
            ),
            ValueError::MixedKeys { path, key } => write!(
                f,
                "{path} has the key {key} beside others that do not go with it: use either 1, 2, 3, .. or strings as keys"
            ),
            ValueError::ReservedKey { path } => {
                write!(f, "{path} has the key \"{TYPE_KEY}\", which is reserved: use another key")
            }
            ValueError::TypedJson(why) => write!(f, "not a value in typed JSON: {why}"),
            ValueError::NotUtf8 { path } => write!(f, "{path} is not UTF-8 text: use a buffer for bytes"),
        }
    }
}

/// `a function`, `an ObjectStorage`.
fn with_article(kind: &str) -> String {
    let article = if kind.starts_with(['A', 'E', 'I', 'O']) { "an" } else { "a" };
    format!("{article} {kind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_says_what_to_do_with_what_was_returned_passed_or_used() {
        let error = ValueError::TooManyBytes { limit: 10 };
        assert_eq!(
            error.returned(),
            "the value has more than 10 bytes of text, the limit of result bytes: return less"
        );
        assert_eq!(error.passed(), "the arguments have more than 10 bytes of text: pass less");
        assert_eq!(error.to_string(), "the value has more than 10 bytes of text: use less");
        let error =
            ValueError::Unsupported { path: "argument 2".to_owned(), kind: "ObjectStorage".to_owned() };
        assert!(
            error.passed().starts_with("argument 2 is an ObjectStorage: only nil, "),
            "{}",
            error.passed()
        );
        assert!(error.passed().ends_with(" can be passed"), "{}", error.passed());
    }
}
