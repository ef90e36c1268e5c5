import type { BackupFacts, Departure, EndedRun, Facts, Finding, MigrationFacts, Repair } from './facts';
import { outcomeOf } from './facts';
import type { Write } from './writer';

/** Compares what is there with what was acknowledged and with what the runs say. Knows nothing of how they work. */
export function judge(facts: Facts): Finding[] {
  return [
    ...judgeWrites(facts),
    ...facts.backups.flatMap((backup) => judgeBackup(facts, backup)),
    ...facts.departures.flatMap((departure) => judgeDeparture(facts, departure)),
    ...facts.migrations.flatMap((migration) => judgeMigration(facts, migration)),
    ...facts.runs.flatMap((run) => judgeRun(facts, run)),
    ...facts.repairs.flatMap((repair) => judgeRepair(facts, repair)),
    ...judgeLive(facts),
    ...judgeTokens(facts),
    ...judgeLeftovers(facts),
  ];
}

const wrong = (what: string): Finding => ({ verdict: 'wrong', what });

/** May it be missing since that restore? It was committed within its time, and is where the run says that it is. */
function isExcused({ id, sentMs, endedMs }: Write, { fromMs, toMs, kept }: Departure): boolean {
  return endedMs >= fromMs && sentMs <= toMs && (kept === undefined || kept.has(id));
}

function judgeWrites({ writes, live, departures }: Facts): Finding[] {
  const findings: Finding[] = [];
  for (const write of writes) {
    const copies = live.get(write.id) ?? 0;
    const is = `write ${write.id}, ${write.answer} at ${iso(write.endedMs)}, is in the live database ${copies} times`;
    if (copies > 1) findings.push({ verdict: 'doubled', what: is });
    if (copies > 0 && write.answer === 'refused') findings.push(wrong(is));
    const missing = copies === 0 && write.answer === 'acknowledged';
    if (missing && !departures.some((one) => isExcused(write, one)))
      findings.push({ verdict: 'lost', what: is });
  }
  return findings;
}

/** A backup has everything that was acknowledged before its snapshot, and that was in the live database then. */
function judgeBackup({ writes, departures }: Facts, backup: BackupFacts): Finding[] {
  const findings: Finding[] = [];
  for (const write of writes) {
    const copies = backup.writes.get(write.id) ?? 0;
    const is = `write ${write.id} is in backup ${backup.backupId} ${copies} times`;
    if (copies > 1) findings.push({ verdict: 'doubled', what: is });
    if (copies > 0 && write.answer === 'refused') findings.push(wrong(is));
    const due = write.answer === 'acknowledged' && write.endedMs < backup.snapshotMs;
    if (due && copies === 0 && !departures.some((one) => isExcused(write, one)))
      findings.push({
        verdict: 'lost',
        what: `${is}, and was acknowledged at ${iso(write.endedMs)}, before its snapshot at ${iso(backup.snapshotMs)}`,
      });
  }
  return findings;
}

/** People have let go of no more than they were told. */
function judgeDeparture({ writes, live }: Facts, departure: Departure): Finding[] {
  const { workflowId, toldAtMost, kept } = departure;
  if (kept === undefined) return [];
  const gone = writes.filter(
    (write) => write.answer === 'acknowledged' && !live.has(write.id) && isExcused(write, departure),
  );
  if (gone.length === 0 || (toldAtMost !== undefined && gone.length <= toldAtMost)) return [];
  return [
    {
      verdict: 'lost',
      what: `${gone.length} writes by the restore ${workflowId}, which told people of ${toldAtMost ?? 'none'}`,
    },
  ];
}

function judgeMigration(facts: Facts, found: MigrationFacts): Finding[] {
  const { environment, migration, effects, ups, object } = found;
  const where = `${migration} on ${environment}`;
  const findings: Finding[] = [];
  if (effects > 1) findings.push({ verdict: 'doubled', what: `${where} has its effect ${effects} times` });
  if (ups > 1) findings.push({ verdict: 'doubled', what: `${where} is applied ${ups} times by the ledger` });
  const isThere = effects > 0;
  if (isThere !== ups > 0)
    findings.push(wrong(`${where}: ${ups} in the ledger, and its effect ${effects} times`));
  if (object !== null && object !== isThere)
    findings.push(
      wrong(
        `${where}: its column or index is ${object ? 'there' : 'missing'}, and its effect ${effects} times`,
      ),
    );
  const run = [...facts.runs, ...facts.earlier].find((one) => one.migration === migration);
  const expected = run === undefined ? undefined : isApplied(facts, run, environment);
  if (expected !== undefined && expected !== isThere)
    findings.push(
      wrong(`${where} is ${isThere ? '' : 'not '}applied, and its run ${run!.workflowId} says ${said(run!)}`),
    );
  return findings;
}

/** What its outcome says. Where a part of it stayed, or a person was needed, there is nothing to compare with. */
function isApplied(
  { departures }: Facts,
  run: EndedRun,
  environment: MigrationFacts['environment'],
): boolean | undefined {
  const outcome = outcomeOf(run);
  if (['PARTIAL', 'NEEDS_HUMAN', 'UNKNOWN'].includes(outcome)) return undefined;
  if (outcome !== 'SUCCEEDED') return false;
  if (environment === 'staging') return run.plan.migration.staging === 'staging';
  const line = run.report?.timeline.find(
    ({ title, status }) => title === `Apply ${run.migration} on booking/production` && status === 'done',
  );
  const appliedMs = Date.parse(line?.endedAt ?? '');
  return !departures.some(
    ({ fromMs, toMs, kept }) => kept !== undefined && appliedMs > fromMs && appliedMs < toMs,
  );
}

