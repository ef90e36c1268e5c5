import { applySchedules } from '../../src/schedules/apply';
import { diffSchedules } from '../../src/schedules/diff';
import { readSchedules } from '../../src/schedules/read';
import { startServer, until, type Server } from './server';
import { backup, configWith } from './support';

let server: Server;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server?.stop());

const AWAY_MS = 17_000;
const WINDOW_MS = 10_000;

it('after the server was away only the starts within the catch-up window come, and those beyond are counted', async () => {
  const config = configWith({ often: backup({ catchUpMinutes: WINDOW_MS / 60_000 }) });
  await applySchedules(server.client, config, await diffSchedules(server.client, config));
  const handle = server.client.schedule.getHandle('often');
  // Every second, and all of them at once, so that a minute shows what otherwise takes days.
  await handle.update(
    (was) =>
      ({
        ...was,
        spec: { intervals: [{ every: '1 second' }] },
        policies: { ...was.policies, overlap: 'ALLOW_ALL' },
      }) as never,
  );
  await until(
    async () => (await handle.describe()).info,
    ({ numActionsTaken }) => numActionsTaken > 0,
  );
  await server.away(AWAY_MS);
  const back = Date.now();
  const info = await until(
    async () => (await handle.describe()).info,
    ({ numActionsMissedCatchupWindow, recentActions }) =>
      numActionsMissedCatchupWindow > 0 && (recentActions.at(-1)?.scheduledAt.getTime() ?? 0) > back,
  );
  await handle.pause('enough');
  // All the seconds that it was away for, less the window.
  expect(info.numActionsMissedCatchupWindow).toBeGreaterThanOrEqual((AWAY_MS - WINDOW_MS) / 1_000 - 1);
  for (const { takenAt, scheduledAt } of info.recentActions)
    expect(takenAt.getTime() - scheduledAt.getTime()).toBeLessThan(AWAY_MS - 1_000);
  const [state] = await readSchedules(server.client, config);
  expect(state?.missedStarts).toBe(info.numActionsMissedCatchupWindow);
});
