import type { IncomingHttpHeaders } from 'node:http';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { Alert } from '../../src/contract/alert';
import { request } from 'undici';
import type { Log } from '../../src/alerts/log';
import { configSchema } from '../../src/config/schema';
import type { Project } from '../../src/catalogue/catalogue';
import { ownCatalogue } from '../../src/packs/own';

export const TOKEN = 'the-token-of-the-monitor';

const DATABASE = {
  url: 'postgresql://nobody@127.0.0.1:1/shop',
  identity: { systemIdentifier: '7300000000000000001', database: 'shop' },
};

/** The generic sender of these tests: one alert a body, or several under `all`. */
const MONITOR = {
  kind: 'generic',
  auth: { kind: 'bearer', tokens: [TOKEN] },
  fields: {
    items: 'all',
    fingerprint: 'id',
    startsAt: 'since',
    status: 'status',
    severity: 'severity',
    title: 'title',
    labels: { service: 'service', name: 'name', team: 'team' },
  },
};

/** A configuration with two services; `alerts` goes over its sources and routes. */
export function configOf(alerts: Record<string, unknown> = {}, address = '127.0.0.1:1'): Project {
  const service = { environments: { production: { database: DATABASE } } };
  const config = configSchema.parse({
    temporal: { address },
    services: { booking: service, shop: { ...service, mode: 'observe' } },
    alerts: {
      port: 0,
      sources: { monitor: MONITOR },
      routes: [
        {
          name: 'backups',
          match: { 'labels.name': { regex: 'Backup.*' } },
          runbook: 'checkBackups',
          input: { service: '{{labels.service}}' },
        },
      ],
      ...alerts,
    },
  });
  return { ...config, catalogue: ownCatalogue, file: 'runbooks.yaml', directory: __dirname };
}

export const monitorSource = MONITOR;

/** What the monitor of these tests says. */
export interface Said {
  id: string;
  since?: string | null;
  status?: 'firing' | 'resolved';
  severity?: string;
  title?: string;
  service?: string;
  name?: string;
  team?: string;
}

export const SINCE = '2026-11-21T03:00:00.000Z';

/** The body of a delivery. */
export function bodyOf(...all: Said[]): string {
  return JSON.stringify({
    all: all.map((one) => ({
      since: SINCE,
      status: 'firing',
      service: 'booking',
      name: 'BackupOld',
      ...one,
    })),
  });
}

/** An alert in the normal form. */
export function alertOf(alert: Partial<Alert> = {}): Alert {
  return {
    source: 'monitor',
    fingerprint: 'f1',
    startsAt: SINCE,
    status: 'firing',
    severity: '',
    title: 'No backup for 30 h',
    labels: { service: 'booking', name: 'BackupOld' },
    annotations: {},
    link: null,
    ...alert,
  };
}

export interface Answered {
  status: number;
  headers: IncomingHttpHeaders;
  body: {
    error?: string;
    result?: string;
    alerts?: { fingerprint: string; result: string; workflowId?: string; detail?: string }[];
  };
}

/** Posts a body as the monitor does, with a connection that is kept. */
export async function post(
  url: string,
  body: string | Buffer,
  headers: Record<string, string> = {},
): Promise<Answered> {
  // Not fetch: tens of thousands of these are sent, and each would take twice as long.
  const response = await request(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', ...headers },
    body,
  });
  const text = await response.body.text();
  return {
    status: response.statusCode,
    headers: response.headers,
    body: JSON.parse(text) as Answered['body'],
  };
}

/** A log that is read by the test. */
export function memoryLog(): { log: Log; entries: { level: string; message: string; about: unknown }[] } {
  const entries: { level: string; message: string; about: unknown }[] = [];
  return { entries, log: (level, message, about) => void entries.push({ level, message, about }) };
}

/** Waits for something that will be true soon. */
export async function until<T>(read: () => Promise<T> | T, holds: (value: T) => boolean): Promise<T> {
  let last: T | undefined;
  for (const endMs = Date.now() + 180_000; Date.now() < endMs;) {
    last = await read();
    if (holds(last)) return last;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`it never came to that; last: ${JSON.stringify(last)}`);
}

export interface Line {
  address: string;
  /** `stalled`: connections stay and carry nothing. `cut`: there is nobody. */
  set(state: 'open' | 'stalled' | 'cut'): void;
  stop(): Promise<void>;
}

/** A line to a server that can be cut and can go silent. */
export async function startLine(port: number): Promise<Line> {
  let state: 'open' | 'stalled' | 'cut' = 'open';
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    if (state === 'cut') {
      near.destroy();
      return;
    }
    const far = connect(port, '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on('error', () => undefined);
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
      one.on('data', (data) => other.write(data));
      if (state === 'stalled') one.pause();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    set(next) {
      state = next;
      for (const socket of sockets) {
        if (next === 'cut') socket.destroy();
        else if (next === 'stalled') socket.pause();
        else socket.resume();
      }
    },
    stop: async () => {
      sockets.forEach((socket) => socket.destroy());
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
