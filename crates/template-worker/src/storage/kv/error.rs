//! Why a record could not be read or changed, in words for whoever asked.

use crate::events::{MAX_SCOPE_BYTES, MAX_SCOPES};
use crate::limits::Limit;
use crate::storage::StorageError;

use super::{MOST_BATCH_BYTES, MOST_BATCH_OPS, MOST_WILDCARDS};

/// Why a record could not be read or changed. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum KvError {
    /// No scope is named.
    #[error("name at least one scope, as in {{\"greetings\"}}: a key belongs to a set of scopes")]
    NoScopes,
    /// More than [`MAX_SCOPES`].
    #[error("{count} scopes are more than a key may have ({MAX_SCOPES}); name fewer")]
    TooManyScopes {
        /// How many there were.
        count: usize,
    },
    /// An empty scope, or one of more than [`MAX_SCOPE_BYTES`].
    #[error("a scope of {bytes} bytes cannot be one; use 1 to {MAX_SCOPE_BYTES} bytes")]
    BadScope {
        /// How many bytes it has.
        bytes: usize,
    },
    /// The key is empty.
    #[error("a key cannot be empty; give it a name")]
    EmptyKey,
    /// The key is too long.
    #[error(
        "{bytes} bytes are more than a key may have ({limit} bytes: MAX_KV_KEY_BYTES); use a shorter key"
    )]
    KeyTooLong {
        /// How many bytes it has.
        bytes: usize,
        /// How many it may have.
        limit: usize,
    },
    /// The value is too large.
    #[error(
        "{bytes} bytes are more than a value may have ({limit} bytes as JSON: MAX_KV_VALUE_BYTES); \
         store less, or spread it over several keys"
    )]
    ValueTooLarge {
        /// How many bytes it has.
        bytes: usize,
        /// How many it may have.
        limit: usize,
    },
    /// The guild has too many records.
    #[error(
        "this guild has {limit} keys, which is the most (MAX_KV_RECORDS); delete some first, or let them expire"
    )]
    TooManyRecords {
        /// How many it may have.
        limit: usize,
    },
    /// The guild stores too much.
    #[error(
        "this guild would store {bytes} bytes, which is more than it may ({limit} bytes: MAX_KV_BYTES); delete some \
         keys first, or store less in each"
    )]
    TooManyBytes {
        /// How many there would be.
        bytes: u64,
        /// How many there may be.
        limit: usize,
    },
    /// The time of expiry is not in the future.
    #[error("a key cannot expire in the past; `expires_at` must be later than now, or nil for never")]
    ExpiresInThePast,
    /// The guild has no such key.
    #[error("there is no key \"{key}\" with these scopes; set it first")]
    NoSuchKey {
        /// The key, cut to a readable length.
        key: String,
    },
    /// The guild has no record of this id.
    #[error("this guild has no record with this id; it may have expired or been deleted")]
    NoSuchId,
    /// What is to be incremented is no number.
    #[error("the value of \"{key}\" is no number that can be counted up; set it to a number first")]
    NotANumber {
        /// The key, cut to a readable length.
        key: String,
    },
    /// An increment that leads nowhere.
    #[error("the sum is no number that can be stored; increment by less")]
    NotFinite,
    /// The pattern is too long.
    #[error("{bytes} bytes are more than a query may have ({limit} bytes); look for less")]
    PatternTooLong {
        /// How many bytes it has.
        bytes: usize,
        /// How many it may have.
        limit: usize,
    },
    /// The pattern has too many wildcards.
    #[error("a query with {count} `%` is not answered; use at most {MOST_WILDCARDS}")]
    TooManyWildcards {
        /// How many it has.
        count: usize,
    },
    /// A cursor that no call has returned.
    #[error("that is no cursor; use what the call before returned, or nil for the start")]
    BadCursor,
    /// A batch of too many operations, or of none.
    #[error("a batch has 1 to {MOST_BATCH_OPS} operations, and not {count}; do them in several batches")]
    BadBatch {
        /// How many it has.
        count: usize,
    },
    /// A batch of too many bytes.
    #[error(
        "the operations of a batch may have {MOST_BATCH_BYTES} bytes together, and not {bytes}; do them in several \
         batches"
    )]
    BatchTooLarge {
        /// How many it has.
        bytes: usize,
    },
    /// One of several operations cannot be done; none was.
    #[error("operation {index} of the batch: {error}; none of the batch was done")]
    InBatch {
        /// Which, counted from 1.
        index: usize,
        /// Why.
        error: Box<KvError>,
    },
    /// Too many changes wait to be stored.
    #[error(
        "too many changes of {whose} wait to be stored; try again in a moment, and wait for each before the next"
    )]
    Busy {
        /// Whose they are.
        whose: &'static str,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl KvError {
    /// A value that was stored cannot be read.
    pub fn unreadable(source: Box<dyn std::error::Error + Send + Sync>) -> Self {
        StorageError::Unreadable { what: "a value".to_owned(), source }.into()
    }

    /// The limit that was met.
    pub fn limit(&self) -> Option<Limit> {
        match self {
            Self::KeyTooLong { .. } => Some(Limit::KvKeyBytes),
            Self::ValueTooLarge { .. } => Some(Limit::KvValueBytes),
            Self::TooManyRecords { .. } => Some(Limit::KvRecords),
            Self::TooManyBytes { .. } => Some(Limit::KvBytes),
            Self::InBatch { error, .. } => error.limit(),
            _ => None,
        }
    }

    /// Whether it is the service's own failure, whose cause is nobody's business but the operator's.
    pub fn is_internal(&self) -> bool {
        match self {
            Self::Storage(_) => true,
            Self::InBatch { error, .. } => error.is_internal(),
            _ => false,
        }
    }
}

impl From<sqlx::Error> for KvError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(error.into())
    }
}

/// A text of a template's, fit to be shown.
pub(in crate::storage) fn readable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
