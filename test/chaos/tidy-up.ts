import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createScratchActivities } from '../../src/activities/postgres/restore/scratch-activities';
import type { EndedRun } from './facts';
import { outcomeOf } from './facts';
import { surveyLeases } from './survey';
import type { World } from './world';

/** What people do between two rounds: drop what was kept for them, and put the application in order. */
export async function tidyUp(world: World, runs: EndedRun[]): Promise<void> {
  const { sql, driver, app } = world;
  for (const { workflowId } of runs.filter(({ inTime }) => !inTime))
    await driver.stack.client.workflow
      .getHandle(workflowId)
      .terminate('chaos')
      .catch(() => undefined);
  const kept = await sql<{ name: string }>(
    `SELECT datname AS name FROM pg_database WHERE datname ~ '^(previous|restored)_'`,
    'postgres',
  );
  for (const { name } of kept) await sql(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`, 'postgres');
  const people = runs.filter((run) => outcomeOf(run) === 'NEEDS_HUMAN' || !run.inTime);
  if (people.length > 0) await freeLeases(world);
  const scratch = join(driver.stack.directory, 'scratch');
  const { dropScratch } = createScratchActivities({ config: driver.stack.config });
  for (const name of existsSync(scratch) ? readdirSync(scratch) : [])
    if (people.length > 0) await dropScratch({ scratch: name }).catch(() => undefined);
  await app.reset();
}

async function freeLeases(world: World): Promise<void> {
  const { workflow } = world.driver.stack.client;
  for (const { target, kept } of await surveyLeases(world))
    if (kept)
      await workflow
        .getHandle(`guard/${target}`)
        .executeUpdate('free', { args: [{ by: 'ben', reason: 'mended' }] })
        .catch(() => undefined);
}
