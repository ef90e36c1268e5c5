import type { Deployment, DeploymentVersion, VersionState } from '../versions/deployment';
import type { Queue } from '../versions/queue';
import { countOf, utc } from '../contract/text';
import type { Output } from './output';
import { formatTable } from './table';

/** A version with what else is known about it. */
export interface VersionView extends DeploymentVersion {
  /** Workers of it that asked for work lately. */
  workers: number;
  /** Runs that end on it. */
  pinnedRuns: number;
  /** One of those. */
  exampleRun: string | undefined;
  /** What that means for whoever operates it. */
  means: string;
  urgent: boolean;
}

const STYLE: Partial<Record<VersionState, Parameters<Output['style']>[0]>> = {
  current: 'green',
  draining: 'yellow',
};

/** What a version is good for now, and whether its workers are needed. */
export function meaningOf(
  { state }: DeploymentVersion,
  workers: number,
  pinnedRuns: number,
  exampleRun: string | undefined,
): Pick<VersionView, 'means' | 'urgent'> {
  const runs = `${countOf(pinnedRuns, 'run')} ${pinnedRuns === 1 ? 'ends' : 'end'} on it${exampleRun === undefined ? '' : `, e.g. ${exampleRun}`}`;
  switch (state) {
    case 'current':
    case 'ramping':
      return workers > 0
        ? { means: 'new runs come here', urgent: false }
        : { means: 'new runs come here and wait: no worker of it listens. Start one', urgent: true };
    case 'draining':
      if (workers === 0 && pinnedRuns > 0)
        return {
          means: `${runs} and wait: no worker of it listens. Start one of that release`,
          urgent: true,
        };
      return {
        means:
          pinnedRuns > 0 ? `${runs}: keep its worker` : 'its last run has ended: wait until it is drained',
        urgent: false,
      };
    case 'drained':
      return {
        means: workers > 0 ? 'no run is left on it: its worker can be stopped' : 'no run is left on it',
        urgent: false,
      };
    case 'inactive':
      return { means: 'was never current: no run is on it', urgent: false };
  }
}

/** Prints the versions of a deployment, and whether anything waits for a person. */
export function printVersions(
  output: Output,
  { name }: Deployment,
  versions: VersionView[],
  { taskQueue }: Queue,
  obstacle: string | undefined,
): void {
  output.line(output.style('bold', `deployment ${name}, task queue ${taskQueue}`));
  output.line(
    formatTable(
      ['version', 'state', 'since (UTC)', 'workers', 'what it means'],
      versions.map(({ buildId, state, sinceMs, workers, means, urgent }) => [
        buildId,
        STYLE[state] === undefined ? state : output.style(STYLE[state], state),
        sinceMs === undefined ? '' : utc(new Date(sinceMs).toISOString()),
        String(workers),
        urgent ? output.style('red', means) : means,
      ]),
    ),
  );
  if (obstacle !== undefined) output.line(output.style('red', `\n! ${obstacle}`));
}
