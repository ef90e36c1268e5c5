/**
 * The keys that sign the sample's sessions, each under the name of its version, as a program in the folder of its state. It
 * prints no key.
 *
 *   keys versions                         every version as JSON, with its age and state
 *   VERSION=v2 keys add                   the key comes over standard input; the application accepts it from now on
 *   VERSION=v2 keys activate              the application signs with it; the former one stays accepted
 *   VERSION=v1 keys retire | restore      refused from now on; accepted again
 *   VERSION=v1 keys probe                 accepted or refused, as the application at BOOKING_APP_URL says
 *   keys age 100                          as if the key in use were that many days old
 */
import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fetch } from 'undici';
import { sameText } from '../shared/secrets';
import { readState, writeState } from '../shared/state-file';

export interface SigningKey {
  version: string;
  createdAt: string;
  state: 'active' | 'accepted' | 'retired';
  key: string;
}

/** A shorter one signs nothing. */
const MIN_KEY = 32;

const fileIn = (directory: string): string => join(directory, 'secrets', 'session-signing.json');

export function readKeys(directory: string): SigningKey[] {
  return readState<SigningKey[]>(fileIn(directory)) ?? [];
}

function writeKeys(directory: string, keys: SigningKey[]): void {
  writeState(fileIn(directory), keys, 0o600);
}

/** The first key, where there is none. */
export function setUpKeys(directory: string): void {
  if (readKeys(directory).length > 0) return;
  const key = randomBytes(32).toString('base64url');
  writeKeys(directory, [{ version: 'v1', createdAt: new Date().toISOString(), state: 'active', key }]);
}

/** A session of somebody, signed. */
export function signSession({ version, key }: Pick<SigningKey, 'version' | 'key'>, subject: string): string {
  const text = `${version}.${Buffer.from(subject).toString('base64url')}`;
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
}

/** Whose session it is, or undefined where none of the accepted keys has signed it. */
export function subjectOf(directory: string, token: string): string | undefined {
  const [version, subject = ''] = token.split('.');
  const found = readKeys(directory).find((one) => one.version === version);
  if (found === undefined || found.state === 'retired' || found.key.length < MIN_KEY) return undefined;
  const name = Buffer.from(subject, 'base64url').toString();
  return sameText(signSession(found, name), token) ? name : undefined;
}

/** Whether it names a key that there is, and was not signed with it: no session of ours, however old. */
export function isForged(directory: string, token: string): boolean {
  const [version, subject] = token.split('.');
  const found = readKeys(directory).find((one) => one.version === version);
  if (found === undefined || subject === undefined) return false;
  return !sameText(signSession(found, Buffer.from(subject, 'base64url').toString()), token);
}

/** As an operator's program does it. */
export function changeKeys(directory: string, verb: string | undefined, version: string, given = ''): string {
  const keys = readKeys(directory);
  const found = keys.find((one) => one.version === version);
  if (verb === 'add') {
    if (found !== undefined) return `${version} is there`;
    if (given === '') throw new Error('the key comes over standard input');
    const added: SigningKey = { version, createdAt: new Date().toISOString(), state: 'accepted', key: given };
    writeKeys(directory, [...keys, added]);
    return `${version} added`;
  }
  if (found === undefined) throw new Error(`there is no version ${version}`);
  if (verb === 'activate') for (const one of keys) if (one.state === 'active') one.state = 'accepted';
  if (verb !== 'activate' && found.state === 'active') throw new Error(`${version} is in use`);
  found.state = verb === 'activate' ? 'active' : verb === 'retire' ? 'retired' : 'accepted';
  writeKeys(directory, keys);
  return `${version} is ${found.state}`;
}

/** Makes the key in use that old. */
export function ageKeys(directory: string, days: number): void {
  const createdAt = new Date(Date.now() - days * 86_400_000).toISOString();
  writeKeys(
    directory,
    readKeys(directory).map((one) => (one.state === 'active' ? { ...one, createdAt } : one)),
  );
}

async function probe(directory: string, version: string): Promise<string> {
  const key = readKeys(directory).find((one) => one.version === version)?.key;
  const token = signSession({ version, key: key ?? randomBytes(32).toString('base64url') }, 'probe');
  const { status } = await fetch(`${variable('BOOKING_APP_URL')}/api/session`, {
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(10_000),
  });
  if (status === 200) return 'accepted';
  if (status === 401) return 'refused';
  throw new Error(`the application answered ${status}`);
}

async function main([verb, days]: string[]): Promise<string> {
  const directory = process.cwd();
  if (verb === 'versions') return JSON.stringify(readKeys(directory).map(({ key: _, ...known }) => known));
  if (verb === 'age') {
    ageKeys(directory, Number(days));
    return `the key in use is ${days} days old`;
  }
  const version = variable('VERSION');
  if (verb === 'probe') return probe(directory, version);
  if (!/^(add|activate|retire|restore)$/.test(verb ?? ''))
    throw new Error('expected: keys versions | add | activate | retire | restore | probe | age <days>');
  return changeKeys(directory, verb, version, verb === 'add' ? readFileSync(0, 'utf8').trim() : '');
}

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`${name} is not set`);
  return value;
}

if (require.main === module) {
  main(process.argv.slice(2)).then(
    (said) => console.log(said),
    (error: Error) => {
      console.error(error.message);
      process.exitCode = 1;
    },
  );
}
