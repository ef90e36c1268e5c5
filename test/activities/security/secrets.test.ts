import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSecurityActivities } from '../../../src/activities/security';
import { secretsSchema } from '../../../src/activities/security/settings';
import { startVault, type Vault } from '../../simulators/vault';
import { failureOf, runActivity, startTestPostgres, type TestPostgres } from '../../support/postgres';

let pg: TestPostgres;
let vault: Vault | undefined;
beforeAll(async () => {
  pg = await startTestPostgres();
});
afterEach(() => vault?.stop());
afterAll(() => pg?.stop());

const fence = (token = 1) => ({ target: 'shop/production/application', token });
const sh = (script: string) => ({ run: ['sh', '-c', script] });
const LEAK = 'a-value-that-nobody-may-read';

async function fresh(changed: Record<string, unknown> = {}) {
  const db = await pg.fresh();
  const made = (vault = await startVault(db.directory));
  const { environments } = db.deps.config.services['shop']!;
  const production = environments['production'] as Record<string, unknown>;
  production['secrets'] = secretsSchema.parse({ door: { ...made.settings, ...changed } });
  const ref = { ...db.place, secret: 'door' };
  const { place, directory } = db;
  return { ...createSecurityActivities(db.deps), place, ref, directory, environments, vault: made };
}

it('says how old a secret is, and of which nobody knows', async () => {
  const { readSecrets, place, directory } = await fresh();
  const { known, unknown } = await runActivity(readSecrets, place);
  expect(unknown).toEqual([]);
  expect(known[0]).toMatchObject({
    secret: 'door',
    active: { version: 'first' },
    graceMs: 0,
    overlap: false,
  });
  expect(known[0]!.ageMs).toBeGreaterThan(known[0]!.maxAgeMs);
  const ahead = { version: 'first', createdAt: '2999-01-01T00:00:00Z', state: 'active' };
  writeFileSync(join(directory, 'vault/state.json'), JSON.stringify([ahead]));
  const { known: none, unknown: one } = await runActivity(readSecrets, place);
  expect([none, one]).toEqual([[], [{ secret: 'door', detail: expect.stringContaining('Set the clocks') }]]);
  const failure = await failureOf(runActivity(readSecrets, { ...place, secrets: ['dor'] }));
  expect(failure).toMatchObject({ type: 'InvalidInput', message: expect.stringContaining('door') });
});

it.each([
  ['no JSON', `echo ${LEAK}`],
  [
    'two in use',
    `echo '[{"version":"a","createdAt":"2026-01-01T00:00:00Z","state":"active","x":"${LEAK}"},{"version":"b","createdAt":"2026-01-01T00:00:00Z","state":"active"}]'`,
  ],
  ['a time that is none', `echo '[{"version":"a","createdAt":"${LEAK}","state":"active"}]'`],
  ['a failure', `echo ${LEAK}; echo ${LEAK} >&2; exit 3`],
])('never quotes a list that is %s', async (_, script) => {
  const { readSecrets, place } = await fresh({ versions: sh(script) });
  const { known, unknown } = await runActivity(readSecrets, place);
  expect(known).toEqual([]);
  expect(unknown[0]!.detail).toContain('is not shown');
  expect(unknown[0]!.detail).not.toContain(LEAK);
});

it('adds a version once, whose value nobody is told', async () => {
  const { addSecretVersion, ref, vault, directory } = await fresh();
  const input = { ...ref, version: 'second', fence: fence() };
  expect(await runActivity(addSecretVersion, input)).toEqual({ existed: false });
  const value = vault.valueOf('second');
  expect(value).toMatch(/^[0-9a-f]{48}$/);
  expect(statSync(join(directory, 'vault/second')).mode & 0o777).toBe(0o600);
  // A worker that was lost before it could say so.
  expect(await runActivity(addSecretVersion, input, { attempt: 2 })).toEqual({ existed: true });
  expect(vault.valueOf('second')).toBe(value);
  expect(vault.versions().map(({ version }) => version)).toEqual(['first', 'second']);
});

it('gives the value to nothing but the standard input', async () => {
  const spy = `cat > value; { tr '\\0' ' ' < /proc/$$/cmdline; env; } > seen; VERSION=$VERSION exec ${process.execPath} vault/vault.mjs add < value`;
  const { addSecretVersion, ref, vault, directory } = await fresh({ add: sh(spy) });
  await runActivity(addSecretVersion, { ...ref, version: 'second', fence: fence() });
  const seen = readFileSync(join(directory, 'seen'), 'utf8');
  expect(seen).toContain('VERSION=second');
  expect(seen).not.toContain(vault.valueOf('second'));
});

