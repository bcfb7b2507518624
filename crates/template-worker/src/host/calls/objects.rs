//! `ctx.ObjectStorage`: files of the guild.

use khronos::declare::{Type, field, object, table};

use super::declared::shortened;
use super::http::Seconds;
use super::{Bucket, Bytes, host_calls};

/// What the existing system allowed.
const OBJECTS: Bucket = Bucket { name: "object_storage", burst: 75, every_ms: 1_000 };

host_calls! {
    /// Files of the guild, which all of its templates share. A key is a name of up to 2,048 bytes; `/` divides it, no part is empty, `.` or `..`, and no folders come of it.
    pub enum ObjectCall in "ObjectStorage" {
        /// Lists objects by key: at most 1,000. Where there are more, `after` gets those that follow.
        ListFiles "list_files" (
            /// What their keys start with; all where this is left out.
            prefix: Option<String>,
            /// The last key of the list before.
            after: Option<String>,
        ) -> "{ObjectMetadata}", gated "objectstorage:list_files";
        /// Whether there is an object.
        FileExists "file_exists" (
            /// Its key.
            key: String,
        ) -> "boolean", gated "objectstorage:file_exists";
        /// The content of an object; as a text with `buffer.tostring(blob:tobuffer())`, which empties the blob. Throws where there is
        /// none.
        DownloadFile "download_file" (
            /// Its key.
            key: String,
        ) -> "Blob", gated "objectstorage:download_file";
        /// A URL that gives the object, as it is now, to whoever has it. Where objects are kept in a folder, the operator has to have
        /// set `links.api_url`; it throws otherwise.
        GetFileUrl "get_file_url" (
            /// Its key.
            key: String,
            /// How long the URL lasts: up to seven days.
            expiry: Seconds,
        ) -> "string", gated "objectstorage:get_file_url";
        /// Stores an object, in place of one with its key.
        UploadFile "upload_file" (
            /// Its key.
            key: String,
            /// Its content.
            content: Bytes,
        ) -> "()", gated "objectstorage:upload_file", changes true;
        /// Removes an object. Again is fine.
        DeleteFile "delete_file" (
            /// Its key.
            key: String,
        ) -> "()", gated "objectstorage:delete_file", changes true;
    }
    wants(call) { vec![format!("objectstorage:{}", call.declared().function.name)] }
    names(call) { call.key() }
    buckets [OBJECTS];
    types &[METADATA];
    beside BUCKET;
}

impl ObjectCall {
    fn key(&self) -> String {
        match self {
            Self::ListFiles { .. } => String::new(),
            Self::FileExists { key }
            | Self::DownloadFile { key }
            | Self::GetFileUrl { key, .. }
            | Self::UploadFile { key, .. }
            | Self::DeleteFile { key } => shortened(key),
        }
    }
}

const METADATA: Type = table(
    "ObjectMetadata",
    "An object, without its content.",
    &[
        field("key", "string", "Its key."),
        field("last_modified", "DateTime?", "When it was stored."),
        field("size", "number", "How many bytes it has."),
        field("etag", "string", "Another one for other bytes."),
    ],
);

const BUCKET: Type = object(
    "ObjectStorage",
    "",
    &[field("bucket_name", "string", "What AntiRaid called the guild's bucket.")],
    &[],
    &[],
);
