import type { Client } from '@temporalio/client';
import type { LoadedConfig } from '../config/load';
import type { RunReport } from '../contract/report';
import { inTurns, together } from './in-turns';

/** What is known about the backups of a service's production. */
export interface Proofs {
  /** Snapshot of the newest backup that was complete and whole; 0 when there never was one. Unix milliseconds. */
  backupMs: number;
  /** Since when it has been known that a backup can be restored; 0 when it never was. Unix milliseconds. */
  restoreMs: number;
  /** What the last drill measured, whether it met the objectives or not. */
  drill?: { rtoSeconds: number; rpoSeconds: number };
}

const ENVIRONMENT = 'production';
// How many runs of other environments may lie before the one that is looked for.
const MAX_LOOKED_AT = 30;
const SERVICES_AT_ONCE = 3;

/** Reads the reports of the newest runs that prove something, for services with backups. Errs towards older. */
export async function readProofs(client: Client, config: LoadedConfig): Promise<Map<string, Proofs>> {
  const services = Object.entries(config.services)
    .filter(([, { backups }]) => backups !== undefined)
    .map(([name]) => name);
  const proofs = await inTurns(services, SERVICES_AT_ONCE, (service) => readService(client, service));
  return new Map(services.map((service, index) => [service, proofs[index] as Proofs]));
}

async function readService(client: Client, service: string): Promise<Proofs> {
  const of = `RunbookService = '${service}'`;
  const succeeded = (...types: string[]) =>
    newest(client, `${of} AND RunbookOutcome = 'SUCCEEDED' AND ${oneOf(types)}`, () => true);
  const [taken, restored, checked, drilled] = await together([
    succeeded('backUpDatabase', 'migrateDatabase'),
    succeeded('drillRestore', 'migrateDatabase', 'restoreDatabase'),
    succeeded('checkBackups'),
    newest(client, `${of} AND ${oneOf(['drillRestore'])}`, ({ facts }) => 'rpoSeconds' in facts),
  ]);
  return {
    backupMs: Math.max(snapshotOf(taken), before(checked, 'newestBackupAgeSeconds')),
    restoreMs: Math.max(startOf(restored), before(checked, 'provenAgeSeconds')),
    ...(drilled === undefined ? {} : { drill: measuredBy(drilled) }),
  };
}

const oneOf = (types: string[]) => `WorkflowType IN (${types.map((type) => `'${type}'`).join(', ')})`;

/** Report of the newest closed run in production that fits. */
async function newest(
  client: Client,
  query: string,
  fits: (report: RunReport) => boolean,
): Promise<RunReport | undefined> {
  let looked = 0;
  const closed = `${query} AND ExecutionStatus != 'Running'`;
  for await (const { memo } of client.workflow.list({ query: closed, pageSize: 10 })) {
    const report = memo?.['report'] as RunReport | undefined;
    if (report?.environment === ENVIRONMENT && fits(report)) return report;
    if ((looked += 1) >= MAX_LOOKED_AT) break;
  }
  return undefined;
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
