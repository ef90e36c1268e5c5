/** Addresses in the Temporal UI. */

/** The page of a run. */
export function runAddress(ui: string, namespace: string, workflowId: string, runId?: string): string {
  const base = `${ui}/namespaces/${encodeURIComponent(namespace)}/workflows/${encodeURIComponent(workflowId)}`;
  return runId === undefined ? base : `${base}/${encodeURIComponent(runId)}/history`;
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
