import { CancellationScope } from '@temporalio/workflow';
import type { Announcement, AnnounceResult, MessageKind } from '../../activities/notifications/message';
import type { Severity } from '../../contract/modes';
import type { Outcome } from '../../contract/report';
import { causeOf } from './failure';
import type { Tell } from './people';
import type { Policy } from '../../contract/policy';
import { activitiesFor } from './presets';
import type { Paged, PageOptions } from './run';
import { addNote, type RunState } from './state';

/** People are still needed, or do not know yet what was done, or that nothing was. */
const STAY_OPEN: Outcome[] = ['NEEDS_HUMAN', 'PARTIAL', 'FAILED'];

/** Procedures say these themselves, and that people are needed is said when they are called. */
const SAID: Outcome[] = ['SUCCEEDED', 'NOTHING_TO_DO', 'OBSERVED', 'NEEDS_HUMAN'];

const SUMMARIES: Record<MessageKind, string> = {
  status: 'Announce',
  page: 'Page',
  acknowledged: 'Acknowledge the page',
  resolved: 'Resolve the page',
};

/** Messages to people who do not look at the run. Best effort: none of them fails a run, and failures are on the timeline. */
export function createMessenger(state: RunState, policy: Policy) {
  let threads: Record<string, string> = {};
  /** Who was paged, while the page stands. */
  let open: { channels: Set<string>; severity?: Severity } | undefined;
  const unreached = new Set<string>();
  /** Titles of what was said once: where there is no channel, that does not change while it runs. */
  const missing = new Set<string>();
  /** Every channel was told what is being done. */
  let announced = false;

  async function send(
    kind: MessageKind,
    text: string,
    to: Pick<Announcement, 'rung' | 'channels' | 'severity'>,
  ): Promise<AnnounceResult> {
    const { workflowId, service, title } = state.report;
    try {
      const message: Announcement = { service, text, workflowId, title, kind, threads, ...to };
      // A cancellation between the work and the word that it is done must not undo the work.
      const result = await CancellationScope.nonCancellable(() =>
        activitiesFor('read', SUMMARIES[kind]).announce(message),
      );
      threads = { ...threads, ...result.threads };
      if (result.problems.length > 0) addNote(state, 'A message did not arrive', result.problems.join('; '));
      return result;
    } catch (error) {
      const { message } = causeOf(error);
      addNote(state, 'A message did not arrive', message);
      return { told: [], problems: [message] };
    }
  }

  /** A status message, to a rung of the ladder or to every channel. Returns the channels that took it. */
  async function announce(text: string, to: { rung?: string; severity?: Severity } = {}): Promise<string[]> {
    const { rung, severity } = to;
    const { told, problems } = await send('status', text, { rung: rung ?? null, severity });
    if (rung === undefined && told.length > 0) announced = true;
    if (rung === undefined && told.length + problems.length === 0)
      noteOnce('Nobody was told', `no channel of ${state.report.service} takes this: ${text}`);
    if (rung !== undefined && told.length === 0) addNote(state, `Nobody could be told at ${rung}`, text);
    return told;
  }

  /** Calls people. Where nobody of a rung can be reached, the next one is called at once. */
  async function page(
    text: string,
    { rung = 0, severity = policy.priority }: PageOptions = {},
  ): Promise<Paged> {
    const { ladder } = policy;
    const last = Math.max(0, ladder.length - 1);
    for (let at = Math.min(rung, last); ; at += 1) {
      const name = ladder[at];
      const { told, problems } = await send('page', text, { rung: name ?? null, severity });
      if (told.length > 0 || problems.length > 0) remember(told, severity);
      if (told.length > 0) {
        unreached.delete(text);
        return { told, rung: name, wanted: true };
      }
      // No ladder and no channel: nobody wants to be called.
      if (name === undefined && problems.length === 0) {
        noteOnce('Nobody was called', `${state.report.service} has no channel: ${text}`);
        return { told, wanted: false };
      }
      if (at < last) {
        addNote(state, `Nobody could be told at ${name}`, `${ladder[at + 1]} is told at once`);
        continue;
      }
      // A page is repeated while nobody answers; that nobody can be reached is said once.
      if (!unreached.has(text)) addNote(state, 'Nobody could be reached', text);
      unreached.add(text);
      return { told, wanted: true };
    }
  }

  function noteOnce(title: string, detail: string): void {
    if (!missing.has(title)) addNote(state, title, detail);
    missing.add(title);
  }

  function remember(told: string[], severity: Severity | undefined): void {
    open ??= { channels: new Set() };
    for (const channel of told) open.channels.add(channel);
    open.severity = severity;
  }

  /** Says to those who were paged that somebody has it. Nothing happens where nobody was paged. */
  async function acknowledgePage(text: string): Promise<void> {
    if (open === undefined) return;
    await send('acknowledged', text, { rung: null, channels: [...open.channels], severity: open.severity });
  }

  /** Says to those who were paged that it is over. Nothing happens where nobody was paged, or it was said. */
  async function resolvePage(text: string): Promise<void> {
    if (open === undefined) return;
    const { channels, severity } = open;
    open = undefined;
    await send('resolved', text, { rung: null, channels: [...channels], severity });
  }

  /** A page does not outlive its run, unless people are still needed. */
  async function endPages(outcome: Outcome, summary: string): Promise<void> {
    if (open === undefined || STAY_OPEN.includes(outcome)) return;
    await resolvePage(`${outcome}: ${summary}`);
  }

  const tell: Tell = async (rung, text) => void (await page(text, { rung }));

  /** Who was told what is being done, e.g. that no writes are taken, hears when that is over. */
  async function endAnnouncements(outcome: Outcome, summary: string): Promise<void> {
    if (!announced || SAID.includes(outcome)) return;
    await announce(`${outcome}: ${summary}`);
  }

  return { announce, tell, page, acknowledgePage, resolvePage, endPages, endAnnouncements };
}
