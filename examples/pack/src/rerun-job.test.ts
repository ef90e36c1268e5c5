import assert from 'node:assert';
import { after, before, test } from 'node:test';
import { startTestEnvironment, type TestEnvironment } from 'durable-runbooks/testing';
import pack from './index';

const database = {
  url: '${env:DATABASE_URL}',
  identity: { systemIdentifier: '7000000000000000000', database: 'booking' },
};
const node = (script: string) => ({ run: [process.execPath, '-e', script] });
const cron = { lastRun: node('console.log("2026-01-01T00:00:00Z")'), run: node('process.exit()') };

let environment: TestEnvironment;
let ran = 0;
before(async () => {
  environment = await startTestEnvironment({
    packs: [pack],
    config: { services: { booking: { mode: 'auto', environments: { production: { database, cron } } } } },
    activities: {
      readCronStatus: async () => ({ ageSeconds: ran === 0 ? 1_200 : 1, stale: ran === 0 }),
      runCronJob: async ({ fence }: { fence: { target: string } }) => {
        ran += 1;
        return { detail: `fenced by ${fence.target}` };
      },
    },
  });
});
after(() => environment?.stop());

test('observe runs nothing', async () => {
  const report = await environment.run('rerunJob', { service: 'booking', mode: 'observe' });
  assert.deepEqual([report.outcome, ran], ['OBSERVED', 0]);
});

test('a job that has stopped is run once under the lease, and looked at again', async () => {
  const handle = await environment.start('rerunJob', { service: 'booking' });
  const report = await environment.end(handle);
  assert.deepEqual([report.outcome, ran], ['SUCCEEDED', 1]);
  assert.match(JSON.stringify(report.timeline), /fenced by booking\/production/);
  await environment.replay(handle);
});

test('a job that runs is left alone', async () => {
  const report = await environment.run('rerunJob', { service: 'booking' });
  assert.deepEqual([report.outcome, ran], ['NOTHING_TO_DO', 1]);
});
