import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { scrub } from '../../config/secrets';
import { targetOf, type Place } from '../../contract/place';
import { readConfiguredCommand } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { currentActivity } from '../support/heartbeat';
import { containmentOf } from './containment-settings';
import { hushed } from './hushed';

/** Logs that were put aside. */
export interface PreservedLogs {
  where: string;
  sha256: string;
  /** The worker has read the file itself; otherwise the command says so. */
  verified: boolean;
}

/** Of logs elsewhere; without what a signed address, or one with a password, has besides. */
const PLACE = /^[\w./:+=,-]{1,500}$/;

/**
 * Has the logs put aside, under the name of the incident. A retry puts them aside once more, which harms nothing. Throws
 * CommandFailed, and LogsNotPreserved where nothing can be shown for it.
 */
export async function preserveLogs(
  deps: ActivityDeps,
  { incident, ...place }: Place & { incident: string },
): Promise<PreservedLogs> {
  const { preserveLogs: command } = containmentOf(deps, place);
  const failed = (why: string) =>
    fail(
      'LogsNotPreserved',
      `The logs of ${targetOf(place)} were not preserved: ${why}. Preserve them by hand.`,
    );
  if (command === undefined) throw failed('security.preserveLogs is not configured');
  const variables = {
    RUNBOOKS_SERVICE: place.service,
    RUNBOOKS_ENVIRONMENT: place.environment,
    INCIDENT: incident,
  };
  const printed = await hushed(`preserve the logs of ${targetOf(place)}`, () =>
    readConfiguredCommand(deps, command, variables),
  );
  const line = printed.trimEnd().split('\n').at(-1)?.trim() ?? '';
  const [, given, behind] = /^([0-9a-f]{64})\s+\*?(.+)$/.exec(line) ?? [];
  const named = behind ?? line;
  if (named === '') throw failed('the command printed no place');
  const file = resolve(deps.config.directory, command.directory, named);
  const found = await stat(file).catch(() => undefined);
  if (found === undefined && given !== undefined && PLACE.test(named))
    return { where: scrub(named), sha256: given, verified: false };
  // It may be anything, also a secret: only what is a file is quoted.
  if (found?.isFile() !== true)
    throw failed('what the command printed last is no file that the worker can read');
  const where = scrub(named).slice(0, 500);
  if (found.size === 0) throw failed(`${where} is empty`);
  const sha256 = await hashOf(file);
  if (given !== undefined && given !== sha256)
    throw failed(`${where} has the SHA-256 ${sha256}, and the command says ${given}`);
  return { where, sha256, verified: true };
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash, { signal: currentActivity().signal });
  return hash.digest('hex');
}
