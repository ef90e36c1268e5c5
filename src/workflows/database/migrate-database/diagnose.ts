import { ApplicationFailure } from '@temporalio/workflow';
import type { InputOf } from '../../../catalogue/card';
import type { DatabaseFacts } from '../../../contract/database';
import { bytes } from '../../../contract/text';
import type { Run } from '../../kit';
import { uncheckedOf } from '../checks';
import type { migrateDatabaseCard } from './card';
import type { Hazard, Migration } from '../../../contract/migration';
import { databaseIn, type Place, targetOf } from '../../../contract/place';

export type MigrateInput = InputOf<typeof migrateDatabaseCard>;

export interface Diagnosis {
  input: MigrateInput;
  place: Place;
  /** Undefined where the service has no staging, or is asked to do without. */
  staging: Place | undefined;
  pending: Migration[];
  warnings: string[];
  systemIdentifier: string;
  fenceToken: number;
}

// Older transactions hold locks that a migration would queue behind.
const LONG_TRANSACTION_SECONDS = 60;

/** Gathers everything that decides whether to migrate at all. Reads only. Fails on hazards that nobody accepted. */
export async function diagnoseMigration(run: Run, input: MigrateInput): Promise<Diagnosis> {
  const place: Place = { service: input.service, environment: input.environment };
  const staging = stagingOf(run, input);
  const facts = await look(run, place);
  const { pending, applied } = await run.step(
    'Read the migrations and the ledger',
    (act) => act.readMigrations({ ...place, files: input.files }),
    {
      describe: (set) => `${set.pending.length} pending, ${set.applied.length} already applied`,
    },
  );
  const diagnosis: Diagnosis = {
    input,
    place,
    staging,
    pending,
    warnings: warningsOf(facts, pending, applied),
    systemIdentifier: facts.systemIdentifier,
    fenceToken: facts.fenceToken,
  };
  if (pending.length === 0) return diagnosis;
  diagnosis.warnings.push(...(await uncheckedOf(run, place)));
  await refuseHazards(run, diagnosis);
  if (staging === undefined) diagnosis.warnings.push('there is no staging: only the clone is rehearsed on');
  else await compareWithStaging(run, diagnosis, staging);
  return diagnosis;
}

function stagingOf(run: Run, { service, environment, staging }: MigrateInput): Place | undefined {
  if (staging === 'none' || staging === environment) return undefined;
  if (run.policy.environments.includes(staging)) return { service, environment: staging };
  throw ApplicationFailure.nonRetryable(
    `${service} has no environment "${staging}" to rehearse on. Configure one, or say staging: "none".`,
    'InvalidInput',
  );
}

async function look(run: Run, place: Place): Promise<DatabaseFacts> {
  return run.step(
    `Look at ${targetOf(place)}`,
    (act) => act.readDatabaseFacts({ database: databaseIn(place), write: true }),
    {
      describe: ({ database, serverVersion, sizeBytes, clientMajor }) =>
        `${database}, PostgreSQL ${serverVersion}, ${bytes(sizeBytes)}, client tools ${clientMajor}`,
    },
  );
}

function warningsOf(facts: DatabaseFacts, pending: Migration[], applied: string[]): string[] {
  const warnings = applied.map((name) => `${name} is already applied`);
  for (const { pid, application, ageSeconds } of facts.longTransactions) {
    if (ageSeconds < LONG_TRANSACTION_SECONDS) continue;
    warnings.push(
      `a transaction of ${application || 'an unnamed client'} (pid ${pid}) was already open when this was planned`,
    );
  }
  for (const migration of pending) {
    if (migration.downSha256 === null)
      warnings.push(`${migration.name} has no down script: its way back is a restore`);
    if (!migration.transactional) warnings.push(`${migration.name} has statements outside a transaction`);
  }
  return warnings;
}

async function refuseHazards(run: Run, { place, pending, input, warnings }: Diagnosis): Promise<void> {
  const linted = await run.step(
    'Lint',
    (act) => act.lintMigrations({ service: place.service, files: pending }),
    {
      describe: (found) => `${found.length} findings`,
    },
  );
  const hazards = [...pending.flatMap((migration) => migration.hazards), ...linted];
  const refused = hazards.filter(({ level, rule }) => level === 'error' && !input.accept.includes(rule));
  if (refused.length > 0) {
    throw ApplicationFailure.nonRetryable(
      `unsafe: ${refused.map(describeHazard).join('; ')}. Mend the file, or accept the rule by name: accept: ["${refused[0]?.rule}"].`,
      'UnsafeMigration',
    );
  }
  warnings.push(...hazards.map(describeHazard));
}

function describeHazard({ migration, line, rule, message }: Hazard): string {
  return `${migration}:${line} ${rule}: ${message}`;
}

/** A rehearsal on a staging that looks different proves little, unless staging is only ahead by what is pending here. */
async function compareWithStaging(
  run: Run,
  { place, pending, input, warnings }: Diagnosis,
  staging: Place,
): Promise<void> {
  await look(run, staging);
  const there = await run.step(`Read the ledger of ${targetOf(staging)}`, (act) =>
    act.readMigrations({ ...staging, files: pending.map(({ name }) => name) }),
  );
  if (there.applied.length > 0) {
    warnings.push(`${targetOf(staging)} already has ${there.applied.join(', ')}`);
    return;
  }
  const drift = await run.step(
    'Compare the schemas',
    (act) => act.findDrift({ live: databaseIn(place), other: databaseIn(staging) }),
    { describe: (found) => (found.length === 0 ? 'no drift' : found.slice(0, 10).join('; ')) },
  );
  if (drift.length === 0) return;
  const described = `${targetOf(staging)} differs from ${targetOf(place)}: ${drift.slice(0, 10).join('; ')}${drift.length > 10 ? ` and ${drift.length - 10} more` : ''}`;
  if (!input.accept.includes('schema-drift')) {
    throw ApplicationFailure.nonRetryable(
      `${described}. A rehearsal there would prove little: bring it in line, or accept: ["schema-drift"].`,
      'SchemaDrift',
    );
  }
  warnings.push(described);
}
