import {
  applicationName,
  currentActivity,
  whileAlive,
  withProgress,
} from '../../../src/activities/support/heartbeat';
import { runActivity, startActivity } from '../../support/postgres';

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('progress is told at once, again while nothing happens, and at the end', async () => {
  const run = startActivity(
    () =>
      withProgress({ phase: 'dump', done: 0, total: 10, unit: 'bytes' }, async (report) => {
        report({ done: 4, table: 'bookings' });
        await sleep(1_300);
        report({ done: 10 });
      }),
    undefined,
  );
  await run.result;
  expect(run.beats).toEqual([
    { phase: 'dump', done: 0, total: 10, unit: 'bytes' },
    { phase: 'dump', done: 4, total: 10, unit: 'bytes', table: 'bookings' },
    { phase: 'dump', done: 10, total: 10, unit: 'bytes', table: 'bookings' },
  ]);
});

test('a phase inside another is the one that is told', async () => {
  const run = startActivity(
    () =>
      withProgress({ phase: 'outer', done: 0, total: 1, unit: 'tables' }, () =>
        withProgress({ phase: 'inner', done: 0, total: 1, unit: 'bytes' }, () => sleep(2_300)),
      ),
    undefined,
  );
  await run.result;
  const phases = (run.beats as { phase: string }[]).map(({ phase }) => phase);
  expect(phases).toEqual(['outer', 'inner', 'inner', 'inner', 'inner', 'outer']);
});

test('sessions are named by run, activity and attempt, and two long names never meet', async () => {
  const name = (workflowId: string, attempt: number) =>
    runActivity(async () => applicationName(), undefined, { workflowId, attempt });
  expect(await name('backup-1', 2)).toBe('dr:backup-1#7/2');
  const long = await Promise.all([name(`${'x'.repeat(80)}-1`, 12), name(`${'x'.repeat(80)}-2`, 12)]);
  expect(new Set(long).size).toBe(2);
  for (const one of long) {
    expect(one.length).toBeLessThanOrEqual(63);
    expect(one.endsWith('/12')).toBe(true);
  }
});

test('outside of an activity everything works and tells nobody', async () => {
  expect(currentActivity().signal.aborted).toBe(false);
  expect(await withProgress({ phase: 'x', done: 0, total: 0, unit: 'rows' }, async () => 5)).toBe(5);
});

test('an activity that tells nothing beats all the same, and progress is told instead where there is some', async () => {
  const run = startActivity(
    () =>
      whileAlive(async () => {
        await sleep(1_200);
        await withProgress({ phase: 'dump', done: 0, total: 1, unit: 'bytes' }, () => sleep(1_300));
        await sleep(1_100);
      }),
    undefined,
  );
  await run.result;
  const dump = { phase: 'dump', done: 0, total: 1, unit: 'bytes' };
  expect(run.beats).toEqual([undefined, dump, dump, dump, undefined]);
});

test('a part of a turn beats nothing, whatever it tells: the server knows of no such activity', async () => {
  const run = startActivity(
    () =>
      whileAlive(async () => {
        await withProgress({ phase: 'dump', done: 0, total: 1, unit: 'bytes' }, () => sleep(1_100));
        await sleep(1_100);
      }),
    undefined,
    { isLocal: true },
  );
  await run.result;
  expect(run.beats).toEqual([]);
});
