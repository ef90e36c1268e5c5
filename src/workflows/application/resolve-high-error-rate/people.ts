import { utc } from '../../../contract/text';
import { draftOf, verified, type Case, type Effect } from './case';
import type { Remedy } from './findings';
import { overCheck } from '../serving';

/** Nothing of ours is changed: a person acts, and the run looks from time to time whether that has helped. */
export async function leaveToPeople(
  one: Case,
  remedy: Extract<Remedy, { kind: 'contact' | 'byHand' }>,
): Promise<Effect> {
  const { run, place } = one;
  await run.plan(draftOf(one, 'a task for a person'));
  const task = remedy.kind === 'byHand' ? remedy.task : messageFor(one, remedy);
  await run.task(withClues(task, one.clues), {
    ...overCheck(place),
    call: async (act) => {
      const [now, others] = await Promise.all([
        act.readSymptoms(place),
        remedy.kind === 'contact' ? act.checkExternalServices(place) : [],
      ]);
      const provider = others.find(({ name }) => remedy.kind === 'contact' && name === remedy.name);
      const well = provider === undefined || provider.state === 'healthy';
      const said = provider === undefined ? '' : `; ${provider.name} ${provider.detail}`;
      return { ok: now.ok && well, detail: `${now.detail}${said}` };
    },
  });
  return verified(one);
}

/** Behind what is to be done: it may be long. */
export function withClues(text: string, clues: string): string {
  return clues === '' ? text : `${text} ${clues}`;
}

function messageFor(
  { place, run, alert }: Case,
  { name, contact, detail }: Extract<Remedy, { kind: 'contact' }>,
): string {
  const since = utc(alert?.startsAt ?? new Date(Date.now()).toISOString());
  const where = contact === undefined ? 'its support' : contact;
  return (
    `Contact ${name} at ${where}: "Since ${since} UTC requests of ${place.service} that need ${name} fail. Your status page ${detail}. ` +
    `Please confirm the incident, and say when you expect it to be over." This run (${run.policy.service}) goes on by itself when ${name} is well again.`
  );
}
