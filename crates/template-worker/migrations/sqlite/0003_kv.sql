-- Key-value records of guilds, and when they expire.
-- Times are microseconds since 1970, UTC. Scopes are a sorted JSON array of texts, values are typed JSON.

-- What a guild has, kept along in the transaction of each change.
CREATE TABLE kv_guilds (
    guild    INTEGER NOT NULL PRIMARY KEY REFERENCES guilds (id),
    records  INTEGER NOT NULL,
    bytes    INTEGER NOT NULL,
    next_due INTEGER           -- the least `due_at` of its records
) STRICT;

CREATE INDEX kv_guilds_by_due ON kv_guilds (next_due) WHERE next_due IS NOT NULL;

CREATE TABLE kv_records (
    seq        INTEGER NOT NULL PRIMARY KEY,
    guild      INTEGER NOT NULL REFERENCES kv_guilds (guild),
    id         TEXT    NOT NULL UNIQUE,
    scopes     TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    bytes      INTEGER NOT NULL, -- of key, scopes and value
    revision   INTEGER NOT NULL, -- counts the changes
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    resume     INTEGER NOT NULL,
    expires_at INTEGER,
    due_at     INTEGER,          -- when KeyExpiry is to be sent, for the first time or again; none: never, or it is claimed
    claimed    INTEGER NOT NULL, -- whether KeyExpiry is being handled
    attempts   INTEGER NOT NULL, -- how often KeyExpiry was handled in vain
    failed_in  TEXT,             -- a JSON array: the templates that failed last time; they alone get it again
    last_error TEXT,
    value      TEXT    NOT NULL, -- the last column: what does not need it does not read it
    UNIQUE (guild, scopes, key)
) STRICT;

CREATE INDEX kv_records_by_due ON kv_records (guild, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX kv_records_by_expiry ON kv_records (guild, expires_at, seq) WHERE expires_at IS NOT NULL;
CREATE INDEX kv_records_claimed ON kv_records (guild) WHERE claimed = 1;
CREATE INDEX kv_records_to_resume ON kv_records (guild, seq) WHERE resume = 1;
