-- Destroys the seasons written since: undoing with it is always asked for.
ALTER TABLE packages DROP COLUMN season;
