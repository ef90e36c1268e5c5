import type { Client } from '@temporalio/client';
import { createChecklistActivities } from '../../../src/activities/application/checklist';
import { checklistSchema } from '../../../src/config/checklist-schema';
import type { LoadedConfig } from '../../../src/config/load';
import { ownCatalogue } from '../../../src/packs/own';
import { RUNBOOK_OF_MEASURE } from '../../../src/workflows/application/run-daily-checklist/application-items';

/** A server that knows the reports of these checklists, newest first. */
const readerOf = (reports: { outcome: string; environment?: string; deadlocks: number }[]) => {
  async function* list() {
    for (const [index, { outcome, environment = 'production', deadlocks }] of reports.entries()) {
      const counters = { at: new Date(Date.UTC(2026, 0, 20 - index)).toISOString(), deadlocks };
      yield await Promise.resolve({ memo: { report: { outcome, environment, checklist: { counters } } } });
    }
  }
  const client = { workflow: { list } } as unknown as Client;
  return createChecklistActivities({ config: {} as LoadedConfig, client });
};
const AT = { service: 'shop', environment: 'production' };

it.each([
  [true, 'SUCCEEDED', 1],
  [false, 'OBSERVED', 2],
])('where people are told (%s), compares with the newest that ended as %s', async (tells, _, deadlocks) => {
  // Nobody has heard of what the newer ones saw: one found no way to open its incident, one was only looked at.
  const reader = readerOf([
    { outcome: 'FAILED', deadlocks: 4 },
    { outcome: 'SUCCEEDED', environment: 'staging', deadlocks: 3 },
    { outcome: 'OBSERVED', deadlocks: 2 },
    { outcome: 'SUCCEEDED', deadlocks: 1 },
  ]);
  expect(await reader.readCountersBefore({ ...AT, tells })).toMatchObject({ deadlocks });
});

it('compares with nothing where there is none', async () => {
  expect(await readerOf([]).readCountersBefore({ ...AT, tells: true })).toBeNull();
});

it('refuses limits by which something would be red that is wanted', () => {
  expect(checklistSchema.safeParse({ lockWaitSeconds: { warning: 60 } }).success).toBe(false);
  expect(checklistSchema.safeParse({ deadlocks: { warning: 20 } }).success).toBe(false);
  expect(checklistSchema.safeParse({ deadlocks: { warning: 20, critical: 20 } }).success).toBe(true);
});

it('every runbook that is named as the next thing to do exists', () => {
  const named = [
    ...RUNBOOK_OF_MEASURE.map(([, runbook]) => runbook),
    ...['recoverCron', 'relieveConnectionPool', 'tuneSlowQueries', 'backUpDatabase'],
    ...['replayWebhookDeliveries', 'reconcilePayment', 'releaseStuckHolds', 'resolveHighErrorRate'],
  ];
  expect(named.filter((runbook) => ownCatalogue.cardOf(runbook) === undefined)).toEqual([]);
});
