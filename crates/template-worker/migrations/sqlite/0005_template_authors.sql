-- Who stored a template first, and who stored each of its versions: `token:<name>` or `template:<name>`; none where that
-- was before this was written down.

ALTER TABLE templates ADD COLUMN created_by TEXT;
ALTER TABLE template_versions ADD COLUMN stored_by TEXT;
