import { ownCatalogue } from '../../../src/packs/own';
import { configSchema } from '../../../src/config/schema';
import type { LoadedConfig } from '../../../src/config/load';
import { createPrepareActivities } from '../../../src/activities/policy/prepare';

const database = {
  url: 'postgresql://x',
  identity: { systemIdentifier: '7300000000000000001', database: 'shop' },
};

function prepareWith(service: Record<string, unknown>) {
  const parsed = configSchema.parse({
    services: { shop: { environments: { production: { database } }, ...service } },
  });
  const config: LoadedConfig = { ...parsed, file: '/x/runbooks.yaml', directory: '/x' };
  return createPrepareActivities({ config, catalogue: ownCatalogue }).prepare;
}

const input = { service: 'shop', startedBy: 'ana' };

describe('the mode of a run', () => {
  it.each([
    ['auto', undefined, undefined, 'auto'],
    ['auto', { backUpDatabase: 'observe' }, undefined, 'observe'],
    ['observe', { backUpDatabase: 'auto' }, undefined, 'auto'],
    ['auto', undefined, 'observe', 'observe'],
    ['observe', undefined, 'auto', 'observe'],
    ['propose', undefined, 'auto', 'propose'],
  ] as const)('service %s, runbook %j, asked %s: %s', async (mode, modes, asked, expected) => {
    const prepare = prepareWith({ mode, ...(modes === undefined ? {} : { modes }) });
    const { policy } = await prepare({
      runbook: 'backUpDatabase',
      input: { ...input, ...(asked && { mode: asked }) },
    });
    expect(policy.mode).toBe(expected);
  });

  it('is at most propose for a migration command, which cannot be fenced', async () => {
    const prepare = prepareWith({
      mode: 'auto',
      migrations: { command: { run: ['npx', 'prisma', 'migrate', 'deploy'] } },
    });
    const { policy } = await prepare({ runbook: 'migrateDatabase', input });
    expect(policy).toMatchObject({
      mode: 'propose',
      modeReason: expect.stringMatching(/cannot be fenced/) as unknown,
    });
  });
});

describe('the time of a step', () => {
  it('is that of the longest command, and of the one before it, which is waited for', async () => {
    const command = (timeoutSeconds: number) => ({ run: ['true'], timeoutSeconds });
    const application = {
      restart: command(7_000),
      features: [{ name: 'a', disable: command(14_400), enable: command(5) }],
    };
    const prepare = prepareWith({
      environments: { production: { database, application } },
      migrations: { command: command(10_800) },
    });
    const { policy } = await prepare({ runbook: 'migrateDatabase', input });
    expect(policy.permittedMs).toBe(2 * 14_400_000);
  });
});

describe('an input', () => {
  const prepare = prepareWith({});

  it('gets its defaults', async () => {
    const { input: parsed } = await prepare({ runbook: 'drillRestore', input });
    expect(parsed).toMatchObject({ environment: 'production', recoveryPoint: 'latest', promote: false });
  });

  it.each([
    ['an unknown runbook', 'dance', input, /no runbook called dance/],
    ['nothing', 'backUpDatabase', undefined, /service: /],
    [
      'an unknown service',
      'backUpDatabase',
      { ...input, service: 'zoo' },
      /unknown service "zoo"\. Known: shop/,
    ],
    [
      'an unknown environment',
      'backUpDatabase',
      { ...input, environment: 'moon' },
      /unknown environment of shop "moon"/,
    ],
    [
      'a wrong type, named with what it got',
      'drillRestore',
      { ...input, promote: 'yes' },
      /promote: .*got "yes"/,
    ],
    ['an unknown field', 'drillRestore', { ...input, promot: true }, /promot/],
  ])('%s is refused', async (_, runbook, given, message) => {
    await expect(prepare({ runbook, input: given })).rejects.toMatchObject({
      type: 'InvalidInput',
      nonRetryable: true,
      message: expect.stringMatching(message) as unknown,
    });
  });

  it('must name who starts the run where four eyes are demanded', async () => {
    const strict = prepareWith({ approval: { fourEyes: true } });
    await expect(strict({ runbook: 'backUpDatabase', input: { service: 'shop' } })).rejects.toThrow(
      /startedBy is missing/,
    );
    await expect(strict({ runbook: 'backUpDatabase', input })).resolves.toMatchObject({
      policy: { fourEyes: true },
    });
  });
});

it('hands the keys of the approvers to the run, with when they expire', async () => {
  const line = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ben@desk';
  const prepare = prepareWith({
    approval: {
      proof: 'signature',
      approvers: ['Ben'],
      keys: { ben: [{ key: line, expires: '2027-01-31' }] },
    },
  });
  const { policy } = await prepare({ runbook: 'backUpDatabase', input });
  expect(policy).toMatchObject({
    proof: 'signature',
    approvers: ['Ben'],
    signers: [
      {
        name: 'ben',
        fingerprint: expect.stringMatching(/^SHA256:[\w+/]{43}$/) as unknown,
        publicKey: Buffer.from(Array.from({ length: 32 }, (_, index) => index)).toString('hex'),
        expiresAt: '2027-01-31T00:00:00.000Z',
      },
    ],
  });
});
