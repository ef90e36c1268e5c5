import { isCancellation } from '@temporalio/workflow';
import type { ChecklistItem } from '../../../contract/checklist';
import { targetOf, type Place } from '../../../contract/place';
import { causeOf, type Run } from '../../kit';
import { openIncident } from './incident';
import { countsOf, ofColor, textOf } from './show';

/** Red items go into an incident; everybody hears of those and of yellow ones. Returns what came of it. */
export async function tell(
  run: Run,
  place: Place,
  items: ChecklistItem[],
  startedBy: string,
): Promise<string> {
  const counts = countsOf(items);
  const red = ofColor(items, 'red');
  const worth = [...red, ...ofColor(items, 'yellow')];
  if (worth.length === 0) return counts;
  const lines = worth.map((item) => `${item.name} ${textOf(item)}`);
  const announce = (incident: string) =>
    run.announce([`Daily checklist of ${targetOf(place)}: ${counts}${incident}`, ...lines].join('\n'));
  let incident = '';
  if (red.length > 0) {
    try {
      const { workflowId, isNew } = await openIncident(run, place, red, startedBy);
      run.fact('incident', workflowId);
      incident = `; ${isNew ? 'opened' : 'added to'} the incident ${workflowId}`;
    } catch (error) {
      // Then people hear at least of what is red.
      if (!isCancellation(error)) await announce(`; NO incident could be opened: ${causeOf(error).message}`);
      throw error;
    }
  }
  const told = await announce(incident);
  return `${counts}${incident}${told.length > 0 ? '' : '; NOBODY was told: no channel of `notify` took it'}`;
}
