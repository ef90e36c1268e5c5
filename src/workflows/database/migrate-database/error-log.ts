import { isCancellation, patched } from '@temporalio/workflow';
import type { KnownErrors, NewErrors } from '../../../activities/observe/logs';
import { type Place, targetOf } from '../../../contract/place';
import { countOf, utc } from '../../../contract/text';
import { inTime, kindsText } from '../../application/errors-in-log';
import type { Run } from '../../kit';

/** Kinds of a day: of jobs that run at night, too. */
const BACK_MS = 86_400_000;
const PATIENCE_MS = 300_000;
const TOLD = 5;

/**
 * To be called right before production is touched; what it returns says what has come into the log since, for people: a
 * sentence, or nothing. An error that is new may have another cause, so it only warns and takes no good migration back.
 */
export async function watchErrorLog(run: Run, place: Place): Promise<() => Promise<string>> {
  if (!patched('compares-the-log')) return () => Promise.resolve('');
  const where = targetOf(place);
  const since = new Date(Date.now() - BACK_MS).toISOString();
  const before = await attempt(() =>
    run.step(
      `Errors in the log of ${where} before`,
      (act) => inTime(PATIENCE_MS, () => act.readErrorKinds({ ...place, since })),
      { kind: 'long', undo: 'read-only', describe: describeKnown },
    ),
  );
  if (before === null) return () => Promise.resolve('');
  const from = new Date(Date.now()).toISOString();
  return async () => {
    const found = before && (await attempt(() => readNew(run, place, before, from)));
    if (!found) return `its log could not be read, so nobody has compared the errors in it`;
    if (found.kinds === 0) return '';
    const kinds = kindsText(found.top, TOLD);
    const more = found.kinds > TOLD ? ` and ${found.kinds - TOLD} more` : '';
    const older = before.cut ? ' (of what could be read of it)' : '';
    run.note(
      `The log of ${where} has errors that were not there before`,
      `${kinds}${more}${older}. The migration stands; look whether they come from it.`,
      { failed: true },
    );
    return `${countOf(found.kinds, 'kind')} of errors in its log that were not there before: ${kinds}${more}${older}`;
  };
}

function readNew(run: Run, place: Place, { kinds }: KnownErrors, since: string): Promise<NewErrors> {
  return run.step(
    `New errors in the log of ${targetOf(place)}`,
    (act) => inTime(PATIENCE_MS, () => act.findNewErrors({ ...place, since, known: kinds })),
    {
      kind: 'long',
      undo: 'read-only',
      describe: ({ errors, kinds: found, cut }) =>
        `${countOf(errors, 'error')} since ${utc(since)} UTC${cut ? ' in what could be read of it' : ''}, ${
          found === 0 ? 'none of a new kind' : `${countOf(found, 'kind')} of them new`
        }`,
    },
  );
}

function describeKnown(known: KnownErrors | null): string {
  if (known === null) return 'not looked at: observe.logs is not configured';
  return `${countOf(known.kinds.length, 'kind')} in a day${known.cut ? ', and more' : ''}`;
}

/** Undefined where it failed: its step has said why. */
async function attempt<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isCancellation(error)) throw error;
    return undefined;
  }
}
