import { type Place, targetOf } from '../../../contract/place';
import { duration, type Run, utc } from '../../kit';
import type { Restored } from './database';
import type { Recovery } from './recovery';

const MAX_TITLE = 200;
const MAX_IMPACT = 1_000;
/** An incident starts its runbooks under its own ID. */
const INCIDENTS = 'respondToIncident/';

/** It leads the communication, and starts no runbook of its own: this one is at work. */
export async function openIncident(
  { run, place, startedBy, remarks }: Pick<Recovery, 'run' | 'place' | 'startedBy' | 'remarks'>,
  wrong: string[],
): Promise<void> {
  if (run.id.startsWith(INCIDENTS))
    return run.note('This run is part of an incident', run.id.slice(0, run.id.lastIndexOf('/')));
  const target = targetOf(place);
  const impact = wrong.join('\n').slice(0, MAX_IMPACT);
  const input = {
    ...place,
    title: `Disaster of ${target}`.slice(0, MAX_TITLE),
    severity: 'P0',
    impact,
    scope: target,
    runbook: false,
    mode: run.policy.mode,
    startedBy,
    reason: `opened by ${run.id}`.slice(0, 500),
  };
  // Nobody waits for it with the recovery.
  const { ok, why } = await run.attempt(() =>
    run.launch('Open an incident', 'respondToIncident', `disaster-${place.environment}`, input, impact),
  );
  if (!ok) remarks.push(`no incident could be opened: ${why}`);
}

/** Through the channels of the service; where none takes it, a person tells them. */
export async function tellClients(run: Run, place: Place, text: string): Promise<void> {
  const told = await run.announce(text);
  if (told.length > 0) return run.note('The clients are told', `${told.join(', ')}: ${text}`);
  await run.task(`Tell the clients of ${targetOf(place)}, whom no channel reaches: "${text}"`);
}

export function outageText({ service }: Place, beganAtMs: number): string {
  return `${service} is down since ${utc(new Date(beganAtMs).toISOString())} UTC. It is being recovered; nothing that is entered meanwhile is sure to be kept.`;
}

/** Every sentence of it is known by then. */
export function overText({ service }: Place, beganAtMs: number, { from }: Restored): string {
  const lost =
    from === undefined
      ? 'Nothing was restored, so what was stored before is there.'
      : `What was entered between ${utc(from.snapshotAt)} UTC and the end of the outage may be missing: please look at it and enter it again.`;
  return `${service} works again. The outage lasted ${duration(Date.now() - beganAtMs)}, since ${utc(new Date(beganAtMs).toISOString())} UTC. ${lost}`;
}
