import { ApplicationFailure } from '@temporalio/workflow';
import type { InputOf } from '../../../catalogue/card';
import type { DatabaseFacts } from '../../../contract/database';
import { bytes, countOf } from '../../../contract/text';
import type { Run } from '../../kit';
import { uncheckedOf } from '../checks';
import type { migrateDatabaseCard } from './card';
import { mentionedIn } from './accept';
import { acceptanceText, hazardLines, refusalText, refusedHazards } from './hazard-text';
import type { Migration, MigrationSet } from '../../../contract/migration';
import { serverWarnings } from './server-warnings';
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
/** Names that stand in one line of the plan. */
const NAMED = 5;

/** Gathers everything that decides whether to migrate at all. Reads only. Fails on hazards that nobody accepted. */
export async function diagnoseMigration(run: Run, input: MigrateInput): Promise<Diagnosis> {
  const place: Place = { service: input.service, environment: input.environment };
  const staging = stagingOf(run, input);
  const facts = await look(run, place);
  const set = await run.step(
    'Read the migrations and the ledger',
    (act) => act.readMigrations({ ...place, files: input.files, mentioned: mentionedIn(input.accept) }),
    { describe: describeSet },
  );
  const { pending } = set;
  const diagnosis: Diagnosis = {
    input,
    place,
    staging,
    pending,
    warnings: warningsOf(facts, set),
    systemIdentifier: facts.systemIdentifier,
    fenceToken: facts.fenceToken,
  };
  if (pending.length === 0) return diagnosis;
  diagnosis.warnings.push(...(await uncheckedOf(run, place, { log: true })));
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

function describeSet({ pending, applied, skipped = [], moreSkipped = 0 }: MigrationSet): string {
  const left = skipped.length + moreSkipped;
  const odd = left === 0 ? '' : `, ${countOf(left, 'file')} left out`;
  return `${pending.length} pending, ${applied.length} already applied${odd}`;
}

function warningsOf(facts: DatabaseFacts, set: MigrationSet): string[] {
  const { pending, applied, skipped = [], moreSkipped = 0, earlier = [], empty } = set;
  const unnamed = skipped.length - NAMED + moreSkipped;
  const warnings = [
    ...(empty === true ? ['the database has no table yet: the backup before it has none either'] : []),
    ...(earlier.length > 0
      ? [`left out although they come earlier and are not applied: ${someOf(earlier)}`]
      : []),
    ...skipped.slice(0, NAMED).map(({ file, why }) => `left out: ${file}: ${why}`),
    ...(unnamed > 0 ? [`left out: ${countOf(unnamed, 'file')} more`] : []),
    ...serverWarnings(facts),
    ...(applied.length > 0 ? [`already applied: ${someOf(applied)}`] : []),
  ];
  for (const { pid, application, ageSeconds } of facts.longTransactions) {
    if (ageSeconds < LONG_TRANSACTION_SECONDS) continue;
    warnings.push(
      `a transaction of ${application || 'an unnamed client'} (pid ${pid}) was already open when this was planned`,
    );
  }
  const outside = pending.filter(({ transactional }) => !transactional).map(({ name }) => name);
  if (outside.length > 0) warnings.push(`in several transactions, not in one: ${someOf(outside)}`);
  return warnings;
}

/** The first names of a list, and how many there are beside them. */
function someOf(names: string[]): string {
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : '';
  return `${names.slice(0, NAMED).join(', ')}${more}`;
}

async function refuseHazards(run: Run, { place, pending, input, warnings }: Diagnosis): Promise<void> {
  const lint = await run.step(
    'Lint',
    (act) => act.lintMigrations({ service: place.service, files: pending }),
    {
      describe: (found) => `${found.length} findings`,
    },
  );
  const findings = { hazards: pending.flatMap((migration) => migration.hazards), lint };
  const refused = refusedHazards(findings, pending, input.accept);
  if (refused.length > 0) {
    throw ApplicationFailure.nonRetryable(
      refusalText(refused, input.accept, commandOf(input)),
      'UnsafeMigration',
    );
  }
  warnings.unshift(...hazardLines(findings));
}

/** The command that starts such a run, without what it accepts. */
function commandOf({ service, environment, staging, files, mode }: MigrateInput): string {
  return [
    `runbooks start migrateDatabase --service ${service}`,
    ...(environment === 'production' ? [] : [`--environment ${environment}`]),
    ...(staging === 'staging' ? [] : [`--staging ${staging}`]),
    ...(mode === undefined ? [] : [`--mode ${mode}`]),
    ...(files.length === 0 ? [] : [`--files ${files.join(' ')}`]),
  ].join(' ');
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
    warnings.push(`${targetOf(staging)} already has ${someOf(there.applied)}`);
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
      `${described}. A rehearsal there would prove little: bring it in line, or ${acceptanceText([...input.accept, 'schema-drift'], commandOf(input))}`,
      'SchemaDrift',
    );
  }
  warnings.push(described);
}
