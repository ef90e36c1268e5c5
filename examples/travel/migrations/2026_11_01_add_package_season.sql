-- A nullable column without a default is a change of the catalogue only.
ALTER TABLE packages ADD COLUMN season text;
