ALTER TABLE documents DROP COLUMN word_count;
