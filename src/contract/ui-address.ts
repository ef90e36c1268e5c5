/** Addresses in the Temporal UI. */
import { searchAttributes } from './search-attributes';

/** The page of a run: where its run ID is known, the tab with what it says of itself. */
export function runAddress(ui: string, namespace: string, workflowId: string, runId?: string): string {
  const base = `${ui}/namespaces/${encodeURIComponent(namespace)}/workflows/${encodeURIComponent(workflowId)}`;
  return runId === undefined ? base : `${base}/${encodeURIComponent(runId)}/user-metadata`;
}

/** The list of the runs that wait for a person. */
export function waitingAddress(ui: string, namespace: string): string {
  const query = new URLSearchParams({
    query: `ExecutionStatus = "Running" AND ${searchAttributes.waiting.name} IS NOT NULL`,
  }).toString();
  return `${ui}/namespaces/${encodeURIComponent(namespace)}/workflows?${query}`;
}

/**
 * The prefilled "Start Workflow" page. Checked against UI 2.42.1 and its later versions: they read `workflowId`,
 * `taskQueue` and `workflowType`, and no input. The input of the newest run of that type and ID is copied where there
 * is one; a new ID keeps an old run's input (its service, its mode) out of the form.
 */
export function startAddress(
  ui: string,
  namespace: string,
  start: { workflowType: string; taskQueue: string; workflowId: string },
): string {
  const query = new URLSearchParams(start).toString();
  return `${ui}/namespaces/${encodeURIComponent(namespace)}/workflows/start-workflow?${query}`;
}
