-- Stopped by the rehearsal on the clone. It closes payments that have been pending for half a year as if their money
-- had come. Staging, whose data is two months old at most, has none of them; production has, and they carry no
-- reference of the provider: the invariant "a succeeded payment names the provider's reference" breaks on the clone
-- of production, and production itself is never touched. There is no down script: which rows were pending before
-- is not known afterwards.
UPDATE payments SET status = 'succeeded', updated_at = now()
WHERE status = 'pending' AND created_at < now() - interval '180 days';
