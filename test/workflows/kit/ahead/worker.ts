/** A worker in a process of its own, which a test can kill: `worker.ts <address> <task queue> <bundle>`. */
import { NativeConnection, Worker } from '@temporalio/worker';
import { quietTemporal } from '../../../support/quiet';

const [address, taskQueue, codePath] = process.argv.slice(2) as [string, string, string];

async function main(): Promise<void> {
  quietTemporal();
  const connection = await NativeConnection.connect({ address });
  const worker = await Worker.create({
    connection,
    taskQueue,
    workflowBundle: { codePath },
    stickyQueueScheduleToStartTimeout: '5s',
  });
  await worker.run();
}

void main();
