import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Client, Connection } from '@temporalio/client';
import { Registry } from 'prom-client';
import type { Project } from '../../src/catalogue/catalogue';
import { ownCatalogue } from '../../src/packs/own';
import { configSchema } from '../../src/config/schema';
import { collectFromTemporal, type Collector } from '../../src/metrics/collect';
import { parseMetrics } from '../support/scrape';

const config: Project = {
  catalogue: ownCatalogue,
  ...configSchema.parse({ services: {} }),
  file: '',
  directory: '',
};
const sockets = new Set<Socket>();
let silent: Server;
let client: Client;
let collector: Collector;
let registry: Registry;

beforeEach(async () => {
  // Takes every connection and never says a word: worse than one that refuses.
  silent = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
  });
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as AddressInfo;
  client = new Client({ connection: Connection.lazy({ address: `127.0.0.1:${port}` }) });
  registry = new Registry();
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => silent.close(resolve));
  await collector.stop();
  await client.connection.close();
});

test('a Temporal that never answers costs a scrape its waiting time and no more, and leaves one reading under way', async () => {
  let giveUp: (error: Error) => void = () => undefined;
  const reads = jest
    .spyOn(client, 'withDeadline')
    .mockImplementation(() => new Promise<never>((_, reject) => (giveUp = reject)));
  collector = collectFromTemporal(client, config, registry, { freshMs: 0, waitMs: 200 });
  const scrapes = await Promise.all(Array.from({ length: 50 }, () => registry.metrics()));
  scrapes.push(await registry.metrics());
  for (const text of scrapes) expect(parseMetrics(text).get('runbooks_temporal_up')).toBe(0);
  expect(reads).toHaveBeenCalledTimes(1);
  giveUp(new Error('deadline exceeded'));
});

test('nothing is claimed about what was never read', async () => {
  collector = collectFromTemporal(client, config, registry, { waitMs: 50, readMs: 300 });
  const samples = parseMetrics(await registry.metrics());
  expect(Object.fromEntries(samples)).toEqual({
    runbooks_temporal_up: 0,
    runbooks_temporal_read_timestamp_seconds: 0,
  });
});

test('stopped, it reads no more', async () => {
  const reads = jest.spyOn(client, 'withDeadline');
  collector = collectFromTemporal(client, config, registry, { freshMs: 0, waitMs: 50, readMs: 300 });
  await collector.stop();
  expect(parseMetrics(await registry.metrics()).get('runbooks_temporal_up')).toBe(0);
  expect(reads).not.toHaveBeenCalled();
});
