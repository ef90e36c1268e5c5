-- Applied by the Supabase CLI, as its own table of migrations says.
ALTER TABLE documents ALTER COLUMN title SET DEFAULT 'Untitled';
