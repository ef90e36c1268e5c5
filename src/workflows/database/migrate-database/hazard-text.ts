import { isAccepted } from './accept';
import type { Hazard, Migration } from '../../../contract/migration';
import { countOf } from '../../../contract/text';

/** Places that are named in one line. */
const NAMED = 3;
/** More findings than that are accepted by their rule, and not file by file. */
const ACCEPTED_ONE_BY_ONE = 8;

/** What was found in the files of a run, and which of it counts. */
export interface Findings {
  /** Of the files themselves, and of what they do. */
  hazards: Hazard[];
  /** Of Squawk. */
  lint: Hazard[];
}

/** Those that nobody accepted and that stop the run. */
export function refusedHazards(
  { hazards, lint }: Findings,
  pending: readonly Migration[],
  accept: readonly string[],
): Hazard[] {
  const namesOf = (file: string) => [file, pending.find((one) => one.file === file)?.name];
  return [...hazards, ...lint].filter(
    ({ level, rule, migration }) => level === 'error' && !isAccepted(accept, rule, namesOf(migration)),
  );
}

/** For the plan: what was accepted, what else to know, and advice about style as one line. */
export function hazardLines({ hazards, lint }: Findings): string[] {
  const all = [...hazards, ...lint];
  const style = lint.filter(({ level }) => level !== 'error');
  return [
    ...byRule(all.filter(({ level }) => level === 'error')).map((group) => `accepted: ${groupText(group)}`),
    ...byRule(hazards.filter(({ level }) => level !== 'error')).map(groupText),
    ...(style.length === 0 ? [] : [styleText(style)]),
  ];
}

/** Why a run goes no further, rule by rule, and what accepts exactly that. `command` is the run without `--accept`. */
export function refusalText(refused: Hazard[], accept: readonly string[], command: string): string {
  const groups = byRule(refused);
  return [
    `unsafe: ${countOf(refused.length, 'finding')} of ${countOf(groups.length, 'rule')}.`,
    ...groups.map((group) => `  ${groupText(group)}`),
    `Mend the files, or ${acceptanceText([...accept, ...acceptedBy(refused)], command)}`,
  ].join('\n');
}

/** What starts the same run and accepts that, ready to be pasted. */
export function acceptanceText(accept: readonly string[], command: string): string {
  return [
    'accept what is meant:',
    `  ${command} --accept ${accept.join(' ')}`,
    `  as input: ${JSON.stringify({ accept })}`,
    'Nothing was changed.',
  ].join('\n');
}

function acceptedBy(refused: Hazard[]): string[] {
  const single = [...new Set(refused.map(({ migration, rule }) => `${migration}:${rule}`))];
  return single.length <= ACCEPTED_ONE_BY_ONE ? single : [...new Set(refused.map(({ rule }) => rule))];
}

/** In the order in which the rules were found first. */
function byRule(hazards: Hazard[]): [Hazard, ...Hazard[]][] {
  const groups = new Map<string, [Hazard, ...Hazard[]]>();
  for (const hazard of hazards) {
    const group = groups.get(hazard.rule);
    if (group === undefined) groups.set(hazard.rule, [hazard]);
    else group.push(hazard);
  }
  return [...groups.values()];
}

/** `data-loss: a.sql:3, b.sql:1 and 4 more: DROP COLUMN removes ...`; the reason is that of the first. */
function groupText(group: [Hazard, ...Hazard[]]): string {
  const { rule, message } = group[0];
  const named = group.slice(0, NAMED).map(({ migration, line }) => `${migration}:${line}`);
  const more = group.length > NAMED ? ` and ${group.length - NAMED} more` : '';
  const which = group.every((one) => one.message === message) ? '' : 'the first: ';
  return `${rule}: ${named.join(', ')}${more}: ${which}${message}`;
}

function styleText(style: Hazard[]): string {
  const rules = byRule(style).sort((a, b) => b.length - a.length);
  const counts = rules.map((group) => `${group[0].rule} ${group.length}`).join(', ');
  return `style, ${countOf(style.length, 'finding')} of Squawk: ${counts}`;
}
