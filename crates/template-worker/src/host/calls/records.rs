//! The tables that `ctx.KV` takes and gives, as they are declared.

use khronos::declare::{Type, field, table};

/// All of them.
pub(super) const TYPES: &[Type] = &[
    table(
        "KvRecord",
        "A key with its value, and everything else about it.",
        &[
            field("id", "string", "Its own; nobody can guess it."),
            field("key", "string", "The key."),
            field("value", "any", "Its value."),
            field("scopes", "{string}", "Its scopes, in order."),
            field("exists", "boolean", "True: a key that is not there has no record."),
            field("created_at", "DateTime", "When it was set first."),
            field("last_updated_at", "DateTime", "When it was changed last."),
            field("expires_at", "DateTime?", "From when on it is gone; nil for never."),
            field("resume", "boolean", "Whether `KeyResume` tells of it."),
        ],
    ),
    table(
        "KvSet",
        "What came of setting a key.",
        &[
            field("exists", "boolean", "Whether it was there before."),
            field("id", "string", "The id of its record, which stays the same for as long as there is one."),
        ],
    ),
    table(
        "KvOp",
        "An operation of a batch: its name, and what the function of that name takes.",
        &[
            field("op", "string", "`set`, `setexpiry`, `delete`, `increment` or `compareandset`."),
            field("key", "string", "The key."),
            field("scopes", "{string}", "Its scopes."),
            field("value", "any", "Of `set` and `compareandset`: what it gets."),
            field("expected", "any", "Of `compareandset`: what it must have."),
            field("by", "number?", "Of `increment`: how much."),
            field("expires_at", "DateTime?", "Of `set` and `setexpiry`: from when on it is gone."),
            field("resume", "boolean?", "Of `set`: whether `KeyResume` is to tell of it."),
        ],
    ),
];
