/** As a program: `operate.js set-pool-max` with POOL_MAX, or `operate.js restart`. Needs BOOKING_APP_URL and BOOKING_OPERATIONS_TOKEN. */
import { fetch } from 'undici';

async function main(): Promise<void> {
  const operation = process.argv[2];
  if (operation === 'set-pool-max') return send('PUT', 'pool', { max: Number(variable('POOL_MAX')) });
  if (operation === 'restart') return send('POST', 'restart', {});
  throw new Error(`unknown operation ${operation}; known: set-pool-max, restart`);
}

async function send(method: string, path: string, body: object): Promise<void> {
  const answer = await fetch(`${variable('BOOKING_APP_URL')}/operations/${path}`, {
    method,
    headers: {
      authorization: `Bearer ${variable('BOOKING_OPERATIONS_TOKEN')}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(15_000),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`the application answered ${answer.status}: ${text.slice(0, 300)}`);
  console.log((JSON.parse(text) as { done: string }).done);
}

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`${name} is not set`);
  return value;
}

main().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
