-- Rewrites the table while nobody can save: stopped by linting.
ALTER TABLE documents ALTER COLUMN version TYPE bigint;
