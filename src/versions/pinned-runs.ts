import type { Client } from '@temporalio/client';

/** The open runs that end on a version: how many, and one of them. What a search finds may be a moment old. */
export async function readPinnedRuns(
  client: Client,
  deploymentName: string,
  buildId: string,
): Promise<{ count: number; example: string | undefined }> {
  const query = [
    `TemporalWorkerDeploymentVersion = ${JSON.stringify(`${deploymentName}:${buildId}`)}`,
    'TemporalWorkflowVersioningBehavior = "Pinned"',
    'ExecutionStatus = "Running"',
  ].join(' AND ');
  const { count } = await client.workflow.count(query);
  if (count === 0) return { count, example: undefined };
  for await (const { workflowId } of client.workflow.list({ query, pageSize: 1 }))
    return { count, example: workflowId };
  return { count, example: undefined };
}
