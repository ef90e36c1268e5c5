import { createServer, connect, type AddressInfo, type Socket } from 'node:net';

export interface Proxy {
  port: number;
  /** How many connections were cut at COMMIT. */
  lost(): number;
  stop(): Promise<void>;
}

/**
 * Stands before a PostgreSQL and cuts the first connection that commits a ledger row: before the COMMIT arrives
 * (`question`), or after the server has answered it and before the client hears of it (`answer`).
 */
export async function startProxy(port: number, lose: 'answer' | 'question'): Promise<Proxy> {
  let lost = 0;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    let wroteLedger = false;
    let committing = false;
    const cut = (): void => {
      lost += 1;
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (data) => {
      const text = data.toString('latin1');
      wroteLedger ||= text.includes('INSERT INTO durable_runbooks.ledger');
      committing = lost === 0 && wroteLedger && text.includes('COMMIT\0');
      if (committing && lose === 'question') cut();
      else upstream.write(data);
    });
    upstream.on('data', (data) => {
      if (committing && lose === 'answer') cut();
      else client.write(data);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    lost: () => lost,
    stop: async () => {
      sockets.forEach((socket) => socket.destroy());
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
