import fc from 'fast-check';
import type { Client } from '@temporalio/client';
import { monitorSource, post } from './intake-support';
import { sign } from './senders/support';
import { NOWHERE, SECRET, useIntakes } from './server-support';

const intake = useIntakes();

describe('whatever is posted to whatever source', () => {
  const kinds = ['alertmanager', 'grafana', 'opsgenie', 'datadog', 'generic'] as const;
  const signing = {
    sentry: (body: Buffer) => ({
      'sentry-hook-signature': sign(SECRET, body),
      'sentry-hook-resource': 'issue',
    }),
    pagerduty: (body: Buffer) => ({ 'x-pagerduty-signature': `v1=${sign(SECRET, body)}` }),
    github: (body: Buffer) => ({
      'x-hub-signature-256': `sha256=${sign(SECRET, body)}`,
      'x-github-event': 'workflow_run',
    }),
    stripe: (body: Buffer) => {
      const seconds = Math.floor(Date.now() / 1_000);
      return { 'stripe-signature': `t=${seconds},v1=${sign(SECRET, `${seconds}.`, body)}` };
    },
  };
  const sources = Object.fromEntries([
    ...kinds.map((kind) => [
      kind,
      { ...(kind === 'generic' ? monitorSource : { kind }), auth: monitorSource.auth },
    ]),
    ...Object.keys(signing).map((kind) => [kind, { kind, auth: { kind: 'signature', secrets: [SECRET] } }]),
  ]) as Record<string, unknown>;
  const words = [
    'alerts',
    'all',
    'id',
    'status',
    'firing',
    'data',
    'event',
    'labels',
    'action',
    '__proto__',
    'constructor',
  ];
  const value = fc.letrec<{ any: unknown }>((tie) => ({
    any: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom(...words),
      fc.constantFrom(null, true, 0, -1, 1e308, '', '\u0000', '{{labels.x}}'),
      fc.array(tie('any'), { maxLength: 4 }),
      fc.dictionary(fc.constantFrom(...words), tie('any'), { maxKeys: 4 }),
    ),
  })).any;
  const body = fc.oneof(
    { weight: 4, arbitrary: value.map((one) => Buffer.from(JSON.stringify(one))) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)) },
    {
      weight: 1,
      arbitrary: fc.integer({ min: 1, max: 20_000 }).map((depth) => Buffer.from('['.repeat(depth))),
    },
    { weight: 1, arbitrary: fc.json().map((text) => Buffer.from(text)) },
  );
  const noise = fc.dictionary(
    fc.constantFrom(
      'content-type',
      'content-encoding',
      'x-github-event',
      'sentry-hook-resource',
      'authorization',
      'x-forwarded-for',
    ),
    fc.constantFrom(
      'application/json',
      'application/problem+json; charset=x',
      'text/html',
      'gzip',
      'ping',
      'Bearer',
      '__proto__',
      '%',
    ),
    { maxKeys: 2 },
  );

  it('is answered in order and starts nothing', async () => {
    const started: unknown[] = [];
    const refusing = {
      options: { namespace: 'default' },
      withDeadline: (_: number, call: () => unknown) => call(),
      workflow: {
        start: async (...args: unknown[]) => void started.push(args),
        getHandle: () => ({ signal: async () => undefined }),
      },
    } as unknown as Client;
    const { url, entries } = await intake({ sources, maxPerMinute: 1_000_000 }, NOWHERE, {
      client: refusing,
    });
    const names = Object.keys(sources);
    const counts: Record<number, number> = {};
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...names),
        body,
        noise,
        fc.boolean(),
        async (name, bytes, lies, right) => {
          const prove = Object.hasOwn(signing, name) ? signing[name as keyof typeof signing] : undefined;
          const proof = right ? (prove?.(bytes) ?? {}) : { authorization: 'Bearer wrong', ...lies };
          const { status } = await post(`${url}/alerts/${name}`, bytes, { ...lies, ...proof });
          counts[status] = (counts[status] ?? 0) + 1;
          if (status >= 500) throw new Error(`answered ${status}: ${JSON.stringify(entries.at(-1))}`);
        },
      ),
      { numRuns: 4_000, seed: 20_261_121 },
    );
    expect(started).toEqual([]);
    // A fuzz in which everything is refused at the door would show nothing.
    expect(counts[400]).toBeGreaterThan(500);
    expect(counts[401]).toBeGreaterThan(500);
    expect(counts[415]).toBeGreaterThan(50);
  });
});
