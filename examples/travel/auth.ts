/** Register and login; what a request of a customer must bring. */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { issueToken, userOf } from './keys';
import { Refusal, type Store } from './store';

const derive = promisify<string, Buffer, number, Buffer>(scrypt);
const HASH_BYTES = 32;

const hashed = async (password: string, salt = randomBytes(16)): Promise<string> =>
  `${salt.toString('base64url')}.${(await derive(password, salt, HASH_BYTES)).toString('base64url')}`;

async function matches(password: string, stored: string): Promise<boolean> {
  const salt = Buffer.from(stored.split('.')[0] ?? '', 'base64url');
  const [given, wanted] = [Buffer.from(await hashed(password, salt)), Buffer.from(stored)];
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

export type Auth = ReturnType<typeof createAuth>;

export function createAuth(store: Store, directory: string) {
  return {
    async register(email: string, password: string) {
      const [made] = await store.query<{ id: string }>(
        'INSERT INTO users (email, password) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING id',
        [email, await hashed(password)],
      );
      if (made === undefined) throw new Refusal(409, 'that address is registered already');
      return { id: made.id, accessToken: issueToken(directory, made.id) };
    },
    /** For an account of ours, whose password is new at each start. */
    setPassword: async (email: string, password: string) =>
      store.query(
        'INSERT INTO users (email, password) VALUES ($1, $2) ON CONFLICT (email) DO UPDATE SET password = excluded.password',
        [email, await hashed(password)],
      ),
    async login(email: string, password: string) {
      const [user] = await store.query<{ id: string; password: string }>(
        'SELECT id, password FROM users WHERE email = $1',
        [email],
      );
      if (user === undefined || !(await matches(password, user.password)))
        throw new Refusal(401, 'address or password is wrong');
      return { accessToken: issueToken(directory, user.id) };
    },
    /** Throws where nobody has logged in. */
    user(authorization: string | undefined): string {
      const user = userOf(directory, /^Bearer (.+)$/.exec(authorization ?? '')?.[1] ?? '');
      if (user === undefined) throw new Refusal(401, 'a token of a login is needed');
      return user;
    },
  };
}
