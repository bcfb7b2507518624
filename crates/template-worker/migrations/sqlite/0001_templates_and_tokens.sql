-- Guilds, their templates in their last versions, and access tokens.
-- Times are microseconds since 1970, UTC. Lists are JSON arrays of texts.

CREATE TABLE guilds (
    id         INTEGER NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE templates (
    guild      INTEGER NOT NULL REFERENCES guilds (id),
    name       TEXT    NOT NULL,
    version    INTEGER NOT NULL, -- the current one
    created_at INTEGER NOT NULL,
    PRIMARY KEY (guild, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE template_versions (
    guild         INTEGER NOT NULL,
    name          TEXT    NOT NULL,
    version       INTEGER NOT NULL,
    files_version INTEGER NOT NULL, -- the version that brought the files; a patch keeps those of the one before
    events        TEXT    NOT NULL,
    capabilities  TEXT    NOT NULL,
    description   TEXT    NOT NULL,
    error_channel TEXT,
    paused        INTEGER NOT NULL,
    stored_at     INTEGER NOT NULL,
    PRIMARY KEY (guild, name, version),
    FOREIGN KEY (guild, name) REFERENCES templates (guild, name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE template_files (
    guild         INTEGER NOT NULL,
    name          TEXT    NOT NULL,
    files_version INTEGER NOT NULL,
    path          TEXT    NOT NULL,
    source        TEXT    NOT NULL,
    PRIMARY KEY (guild, name, files_version, path),
    FOREIGN KEY (guild, name) REFERENCES templates (guild, name) ON DELETE CASCADE
) STRICT;

CREATE TABLE tokens (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    hash       BLOB    NOT NULL UNIQUE, -- SHA-256 of the secret, which is nowhere
    guild      INTEGER,                 -- none: an admin's
    rights     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;
