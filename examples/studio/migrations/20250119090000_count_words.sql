-- For release 2.4.0, which counts the words of every save.
ALTER TABLE documents ADD COLUMN word_count bigint;
COMMENT ON COLUMN documents.word_count IS 'null: not saved since';
