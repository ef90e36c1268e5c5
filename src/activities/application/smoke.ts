import { environmentOf } from '../../config/load';
import { resolveSecrets } from '../../config/secrets';
import type { SmokeConfig } from '../../config/smoke-schema';
import { targetOf, type Place } from '../../contract/place';
import { countOf } from '../../contract/text';
import { longestRunMs, runConfiguredCommand, type CommandResult } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { currentActivity, withProgress } from '../support/heartbeat';
import { problemOf } from '../support/http';
import { performOperation } from '../support/operation/perform';

type Flow = NonNullable<SmokeConfig['flows']>[number];

/** How long a smoke test may take in all. */
export function longestSmokeMs({ flows = [], run, ...command }: SmokeConfig): number {
  if (run !== undefined) return longestRunMs({ run, ...command });
  const requests = flows.reduce(
    (sum, { operation: { timeoutMs, poll } }) => sum + timeoutMs + (poll?.forSeconds ?? 0) * 1_000,
    0,
  );
  return Math.min(requests, command.timeoutSeconds * 1_000);
}

/**
 * Tries the key flows of an environment, of what answers at `url` where that is given. One that does not work fails it and
 * names itself; it is not tried again, because a second answer would make nothing of the first. Throws CommandFailed.
 */
export async function runSmoke(deps: ActivityDeps, place: Place, url?: string): Promise<CommandResult> {
  const { service, environment } = place;
  const { smoke } = environmentOf(deps.config, service, environment);
  if (smoke === undefined) return { ran: false, detail: 'no smoke configured', durationMs: 0 };
  const startedAt = Date.now();
  const { flows, run, ...command } = smoke;
  const detail =
    run === undefined
      ? await tryFlows(deps, place, { flows: flows ?? [], timeoutSeconds: command.timeoutSeconds }, url)
      : await runConfiguredCommand(
          deps,
          { run, ...command },
          {
            RUNBOOKS_SERVICE: service,
            RUNBOOKS_ENVIRONMENT: environment,
            ...(url === undefined ? {} : { DEPLOYMENT_URL: url }),
          },
        );
  return { ran: true, detail, durationMs: Date.now() - startedAt };
}

async function tryFlows(
  deps: ActivityDeps,
  place: Place,
  { flows, timeoutSeconds }: { flows: Flow[]; timeoutSeconds: number },
  url?: string,
): Promise<string> {
  const { directory } = deps.config;
  const { service, environment } = place;
  const late = AbortSignal.timeout(timeoutSeconds * 1_000);
  for (const [index, { name, operation }] of flows.entries()) {
    const progress = { phase: name, done: index, total: flows.length, unit: 'statements' as const };
    const action = `try the key flow "${name}" of ${targetOf(place)}`;
    await withProgress(progress, () =>
      performOperation(url === undefined ? operation : movedTo(url, operation, directory), {
        action,
        parameters: { service, environment },
        directory,
        signal: late,
      }),
    ).catch((error: unknown) => {
      currentActivity().signal.throwIfAborted();
      const why = late.aborted
        ? `Could not ${action}: the smoke test takes longer than its timeoutSeconds, ${timeoutSeconds} s.`
        : problemOf(error);
      throw fail('CommandFailed', why);
    });
  }
  return `${countOf(flows.length, 'key flow')} work: ${flows.map(({ name }) => name).join(', ')}`;
}

/** The same request to another server. */
function movedTo(url: string, operation: Flow['operation'], directory: string): Flow['operation'] {
  const resolved = resolveSecrets(operation.url, directory);
  return { ...operation, url: resolved.replace(/^\w+:\/\/[^/?#]*/, () => url.replace(/\/+$/, '')) };
}
