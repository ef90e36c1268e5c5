import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { Pair } from './certificates';

export interface FrontOptions {
  /** host:port of the server behind it. */
  target: string;
  /** What it shows. */
  own: Pair;
  /** Who signed the certificates that clients must show. */
  clientAuthority?: string;
  /** The only key that it lets in. */
  apiKey?: string;
  /** Services that it refuses, e.g. `OperatorService`. */
  refused?: RegExp;
}

export interface Front {
  address: string;
  /** Paths of the calls that were refused. */
  turnedAway: string[];
  /** Calls that it leaves without an answer. */
  silent: RegExp | undefined;
  close(): Promise<void>;
}

const PERMISSION_DENIED = '7';
const UNAUTHENTICATED = '16';

/** What stands before a locked-down Temporal: TLS, certificates, API keys, services that nobody may call. */
export async function startFront({
  target,
  own,
  clientAuthority,
  apiKey,
  refused,
}: FrontOptions): Promise<Front> {
  const turnedAway: string[] = [];
  const sessions = new Set<http2.Http2Session>();
  const front: Front = {
    address: '',
    turnedAway,
    silent: undefined,
    close: async () => {
      for (const session of sessions) session.destroy();
      behind.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const behind = http2.connect(`http://${target}`);
  behind.on('error', () => undefined);
  const server = http2.createSecureServer({
    cert: own.certificate,
    key: own.key,
    ...(clientAuthority === undefined
      ? {}
      : { ca: clientAuthority, requestCert: true, rejectUnauthorized: true }),
  });
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => undefined);
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    const path = headers[':path'] ?? '';
    const turnAway = (status: string, message: string) => {
      turnedAway.push(path);
      stream.respond(
        {
          ':status': 200,
          'content-type': 'application/grpc',
          'grpc-status': status,
          'grpc-message': message,
        },
        { endStream: true },
      );
    };
    if (front.silent?.test(path)) return;
    if (refused?.test(path)) return turnAway(PERMISSION_DENIED, 'Request unauthorized.');
    if (apiKey !== undefined && headers['authorization'] !== `Bearer ${apiKey}`)
      return turnAway(UNAUTHENTICATED, 'unknown API key');
    pass(stream, behind, headers, path);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  front.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return front;
}

function pass(
  stream: http2.ServerHttp2Stream,
  behind: http2.ClientHttp2Session,
  headers: http2.IncomingHttpHeaders,
  path: string,
): void {
  const { ':authority': _authority, ':scheme': _scheme, ...rest } = headers;
  const call = behind.request({ ...rest, ':path': path });
  let trailers: http2.IncomingHttpHeaders = {};
  call.on('error', () => stream.destroyed || stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR));
  stream.on('aborted', () => call.close(http2.constants.NGHTTP2_CANCEL));
  stream.pipe(call);
  call.on('trailers', (given) => (trailers = given));
  call.on('response', (given, flags) => {
    const endStream = (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    if (stream.destroyed) return;
    stream.respond(given, { endStream, waitForTrailers: !endStream });
    if (endStream) return;
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    call.pipe(stream);
  });
}
