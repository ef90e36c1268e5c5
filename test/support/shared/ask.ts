import { connect } from 'node:net';
import { dirname } from 'node:path';

/** Where the process listens that makes what all files of a run share: set by the global set-up. */
export const SOCKET_VARIABLE = 'RUNBOOKS_TEST_SHARED';

/** What that process makes, each once in a run and only when a file asks for it. */
export interface Makers {
  /** Bundles the workflows of that module. The bundle's file. */
  bundle(path: string): Promise<string>;
  /** An empty PostgreSQL cluster, stopped. Its folder: copy it, never start it. */
  cluster(): Promise<string>;
  /** The same with the booking sample in it. */
  bookingCluster(bookings: number): Promise<string>;
}

export type Answer = { made: unknown } | { problem: string };

/** A folder that goes with the run, also when that is killed. */
export const sharedDirectory = (): string => dirname(socketPath());

/** Throws what went wrong there. */
export async function askFor<K extends keyof Makers>(
  what: K,
  ...args: Parameters<Makers[K]>
): Promise<Awaited<ReturnType<Makers[K]>>> {
  const path = socketPath();
  const text = await new Promise<string>((resolve, reject) => {
    let answer = '';
    const socket = connect(path);
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => (answer += chunk));
    socket.once('error', reject);
    socket.once('close', () => resolve(answer));
    socket.write(`${JSON.stringify([what, ...args])}\n`);
  });
  if (text === '')
    throw new Error(`the process that makes the shared ${what} has ended: see its log beside ${path}`);
  const answer = JSON.parse(text) as Answer;
  if ('problem' in answer) throw new Error(`the shared ${what} could not be made: ${answer.problem}`);
  return answer.made as Awaited<ReturnType<Makers[K]>>;
}

function socketPath(): string {
  const path = process.env[SOCKET_VARIABLE];
  if (path !== undefined) return path;
  throw new Error('start these tests with Jest and the configuration of this project');
}
