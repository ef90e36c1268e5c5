import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createApplicationChangeActivities } from '../../../src/activities/application/changes';
import { applicationSchema } from '../../../src/config/operation-schema';
import { failureOf, runActivity, startTestPostgres, type TestPostgres } from '../../support/postgres';

let pg: TestPostgres;
beforeAll(async () => {
  pg = await startTestPostgres();
});
afterAll(() => pg?.stop());

const fence = (token: number) => ({ target: 'shop/production', token });

/** An application whose commands write down what they were told. */
async function start(commands: Record<string, unknown> = {}, identity?: { systemIdentifier: string }) {
  const script = (name: string) => ({
    run: [
      'sh',
      '-c',
      `echo "${name} $POOL_MAX $RUNBOOKS_ENVIRONMENT $RUNBOOKS_FENCING_TOKEN" >> done; echo ok`,
    ],
  });
  const db = await pg.fresh({ identity });
  const application = { setPoolMax: script('pool'), restart: script('restart'), ...commands };
  const { production } = db.deps.config.services['shop']!.environments;
  production!.application = applicationSchema.parse(application);
  const done = join(db.directory, 'done');
  return {
    ...createApplicationChangeActivities(db.deps),
    place: db.place,
    told: () => (existsSync(done) ? readFileSync(done, 'utf8').trim().split('\n') : []),
  };
}

it('sets the pool and restarts, and tells the command for whom and with which token', async () => {
  const { setPoolMax, restartApplication, place, told } = await start();
  const set = await runActivity(setPoolMax, { ...place, poolMax: 13, fence: fence(5) });
  expect(set).toMatchObject({ ran: true, detail: 'ok' });
  await runActivity(restartApplication, { ...place, fence: fence(5) });
  expect(told()).toEqual(['pool 13 production 5', 'restart  production 5']);
});

it.each(['setPoolMax', 'restartApplication'] as const)('%s of an older holder runs nothing', async (name) => {
  const { [name]: change, place, told, restartApplication } = await start();
  await runActivity(restartApplication, { ...place, fence: fence(7) });
  const failure = await failureOf(runActivity(change, { ...place, poolMax: 13, fence: fence(6) }));
  expect(failure).toMatchObject({ type: 'StaleFencingToken' });
  expect(told()).toEqual(['restart  production 7']);
});

it('runs nothing where the database is not the registered one', async () => {
  const { restartApplication, place, told } = await start({}, { systemIdentifier: '7000000000000000001' });
  const failure = await failureOf(runActivity(restartApplication, { ...place, fence: fence(1) }));
  expect(failure).toMatchObject({ type: 'WrongDatabase' });
  expect(told()).toEqual([]);
});

it.each([0, -1, 1.5, Number.NaN])('a pool of %s is refused', async (poolMax) => {
  const { setPoolMax, place, told } = await start();
  const failure = await failureOf(runActivity(setPoolMax, { ...place, poolMax, fence: fence(1) }));
  expect(failure).toMatchObject({ type: 'InvalidInput', nonRetryable: true });
  expect(told()).toEqual([]);
});

it('says so where nothing is configured, and does nothing', async () => {
  const { restartApplication, place } = await start({ restart: undefined });
  const result = await runActivity(restartApplication, { ...place, fence: fence(1) });
  expect(result).toMatchObject({ ran: false, detail: 'no restart configured' });
});

it('a command that fails says why, without the secrets of its environment', async () => {
  const restart = { run: ['sh', '-c', 'echo "refused: password=hunter2" >&2; exit 3'] };
  const { restartApplication, place } = await start({ restart });
  const failure = await failureOf(runActivity(restartApplication, { ...place, fence: fence(1) }));
  expect(failure).toMatchObject({ type: 'CommandFailed' });
  expect(failure.message).toMatch(/ended with status 3: refused: password=\*\*\*/);
});
