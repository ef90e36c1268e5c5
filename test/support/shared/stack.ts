import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  startExample,
  startStack,
  type ExampleStack,
  type Stack,
  type StackOptions,
} from '../../../src/local/stack';
import { askFor, sharedDirectory } from './ask';
import { copyCluster } from './cluster';

/** A stack of its own with a copy of the sample's databases. */
export async function startTestStack({
  bookings,
  ...options
}: StackOptions & { bookings: number }): Promise<Stack> {
  const cluster = await askFor('bookingCluster', bookings);
  return quickly(cluster, options, (all) => startStack({ ...all, bookings }));
}

/** An example with everything around it: `startExample`, in half the time. */
export async function startTestExample(name: string, options: StackOptions = {}): Promise<ExampleStack> {
  return quickly(await askFor('cluster'), options, (all) => startExample(name, all));
}

/** On a copy of that cluster. Temporal and PostgreSQL are killed at the end: what they would save nobody reads. */
async function quickly<S extends ExampleStack>(
  cluster: string,
  options: StackOptions,
  start: (options: StackOptions) => Promise<S>,
): Promise<S> {
  const directory = mkdtempSync(join(sharedDirectory(), 'stack-'));
  // The unprivileged user that runs PostgreSQL must get through.
  chmodSync(directory, 0o755);
  const remove = () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  try {
    copyCluster(cluster, join(directory, 'postgres'));
    const stack = await start({ ...options, directory });
    return {
      ...stack,
      stop: async () => {
        if (stack.worker?.worker.getState() === 'RUNNING') await stack.worker.stop().catch(() => undefined);
        await stack.example.stop().catch(() => undefined);
        await Promise.all([stack.temporal.kill(), stack.postgres.kill()]);
        await stack.stop();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}
