import type { RunStatus, Waiting } from '../contract/report';
import type { Temporal } from './connect';
import { CliError, EXIT } from './errors';
import { quote } from '../contract/answer-commands';
import { queryStatus } from './read-run';

const UPDATE_TIMEOUT_MS = 15_000;

/** Sends an Update and returns what the run answered. Throws WorkflowUpdateFailedError when it refused. */
export async function sendUpdate(
  { client, within }: Temporal,
  workflowId: string,
  name: string,
  argument: Record<string, string>,
  timeoutMs = UPDATE_TIMEOUT_MS,
): Promise<string> {
  const handle = client.workflow.getHandle(workflowId);
  // Otherwise a run that has ended would look like one whose worker is away.
  const { status } = await handle.describe();
  if (status.name !== 'RUNNING') {
    throw new CliError(
      EXIT.usage,
      `${workflowId} has ended (${status.name}), so it takes no answers. \`runbooks report ${quote(workflowId)}\` tells what happened.`,
    );
  }
  return within(timeoutMs, () =>
    handle.executeUpdate<string, [Record<string, string>]>(name, { args: [argument] }),
  );
}

/** Sends an answer, signed where the run knows a key of this user. Throws CliError where it must be signed and cannot be. */
export async function sendAnswer(
  temporal: Temporal,
  workflowId: string,
  verb: string,
  given: Record<string, string | undefined>,
  keyFile: string | undefined,
): Promise<string> {
  const unsigned = words(given);
  const status = await queryStatus(temporal, workflowId);
  if (status === undefined && keyFile !== undefined) await askRun(temporal, workflowId);
  if (status === undefined) return sendUpdate(temporal, workflowId, verb, unsigned);
  const { signAnswer } = await import('./signing/sign-answer.js');
  const { namespace } = temporal;
  const signed = await signAnswer(status, { namespace, verb, words: unsigned, keyFile });
  return sendUpdate(temporal, workflowId, verb, signed);
}

/** The run's own words about what it waits for. Throws CliError when no worker answers, WorkflowNotFoundError. */
export async function askRun(temporal: Temporal, workflowId: string): Promise<RunStatus> {
  await temporal.client.workflow.getHandle(workflowId).describe();
  const status = await queryStatus(temporal, workflowId);
  if (status !== undefined) return status;
  throw new CliError(
    EXIT.unreachable,
    `No worker answers for ${workflowId}, so what it waits for is not known. Start one with \`runbooks worker\`.`,
  );
}

/** The one open question of a kind. Throws CliError (usage) when there is none or more than one. */
export function onlyOpen(status: RunStatus, kind: Waiting['kind'], flag: string): Waiting {
  const open = status.waiting.filter((waiting) => waiting.kind === kind);
  const [only] = open;
  if (only === undefined) {
    throw new CliError(
      EXIT.usage,
      `${status.workflowId} waits for no ${kind} now: ${sentence(status.summary)}`,
    );
  }
  if (open.length > 1) {
    const list = open.map(({ id, question }) => `\n  ${flag} ${quote(id)}  ${question}`).join('');
    throw new CliError(EXIT.usage, `${status.workflowId} waits for ${open.length}; say which:${list}`);
  }
  return only;
}

function sentence(text: string): string {
  return /[.?!]$/.test(text) ? text : `${text}.`;
}

/** Leaves out what was not given. */
export function words(given: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(given).filter((pair): pair is [string, string] => pair[1] !== undefined),
  );
}
