//! URLs that give one object to whoever has them, for a time.
//!
//! Owns what stands in such a URL where the contents lie in a folder: guild, content and end, sealed, so that nobody can
//! make, change or read one. Buckets sign their own.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::secrets::{KeyError, Sealer};
use crate::ids::GuildId;
use crate::storage::LooseBlob;

/// Seven days, the longest that a bucket signs for.
pub(super) const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// What the key is used for here.
pub(super) const PURPOSE: &str = "urls of objects";
const PLACE: &[u8] = b"object url";
const BYTES: usize = 8 + 16 + 8;

/// The last part of a URL for `blob` that is good until `end`.
pub(super) fn token(sealer: &Sealer, blob: LooseBlob, end: OffsetDateTime) -> Result<String, KeyError> {
    let mut open = Vec::with_capacity(BYTES);
    open.extend(blob.guild.get().to_be_bytes());
    open.extend(blob.blob.as_bytes());
    open.extend(end.unix_timestamp().to_be_bytes());
    Ok(BASE64_URL_SAFE_NO_PAD.encode(sealer.seal(PLACE, &open)?))
}

/// What `token` is for, and when it ends; `None` where it was not made here.
pub(super) fn read(sealer: &Sealer, token: &str) -> Option<(LooseBlob, OffsetDateTime)> {
    let open = sealer.open(PLACE, &BASE64_URL_SAFE_NO_PAD.decode(token).ok()?)?;
    let (guild, rest) = open.split_first_chunk::<8>()?;
    let (blob, end) = rest.split_first_chunk::<16>()?;
    let guild = GuildId::new(u64::from_be_bytes(*guild))?;
    let end = OffsetDateTime::from_unix_timestamp(i64::from_be_bytes(end.try_into().ok()?)).ok()?;
    Some((LooseBlob { guild, blob: Uuid::from_bytes(*blob) }, end))
}
