import type { ChecklistItem } from '../../../contract/checklist';
import { targetOf, type Place } from '../../../contract/place';
import type { Launched, PlanDraft, Run } from '../../kit';
import { ofColor, textOf } from './show';

const MAX_TITLE = 200;
const MAX_IMPACT = 1_000;

/** What is red is for people; what nobody can look at is a warning. */
export function planOf(place: Place, items: ChecklistItem[]): PlanDraft {
  const red = ofColor(items, 'red');
  const target = targetOf(place);
  return {
    actions:
      red.length === 0
        ? []
        : [
            {
              action: 'open an incident, or add to the one that is open',
              target,
              count: red.length,
              detail: namesOf(red),
            },
          ],
    warnings: ofColor(items, 'not configured').map(({ name, next }) => `${name}: not looked at; ${next}`),
  };
}

/** One for all red items. While it is open, those of later checklists belong to it too. */
export function openIncident(
  run: Run,
  place: Place,
  red: ChecklistItem[],
  startedBy: string,
): Promise<Launched> {
  const target = targetOf(place);
  const impact = red
    .map((item) => `${item.name} ${textOf(item)}`)
    .join('\n')
    .slice(0, MAX_IMPACT);
  const input = {
    ...place,
    title: `Daily checklist of ${target}: ${namesOf(red)}`.slice(0, MAX_TITLE),
    impact,
    scope: target,
    finding: findingOf(red[0]!),
    mode: run.policy.mode,
    startedBy,
    reason: `opened by ${run.id}`.slice(0, 500),
  };
  const key = `checklist-${place.environment}`;
  return run.launch('Open an incident', 'respondToIncident', key, input, impact);
}

/** What `match: { finding: ... }` of the configuration knows it by. */
function findingOf({ name }: ChecklistItem): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, MAX_TITLE);
}

function namesOf(items: ChecklistItem[]): string {
  return items.map(({ name }) => name).join(', ');
}