function judgeRun(facts: Facts, run: EndedRun): Finding[] {
  const { workflowId, status, inTime, report } = run;
  if (!inTime) return [wrong(`${workflowId} did not end: ${said(run)}`)];
  if (!['COMPLETED', 'FAILED', 'CANCELLED'].includes(status) || report?.outcome === undefined)
    return [wrong(`${workflowId} ended as ${status} without an outcome`)];
  const findings: Finding[] = [];
  const running = report.timeline.filter((entry) => entry.status === 'running');
  if (running.length > 0)
    findings.push(wrong(`${workflowId} has ended, and says that "${running[0]!.title}" still runs`));
  const mustFail = run.plan.kind === 'migrate' && run.plan.migration.unwell;
  if (mustFail && report.outcome === 'SUCCEEDED')
    findings.push(wrong(`${workflowId} SUCCEEDED with an invariant that it broke`));
  return [...findings, ...judgeApplication(facts, run), ...judgeNamed(facts, run)];
}

/** Of the two that work on the application there is never more than one in a round. */
function judgeApplication({ application }: Facts, run: EndedRun): Finding[] {
  const { workflowId, plan } = run;
  const outcome = outcomeOf(run);
  if (['PARTIAL', 'NEEDS_HUMAN'].includes(outcome)) return [];
  const helped = outcome === 'SUCCEEDED';
  if (plan.kind === 'roll back deployment') {
    const moved = application.front !== run.front;
    if (moved !== helped)
      return [wrong(`${workflowId} says ${said(run)}, and ${application.front} is in front`)];
  }
  if (plan.kind === 'resolve errors' && application.recommendations === helped)
    return [
      wrong(
        `${workflowId} says ${said(run)}, and the broken feature is ${application.recommendations ? 'on' : 'off'}`,
      ),
    ];
  return [];
}

/** What a run that succeeded says that there is now. */
function judgeNamed({ backups, troubleSessions }: Facts, run: EndedRun): Finding[] {
  if (outcomeOf(run) !== 'SUCCEEDED') return [];
  const { workflowId, plan, report } = run;
  const backupId = report?.facts['backupId'];
  if (plan.kind === 'back up' && !backups.some((one) => one.backupId === backupId))
    return [wrong(`${workflowId} SUCCEEDED, and there is no complete backup ${String(backupId)}`)];
  if (plan.kind === 'relieve connections' && troubleSessions > 0)
    return [wrong(`${workflowId} SUCCEEDED, and ${troubleSessions} forgotten transactions are open`)];
  return [];
}

/** Outcomes of which nothing stays. */
const AS_BEFORE = ['REJECTED', 'CANCELLED', 'FAILED', 'ROLLED_BACK', 'NOTHING_TO_DO'];

/** Each is done once or not at all, as its run says; what stayed half is for a person, who is told so. */
function judgeRepair({ runs }: Facts, { workflowId, what, state, times }: Repair): Finding[] {
  const run = runs.find((one) => one.workflowId === workflowId);
  const outcome = run === undefined ? 'UNKNOWN' : outcomeOf(run);
  const is = `${what} is ${state}, done ${times ?? 'unknown'} times, and ${workflowId} says ${run === undefined ? outcome : said(run)}`;
  if (times !== undefined && (times > 1 || times < 0)) return [{ verdict: 'doubled', what: is }];
  const mended = state === 'mended';
  const honest = times === undefined || times > 0 === mended || state === 'half';
  if (!honest || (outcome === 'SUCCEEDED' && !mended)) return [wrong(is)];
  return AS_BEFORE.includes(outcome) && state !== 'as before' ? [wrong(is)] : [];
}

/** The live database is another one exactly where a restore says so. */
function judgeLive({ runs, replaced }: Facts): Finding[] {
  const restored = runs.filter((run) => run.plan.kind === 'restore' && outcomeOf(run) === 'SUCCEEDED');
  const open = runs.some((run) => ['PARTIAL', 'NEEDS_HUMAN', 'UNKNOWN'].includes(outcomeOf(run)));
  if (open || replaced === restored.length > 0) return [];
  return [
    wrong(
      replaced
        ? 'the live database is another one, and no run says that it has restored it'
        : `the live database is the same, and ${restored[0]!.workflowId} says ${said(restored[0]!)}`,
    ),
  ];
}

/** A lease is given to one run at a time: each time with another token. */
function judgeTokens({ tokens }: Facts): Finding[] {
  const holders = new Map<string, string>();
  return tokens.flatMap(({ target, token, workflowId }): Finding[] => {
    const lease = `${target} ${token}`;
    const other = holders.get(lease);
    holders.set(lease, workflowId);
    return other === undefined || other === workflowId
      ? []
      : [
          {
            verdict: 'doubled',
            what: `the lease of ${target} with token ${token}: ${other} and ${workflowId}`,
          },
        ];
  });
}

function judgeLeftovers({ runs, leases, leftovers }: Facts): Finding[] {
  const people = runs.filter((run) => outcomeOf(run) === 'NEEDS_HUMAN');
  const left = leftovers
    .filter(({ keptForPeople }) => !keptForPeople || people.length === 0)
    .map(({ what }) => what);
  const held = leases
    .filter(({ workflowId, kept }) => !(kept && people.some((one) => one.workflowId === workflowId)))
    .map(({ target, workflowId }) => `the lease of ${target}, held by ${workflowId}`);
  return [...left, ...held].map((what) => ({ verdict: 'leftover', what }));
}

function said(run: EndedRun): string {
  return `${outcomeOf(run)}: ${run.report?.summary.slice(0, 300) ?? 'nothing'}`;
}

const iso = (ms: number): string => new Date(ms).toISOString();
