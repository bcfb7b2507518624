-- Versions of templates never come back: a template that is made anew is not taken for the one that was deleted.

ALTER TABLE guilds ADD COLUMN last_version INTEGER NOT NULL DEFAULT 0; -- the highest of the templates that were deleted
