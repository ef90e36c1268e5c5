import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startPostgres, type LocalPostgres } from '../../src/host/postgres';
import { dataPath } from '../../src/host/cache';
import { askFor } from '../support/shared/ask';
import { copyCluster } from '../support/shared/cluster';
import { runCli, temporaryFolder } from './harness';

// PostgreSQL runs as another user than root, who cannot look into the folders of root.
const data = dataPath(`cli-test-${process.pid}`);
const folder = temporaryFolder();
const file = join(folder.path, 'runbooks.yaml');
let postgres: LocalPostgres;

const cli = (...args: string[]) =>
  runCli(['--config', file, '--json', ...args], {
    env: { SHOP_URL: postgres.url, TEMPORAL_ADDRESS: '127.0.0.1:1', PG_BIN: postgres.binDirectory },
  });

interface Checked {
  checks: { what: string; state: string; detail: string }[];
}

async function databaseLines() {
  const { checks } = JSON.parse((await cli('check')).stdout) as Checked;
  return checks.filter(({ what }) => what.startsWith('shop/production database'));
}

beforeAll(async () => {
  copyCluster(await askFor('cluster'), data);
  postgres = await startPostgres({ directory: data });
});

afterAll(async () => {
  await postgres?.stop();
  folder.remove();
  rmSync(data, { recursive: true, force: true });
});

describe('the command and a real database', () => {
  it('init reads the identity, and check then finds the right database', async () => {
    const { code, stdout } = await cli('init', '--service', 'shop', '--database-url-env', 'SHOP_URL');
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { identified: true }]);
    expect(readFileSync(file, 'utf8')).toContain(`systemIdentifier: '${postgres.systemIdentifier}'`);
    const lines = await databaseLines();
    expect(lines.map(({ state }) => state)).toEqual(['ok', 'ok']);
    expect(lines[0]?.detail).toContain(postgres.systemIdentifier);
    expect(lines[1]?.detail).toMatch(/PostgreSQL \d+.*tables.*client tools \d+/);
  });

  it('check fails on another database than the registered one and prints what to write', async () => {
    writeFileSync(file, readFileSync(file, 'utf8').replace(postgres.systemIdentifier, '0000000000'));
    const [line, ...rest] = await databaseLines();
    expect(rest).toEqual([]);
    expect(line?.state).toBe('failed');
    expect(line?.detail).toContain(`{ systemIdentifier: '${postgres.systemIdentifier}'`);
    expect((await cli('check')).code).toBe(2);
  });
});
