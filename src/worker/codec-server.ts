import { timingSafeEqual, createHash } from 'node:crypto';
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import type { Payload, PayloadCodec } from '@temporalio/common';
import type { LoadedConfig } from '../config/load';
import { createPayloadCodec } from '../config/payload-codec';
import { resolveSecrets } from '../config/secrets';
import { createTokenCheck } from './access-token';

/** Thrown when it cannot be started as it is configured. */
export class CodecServerError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CodecServerError';
  }
}

interface RunningCodecServer {
  url: string;
  stop(): Promise<void>;
}

/** A page of a history in base64. */
const MAX_BODY_BYTES = 32 * 1_024 * 1_024;
const PREFLIGHT_SECONDS = 600;

/** Payloads as JSON has them: bytes in base64. */
interface JsonPayload {
  metadata?: Record<string, string>;
  data?: string;
}

/**
 * Serves `/decode` and `/encode` as the Temporal UI and the `temporal` command ask them. Only pages of the configured
 * origins are let in by a browser, and only whoever shows a token by us. Throws CodecServerError, MissingSecret, and when
 * it cannot listen there.
 */
export async function startCodecServer(config: LoadedConfig): Promise<RunningCodecServer> {
  const { codec: settings } = config.temporal;
  if (settings === undefined)
    throw new CodecServerError(
      `${config.file} has no temporal.codec: nothing is encrypted, and nothing to decrypt.`,
    );
  const { listen, origins, token, jwt } = settings.server;
  if (token === undefined && jwt === undefined)
    throw new CodecServerError(
      'temporal.codec.server has neither `token` nor `jwt`: whoever reaches it could read everything. Set one of them.',
    );
  const codec = createPayloadCodec(settings, config.directory);
  const secret = token === undefined ? undefined : resolveSecrets(token, config.directory);
  const isGood = jwt === undefined ? async () => false : createTokenCheck(jwt);
  const mayAsk = async (given: string): Promise<boolean> =>
    (secret !== undefined && isSame(given, secret)) || isGood(given);

  const server = fastify({ logger: false, bodyLimit: MAX_BODY_BYTES, forceCloseConnections: true });
  server.addHook('onRequest', async (request, reply) => {
    allowOrigin(request, reply, origins);
    if (request.method === 'OPTIONS') return reply.code(204).send();
    const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    if (given === undefined || !(await mayAsk(given)))
      return reply.code(401).send({ message: 'show a token that temporal.codec.server accepts' });
  });
  server.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) =>
    reply
      .code(error.statusCode ?? (error.name === 'CodecError' ? 422 : 500))
      .send({ message: error.message }),
  );
  for (const way of ['encode', 'decode'] as const)
    server.post(`/${way}`, (request) => convert(codec, way, request.body));
  // A preflight is answered before it comes here.
  server.options('/*', (_request, reply) => reply.send());
  const colon = listen.lastIndexOf(':');
  try {
    const url = await server.listen({ host: listen.slice(0, colon), port: Number(listen.slice(colon + 1)) });
    return { url, stop: () => server.close() };
  } catch (error) {
    throw new CodecServerError(
      `the codec server cannot listen on ${listen} (temporal.codec.server.listen): ${(error as Error).message}. Free the port, or name another.`,
    );
  }
}

function allowOrigin(
  { headers: { origin } }: FastifyRequest,
  reply: FastifyReply,
  origins: readonly string[],
): void {
  reply.header('vary', 'Origin');
  if (origin === undefined || !origins.includes(origin)) return;
  reply.headers({
    'access-control-allow-origin': origin,
    'access-control-allow-credentials': 'true',
    'access-control-allow-methods': 'POST, OPTIONS',
    'access-control-allow-headers': 'authorization, content-type, x-namespace',
    'access-control-max-age': PREFLIGHT_SECONDS,
  });
}

async function convert(
  codec: PayloadCodec,
  way: 'encode' | 'decode',
  body: unknown,
): Promise<{ payloads: JsonPayload[] }> {
  const { payloads } = (body ?? {}) as { payloads?: unknown };
  if (!Array.isArray(payloads))
    throw Object.assign(new Error('the body is no { "payloads": [...] }'), { statusCode: 400 });
  return { payloads: (await codec[way](payloads.map(fromJson))).map(toJson) };
}

function fromJson({ metadata = {}, data = '' }: JsonPayload): Payload {
  const fields = Object.entries(metadata).map(([name, value]) => [name, Buffer.from(value, 'base64')]);
  return { metadata: Object.fromEntries(fields) as Payload['metadata'], data: Buffer.from(data, 'base64') };
}

function toJson({ metadata, data }: Payload): JsonPayload {
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  return {
    metadata: Object.fromEntries(
      Object.entries(metadata ?? {}).map(([name, value]) => [name, base64(value)]),
    ),
    data: base64(data ?? new Uint8Array()),
  };
}

function isSame(given: string, wanted: string): boolean {
  const [one, other] = [given, wanted].map((text) => createHash('sha256').update(text).digest());
  return timingSafeEqual(one as Buffer, other as Buffer);
}
