import type { Sections } from './run';
import { publish, type RunState } from './state';

const OURS = [
  'plan',
  'outcome',
  'endedAt',
  'changes',
  'environment',
  'instead',
  'waiting',
  'offers',
  'sections',
];

/** Shows what a runbook has of its own beside what every run shows. */
export function showSections(state: RunState, { details, fields = {} }: Sections): void {
  const taken = Object.keys(fields).find(
    (name) => OURS.includes(name) || (name in state.report && !state.ownFields.has(name)),
  );
  if (taken !== undefined)
    throw new TypeError(`"${taken}" of a report is the kit's: show it under another name`);
  if (details !== undefined) state.details = details;
  for (const name of Object.keys(fields)) state.ownFields.add(name);
  Object.assign(state.report, fields);
  publish(state);
}
