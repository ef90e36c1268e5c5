/** Other names than ours: the whole file runs by configuration alone. */
export const DESK = `
  CREATE SCHEMA "Desk" AUTHORIZATION booking_owner; SET ROLE booking_owner;
  CREATE TABLE "Desk"."Note" ("Key" int PRIMARY KEY DEFAULT (random() * 1e9)::int + 1000, "by" text NOT NULL, "rev" int NOT NULL,
    "order" timestamptz NOT NULL DEFAULT now(), "text" text NOT NULL);
  CREATE TABLE "Desk"."Try" ("no" bigserial PRIMARY KEY, "note" int NOT NULL, "rev" int NOT NULL, "at" timestamptz NOT NULL,
    "tab" text NOT NULL, "text" text, "fate" text NOT NULL, "why" text)`;

export const settings = (url: string, flag: string) => {
  const auth = { kind: 'bearer', token: '${env:DESK_TOKEN}' };
  const post = (path: string, body: object) => ({ method: 'POST', url: `${url}${path}`, auth, body });
  const local = (on: boolean) => ({ operation: post('/desk/local', { on }) });
  return {
    drafts: {
      batchRows: 1,
      minAttempts: 1,
      tables: {
        drafts: {
          schema: 'Desk',
          table: 'Note',
          columns: { id: 'Key', owner: 'by', version: 'rev', updatedAt: 'order', body: 'text' },
        },
        attempts: {
          schema: 'Desk',
          table: 'Try',
          columns: {
            id: 'no',
            draft: 'note',
            base: 'rev',
            savedAt: 'at',
            body: 'text',
            status: 'fate',
            session: 'tab',
            error: 'why',
          },
        },
      },
    },
    'environments.production.drafts': {
      localOnly: { on: local(true), off: local(false) },
      probe: post('/desk/probe', { text: 'probe' }),
      inform: {
        ...post('/desk/tell', { owner: '{owner}', drafts: '{drafts}' }),
        headers: { 'Idempotency-Key': '{key}' },
      },
      settleSeconds: 1,
    },
    'environments.production.smoke': { run: ['sh', '-c', `test ! -e ${flag}`] },
  };
};

/** Drafts that each lost one save, minutes ago; while saves fail, just now. */
export const lost = (
  count: number,
  minutesAgo: number,
) => `INSERT INTO "Desk"."Note" ("Key", "by", "rev", "text") SELECT n, 'u' || n, 1, 'stored ' || n FROM generate_series(1, ${count}) n;
     INSERT INTO "Desk"."Try" ("note", "rev", "at", "tab", "text", "fate", "why")
       SELECT n, 1, now() - interval '${minutesAgo} min', 'a', 'private words ' || n, 'failed', 'disk full: private words' FROM generate_series(1, ${count}) n`;
export const COLLISION = `INSERT INTO "Desk"."Try" ("note", "rev", "at", "tab", "text", "fate") VALUES (1, 1, now() - interval '20 min', 'b', 'private words of b', 'conflict')`;
