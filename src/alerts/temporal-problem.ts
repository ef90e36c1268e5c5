import type { Client } from '@temporalio/client';
import { scrub } from '../config/secrets';
import { by } from './temporal-calls';

const PROBE_MS = 2_000;
const PROBE_FOR_MS = 1_000;

/** Says why Temporal cannot take anything now. Asks it at most once a second, however often it is asked itself. */
export function temporalProblem(client: Client): () => Promise<string | undefined> {
  const { namespace } = client.options;
  let probe: { at: number; found: Promise<string | undefined> } | undefined;
  const ask = async (): Promise<string | undefined> => {
    const untilMs = Date.now() + PROBE_MS;
    try {
      await by(
        untilMs,
        client.withDeadline(untilMs, () => client.workflowService.describeNamespace({ namespace })),
      );
      return undefined;
    } catch (error) {
      return scrub(`Temporal does not answer: ${(error as Error).message}`);
    }
  };
  return () => {
    if (probe === undefined || Date.now() - probe.at > PROBE_FOR_MS) probe = { at: Date.now(), found: ask() };
    return probe.found;
  };
}
