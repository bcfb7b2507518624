//! Why a request to Discord came to nothing, in words for template authors.

use std::fmt;
use std::time::Duration;

use super::super::HostError;
use super::table::Verb;

/// Whether what was asked for may have happened, although nobody has seen that it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// It was only looked at.
    Nothing,
    /// It would change something.
    Perhaps,
}

impl Doubt {
    /// That of a request with this verb.
    pub fn of(verb: Verb) -> Self {
        if verb == Verb::Get { Self::Nothing } else { Self::Perhaps }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "try again later",
            Self::Perhaps => "it may or may not have been done; look before you try again",
        })
    }
}

/// What went wrong with a request.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The operator has given no token.
    #[error(
        "there is no bot here, so Discord cannot be reached: whoever runs this has to set `discord.token` in the \
         configuration (or TEMPLATE_WORKER_DISCORD__TOKEN)"
    )]
    NotConfigured,
    /// Discord does not take the token any more.
    #[error(
        "Discord does not accept the bot's token: the operator of this service has to set `discord.token` to a good one, \
         and to start the service anew"
    )]
    BadToken,
    /// The guild had too many requests refused.
    #[error(
        "Discord refused too many requests of this guild's templates, so no more are made for now: try again in {} s, and \
         check what they ask for before they ask",
        left.as_secs()
    )]
    Closed {
        /// Until it may ask again.
        left: Duration,
    },
    /// All guilds together had.
    #[error("Discord refused too many requests of this service, so no more are made for now: try again in {} s", left.as_secs())]
    AllClosed {
        /// Until anybody may ask again.
        left: Duration,
    },
    /// There is no turn soon enough.
    #[error("there are too many requests to Discord right now: try again in a few seconds")]
    Busy,
    /// Discord's own limit is used up.
    #[error("Discord's rate limit for this is used up: try again in a few seconds")]
    RateLimited,
    /// Discord says no.
    #[error("Discord refused: {text}")]
    Refused {
        /// The status: 400 and above, below 500.
        status: u16,
        /// Its number for what is wrong.
        code: u64,
        /// What it says about it.
        text: String,
    },
    /// Discord failed.
    #[error("Discord failed ({status}): {doubt}")]
    Failed {
        /// The status: 500 and above.
        status: u16,
        /// Whether it may have been done.
        doubt: Doubt,
    },
    /// There was no answer in time.
    #[error("Discord did not answer in time: {0}")]
    TimedOut(Doubt),
    /// There was no connection.
    #[error("Discord cannot be reached at {address}; nothing was done")]
    Unreachable {
        /// Where it should be.
        address: String,
    },
    /// The connection broke.
    #[error("the connection to Discord broke: {0}")]
    Disconnected(Doubt),
    /// Discord's own answers are JSON; others come from what stands before it, or in its place.
    #[error("the answer from {address} is no JSON, which Discord's answers are: {doubt}")]
    NoJson {
        /// Where it came from.
        address: String,
        /// Whether it may have been done.
        doubt: Doubt,
    },
    /// The answer is nothing that a template could get.
    #[error("Discord's answer {0}")]
    BadAnswer(&'static str),
}

/// Discord's numbers for a member, a user and a ban that are not there.
const NOBODY: [u64; 3] = [10_007, 10_013, 10_026];

impl Failure {
    /// Something that has to be there is gone.
    pub fn gone(text: &str) -> Self {
        Self::Refused { status: 404, code: 0, text: text.to_owned() }
    }

    /// Whether what was asked for is somebody who is not there.
    pub fn is_nobody(&self) -> bool {
        matches!(self, Self::Refused { status: 404, code, .. } if NOBODY.contains(code))
    }
}

impl From<Failure> for HostError {
    fn from(failure: Failure) -> Self {
        let text = failure.to_string();
        match failure {
            Failure::NotConfigured | Failure::BadToken | Failure::Unreachable { .. } => {
                Self::Unavailable(text)
            }
            Failure::Closed { .. } => Self::Quota(text),
            Failure::AllClosed { .. } | Failure::Busy | Failure::RateLimited => Self::Quota(text),
            Failure::Refused { status: 404, .. } => Self::NotFound(text),
            Failure::Refused { .. }
            | Failure::Failed { .. }
            | Failure::TimedOut(_)
            | Failure::Disconnected(_)
            | Failure::NoJson { .. }
            | Failure::BadAnswer(_) => Self::Refused(text),
        }
    }
}
