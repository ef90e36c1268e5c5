/** A small connection pooler in front of a real PostgreSQL: the behaviour of PgBouncer that matters to us. */
import { connect, createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

export interface TestPooler {
  port: number;
  stop(): Promise<void>;
}

interface Frame {
  type: string;
  bytes: Buffer;
}

/** Cuts a stream of protocol messages into frames. `startup` messages have no type byte. */
function framer(onFrame: (frame: Frame) => void, startup: boolean) {
  let rest = Buffer.alloc(0);
  let untyped = startup;
  return (chunk: Buffer): void => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const head = untyped ? 0 : 1;
      if (rest.length < head + 4) return;
      const length = rest.readInt32BE(head) + head;
      if (rest.length < length) return;
      const bytes = rest.subarray(0, length);
      rest = rest.subarray(length);
      const type = untyped ? 'startup' : String.fromCharCode(bytes[0]!);
      untyped = false;
      onFrame({ type, bytes: Buffer.from(bytes) });
    }
  };
}

/**
 * Clients authenticate against the server itself over a connection of their own. In transaction mode all their queries
 * then run on the backend of the first client, handed over whenever no transaction is open; the process ID announced to
 * every client is made up, in both modes.
 */
export async function startTransactionPooler(
  serverPort: number,
  { mode = 'transaction' }: { mode?: 'transaction' | 'session' } = {},
): Promise<TestPooler> {
  const sockets = new Set<Socket>();
  let shared: Socket | undefined;
  let owner: Socket | undefined;
  const waiting: { client: Socket; send: () => void }[] = [];
  const release = (): void => {
    owner = undefined;
    const next = waiting.shift();
    if (next !== undefined) {
      owner = next.client;
      next.send();
    }
  };
  const server = createServer((client) => {
    const backend = connect(serverPort, '127.0.0.1');
    let ready = false;
    let used = backend;
    for (const socket of [client, backend]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    }
    backend.on(
      'data',
      framer(({ type, bytes }) => {
        if (type === 'K') bytes.writeInt32BE(900_000 + Math.floor(Math.random() * 90_000), 5);
        const to = ready && mode === 'transaction' ? owner : client;
        to?.write(bytes);
        if (type !== 'Z') return;
        if (!ready) {
          ready = true;
          if (mode === 'transaction') {
            shared ??= backend;
            used = shared;
          }
        } else if (mode === 'transaction' && bytes[5] === 'I'.charCodeAt(0)) release();
      }, false),
    );
    backend.on('close', () => client.destroy());
    let batch: Buffer[] = [];
    client.on(
      'data',
      framer(({ type, bytes }) => {
        if (!ready || mode === 'session') return void backend.write(bytes);
        if (type === 'X') return void client.end();
        if (owner === client) return void used.write(bytes);
        batch.push(bytes);
        if (type !== 'Q' && type !== 'S') return;
        const whole = Buffer.concat(batch);
        batch = [];
        const send = (): void => void used.write(whole);
        if (owner !== undefined) return void waiting.push({ client, send });
        owner = client;
        send();
      }, true),
    );
    client.on('close', () => {
      if (owner === client) release();
      if (backend !== shared) backend.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
