-- A few hundred rows, the same each time but for their times.

INSERT INTO auth.users (id, email)
SELECT md5('user ' || n)::uuid, 'writer-' || n || '@example.com' FROM generate_series(1, 120) n;

INSERT INTO documents (id, owner_id, title, content, version, updated_at)
SELECT md5('document ' || n)::uuid, md5('user ' || 1 + n % 120)::uuid, 'Chapter ' || n, repeat('It was a dark and stormy night. ', 1 + n % 40),
  1 + n % 20, now() - make_interval(hours => n)
FROM generate_series(1, 300) n;

-- The last save of each is in the journal.
INSERT INTO save_attempts (document_id, base_version, session_id, content, status, saved_at)
SELECT id, version - 1, 'tab-1', content, 'saved', updated_at FROM documents;

-- Some time in the coming month each begins anew.
INSERT INTO subscriptions (owner_id, stripe_subscription_id, stripe_customer_id, plan, status, current_period_end)
SELECT md5('user ' || n)::uuid, 'sub_studio' || n, 'cus_studio' || n, CASE WHEN n % 5 = 0 THEN 'team' ELSE 'writer' END,
  CASE WHEN n % 17 = 0 THEN 'canceled' ELSE 'active' END, date_trunc('hour', now()) + make_interval(hours => 2 + n * 8)
FROM generate_series(1, 80) n;

INSERT INTO generations (document_id, prompt, status, provider, result, created_at, finished_at)
SELECT md5('document ' || n)::uuid, 'Go on from here', 'done', 'openai', 'And then it rained.', now() - make_interval(hours => n),
  now() - make_interval(hours => n) + interval '4 seconds'
FROM generate_series(1, 100) n;
