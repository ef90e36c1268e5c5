import type { TestEnvironment } from '../../../src/doors/testing';
import { quietTemporal } from '../../support/quiet';
import { fakeSecrets, secret, SERVICES, startFakeSecrets, type FakeSecrets } from './secrets-world';

quietTemporal();
let world: FakeSecrets;
let environment: TestEnvironment;
let service = '';
let count = 0;
beforeAll(async () => {
  environment = await startFakeSecrets(() => world);
});
beforeEach(() => {
  world = fakeSecrets();
  service = SERVICES[(count += 1)]!;
});
afterAll(() => environment?.stop());

const given = (more: Partial<FakeSecrets>) => Object.assign(world, more);
const start = () => environment.start('rotateSecrets', { service, environment: 'production' });
const run = async () => environment.end(await start());
const swapped = () => secret({ overlap: false, graceMs: 0 });
const broughtIn = ['add new of key', 'use new of key'];
const takenBack = ['use old of key', 'retire new of key'];
const MINUTE = 60_000;

it('retires the former version only after its time', async () => {
  expect((await run()).outcome).toBe('SUCCEEDED');
  expect(world.did).toEqual([...broughtIn, 'retire old of key']);
  expect(world.at['retire old of key']! - world.at['use new of key']!).toBeGreaterThanOrEqual(30 * MINUTE);
});

it.each([
  ['takes what nobody made', null, true],
  ['refuses the one in use', 'old', false],
  ['knows nothing of the one in use', 'old', null],
])('changes nothing with a probe that %s', async (_, version, said) => {
  given({ probe: (_name, one) => (one === version ? said : undefined) });
  expect([(await run()).outcome, world.did]).toEqual(['FAILED', []]);
});

const used = (did: string[]) => did.includes('use new of key');
it.each([
  [
    'the new one is refused beside the former one',
    'new',
    () => true,
    ['add new of key', 'retire new of key'],
  ],
  [
    'nobody knows of the former one beside it',
    'old',
    (did: string[]) => did.length === 1,
    ['add new of key'],
  ],
  ['the new one is refused in use', 'new', used, [...broughtIn, ...takenBack]],
  [
    'the former one is refused once it is not in use',
    'old',
    (did: string[]) => used(did) && !did.includes('use old of key'),
    [...broughtIn, ...takenBack],
  ],
])('has the former one again where %s', async (_, version, when, did) => {
  given({ probe: (_name, one, so) => (one === version && when(so) ? false : undefined) });
  const { outcome } = await run();
  expect([outcome, world.secrets['key']!.versions['old']]).toEqual(['ROLLED_BACK', 'active']);
  expect(world.did.slice(0, did.length)).toEqual(did);
  expect(world.did).not.toContain('retire old of key');
});

it('has the former one again where the smoke test fails', async () => {
  given({ smoke: () => false });
  expect([(await run()).outcome, world.did]).toEqual(['ROLLED_BACK', [...broughtIn, ...takenBack]]);
});

/** Somebody else uses another version, from the given look at one secret on. */
const changedAt = (look: number) => {
  let looks = 0;
  return ({ secrets }: FakeSecrets) => {
    if ((looks += 1) >= look) secrets['key']!.versions = { theirs: 'active', old: 'accepted' };
  };
};

it.each([
  ['before it begins', 1, 'FAILED', []],
  ['while it is brought in', 2, 'ROLLED_BACK', [...broughtIn, ...takenBack]],
  ['before the former one is retired', 3, 'PARTIAL', broughtIn],
])('retires nothing where somebody else has changed it %s', async (_, look, outcome, did) => {
  given({ onRead: changedAt(look) });
  const ended = await run();
  expect([ended.outcome, ended.summary]).toEqual([
    outcome,
    expect.stringContaining('somebody else has changed it'),
  ]);
  expect(world.did).toEqual(did);
});

it('accepts the former one again, and calls people, where the service does not bear its retirement', async () => {
  given({
    smoke: () => !world.did.includes('retire old of key') || world.did.includes('restore old of key'),
  });
  const { outcome, summary } = await run();
  expect([outcome, summary]).toEqual(['PARTIAL', expect.stringContaining('retiring old failed')]);
  expect(world.did).toEqual([...broughtIn, 'retire old of key', 'restore old of key']);
  expect(world.said).toContainEqual(expect.stringMatching(/could not be rotated.*retiring old failed/));
});

it('says that the former one is accepted where its retirement does nothing', async () => {
  given({ retires: false });
  const { outcome, summary } = await run();
  expect([outcome, summary]).toEqual([
    'PARTIAL',
    expect.stringMatching(/old is refused: accepted, and should/),
  ]);
});

it('retires no former version where the new one is not accepted by then', async () => {
  let looks = 0;
  given({
    onRead: () => void (looks += 1),
    probe: (_, version) => (version === 'new' && looks > 2 ? false : undefined),
  });
  expect([(await run()).outcome, world.did]).toEqual(['PARTIAL', broughtIn]);
});

it('retires former versions in their time while nobody answers about the swap of another secret', async () => {
  given({ secrets: { key: secret(), door: swapped() } });
  const { outcome, summary } = await run();
  expect([outcome, summary]).toEqual([
    'PARTIAL',
    expect.stringMatching(/^key of .* former ones are refused; door: nobody decided in time about its swap/),
  ]);
  expect(world.did).toEqual([...broughtIn, 'retire old of key']);
  expect(world.at['retire old of key']! - world.at['use new of key']!).toBeLessThan(32 * MINUTE);
});

it('asks nobody before what is due at once is retired, and calls people about what failed before it asks', async () => {
  const unknown = [{ secret: 'lost', detail: 'its store is down' }];
  given({ secrets: { key: secret({ graceMs: 0 }), door: swapped() }, unknown });
  const handle = await start();
  const { id } = await environment.waiting(handle, 'decision');
  expect(world.did).toEqual([...broughtIn, 'retire old of key']);
  expect(world.said).toContainEqual(expect.stringMatching(/could not be rotated: lost: its store is down/));
  await environment.answer(handle, 'decide', { question: id, choice: 'not now', by: 'ben' });
  expect((await environment.end(handle)).outcome).toBe('PARTIAL');
  expect(world.said.filter((text) => text.includes('could not be rotated'))).toHaveLength(1);
});

it('swaps a secret as soon as somebody says so, while another one is still asked about', async () => {
  given({ secrets: { door: swapped(), gate: swapped() } });
  const handle = await start();
  const first = await environment.waiting(handle, 'decision');
  await environment.answer(handle, 'decide', { question: first.id, choice: 'swap it now', by: 'ben' });
  for (;;) {
    const next = await environment.waiting(handle, 'decision');
    if (next.id === first.id) continue;
    expect(world.did).toEqual(['add new of door', 'use new of door', 'retire old of door']);
    await environment.answer(handle, 'decide', { question: next.id, choice: 'not now', by: 'ben' });
    break;
  }
  const { outcome, summary } = await environment.end(handle);
  expect([outcome, summary]).toEqual([
    'SUCCEEDED',
    expect.stringMatching(/^door of .*not swapped, as decided: gate$/),
  ]);
});
