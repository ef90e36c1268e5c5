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
import { causeOf, Stop } from './failure';
import { handleMessages } from './messages';
import { countRun } from './metrics';
import type { Prepared } from '../../contract/policy';
import { prepare } from './presets';
import { createRun, type Run } from './run';
import { searchAttributes } from '../../contract/search-attributes';
import { addNote, createState, endEntry, now, publish, startEntry, type RunState } from './state';
import { versioned } from './versioning';

/** A procedure: returns one sentence about what came of it. */
export type Procedure<Input, Inbox = undefined> = (input: Input, run: Run, inbox: Inbox) => Promise<string>;

const COMPLETING: Outcome[] = ['SUCCEEDED', 'NOTHING_TO_DO', 'OBSERVED'];

/**
 * Makes a workflow of a procedure. `name` is the wire name: the card's name and the export's.
 * The run completes with its report, or fails with an ApplicationFailure whose type is the outcome and whose details
 * are the report; a cancellation that changed nothing closes as cancelled. The memo has the report in every case.
 * A procedure with messages of its own registers their handlers in `openInbox`, which runs before the first await.
 * Under Worker Versioning a run ends on the version that it began on; one that leads for weeks moves on instead, with
 * AUTO_UPGRADE, and must stay replayable for it.
 */
export function runbook<C extends { input: z.ZodType }, Inbox = undefined>(
  name: string,
  procedure: Procedure<z.output<C['input']>, Inbox>,
  openInbox?: (state: RunState) => Inbox,
  versioningBehavior: VersioningBehavior = 'PINNED',
) {
  async function workflow(input: z.input<C['input']>): Promise<RunReport> {
    const state = createState(name);
    handleMessages(state);
    const inbox = openInbox?.(state) as Inbox;
    publish(state);
    const prepared = await prepareRun<z.output<C['input']>>(state, name, input);
    const run = createRun(state, prepared.policy, originOf(prepared.input as { alert?: Alert }));
    let failure: unknown;
    try {
      await run.admission.enter();
      state.report.summary = await procedure(prepared.input, run, inbox);
      state.report.outcome = 'SUCCEEDED';
    } catch (error) {
      failure = error;
      await run.undos.unwind(0, error);
      settle(state, error, run.undos.result());
    }
    if (state.report.outcome !== 'NEEDS_HUMAN') await run.tidy();
    const { outcome, summary } = state.report as RunReport & { outcome: Outcome };
    if (!run.admission.callsPeople(outcome)) await run.endPages(outcome, summary);
    await run.admission.leave(outcome, summary);
    return close(state, failure);
  }
  // The client starts by function name, and would otherwise start "workflow".
  Object.defineProperty(workflow, 'name', { value: name });
  // Any error of ours ends the run with a message; without this it would be retried forever.
  setWorkflowOptions({ failureExceptionTypes: [Error], ...versioned(versioningBehavior) }, workflow);
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

function cancelledText(undone: number, kept: number): string {
  if (undone > 0) return 'cancelled; what had been done was undone';
  return kept > 0 ? 'cancelled; what was finished before stays' : 'cancelled before anything was changed';
}

/** What came of a cancellation is the cancellation, whatever the interrupted step made of it. */
function wasCancelled(error: unknown): boolean {
  return isCancellation(error) || CancellationScope.current().consideredCancelled;
}

/** Decides the outcome of a run that did not reach its end. */
function settle(
  state: RunState,
  error: unknown,
  { undone, kept, stuck }: { undone: number; kept: number; stuck?: string },
): void {
  const { report } = state;
  const { type, message } = causeOf(error);
  if (stuck !== undefined) {
    report.outcome = 'NEEDS_HUMAN';
    report.summary = `${stuck} (after: ${message})`;
  } else if (error instanceof Stop) {
    report.outcome = error.outcome;
    report.summary = undone > 0 ? `${error.summary}; what had been done was undone` : error.summary;
  } else if (wasCancelled(error)) {
    report.outcome = undone > 0 ? 'ROLLED_BACK' : 'CANCELLED';
    report.summary = cancelledText(undone, kept);
  } else {
    report.outcome = undone > 0 ? 'ROLLED_BACK' : 'FAILED';
    report.summary = `${message} (${type})`;
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
