//! Everything that a template can do to the world, as values: one closed enum, answered by one other.
//!
//! Owns [`HostCall`], [`HostReply`] and how a family of calls is declared. A family is a file here: `host_calls!` makes of one
//! declaration the enum, the functions that scripts see, what they take, and what the reference says of them. What a call
//! does, and whether it may, is said beside: in the folder of its family in `host`.

mod arguments;
mod captcha;
mod declared;
mod discord;
mod http;
mod kv;
mod objects;
mod records;
pub(crate) mod requests;
mod secrets;
mod stores;
mod templates;

use std::fmt;

use khronos::KhronosValue;
use serde::{Deserialize, Serialize};

pub use arguments::{Any, Argument, Arguments, Bytes};
pub(crate) use arguments::{kind, largest_call};
pub use captcha::{CaptchaCall, CaptchaConfig};
pub(crate) use declared::host_calls;
pub use declared::{Bucket, Declared, DeclaredFamily, Family};
pub use discord::DiscordCall;
pub use http::{Body, Headers, HttpCall, Seconds};
pub use kv::{Batch, BatchOp, KvCall, Moment};
pub use objects::ObjectCall;
pub use secrets::SecretCall;
pub use stores::{CopyCall, LinksCall, StatsCall};
pub use templates::TemplatesCall;

/// Declares which families there are.
macro_rules! families {
    ($( $(#[doc = $doc:literal])+ $variant:ident($call:ident), )+) => {
        /// What a template wants of the world.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub enum HostCall {
            $( $(#[doc = $doc])+ $variant($call), )+
        }

        impl HostCall {
            /// Every call that there is: where scripts find it, and what is declared of it.
            pub fn all() -> impl Iterator<Item = (&'static str, &'static Declared)> {
                let mut all = Vec::new();
                $( all.extend($call::CALLS.iter().map(|declared| ($call::OBJECT, declared))); )+
                all.into_iter()
            }

            /// Every family that there is.
            pub fn families() -> &'static [DeclaredFamily] {
                &[ $( DeclaredFamily {
                    object: $call::OBJECT,
                    doc: $call::DOC,
                    calls: $call::CALLS,
                    types: $call::TYPES,
                    beside: $call::BESIDE,
                    extended: $call::EXTENDED,
                }, )+ ]
            }

            /// The call of this name, with these arguments, of the object of that name.
            ///
            /// # Errors
            /// Says what is wrong.
            pub fn named(object: &str, name: &str, arguments: Vec<KhronosValue>) -> Result<Self, String> {
                $( if object == $call::OBJECT && let Some(number) = $call::NAMES.iter().position(|known| *known == name) {
                    return $call::from_arguments(number, arguments).map(Self::$variant);
                } )+
                Err(format!("there is no {object}.{name}"))
            }

            /// What is declared of it.
            pub fn declared(&self) -> &'static Declared {
                match self { $( Self::$variant(call) => call.declared(), )+ }
            }

            /// Where scripts find it: `KV`.
            pub fn object(&self) -> &'static str {
                match self { $( Self::$variant(_) => $call::OBJECT, )+ }
            }

            /// The capabilities that it takes, all of them.
            pub fn wants(&self) -> Vec<String> {
                match self { $( Self::$variant(call) => call.wants(), )+ }
            }

            /// How many calls it counts as against each of its rates.
            pub fn weight(&self) -> u32 {
                match self { $( Self::$variant(call) => call.weight(), )+ }
            }

            /// Which things it names, for the operator's log.
            pub fn names(&self) -> String {
                match self { $( Self::$variant(call) => call.names(), )+ }
            }

            /// The rates that it counts against.
            pub fn buckets(&self) -> &'static [Bucket] {
                self.declared().buckets
            }
        }

        $(
            impl From<$call> for HostCall {
                fn from(call: $call) -> Self {
                    Self::$variant(call)
                }
            }
        )+
    };
}

families! {
    /// Numbers about the service.
    Stats(StatsCall),
    /// Where to find the service, and which events there are.
    Links(LinksCall),
    /// Gives back what it gets.
    Copy(CopyCall),
    /// Discord.
    Discord(DiscordCall),
    /// The guild's templates.
    Templates(TemplatesCall),
    /// What a guild's templates remember.
    Kv(KvCall),
    /// Requests to the public internet.
    Http(HttpCall),
    /// Files of the guild.
    Object(ObjectCall),
    /// Pictures for people.
    Captcha(CaptchaCall),
    /// Which secrets there are.
    Secret(SecretCall),
}

impl fmt::Display for HostCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.object(), self.declared().function.name)
    }
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum HostReply {
    /// What it returns; the script's own, to change as it likes.
    Values(Vec<Any>),
    /// What it returns, as JSON text: one value, the script's own as well.
    Json(String),
    /// What it returns, as bytes of a `Blob`.
    Blob(Vec<u8>),
    /// What it throws: what happened, and what to do.
    Failed(String),
}

impl HostReply {
    /// It returns nothing.
    pub fn nothing() -> Self {
        Self::Values(Vec::new())
    }

    /// It returns one value.
    pub fn value(value: impl Into<KhronosValue>) -> Self {
        Self::Values(vec![Any(value.into())])
    }

    /// It returns two values.
    pub fn two(first: impl Into<KhronosValue>, second: impl Into<KhronosValue>) -> Self {
        Self::Values(vec![Any(first.into()), Any(second.into())])
    }
}
