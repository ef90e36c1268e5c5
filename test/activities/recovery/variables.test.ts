import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createVariableActivities } from '../../../src/activities/recovery/variables';
import { ownConfigSchema } from '../../../src/packs/own';
import { failureOf, runActivity } from '../../support/postgres';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'variables-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const database = {
  url: 'postgresql://x',
  identity: { systemIdentifier: '7300000000000000001', database: 'shop' },
};
const PLACE = { service: 'shop', environment: 'production' };

/** An application of which `list` prints the environment. */
function read(list: string[], required: string[] | undefined) {
  const recovery =
    required === undefined ? {} : { recovery: { variables: { required, list: { run: list } } } };
  const config = ownConfigSchema.parse({
    services: { shop: { environments: { production: { database, ...recovery } } } },
  });
  const { readVariables } = createVariableActivities({
    config: { ...config, file: join(directory, 'x.yaml'), directory },
  });
  return runActivity(readVariables, PLACE);
}

it('names what is missing, and nothing of what is set, whatever the command prints', async () => {
  writeFileSync(join(directory, 'names'), 'A_URL=postgres://u:hidden@db\r\n  B_KEY \nOTHER=hidden\n');
  const found = await read(['cat', 'names'], ['A_URL', 'B_KEY', 'C_KEY']);
  expect(found).toEqual({ configured: true, required: 3, missing: ['C_KEY'] });
});

it('takes no part of a name for it', async () => {
  writeFileSync(join(directory, 'names'), 'A_URL_OLD\nMY_A_URL\na_url\n');
  expect(await read(['cat', 'names'], ['A_URL'])).toMatchObject({ missing: ['A_URL'] });
});

it('misses all of them where the command prints nothing', async () => {
  expect(await read(['true'], ['A_URL', 'B_KEY'])).toMatchObject({ missing: ['A_URL', 'B_KEY'] });
});

it('says that nothing is configured', async () => {
  expect(await read([], undefined)).toEqual({ configured: false, required: 0, missing: [] });
});

it('fails without a word of what was printed where the command fails', async () => {
  writeFileSync(join(directory, 'print'), 'echo A_URL=hidden; echo hidden >&2; exit 3');
  const failure = await failureOf(read(['sh', 'print'], ['A_URL']));
  expect(failure).toMatchObject({
    type: 'CommandFailed',
    message: expect.stringMatching(
      /^`sh print` failed; what it printed is not shown.*Run it by hand to see why\.$/,
    ) as string,
  });
  expect(failure.message).not.toContain('hidden');
});
