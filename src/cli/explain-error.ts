import { scrub } from '../config/secrets';
import { CliError, EXIT, type ExitCode } from './errors';

interface Explained {
  exitCode: ExitCode;
  message: string;
}

// gRPC status codes.
const INVALID_ARGUMENT = 3;
const DEADLINE_EXCEEDED = 4;
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

/** What the SDK says of a payload that no codec has decrypted. */
const ENCRYPTED = 'Unknown encoding: binary/encrypted';
const NO_KEY =
  'What Temporal holds is encrypted, and this command has no key for it: `temporal.codec` of the configuration names them.';

/**
 * One clear paragraph and an exit code for any error. By name and code rather than by class, so that a command which
 * never speaks to Temporal need not load its client.
 */
export function explainError(error: unknown): Explained {
  const { exitCode, message } = explain(error);
  return { exitCode, message: scrub(message) };
}

function explain(error: unknown): Explained {
  if (error instanceof CliError) return error;
  if (!(error instanceof Error)) return { exitCode: EXIT.runFailed, message: String(error) };
  switch (error.name) {
    case 'ConfigError':
    case 'PackError':
    case 'UnknownName':
    case 'UnknownExample':
    case 'RedisNotFound':
    case 'MissingSecret':
    case 'CodecError':
    case 'CodecServerError':
      return { exitCode: EXIT.usage, message: error.message };
    case 'TemporalUnreachable':
      return { exitCode: EXIT.unreachable, message: error.message };
    case 'WorkflowUpdateFailedError':
      return {
        exitCode: EXIT.usage,
        message: `The run refused that: ${causeMessage(error).replace(/\.$/, '')}. Nothing was changed by it.`,
      };
    case 'WorkflowUpdateRPCTimeoutOrCancelledError':
      return {
        exitCode: EXIT.unreachable,
        message:
          'No worker answered in time. The answer may still be taken once a worker runs (`runbooks worker`); look with `runbooks status <id>` before sending it again.',
      };
    case 'WorkflowNotFoundError':
      return {
        exitCode: EXIT.notFound,
        message: `There is no such run, or it has ended: ${error.message}. \`runbooks status\` lists the open ones.`,
      };
    case 'NamespaceNotFoundError':
      return {
        exitCode: EXIT.notFound,
        message: `Temporal has no namespace "${(error as { namespace?: string }).namespace ?? ''}". Another one: temporal.namespace of the configuration, or TEMPORAL_NAMESPACE.`,
      };
    case 'QueryNotRegisteredError':
    case 'QueryRejectedError':
      return { exitCode: EXIT.usage, message: `That workflow is not a runbook: ${error.message}` };
    default:
      return isEncrypted(error) ? { exitCode: EXIT.usage, message: NO_KEY } : explainService(error);
  }
}

function explainService(error: Error): Explained {
  const cause = (error.cause ?? error) as { code?: unknown; details?: unknown; message?: string };
  const details = typeof cause.details === 'string' && cause.details !== '' ? cause.details : error.message;
  if (cause.code === NOT_FOUND) {
    return {
      exitCode: EXIT.notFound,
      message: `Temporal does not know it: ${details}. \`runbooks status\` lists the open runs.`,
    };
  }
  if (cause.code === UNAVAILABLE || cause.code === DEADLINE_EXCEEDED) {
    return {
      exitCode: EXIT.unreachable,
      message: `Temporal does not answer: ${details}. Check its address: temporal.address of the configuration, or TEMPORAL_ADDRESS.`,
    };
  }
  if (cause.code === RESOURCE_EXHAUSTED) {
    return {
      exitCode: EXIT.unreachable,
      message: `Temporal takes no more requests of that kind at the moment: ${details}. Nothing was read; try again in a minute. Where that goes on, somebody asks too often, or the namespace needs a higher limit.`,
    };
  }
  if (cause.code === PERMISSION_DENIED || cause.code === UNAUTHENTICATED) {
    return {
      exitCode: EXIT.unreachable,
      message: `Temporal refuses this client: ${details}. Check TEMPORAL_API_KEY, the certificates and the namespace.`,
    };
  }
  if (cause.code === INVALID_ARGUMENT) return { exitCode: EXIT.usage, message: refusedText(details) };
  return { exitCode: EXIT.runFailed, message: error.message };
}

/** It is there, and what it is nobody can read here. */
export function isEncrypted(error: unknown): boolean {
  return (error as Error).message.startsWith(ENCRYPTED);
}

/** The name of a run is empty where a script looked for one and found none. */
function refusedText(details: string): string {
  if (details.startsWith('WorkflowId is not set'))
    return 'No run was named: the workflow ID is empty. `runbooks status` lists the open runs.';
  return `Temporal refuses the request: ${details.replace(/\.$/, '')}.`;
}

/** The innermost message: the one the validator wrote. */
function causeMessage(error: Error): string {
  let current: Error = error;
  while (current.cause instanceof Error) current = current.cause;
  return current.message;
}