it('says nothing of what a command prints that fails, and finds out one that adds nothing', async () => {
  const input = { version: 'second', fence: fence() };
  const leaky = await fresh({ add: sh('cat; cat >&2; exit 4') });
  const failure = await failureOf(runActivity(leaky.addSecretVersion, { ...leaky.ref, ...input }));
  expect(failure).toMatchObject({ type: 'CommandFailed', message: expect.stringContaining('status 4') });
  expect(failure.message).not.toMatch(/[0-9a-f]{48}/);
  await vault?.stop();
  const idle = await fresh({ add: sh('true') });
  expect(await failureOf(runActivity(idle.addSecretVersion, { ...idle.ref, ...input }))).toMatchObject({
    type: 'SecretUnknown',
    message: expect.stringContaining('has no such version'),
  });
});

it('adds and activates nothing for an older holder of the lease', async () => {
  const { addSecretVersion, activateSecretVersion, ref, vault } = await fresh();
  await runActivity(addSecretVersion, { ...ref, version: 'second', fence: fence(7) });
  for (const change of [addSecretVersion, activateSecretVersion]) {
    const failure = await failureOf(
      runActivity(change as typeof activateSecretVersion, { ...ref, version: 'third', fence: fence(6) }),
    );
    expect(failure).toMatchObject({ type: 'StaleFencingToken' });
  }
  expect(vault.versions().map(({ state }) => state)).toEqual(['active', 'retired']);
});

it('asks with the version named, and with one that nobody made', async () => {
  const { probeSecretVersion, activateSecretVersion, addSecretVersion, ref, vault } = await fresh();
  const probe = async (version: string | null) =>
    (await runActivity(probeSecretVersion, { ...ref, version })).accepted;
  expect([await probe('first'), await probe(null), await probe('absent')]).toEqual([true, false, null]);
  await runActivity(addSecretVersion, { ...ref, version: 'second', fence: fence() });
  expect(await probe('second')).toBe(false);
  await runActivity(activateSecretVersion, { ...ref, version: 'second', fence: fence() });
  expect([await probe('first'), await probe('second')]).toEqual([false, true]);
  const { detail } = await runActivity(probeSecretVersion, { ...ref, version: 'absent' });
  expect(detail).toContain('cannot be resolved');
  expect(JSON.stringify([detail])).not.toContain(vault.valueOf('second'));
});

it.each([
  [204, true],
  [401, false],
  [403, false],
  [404, null],
  [503, null],
])('takes the answer %s to a probe for %s', async (status, accepted) => {
  const server = createServer((_, response) => void response.writeHead(status).end(LEAK));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  process.env['SECRETS_TEST_first'] = 'value-of-the-first';
  const auth = { kind: 'bearer', token: '${env:SECRETS_TEST_{version}}' };
  try {
    const { probeSecretVersion, ref } = await fresh({ probe: { operation: { url, auth } } });
    const probe = await runActivity(probeSecretVersion, { ...ref, version: 'first' });
    expect([probe.accepted, probe.detail]).toEqual([accepted, expect.not.stringContaining(LEAK)]);
  } finally {
    server.close();
  }
});

it.each([
  ['echo starting; echo accepted', true],
  ['test "$VERSION" = first && echo accepted || echo refused', true],
  ['echo refused', false],
  [`echo ${LEAK}`, null],
  [`echo accepted; echo ${LEAK} >&2; exit 1`, null],
])('takes the word of a command, and no other: %s', async (script, accepted) => {
  const { probeSecretVersion, ref } = await fresh({ probe: { command: sh(script) } });
  const probe = await runActivity(probeSecretVersion, { ...ref, version: 'first' });
  expect(probe.accepted).toBe(accepted);
  expect(probe.detail).not.toContain(LEAK);
});

it('shows no answer of a request that changes something', async () => {
  const world = await fresh();
  const { url } = world.vault;
  const production = world.environments['production'] as Record<string, unknown>;
  const operation = { method: 'POST', url: `${url}/{version}`, headers: { 'x-key': LEAK } };
  production['secrets'] = secretsSchema.parse({ door: { ...world.vault.settings, activate: { operation } } });
  const input = { ...world.ref, version: 'first', fence: fence() };
  const failure = await failureOf(runActivity(world.activateSecretVersion, input));
  expect(failure).toMatchObject({
    type: 'HttpFailed',
    message: expect.stringContaining('the answer was 403'),
  });
  expect(failure.message).not.toContain(LEAK);
});

it('refuses a probe to which all versions are the same', () => {
  const operation = { url: 'https://x.test', auth: { kind: 'bearer', token: '${env:TOKEN}' } };
  const wrong = secretsSchema.safeParse({
    door: {
      versions: sh('x'),
      add: sh('x'),
      activate: { command: sh('x') },
      retire: { command: sh('x') },
      probe: { operation },
    },
  });
  expect(wrong.error?.issues[0]).toMatchObject({ path: ['door', 'probe', 'operation', 'auth'] });
});
