//! `KvOp`: one change of a record, and what is checked of it before it touches the storage.

use time::OffsetDateTime;

use super::{KvAt, KvError, KvId, KvKey, KvQuota};

/// Most operations of a batch.
pub const MOST_BATCH_OPS: usize = 100;
/// Most bytes of keys and values in a batch.
pub const MOST_BATCH_BYTES: usize = 4 << 20;

/// A change of a record. Values are typed JSON.
#[derive(Debug, Clone, PartialEq)]
pub enum KvOp {
    /// Sets the value, and with it everything else: what is not said is cleared. By its id, a record must be there.
    Set {
        /// Which record.
        at: KvAt,
        /// The value.
        value: String,
        /// When it expires; never for `None`.
        expires_at: Option<OffsetDateTime>,
        /// Whether `KeyResume` tells of it.
        resume: bool,
    },
    /// Sets when a record expires that is there.
    SetExpiry {
        /// Which record.
        at: KvAt,
        /// When it expires; never for `None`.
        expires_at: Option<OffsetDateTime>,
    },
    /// Removes a record; one that is not there is fine.
    Delete {
        /// Which record.
        at: KvAt,
    },
    /// Adds to a number; one that is not there is 0. When it expires stays as it is.
    Increment {
        /// Which record.
        key: KvKey,
        /// How much.
        by: f64,
    },
    /// Sets the value if it is the expected one. When it expires stays as it is.
    CompareAndSet {
        /// Which record.
        key: KvKey,
        /// The value that it must have; `None`: it must not be there.
        expected: Option<String>,
        /// The value that it gets.
        value: String,
    },
}

/// What came of a [`KvOp`].
#[derive(Debug, Clone, PartialEq)]
pub enum KvDone {
    /// It is set.
    Set {
        /// Whether it was there before.
        existed: bool,
        /// Its id.
        id: KvId,
    },
    /// When it expires is set.
    ExpirySet,
    /// It is not there.
    Deleted {
        /// Whether it was there before.
        existed: bool,
    },
    /// This is the sum.
    Sum(f64),
    /// Whether the value was the expected one, and is the other by now.
    Swapped(bool),
}

impl KvOp {
    /// Whether it can be done in a guild with this quota, apart from what the guild has stored already.
    pub(in crate::storage) fn check(&self, quota: &KvQuota, now: OffsetDateTime) -> Result<(), KvError> {
        if let Some(key) = self.key() {
            check_key(key, quota.key_bytes)?;
        }
        let value = self.value().map_or(0, str::len);
        if value > quota.value_bytes {
            return Err(KvError::ValueTooLarge { bytes: value, limit: quota.value_bytes });
        }
        match self {
            Self::Set { expires_at: Some(at), .. } | Self::SetExpiry { expires_at: Some(at), .. }
                if *at <= now =>
            {
                Err(KvError::ExpiresInThePast)
            }
            Self::Increment { by, .. } if !by.is_finite() => Err(KvError::NotFinite),
            _ => Ok(()),
        }
    }

    /// Bytes that it takes while it waits.
    pub(in crate::storage) fn bytes(&self) -> usize {
        let expected = match self {
            Self::CompareAndSet { expected, .. } => expected.as_ref().map_or(0, String::len),
            _ => 0,
        };
        self.key().map_or(0, str::len) + self.value().map_or(0, str::len) + expected
    }

    fn key(&self) -> Option<&str> {
        match self {
            Self::Set { at, .. } | Self::SetExpiry { at, .. } | Self::Delete { at } => match at {
                KvAt::Key(key) => Some(&key.key),
                KvAt::Id(_) => None,
            },
            Self::Increment { key, .. } | Self::CompareAndSet { key, .. } => Some(&key.key),
        }
    }

    fn value(&self) -> Option<&str> {
        match self {
            Self::Set { value, .. } | Self::CompareAndSet { value, .. } => Some(value),
            _ => None,
        }
    }
}

/// Whether a key can be one.
fn check_key(key: &str, limit: usize) -> Result<(), KvError> {
    match key.len() {
        0 => Err(KvError::EmptyKey),
        bytes if bytes > limit => Err(KvError::KeyTooLong { bytes, limit }),
        _ => Ok(()),
    }
}

/// Whether `ops` are few and small enough to be done together, and each can be done at all.
pub(in crate::storage) fn check_all(
    ops: &[KvOp],
    quota: &KvQuota,
    now: OffsetDateTime,
) -> Result<(), KvError> {
    if !(1..=MOST_BATCH_OPS).contains(&ops.len()) {
        return Err(KvError::BadBatch { count: ops.len() });
    }
    let bytes = ops.iter().map(KvOp::bytes).sum();
    for (index, op) in ops.iter().enumerate() {
        op.check(quota, now).map_err(|error| in_batch(ops.len(), index, error))?;
    }
    if ops.len() > 1 && bytes > MOST_BATCH_BYTES {
        return Err(KvError::BatchTooLarge { bytes });
    }
    Ok(())
}

/// `error` of operation `index`, which is told only where there are several.
pub(in crate::storage) fn in_batch(ops: usize, index: usize, error: KvError) -> KvError {
    if ops == 1 { error } else { KvError::InBatch { index: index + 1, error: error.into() } }
}
