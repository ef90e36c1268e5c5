import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import type { LoadedConfig } from '../config/load';
import type { RunReport } from '../contract/report';
import { EVERYTHING, readClosed, type Unread } from './closed-runs';

/** What is known about the backups of a service's production. */
export interface Proofs {
  /**
   * Snapshot of the newest backup that was complete and whole; 0 when there never was one, undefined while the past has
   * not been read that far. Unix milliseconds.
   */
  backupMs: number | undefined;
  /** Since when it has been known that a backup can be restored; 0 when it never was. Unix milliseconds. */
  restoreMs: number | undefined;
  /** What the last drill measured, whether it met the objectives or not. */
  drill?: { rtoSeconds: number; rpoSeconds: number };
}

/** What was read so far: each process goes on from where it was, so that a reading costs what has happened since. */
export interface ProofReading {
  newest: ReadonlyMap<string, Newest>;
  unread: readonly Unread[];
}

type Kind = 'taken' | 'restored' | 'checked' | 'drilled';
/** The newest run of each kind that a service has. */
type Newest = Partial<Record<Kind, { closedMs: number; report: RunReport }>>;

const ENVIRONMENT = 'production';
const RUNBOOKS = ['backUpDatabase', 'migrateDatabase', 'drillRestore', 'restoreDatabase', 'checkBackups'];

/** Reads the reports of runs that prove something, of all services at once, from where `before` ended. */
export async function readProofs(
  client: Client,
  before: ProofReading = { newest: new Map(), unread: EVERYTHING },
): Promise<ProofReading> {
  const newest = new Map([...before.newest].map(([service, kinds]) => [service, { ...kinds }]));
  const query = `WorkflowType IN (${RUNBOOKS.map((name) => `'${name}'`).join(', ')})`;
  const unread = await readClosed(client, query, before.unread, (run) => note(newest, run));
  return { newest, unread };
}

/** Whether all that the server still has of the past was read: then what was not found never was. */
export const isComplete = ({ unread }: ProofReading): boolean => unread.length === 1;

function note(newest: Map<string, Newest>, run: WorkflowExecutionInfo & { closeTime: Date }): void {
  const report = run.memo?.['report'] as RunReport | undefined;
  if (report?.environment !== ENVIRONMENT) return;
  const closedMs = run.closeTime.getTime();
  const known = newest.get(report.service) ?? {};
  newest.set(report.service, known);
  for (const kind of kindsOf(run.type, report))
    if (closedMs >= (known[kind]?.closedMs ?? 0)) known[kind] = { closedMs, report };
}

/** What a run proves. Whatever did not succeed proves nothing, but a drill that missed its objective has measured. */
function kindsOf(runbook: string, { outcome, facts }: RunReport): Kind[] {
  const succeeded = outcome === 'SUCCEEDED';
  const kinds: [Kind, boolean][] = [
    ['taken', succeeded && ['backUpDatabase', 'migrateDatabase'].includes(runbook)],
    ['restored', succeeded && ['drillRestore', 'migrateDatabase', 'restoreDatabase'].includes(runbook)],
    ['checked', succeeded && runbook === 'checkBackups'],
    ['drilled', runbook === 'drillRestore' && 'rpoSeconds' in facts],
  ];
  return kinds.filter(([, holds]) => holds).map(([kind]) => kind);
}

/** For services with backups. Errs towards older. */
export function proofsOf({ services }: LoadedConfig, reading: ProofReading): Map<string, Proofs> {
  const complete = isComplete(reading);
  return new Map(
    Object.entries(services)
      .filter(([, { backups }]) => backups !== undefined)
      .map(([service]) => {
        const { taken, restored, checked, drilled } = reading.newest.get(service) ?? {};
        const known = (ms: number): number | undefined => (ms > 0 || complete ? ms : undefined);
        return [
          service,
          {
            backupMs: known(
              Math.max(snapshotOf(taken?.report), before(checked?.report, 'newestBackupAgeSeconds')),
            ),
            restoreMs: known(
              Math.max(startOf(restored?.report), before(checked?.report, 'provenAgeSeconds')),
            ),
            ...(drilled === undefined ? {} : { drill: measuredBy(drilled.report) }),
          },
        ];
      }),
  );
}

/** A run may have waited for an approval before it took its backup, so the backup's own time counts where it is known. */
function snapshotOf(report: RunReport | undefined): number {
  const at = report?.facts['snapshotAt'];
  return typeof at === 'string' ? Date.parse(at) : startOf(report);
}

const startOf = (report: RunReport | undefined) => (report === undefined ? 0 : Date.parse(report.startedAt));

/** A check says how old it found something. */
function before(report: RunReport | undefined, fact: string): number {
  const age = report?.facts[fact];
  return typeof age === 'number' ? startOf(report) - age * 1_000 : 0;
}

function measuredBy({ facts }: RunReport): { rtoSeconds: number; rpoSeconds: number } {
  return { rtoSeconds: Number(facts['estimatedRtoSeconds']), rpoSeconds: Number(facts['rpoSeconds']) };
}
