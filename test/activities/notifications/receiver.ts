import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createAnnounceActivities, type Patience } from '../../../src/activities/notifications/announce';
import type { Announcement, AnnounceResult } from '../../../src/activities/notifications/message';
import type { LoadedConfig } from '../../../src/config/load';
import { configSchema } from '../../../src/config/schema';

export interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  body: ReturnType<typeof JSON.parse>;
}

export interface Reply {
  status?: number;
  headers?: Record<string, string>;
  body?: string;
  /** `silent` never answers, `cut` closes the connection. */
  instead?: 'silent' | 'cut';
}

export interface Receiver {
  base: string;
  received: Received[];
  /** Answers each request; default 200 `ok`. */
  reply: (request: Received, count: number) => Reply;
  reset(): void;
  close(): Promise<void>;
}

/** A real HTTP server that keeps what it gets. */
export async function startReceiver(): Promise<Receiver> {
  const server: Server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const text = Buffer.concat(parts).toString();
      const one = { path: request.url ?? '', headers: request.headers, body: JSON.parse(text || 'null') };
      receiver.received.push(one);
      const {
        status = 200,
        headers = {},
        body = 'ok',
        instead,
      } = receiver.reply(one, receiver.received.length);
      if (instead === 'cut') request.socket.destroy();
      else if (instead === undefined) response.writeHead(status, headers).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const receiver: Receiver = {
    base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received: [],
    reply: () => ({}),
    reset() {
      receiver.received = [];
      receiver.reply = () => ({});
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return receiver;
}

const database = {
  url: 'postgresql://x',
  identity: { systemIdentifier: '7300000000000000001', database: 'shop' },
};

export function configWith(
  service: Record<string, unknown>,
  environment: Record<string, unknown> = {},
): LoadedConfig {
  const parsed = configSchema.parse({
    temporal: { uiUrl: 'http://ui/' },
    services: { shop: { environments: { production: { database, ...environment } }, ...service } },
  });
  return { ...parsed, file: '/x/runbooks.yaml', directory: '/x' };
}

export const WORKFLOW_ID = 'migrateDatabase/shop/1';

/** Announces like a run does: as an activity, in the environment that Temporal gives it. */
export function announceWith(
  service: { notify: unknown[]; escalation?: unknown[] },
  message: Partial<Announcement> = {},
  { activityId = '7', patience }: { activityId?: string; patience?: Patience } = {},
): Promise<AnnounceResult> {
  const environment = new MockActivityEnvironment({ activityId });
  const { announce } = createAnnounceActivities({ config: configWith(service) }, patience);
  return environment.run(announce, {
    service: 'shop',
    text: 'the table is being copied',
    title: 'Migrate a database',
    workflowId: WORKFLOW_ID,
    rung: null,
    ...message,
  });
}
