/**
 * The secrets that sign the tokens of logins, each under the name of its version, as a program in the folder of the
 * application's state. It prints no secret.
 *
 *   keys versions                       every version as JSON, with its age and state
 *   VERSION=v2 keys add                 the secret comes over standard input; the application accepts it from now on
 *   VERSION=v2 keys activate            the application signs with it; the former one stays accepted
 *   VERSION=v1 keys retire | restore    refused from now on; accepted again
 *   VERSION=v1 keys probe               accepted or refused, as the application at TRAVEL_APP_URL says
 *   keys age 100                        as if the secret in use were that many days old
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fetch } from 'undici';
import { readState, writeState } from '../shared/state-file';

interface Key {
  version: string;
  createdAt: string;
  state: 'active' | 'accepted' | 'retired';
  key: string;
}

const TOKEN_SECONDS = 900;
export const ISSUER = 'https://api.tripavail.example';

const fileIn = (directory: string): string => join(directory, 'secrets', 'jwt.json');
const readKeys = (directory: string): Key[] => readState<Key[]>(fileIn(directory)) ?? [];

function writeKeys(directory: string, keys: Key[]): void {
  writeState(fileIn(directory), keys, 0o600);
  // What diagnoseAuthentication verifies a token with.
  const active = keys.find(({ state }) => state === 'active')!;
  writeFileSync(join(directory, 'secrets', 'jwt-active'), active.key, { mode: 0o600 });
}

/** The first one, where there is none. */
export function setUpKeys(directory: string): void {
  mkdirSync(join(directory, 'secrets'), { recursive: true, mode: 0o700 });
  if (readKeys(directory).length > 0) return;
  const key = randomBytes(32).toString('base64url');
  writeKeys(directory, [{ version: 'v1', createdAt: new Date().toISOString(), state: 'active', key }]);
}

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const decoded = (text: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(text, 'base64url').toString()) as Record<string, unknown>;
const signature = (key: string, text: string): string =>
  createHmac('sha256', key).update(text).digest('base64url');

/** A JWT of that user, signed with the secret in use. */
export function issueToken(directory: string, user: string): string {
  return sign(
    readKeys(directory).find(({ state }) => state === 'active')!,
    user,
  );
}

function sign({ version, key }: Pick<Key, 'version' | 'key'>, sub: string): string {
  const iat = Math.floor(Date.now() / 1_000);
  const claims = { iss: ISSUER, aud: 'travel', sub, iat, exp: iat + TOKEN_SECONDS };
  const text = `${encoded({ alg: 'HS256', typ: 'JWT', kid: version })}.${encoded(claims)}`;
  return `${text}.${signature(key, text)}`;
}

/** Whose token it is; undefined where it is none, has expired, or no accepted secret has signed it. */
export function userOf(directory: string, token: string): string | undefined {
  try {
    const [header = '', claims = '', given = ''] = token.split('.');
    const found = readKeys(directory).find(({ version }) => version === decoded(header)['kid']);
    if (found === undefined || found.state === 'retired') return undefined;
    const wanted = Buffer.from(signature(found.key, `${header}.${claims}`));
    const got = Buffer.from(given);
    if (wanted.length !== got.length || !timingSafeEqual(wanted, got)) return undefined;
    const { sub, exp } = decoded(claims);
    return Number(exp) > Date.now() / 1_000 ? String(sub) : undefined;
  } catch {
    return undefined;
  }
}

function change(directory: string, verb: string, version: string, given: string): string {
  const keys = readKeys(directory);
  const found = keys.find((one) => one.version === version);
  if (verb === 'add') {
    if (found !== undefined) return `${version} is there`;
    if (given === '') throw new Error('the secret comes over standard input');
    writeKeys(directory, [
      ...keys,
      { version, createdAt: new Date().toISOString(), state: 'accepted', key: given },
    ]);
    return `${version} added`;
  }
  if (found === undefined) throw new Error(`there is no version ${version}`);
  if (verb !== 'activate' && found.state === 'active') throw new Error(`${version} is in use`);
  if (verb === 'activate') for (const one of keys) if (one.state === 'active') one.state = 'accepted';
  found.state = verb === 'activate' ? 'active' : verb === 'retire' ? 'retired' : 'accepted';
  writeKeys(directory, keys);
  return `${version} is ${found.state}`;
}

async function probe(directory: string, version: string): Promise<string> {
  const key = readKeys(directory).find((one) => one.version === version)?.key;
  const token = sign({ version, key: key ?? randomBytes(32).toString('base64url') }, '0');
  const { status } = await fetch(`${process.env['TRAVEL_APP_URL']}/bookings`, {
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(10_000),
  });
  if (status === 200) return 'accepted';
  if (status === 401) return 'refused';
  throw new Error(`the application answered ${status}`);
}

export async function changeKeys([verb = '', days]: string[], directory: string): Promise<string> {
  const keys = readKeys(directory);
  if (verb === 'versions') return JSON.stringify(keys.map(({ key: _, ...known }) => known));
  if (verb === 'age') {
    const createdAt = new Date(Date.now() - Number(days) * 86_400_000).toISOString();
    writeKeys(
      directory,
      keys.map((one) => (one.state === 'active' ? { ...one, createdAt } : one)),
    );
    return `the secret in use is ${days} days old`;
  }
  const version = process.env['VERSION'] ?? '';
  if (verb === 'probe') return probe(directory, version);
  if (!/^(add|activate|retire|restore)$/.test(verb))
    throw new Error('expected: keys versions | add | activate | retire | restore | probe | age <days>');
  return change(directory, verb, version, verb === 'add' ? readFileSync(0, 'utf8').trim() : '');
}

if (require.main === module) {
  changeKeys(process.argv.slice(2), process.cwd()).then(
    (said) => console.log(said),
    (error: Error) => {
      console.error(error.message);
      process.exitCode = 1;
    },
  );
}
