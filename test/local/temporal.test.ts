import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { TypedSearchAttributes, type Priority } from '@temporalio/common';
import { NativeConnection, Worker } from '@temporalio/worker';
import { startTemporal, type LocalTemporal } from '../../src/local/temporal';
import { searchAttributes } from '../../src/contract/search-attributes';
import { quietTemporal } from '../support/quiet';
import { askFor } from '../support/shared/ask';

const directory = mkdtempSync(join(tmpdir(), 'local-temporal-'));

quietTemporal();

let temporal: LocalTemporal;
let connection: Connection;
let client: Client;

beforeAll(async () => {
  temporal = await startTemporal({ directory });
  connection = await Connection.connect({ address: temporal.address });
  client = new Client({ connection });
});
afterAll(async () => {
  await connection.close();
  await temporal.stop();
  rmSync(directory, { recursive: true, force: true });
});

const startWaiting = (workflowId: string, typedSearchAttributes?: TypedSearchAttributes) =>
  client.workflow.start('someRun', { taskQueue: 'nobody-listens', workflowId, typedSearchAttributes });

const statusOf = async (workflowId: string) =>
  (await client.workflow.getHandle(workflowId).describe()).status.name;

test('the UI answers at its address', async () => {
  const response = await fetch(temporal.uiUrl);
  expect(response.status).toBe(200);
  expect(await response.text()).toContain('<html');
});

test('the search attributes of runs are registered when it is ready', async () => {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({
    namespace: 'default',
  });
  const names = ['RunbookService', 'RunbookMode', 'RunbookWaiting', 'RunbookOutcome'];
  expect(Object.keys(customAttributes ?? {})).toEqual(expect.arrayContaining(names));
  await startWaiting(
    'with-attribute',
    new TypedSearchAttributes([{ key: searchAttributes.outcome, value: 'SUCCEEDED' }]),
  );
  expect(await statusOf('with-attribute')).toBe('RUNNING');
});

test('urgent runs come first, and a storm of one service does not hold up the others', async () => {
  const taskQueue = 'a-storm';
  const start = (workflowId: string, priority: Priority) =>
    client.workflow.start('atOnce', { taskQueue, workflowId, priority });
  const storm = Array.from({ length: 100 }, (_, index) => `storm-${index}`);
  for (const id of storm) await start(id, { priorityKey: 4, fairnessKey: 'stormy' });
  await start('calm', { priorityKey: 4, fairnessKey: 'calm' });
  await start('urgent', { priorityKey: 2, fairnessKey: 'stormy' });
  const connection = await NativeConnection.connect({ address: temporal.address });
  const codePath = await askFor('bundle', require.resolve('./at-once'));
  const limits = { maxConcurrentWorkflowTaskExecutions: 2, maxConcurrentWorkflowTaskPolls: 2 };
  const worker = await Worker.create({ connection, taskQueue, workflowBundle: { codePath }, ...limits });
  await worker.runUntil(async () => {
    for (const id of [...storm, 'calm', 'urgent']) await client.workflow.getHandle(id).result();
  });
  await connection.close();
  const beganAt = async (id: string): Promise<number> => {
    const { events } = await client.workflow.getHandle(id).fetchHistory();
    const { eventTime } = events!.find((event) => event.workflowTaskStartedEventAttributes != null)!;
    return Number(eventTime!.seconds) * 1_000 + eventTime!.nanos! / 1e6;
  };
  const stormy = await Promise.all(storm.map(beganAt));
  for (const id of ['calm', 'urgent']) {
    const at = await beganAt(id);
    // Some are on their way already when it is read.
    expect(stormy.filter((other) => other < at).length).toBeLessThan(50);
  }
});

test('a restart on the same port and file keeps the runs, and the client finds it again', async () => {
  await startWaiting('before-restart');
  await temporal.stop();
  await expect(connection.withDeadline(Date.now() + 500, () => statusOf('before-restart'))).rejects.toThrow();
  temporal = await startTemporal({ directory, port: temporal.port, uiPort: temporal.uiPort });
  expect(await statusOf('before-restart')).toBe('RUNNING');
});

test('a crash loses nothing that was acknowledged', async () => {
  await startWaiting('before-crash');
  await temporal.kill();
  temporal = await startTemporal({ directory, port: temporal.port, uiPort: temporal.uiPort });
  expect(await statusOf('before-crash')).toBe('RUNNING');
  expect(await statusOf('before-restart')).toBe('RUNNING');
});

test('an ephemeral one starts empty', async () => {
  const other = await startTemporal({ directory, ephemeral: true });
  const to = await Connection.connect({ address: other.address });
  await expect(
    new Client({ connection: to }).workflow.getHandle('before-crash').describe(),
  ).rejects.toThrow();
  await to.close();
  await other.stop();
});

test('a taken port is an error that names the address and shows the log', async () => {
  await expect(startTemporal({ directory: join(directory, 'second'), port: temporal.port })).rejects.toThrow(
    new RegExp(`did not start at 127\\.0\\.0\\.1:${temporal.port}[\\s\\S]*(in use|port)`, 'i'),
  );
});
