import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { startStack, type Stack, type StackOptions } from '../../../src/local/stack';
import { askFor, sharedDirectory } from './ask';
import { copyCluster } from './cluster';

/**
 * A stack of its own with a copy of the sample's databases. Its Temporal and PostgreSQL are killed at the end: what they
 * would save nobody reads.
 */
export async function startTestStack(options: StackOptions & { bookings: number }): Promise<Stack> {
  const directory = mkdtempSync(join(sharedDirectory(), 'stack-'));
  // The unprivileged user that runs PostgreSQL must get through.
  chmodSync(directory, 0o755);
  const remove = () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  try {
    copyCluster(await askFor('bookingCluster', options.bookings), join(directory, 'postgres'));
    const stack = await startStack({ ...options, directory });
    return {
      ...stack,
      stop: async () => {
        if (stack.worker?.worker.getState() === 'RUNNING') await stack.worker.stop().catch(() => undefined);
        await stack.app.stop().catch(() => undefined);
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
