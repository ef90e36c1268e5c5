-- The studio: what people write, how each save of it went, what they pay, what they have a model write. As a project of
-- Supabase has it: people in auth.users, what was migrated in supabase_migrations.

CREATE SCHEMA auth;
CREATE TABLE auth.users (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  email text NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE SCHEMA supabase_migrations;
CREATE TABLE supabase_migrations.schema_migrations (version text PRIMARY KEY, name text NOT NULL);
INSERT INTO supabase_migrations.schema_migrations VALUES ('20250106101500', 'document_titles');

CREATE TABLE documents (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  owner_id uuid NOT NULL REFERENCES auth.users (id),
  title text NOT NULL DEFAULT 'Untitled',
  content text NOT NULL DEFAULT '',
  -- Every save raises it by one, and names the one that it was written upon.
  version integer NOT NULL DEFAULT 1,
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_documents_owner ON documents (owner_id, updated_at);

-- The journal: one row for each attempt to save, also where it failed. What was written is never only in an editor.
CREATE TABLE save_attempts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  document_id uuid NOT NULL REFERENCES documents (id),
  base_version integer NOT NULL,
  session_id text NOT NULL,
  content text,
  status text NOT NULL CHECK (status IN ('saved', 'failed', 'conflict', 'salvaged', 'set_aside')),
  error text,
  saved_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_save_attempts_document ON save_attempts (document_id, saved_at);
CREATE INDEX idx_save_attempts_saved_at ON save_attempts (saved_at);

CREATE TABLE subscriptions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  owner_id uuid NOT NULL REFERENCES auth.users (id),
  stripe_subscription_id text NOT NULL UNIQUE,
  stripe_customer_id text NOT NULL,
  plan text NOT NULL CHECK (plan IN ('writer', 'team')),
  status text NOT NULL,
  current_period_end timestamptz NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_subscriptions_owner ON subscriptions (owner_id);

-- Stripe's own key of an event: one that comes twice is applied once.
CREATE TABLE stripe_events (
  id text PRIMARY KEY,
  type text NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE generations (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  document_id uuid NOT NULL REFERENCES documents (id),
  prompt text NOT NULL,
  status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'done', 'failed')),
  provider text,
  result text,
  error text,
  created_at timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  CHECK ((status = 'done') = (result IS NOT NULL))
);
CREATE INDEX idx_generations_document ON generations (document_id);
CREATE INDEX idx_generations_queued ON generations (created_at) WHERE status = 'queued';

-- What users were told. The key is the sender's: the same message twice is one.
CREATE TABLE messages (
  key text PRIMARY KEY,
  owner_id uuid NOT NULL REFERENCES auth.users (id),
  text text NOT NULL,
  sent_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_messages_owner ON messages (owner_id);

CREATE TABLE audit_logs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  entity_type text NOT NULL,
  entity_id text NOT NULL,
  action text NOT NULL,
  source text NOT NULL,
  details jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now()
);

GRANT USAGE ON SCHEMA auth TO studio_app;
GRANT SELECT ON auth.users TO studio_app;
GRANT SELECT, INSERT, UPDATE ON documents, subscriptions, generations TO studio_app;
GRANT SELECT, INSERT ON save_attempts, stripe_events, messages, audit_logs TO studio_app;

-- What the runbooks may touch when they repair rows.
GRANT SELECT, INSERT, DELETE, UPDATE (content, version, updated_at) ON documents TO runbooks_drafts;
GRANT SELECT, UPDATE (status) ON save_attempts TO runbooks_drafts;
GRANT SELECT, UPDATE (status, stripe_customer_id, current_period_end, updated_at) ON subscriptions TO runbooks_stripe;
GRANT INSERT ON audit_logs TO runbooks_drafts, runbooks_stripe, runbooks_ai;
