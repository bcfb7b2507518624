-- Secrets of guilds, sealed, and the books of their objects, whose contents lie in the object store.

CREATE TABLE secrets (
    guild     INTEGER NOT NULL REFERENCES guilds (id),
    name      TEXT    NOT NULL,
    hosts     TEXT    NOT NULL, -- a JSON array: where the secret may be sent
    sealed    BLOB    NOT NULL, -- encrypted with a key that is not in this database
    stored_at INTEGER NOT NULL,
    PRIMARY KEY (guild, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE objects (
    guild     INTEGER NOT NULL REFERENCES guilds (id),
    key       TEXT    NOT NULL,
    blob      TEXT    NOT NULL UNIQUE, -- what the content is called in the object store: nothing that a template chose
    size      INTEGER NOT NULL,
    etag      TEXT    NOT NULL,
    stored_at INTEGER NOT NULL,
    PRIMARY KEY (guild, key)
) STRICT, WITHOUT ROWID;

-- Contents that are in the object store and belong to no object: on their way in, with the room they will take, or on
-- their way out.
CREATE TABLE loose_blobs (
    blob     TEXT    NOT NULL PRIMARY KEY,
    guild    INTEGER NOT NULL,
    reserved INTEGER NOT NULL, -- bytes; 0 on the way out
    incoming INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX loose_blobs_of_guild ON loose_blobs (guild, incoming);
