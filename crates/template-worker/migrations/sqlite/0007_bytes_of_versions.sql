-- What each version of a template takes, so that the old ones of a guild can be held to a budget without reading them.

ALTER TABLE template_versions ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;       -- of its own texts
ALTER TABLE template_versions ADD COLUMN files_bytes INTEGER NOT NULL DEFAULT 0; -- of its files, which versions may share

UPDATE template_versions SET
    bytes = length(CAST(events AS BLOB)) + length(CAST(capabilities AS BLOB)) + length(CAST(description AS BLOB)),
    files_bytes = (
        SELECT coalesce(sum(length(CAST(path AS BLOB)) + length(CAST(source AS BLOB))), 0) FROM template_files AS files
        WHERE files.guild = template_versions.guild AND files.name = template_versions.name
          AND files.files_version = template_versions.files_version
    );

CREATE INDEX template_versions_by_bytes
    ON template_versions (guild, name, version, files_version, stored_at, bytes, files_bytes);
