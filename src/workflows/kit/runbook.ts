import {
  allHandlersFinished,
  ApplicationFailure,
  CancelledFailure,
  CancellationScope,
  condition,
  isCancellation,
  setWorkflowOptions,
  upsertMemo,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { Outcome, RunReport } from '../../contract/report';
import type { VersioningBehavior } from '@temporalio/common';
import type { z } from 'zod';
import type { Alert } from '../../contract/alert';
import { originOf } from './admission';
import { causeOf } from './failure';
import { handleMessages } from './messages';
import { countRun } from './metrics';
import type { Prepared } from '../../contract/policy';
import { prepare } from './presets';
import { createEngine } from './engine';
import { handleInbox, type Inbox } from './inbox';
import type { Run, Sections } from './run';
import { showSections } from './sections';
import { settle, tellWhatStays } from './settle';
import { searchAttributes } from '../../contract/search-attributes';
import { beginTrace } from './trace';
import { addNote, createState, endEntry, now, publish, startEntry, type RunState } from './state';
import type { Activities } from '../../activities';
import { versioned } from './versioning';

/** A procedure: returns one sentence about what came of it. `shared` is what it shares with messages of its own. */
export type Procedure<Input, A = Activities, Shared = undefined> = (
  input: Input,
  run: Run<A>,
  shared: Shared,
) => Promise<string>;

const COMPLETING: Outcome[] = ['SUCCEEDED', 'NOTHING_TO_DO', 'OBSERVED'];

export interface RunbookOptions<A, Shared> {
  /** Messages of its own: see `messages`. */
  inbox?: Inbox<Shared, A>;
  /** What it shows of its own from the beginning: see `run.show`. */
  show?: (shared: Shared) => Sections;
  /**
   * Under Worker Versioning a run ends on the version that it began on; one that leads for weeks moves on instead, with
   * AUTO_UPGRADE, and must stay replayable for it.
   */
  versioning?: VersioningBehavior;
}

/**
 * Makes a workflow of a procedure. `name` is the wire name: the card's name and the export's. `A` are the activities that
 * it may call, `Shared` is what it shares with messages of its own.
 * The run completes with its report, or fails with an ApplicationFailure whose type is the outcome and whose details
 * are the report; a cancellation that changed nothing closes as cancelled. The memo has the report in every case.
 * @example export const rerunJob = runbook<typeof rerunJobCard, Activities & Mine>('rerunJob', async (input, run) => ...)
 */
export function runbook<C extends { input: z.ZodType }, A = Activities, Shared = undefined>(
  name: string,
  procedure: Procedure<z.output<C['input']>, A, Shared>,
  { inbox, show, versioning = 'PINNED' }: RunbookOptions<A, Shared> = {},
) {
  async function workflow(input: z.input<C['input']>): Promise<RunReport> {
    beginTrace();
    const state = createState(name);
    const ready: { run?: Run<A> } = {};
    handleMessages(state);
    const shared = handleInbox(state, inbox, () => ready.run);
    if (show !== undefined) showSections(state, show(shared));
    publish(state);
    const prepared = await prepareRun<z.output<C['input']>>(state, name, input);
    const origin = originOf(prepared.input as { alert?: Alert });
    const { run: face, ...engine } = createEngine(state, prepared.policy, origin);
    const { admission, tidy, undos } = engine;
    // Activities are called by name, so the same face serves those of anybody.
    const run = face as unknown as Run<A>;
    ready.run = run;
    let failure: unknown;
    try {
      await admission.enter();
      state.report.summary = await procedure(prepared.input, run, shared);
      state.report.outcome = 'SUCCEEDED';
      undos.keep(0);
    } catch (error) {
      failure = error;
      await undos.unwind(0, error);
      settle(state, error, undos);
    }
    if (state.report.outcome !== 'NEEDS_HUMAN') await tidy();
    if (failure !== undefined) tellWhatStays(state);
    const { outcome, summary } = state.report as RunReport & { outcome: Outcome };
    await engine.endAnnouncements(outcome, summary);
    if (!admission.callsPeople(outcome)) await engine.endPages(outcome, summary);
    await admission.leave(outcome, summary);
    return close(state, failure);
  }
  // The client starts by function name, and would otherwise start "workflow".
  Object.defineProperty(workflow, 'name', { value: name });
  // Any error of ours ends the run with a message; without this it would be retried forever.
  setWorkflowOptions({ failureExceptionTypes: [Error], ...versioned(versioning) }, workflow);
  return workflow;
}

async function prepareRun<Input>(
  state: RunState,
  runbookName: string,
  input: unknown,
): Promise<Prepared<Input>> {
  const entry = startEntry(state, 'Read the input and the policy', 'running');
  const prepared = await prepareOrRefuse<
    Input & { startedBy: string; reason?: string; environment?: string }
  >(runbookName, input);
  const { policy, title } = prepared;
  const { environment } = prepared.input;
  Object.assign(state.report, {
    title,
    service: policy.service,
    mode: policy.mode,
    startedBy: prepared.input.startedBy,
    ...(environment === undefined ? {} : { environment }),
  });
  state.report.summary = 'running';
  state.policy = policy;
  upsertSearchAttributes([
    { key: searchAttributes.service, value: policy.service },
    { key: searchAttributes.mode, value: policy.mode },
  ]);
  endEntry(state, entry, 'done', `mode ${policy.mode}: ${policy.modeReason}`);
  if (prepared.input.reason !== undefined) addNote(state, 'Reason', prepared.input.reason);
  return prepared;
}

/** A bad input ends the run at once, with a type of its own instead of the activity's wrapping. */
async function prepareOrRefuse<Input>(runbookName: string, input: unknown): Promise<Prepared<Input>> {
  try {
    return (await prepare({ runbook: runbookName, input })) as Prepared<Input>;
  } catch (error) {
    const { type, message } = causeOf(error);
    if (isCancellation(error)) throw error;
    throw ApplicationFailure.nonRetryable(message, type);
  }
}

async function close(state: RunState, failure: unknown): Promise<RunReport> {
  const { report } = state;
  const outcome = report.outcome as Outcome;
  report.endedAt = now();
  addNote(state, outcome, report.summary);
  countRun(report);
  upsertMemo({ report });
  upsertSearchAttributes([{ key: searchAttributes.outcome, value: outcome }]);
  await CancellationScope.nonCancellable(() => condition(allHandlersFinished));
  if (COMPLETING.includes(outcome)) return report;
  if (outcome === 'CANCELLED') throw isCancellation(failure) ? failure : new CancelledFailure('cancelled');
  // The outcome comes first: schedules and the command line show only this message.
  const ending = ApplicationFailure.create({
    message: `${outcome}: ${report.summary}`,
    type: outcome,
    nonRetryable: true,
    details: [report],
  });
  // Where in our code a run ended says nothing to people; the report does.
  ending.stack = '';
  throw ending;
}
