import { setTimeout as sleep } from 'node:timers/promises';
import {
  Client,
  Connection,
  isRetryableError,
  makeGrpcRetryInterceptor,
  type WorkflowClientInterceptor,
} from '@temporalio/client';
import type { LoadedConfig } from '../config/load';
import { temporalOptions } from '../config/temporal';

export interface LazyClient {
  client: Client;
  /** Ends the connection, and before that whatever is still tried again. */
  close(): Promise<void>;
}

const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 1_000;

/**
 * A client that connects when it is needed, and again after an outage. Every call needs a deadline: until then it is
 * tried again.
 */
export function lazyClient(config: LoadedConfig, interceptors: WorkflowClientInterceptor[] = []): LazyClient {
  const { connection: options, client } = temporalOptions(config);
  let closing = false;
  let lastRetryAtMs = -Infinity;
  const retry = makeGrpcRetryInterceptor({
    delayFunction: (attempt) => Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt) * Math.random(),
    retryableDecider: (_, status) => {
      if (closing || !isRetryableError(status)) return false;
      lastRetryAtMs = Date.now();
      return true;
    },
  });
  const connection = Connection.lazy({
    ...options,
    interceptors: [retry],
    // By default the tries to reconnect grow to two minutes apart, and alerts would wait for them.
    channelArgs: { ...options.channelArgs, 'grpc.max_reconnect_backoff_ms': 2_000 },
  });
  const close = async (): Promise<void> => {
    closing = true;
    // A retry on a closed connection throws out of a timer, where nobody can catch it.
    await sleep(Math.max(0, lastRetryAtMs + LONGEST_RETRY_MS - Date.now()));
    await connection.close();
  };
  return { client: new Client({ connection, ...client, interceptors: { workflow: interceptors } }), close };
}
