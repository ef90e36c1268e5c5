import { openAt } from './breaker';
import { code, inline } from '../kit';
import { utc } from '../../contract/text';
import type { GuardState } from '../../contract/guard';

const SHOWN = 10;

/** Why the guard grants nothing now, or nothing when it could. */
export function obstacleOf({ paused, holder }: GuardState): string | undefined {
  if (paused !== null) return `paused by ${paused.by} at ${paused.at} (${paused.reason})`;
  if (holder?.kept !== undefined)
    return `kept by ${holder.workflowId} since ${holder.since}, which needs a person: ${holder.kept}`;
  if (holder !== null) return `held by ${holder.workflowId} since ${holder.since}`;
  return undefined;
}

/** The guard as Markdown, with what to paste in order to change it. */
export function describeGuard(state: GuardState): string {
  const { target, waiting, lastToken } = state;
  return [
    `# Guard of ${inline(target)}`,
    inline(obstacleOf(state) ?? 'free'),
    `Last fencing token ${lastToken}. Waiting: ${waiting.length === 0 ? 'nobody' : namesOf(waiting)}.`,
    ...describeBreaker(state),
    ...describeChanges(state),
    'To pause, send the signal **pause** with:',
    '```json\n{"by":"<your name>","reason":"<why>"}\n```',
    'To go on, send **resume** with the same.',
    ...(state.holder?.kept === undefined
      ? []
      : [
          'When that run has ended, and what it left behind is repaired, send the Update **free** with the same.',
        ]),
  ].join('\n\n');
}

function namesOf(waiting: { workflowId: string }[]): string {
  const names = waiting.slice(0, SHOWN).map(({ workflowId }) => inline(workflowId));
  const more = waiting.length - names.length;
  return `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function describeBreaker({ breaker, queue }: GuardState): string[] {
  const open = openAt(breaker, Date.now()).slice(-SHOWN);
  const ceilings = Object.entries(breaker.ceilings);
  const lines = [
    ...breaker.running
      .slice(-SHOWN)
      .map(
        ({ workflowId, startedAt, pool }) =>
          `- ${pool === null ? 'waits for people, or needs no place' : 'runs'}: ${code(workflowId)} since ${utc(startedAt)}`,
      ),
    ...(breaker.running.length > SHOWN ? [`- and ${breaker.running.length - SHOWN} more`] : []),
    ...queue
      .slice(0, SHOWN)
      .map(({ workflowId, since }) => `- waits for a place: ${code(workflowId)} since ${utc(since)}`),
    ...(queue.length > SHOWN ? [`- and ${queue.length - SHOWN} more wait`] : []),
    ...open.map(
      ({ runbook, fingerprint, mode, reason, until }) =>
        `- **open**: ${inline(runbook)}, alert ${code(fingerprint)}: ${inline(reason)}; ${mode} until ${utc(until)}`,
    ),
    ...ceilings.map(
      ([runbook, { mode, by, since, reason }]) =>
        `- ${inline(runbook)} up to **${mode}**, by ${inline(by)} at ${utc(since)}: ${inline(reason)}`,
    ),
  ];
  if (lines.length === 0) return [];
  const [runbook = open[0]?.runbook ?? '<runbook>'] = ceilings.map(([name]) => name);
  return [
    '## Breaker',
    lines.join('\n'),
    'To let a runbook climb again, send the Update **ladder**; to close what is open, **reset** (without `mode`):',
    `\`\`\`json\n${JSON.stringify({ runbook, mode: 'auto', by: '<your name>', reason: '<why>' })}\n\`\`\``,
  ];
}

function describeChanges({ changes }: GuardState): string[] {
  if (changes.length === 0) return [];
  const newest = changes.slice(-SHOWN).reverse();
  return [
    '## Changes',
    newest
      .map(({ at, by, what, reason }) => `- ${utc(at)} ${inline(what)} by ${inline(by)}: ${inline(reason)}`)
      .join('\n'),
  ];
}
