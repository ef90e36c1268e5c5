import type { ExternalService } from '../../../activities/application/external-services';
import type { Symptoms } from '../../../activities/application/symptoms';
import type { Deployment } from '../../../activities/deployments/deployment-list';
import type { Variables } from '../../../activities/recovery/variables';
import type { BackupListEntry } from '../../../contract/backup';
import type { LiveState } from '../../../contract/database';
import { type Place, targetOf } from '../../../contract/place';
import { currentOf } from '../../application/choose-deployment';
import { describeDeployment } from '../../application/name-deployment';
import { describeAge, isRecoveryPoint, newestOf } from '../../database/choose-backup';
import { describeLive } from '../../database/loss';
import { listBackups } from '../../database/obtain-backup';
import { countOf, type Run, type StepOptions } from '../../kit';
import type { Activities } from '../../../activities';

/** What was found, or why nobody knows. */
export type Reading<T> = { found: T; why?: undefined } | { found?: undefined; why: string };

/** Every part of the service, at one moment. */
export interface Situation {
  live: Reading<LiveState>;
  backups: Reading<BackupListEntry[]>;
  symptoms: Reading<Symptoms>;
  deployments: Reading<Deployment[]>;
  others: Reading<ExternalService[]>;
  variables: Reading<Variables>;
}

/** Looks at every part; one that gives no answer keeps nobody from the others. */
export async function assess(run: Run, place: Place): Promise<Situation> {
  return {
    live: await readLive(run, place),
    backups: await reading(run, () => listBackups(run, place, 'latest')),
    symptoms: await read(run, 'Health and error rate', (act) => act.readSymptoms(place), {
      describe: ({ detail }) => detail,
    }),
    deployments: await read(
      run,
      'List the deployments',
      (act) => act.listDeployments({ service: place.service }),
      { describe: deploymentsText },
    ),
    others: await readOthers(run, place),
    variables: await readVariables(run, place),
  };
}

export function readLive(run: Run, place: Place): Promise<Reading<LiveState>> {
  return read(run, `Look at what there is of ${targetOf(place)}`, (act) => act.inspectLive(place), {
    kind: 'long',
    undo: 'read-only',
    describe: describeLive,
  });
}

export function readOthers(run: Run, place: Place): Promise<Reading<ExternalService[]>> {
  return read(run, 'Services of others', (act) => act.checkExternalServices(place), { describe: othersText });
}

export function readVariables(run: Run, place: Place): Promise<Reading<Variables>> {
  return read(run, 'Environment variables of the application', (act) => act.readVariables(place), {
    describe: variablesText,
  });
}

function read<T>(
  run: Run,
  title: string,
  call: (act: Activities) => Promise<T>,
  options: StepOptions<T>,
): Promise<Reading<T>> {
  return reading(run, () => run.step(title, call, options));
}

async function reading<T>(run: Run, body: () => Promise<T>): Promise<Reading<T>> {
  let result: Reading<T> | undefined;
  const { why } = await run.attempt(async () => {
    result = { found: await body() };
  });
  return result ?? { why };
}

/** Of a database from which less than this share of the rows of the newest backup is left, it is said that it was emptied. */
const LEFT_SHARE = 0.5;

/** Why a restore is the way out; undefined where there is no reason for one, or nobody knows. */
export function whyRestore({ live: { found: live }, backups }: Situation): string | undefined {
  if (live === undefined) return undefined;
  if (live.condition !== 'there' || !live.registered) return describeLive(live);
  if (live.unreadableTables > 0) return `it is damaged: ${describeLive(live)}`;
  const newest = newestOf(backups.found ?? []);
  // Tables that nobody had the time to count may have the rows.
  if (newest === undefined || live.unseenTables > 0 || live.rows >= newest.rows * LEFT_SHARE)
    return undefined;
  return `it was emptied: ${describeLive(live)}, and ${newest.backupId} has ${newest.rows.toLocaleString('en-US')} rows`;
}

/** Nothing is known to be wrong with it, and there is a backup by which its rows could be told to be missing. */
export function isDatabaseWell(situation: Situation): boolean {
  const { live, backups } = situation;
  return (
    live.found?.unseenTables === 0 &&
    whyRestore(situation) === undefined &&
    newestOf(backups.found ?? []) !== undefined
  );
}

/** Who is known to serve, with its database, is not announced to be down. */
export function isDown(situation: Situation): boolean {
  const { live, symptoms } = situation;
  if (whyRestore(situation) !== undefined) return true;
  if (symptoms.found !== undefined && isMeasured(symptoms.found)) return !symptoms.found.ok;
  return live.found === undefined;
}

/** What nobody can say, and so is neither well nor broken. */
export function unknownIn(situation: Situation): string[] {
  const { live, backups, symptoms, variables } = situation;
  const compared =
    backups.why ??
    ((live.found?.unseenTables ?? 0) > 0
      ? 'some tables were not looked at'
      : 'there is no complete backup to compare it with');
  const measured = symptoms.found === undefined || isMeasured(symptoms.found);
  return [
    ...(isDatabaseWell(situation) ? [] : [`whether rows of the database are missing: ${compared}`]),
    ...(symptoms.why === undefined ? [] : [`whether the application serves: ${symptoms.why}`]),
    ...(measured ? [] : ['whether the application serves: no health check and no error rate is configured']),
    ...(variables.why === undefined ? [] : [`the environment variables: ${variables.why}`]),
  ];
}

/** The newest backup, and, where that was never proven, the newest that was. */
export function recoveryPoints({ backups }: Situation): BackupListEntry[] {
  const all = (backups.found ?? []).filter(isRecoveryPoint);
  const newest = newestOf(all);
  const proven = newestOf(all.filter(({ provenAt }) => provenAt !== null));
  if (newest === undefined) return [];
  return proven === undefined || proven.backupId === newest.backupId ? [newest] : [newest, proven];
}

/** Whether anything is configured that could tell. */
export function isMeasured({ rate, checks }: Symptoms): boolean {
  return rate !== null || checks > 0;
}

export function deploymentsText(all: Deployment[]): string {
  const current = currentOf(all);
  return `${countOf(all.length, 'deployment')}, in front: ${current === undefined ? 'none' : describeDeployment(current)}`;
}

export function othersText(all: ExternalService[]): string {
  if (all.length === 0) return 'none is configured';
  return all.map(({ name, detail }) => `${name} ${detail}`).join('; ');
}

export function variablesText({ configured, required, missing }: Variables): string {
  if (!configured) return 'not looked at: no recovery.variables is configured';
  return missing.length === 0 ? `all ${required} that it needs are set` : `missing: ${missing.join(', ')}`;
}

export function backupsText(backups: BackupListEntry[]): string {
  const newest = newestOf(backups);
  return newest === undefined ? 'there is no complete backup' : `the newest: ${describeAge(newest)}`;
}
