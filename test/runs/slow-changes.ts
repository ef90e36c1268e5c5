import type { Driver } from './harness';

/** Makes each change of a row for which `when` holds take a second, until it is quick again; `end` leaves nothing of that behind. */
export async function slowChanges({ sql }: Driver, table: string, when: string) {
  await sql(
    `CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); RETURN NEW; END $$;
     CREATE TRIGGER dawdle BEFORE UPDATE ON ${table} FOR EACH ROW WHEN (${when}) EXECUTE FUNCTION dawdle()`,
  );
  return {
    quicken: () =>
      sql(
        'CREATE OR REPLACE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$',
      ),
    end: () => sql(`DROP TRIGGER dawdle ON ${table}; DROP FUNCTION dawdle()`),
  };
}
