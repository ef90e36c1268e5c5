/** Drafts and their journal, in the database of the sample, and an application by somebody else. */
import { createDraftActivities } from '../../../src/activities/drafts';
import { draftsSchema, environmentDraftsSchema } from '../../../src/activities/drafts/settings';
import type { Salvage } from '../../../src/activities/drafts/store';
import { SALVAGE_STEP } from '../../../src/contract/drafts';
import { runActivity, type TestPostgres } from '../../support/postgres';
import { freshWorld, type World } from '../bookings/bookings-world';

export const ROLE = 'runbooks_listings';

/** The same rights for a role that is there already. */
export const DRAFTS = `
  SET ROLE booking_owner;
  CREATE TABLE drafts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner_id text NOT NULL, version int NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL DEFAULT now(), title text, body text NOT NULL);
  CREATE TABLE save_attempts (id bigserial PRIMARY KEY, draft_id bigint NOT NULL, base_version int NOT NULL, saved_at timestamptz NOT NULL DEFAULT now(),
    session_id text NOT NULL, body text, status text NOT NULL, error text);
  GRANT SELECT, INSERT, UPDATE, DELETE ON drafts TO ${ROLE};
  GRANT SELECT, UPDATE (status) ON save_attempts TO ${ROLE};
  REVOKE ALL ON listings FROM ${ROLE};
  ALTER TABLE audit_logs DROP CONSTRAINT audit_logs_entity_type_check;
  RESET ROLE;`;

/**
 * Drafts 1 to 6 at version 3. Lost: 1 by one editor twice, 2 by two of one version, 3 upon a version before the stored one, 4
 * without what was written, 9 of a draft that is gone. Not lost: 5 was saved since by the same editor, 6 says the same.
 */
export const LOST = `
  INSERT INTO drafts (owner_id, version, title, body) SELECT 'u' || (n + 1) / 2, 3, 't' || n, 'stored ' || n FROM generate_series(1, 6) n;
  INSERT INTO save_attempts (draft_id, base_version, saved_at, session_id, body, status, error) VALUES
    (1, 3, now() - interval '3 min', 'a', 'first of 1', 'failed', 'cannot execute UPDATE in a read-only transaction'),
    (1, 3, now() - interval '2 min', 'a', 'secret second of 1', 'failed', 'read-only transaction: secret second of 1'),
    (2, 3, now() - interval '3 min', 'a', 'of a', 'failed', 'timed out'),
    (2, 3, now() - interval '2 min', 'b', 'of b', 'conflict', NULL),
    (3, 2, now() - interval '2 min', 'b', 'late of 3', 'conflict', 'nobody knows "late of 3"'),
    (4, 3, now() - interval '2 min', 'a', NULL, 'failed', NULL),
    (5, 2, now() - interval '3 min', 'a', 'early of 5', 'failed', NULL),
    (5, 2, now() - interval '2 min', 'a', 'stored 5', 'saved', NULL),
    (6, 3, now() - interval '2 min', 'a', 'stored 6', 'failed', NULL),
    (9, 3, now() - interval '2 min', 'a', 'of none', 'failed', NULL);`;

const SAMPLE = {
  role: ROLE,
  tables: {
    attempts: { columns: { error: 'error' } },
    audit: { columns: { entityType: 'entity_type', source: 'source', details: 'details' } },
  },
};

export type Drafts = World & { drafts: ReturnType<typeof createDraftActivities> };

export async function freshDrafts(
  pg: TestPostgres,
  { sql = `${DRAFTS}${LOST}`, drafts = {}, environment = {} } = {},
): Promise<Drafts> {
  const world = await freshWorld(pg, {}, sql);
  const shop = world.db.deps.config.services['shop'] as unknown as Record<string, unknown>;
  shop['drafts'] = draftsSchema.parse({ ...SAMPLE, ...drafts });
  const { production } = shop['environments'] as { production: Record<string, unknown> };
  production['drafts'] = environmentDraftsSchema.parse(environment);
  return { ...world, drafts: createDraftActivities(world.db.deps) };
}

export const find = ({ drafts, db }: Drafts) => runActivity(drafts.findLostSaves, db.place);
export const salvage = ({ drafts, repair }: Drafts, salvages: Salvage[], attempt = 1) =>
  runActivity(drafts.salvageDrafts, { ...repair, step: SALVAGE_STEP, salvages }, { attempt });
export const undo = ({ drafts, repair }: Drafts) =>
  runActivity(drafts.undoDraftSalvage, { ...repair, step: SALVAGE_STEP }, { activityId: '9' });
export const rowsOf = async ({ db }: Drafts) => ({
  drafts: await db.query('SELECT t.*::text FROM drafts t ORDER BY id'),
  journal: await db.query('SELECT t.*::text FROM save_attempts t ORDER BY id'),
});
export const bodiesOf = ({ db }: Drafts) =>
  db
    .query<{ body: string }>(`SELECT id || ':' || version || ' ' || body AS body FROM drafts ORDER BY id`)
    .then((rows) => rows.map(({ body }) => body));
