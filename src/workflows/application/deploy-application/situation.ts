import { ApplicationFailure } from '@temporalio/workflow';
import type { Symptoms } from '../../../activities/application/symptoms';
import type { Deployment } from '../../../activities/deployments/deployment-list';
import type { ReleaseSettings } from '../../../activities/deployments/release-activities';
import type { Commits, Readiness } from '../../../activities/deployments/review';
import type { PendingMigrations } from '../../../activities/postgres/migrations/migration-activities';
import type { Place } from '../../../contract/place';
import { isOf, type Release } from '../../../contract/release';
import { uncheckedOf } from '../../database/checks';
import { countOf, type Run } from '../../kit';
import { currentOf } from '../choose-deployment';
import { describeCurrent } from '../in-front';
import { describeDeployment } from '../name-deployment';

/** What is deployed, and where. */
export interface Wanted {
  place: Place;
  /** Absent where a service has none. */
  staging?: Place;
  release: Release;
  settings: ReleaseSettings;
}

/** What there is before. */
export interface Situation {
  current: Deployment;
  /** The wanted one, where an earlier run or a person has left it beside. */
  beside?: Deployment;
  readiness: Readiness;
  commits: Commits;
  migrations: PendingMigrations;
  symptoms: Symptoms;
  unchecked: string[];
}

/** Ends the run where nothing is to be done, or where the version must not be deployed. Reads only. */
export async function look(run: Run, wanted: Wanted): Promise<Situation> {
  const { place, staging, release } = wanted;
  const { service } = place;
  const { current, beside } = await lookInFront(run, wanted);
  const readiness = await run.step('May it be deployed?', (act) => act.checkRelease({ service, release }), {
    kind: 'long',
    undo: 'read-only',
    describe: readinessText,
  });
  refuseUnready(readiness, release);
  const commits = await run.step(
    'What does it bring?',
    (act) =>
      act.readCommits({
        service,
        release,
        ...(current.commit === undefined ? {} : { from: current.commit }),
      }),
    {
      kind: 'long',
      undo: 'read-only',
      describe: ({ count }) => (count === null ? 'not known' : countOf(count, 'commit')),
    },
  );
  const migrations = await run.step('Pending migrations', (act) => act.listPendingMigrations(place), {
    describe: ({ count, problem }) => (count === null ? `not known: ${problem ?? ''}` : String(count)),
  });
  const symptoms = await run.step('Health and error rate', (act) => act.readSymptoms(place), {
    describe: ({ detail }) => detail,
  });
  const unchecked = [
    ...(await uncheckedOf(run, place)),
    ...(staging === undefined ? [] : await uncheckedOf(run, staging)),
  ];
  return {
    ...{ current, readiness, commits, migrations, symptoms, unchecked },
    ...(beside === undefined ? {} : { beside }),
  };
}

/** What is in front, where it is not the wanted one already. */
export async function lookInFront(
  run: Run,
  { place: { service }, release }: Wanted,
): Promise<Pick<Situation, 'current' | 'beside'>> {
  const all = await run.step('List the deployments', (act) => act.listDeployments({ service }), {
    describe: (found) => `${found.length}, in front: ${describeCurrent(found)}`,
  });
  const current = currentOf(all);
  if (current === undefined)
    throw refusal(
      'NoDeployment',
      `the list of deployments of ${service} names none that is in front, so there would be no way back. Put one in front by hand first`,
    );
  if (isOf(current, release)) return run.nothingToDo(`${describeDeployment(current)} is in front already`);
  const other = all.find((one) => one.version === release.version && !isOf(one, release));
  if (other !== undefined)
    throw refusal(
      'InvalidInput',
      `${describeDeployment(other)} is another commit than ${release.commit}: give the new one another version. Nothing was changed in production`,
    );
  const beside = all.find((one) => isOf(one, release) && one.state === 'ready');
  return { current, ...(beside === undefined ? {} : { beside }) };
}

function readinessText({ checks, missing }: Readiness): string {
  const told = checks.map(({ name, ok, detail }) => `${name} ${ok ? 'holds' : 'does not hold'} (${detail})`);
  return [...told, ...missing.map((name) => `${name}: not configured`)].join('; ');
}

function refuseUnready({ checks }: Readiness, { version }: Release): void {
  const failed = checks.filter(({ ok }) => !ok);
  if (failed.length === 0) return;
  const each = failed.map(({ name, detail }) => `${name}: ${detail}`).join('; ');
  throw refusal(
    'ReleaseRefused',
    `${version} may not be deployed. ${each}. Nothing was changed in production`,
  );
}

export function refusal(type: string, message: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(message, type);
}
