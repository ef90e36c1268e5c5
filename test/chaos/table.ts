import { FAULT_KINDS } from './draw';
import { outcomeOf, type Verdict } from './facts';
import type { Played } from './round';

const VERDICTS: Verdict[] = ['lost', 'doubled', 'wrong', 'leftover'];

/** What a whole chaos came to. */
export interface Totals {
  seed: number;
  seconds: number;
  rounds: Played[];
  acknowledged: number;
  /** Workers that ended by themselves. */
  crashes: number;
}

/** Faults by kind, runs by runbook and outcome, and what the judge found. */
export function tableOf({ seed, seconds, rounds, acknowledged, crashes }: Totals): string {
  const struck = rounds.flatMap((round) => round.struck);
  const runs = rounds.flatMap((round) => round.runs);
  const findings = rounds.flatMap((round) => round.findings);
  const faults = FAULT_KINDS.map((kind): [string, number] => [
    kind,
    struck.filter((one) => one.kind === kind).length,
  ]);
  const outcomes = new Map<string, Map<string, number>>();
  for (const run of runs) {
    const name = run.workflowId.split('/')[0]!;
    const counts = outcomes.get(name) ?? new Map<string, number>();
    counts.set(outcomeOf(run), (counts.get(outcomeOf(run)) ?? 0) + 1);
    outcomes.set(name, counts);
  }
  const lines = [
    `seed ${seed}: ${rounds.length} rounds, ${runs.length} runs, ${acknowledged} acknowledged writes, ${Math.round(seconds)} s`,
    '',
    ...columns([...faults, ['faults', struck.length]]),
    '',
    ...[...outcomes.keys()].sort().map((name) => {
      const counts = [...outcomes.get(name)!].sort(([, a], [, b]) => b - a);
      return `${name.padEnd(WIDTH)}${counts.map(([outcome, count]) => `${count} ${outcome}`).join(', ')}`;
    }),
    '',
    ...columns([
      ...VERDICTS.map((verdict): [string, number] => [
        verdict,
        findings.filter((one) => one.verdict === verdict).length,
      ]),
      ['workers that ended by themselves', crashes],
    ]),
  ];
  return lines.join('\n');
}

const WIDTH = 34;

const columns = (rows: [string, number][]): string[] =>
  rows.map(([name, count]) => `${name.padEnd(WIDTH)}${String(count).padStart(6)}`);

/** One line of a round, and one for each finding. */
export function roundText(number: number, { runs, struck, findings }: Played): string {
  const said = runs.map((run) => `${run.workflowId.replace('/booking/chaos-', ' ')} ${outcomeOf(run)}`);
  const faults = struck.map(({ kind, what }) => `${kind} (${what})`);
  const why = runs.filter((run) => !EXPECTED.includes(outcomeOf(run)));
  return [
    `round ${number}: ${said.join(', ')}; ${faults.length} faults: ${faults.join(', ')}`,
    ...why.map(({ workflowId, report }) => `  ${workflowId}: ${report?.summary.slice(0, MAX_SUMMARY)}`),
    ...findings.slice(0, MAX_SHOWN).map(({ verdict, what }) => `  ${verdict.toUpperCase()}: ${what}`),
    ...(findings.length > MAX_SHOWN ? [`  and ${findings.length - MAX_SHOWN} more`] : []),
  ].join('\n');
}

const MAX_SHOWN = 20;
const MAX_SUMMARY = 240;

/** What needs no explanation. */
const EXPECTED = ['SUCCEEDED', 'REJECTED', 'CANCELLED'];
