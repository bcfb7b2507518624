-- The limits of guilds that differ from those of the configuration. A guild without a row has none.

CREATE TABLE guild_limits (
    guild     INTEGER NOT NULL PRIMARY KEY REFERENCES guilds (id),
    overrides TEXT    NOT NULL, -- a JSON object: keys of [limits] and their values
    stored_at INTEGER NOT NULL
) STRICT;
