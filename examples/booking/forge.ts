/** Somebody who tries out sessions that nobody issued. */
import { randomBytes } from 'node:crypto';
import { fetch } from 'undici';
import { readKeys, signSession } from './keys';

/** Each is signed with a key of its own, under the name of the one in use. Returns the answers. */
export async function forgeSessions(
  directory: string,
  { url, from, count }: { url: string; from: string; count: number },
): Promise<number[]> {
  const version = readKeys(directory).find(({ state }) => state === 'active')?.version ?? 'v1';
  const answers: number[] = [];
  for (let nr = 1; nr <= count; nr += 1) {
    const token = signSession({ version, key: randomBytes(32).toString('base64url') }, `customer-${nr}`);
    const { status } = await fetch(`${url}/api/session`, {
      headers: { authorization: `Bearer ${token}`, 'x-forwarded-for': from },
      signal: AbortSignal.timeout(10_000),
    });
    answers.push(status);
  }
  return answers;
}
