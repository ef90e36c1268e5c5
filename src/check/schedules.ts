import { modeSchema } from '../config/primitives';
import type { ScheduleConfig } from '../config/schedule-schema';
import type { Config } from '../config/schema';
import type { WithCatalogue } from '../catalogue/catalogue';
import { inputProblems } from '../catalogue/input-problems';
import { suggestion } from '../config/problem-text';
import { parseCron } from '../schedules/cron';
import { startInput, timesOf } from '../schedules/input';
import { nextWall, timeZoneProblem } from '../schedules/times';

/** Problems of the schedules that only the runbooks' own schemas, the calendar and the time zones show. */
export function checkSchedules(config: Config & WithCatalogue): string[] {
  return Object.entries(config.schedules).flatMap(([id, schedule]) => {
    const problems = [...checkTimes(schedule), ...checkInput(config, id, schedule)];
    return problems.map((problem) => `schedules.${id}.${problem}`);
  });
}

function checkTimes(schedule: ScheduleConfig): string[] {
  const zone = timeZoneProblem(schedule.timeZone);
  const problems = zone === undefined ? [] : [`timeZone: ${zone}`];
  timesOf(schedule).cron.forEach((fields, index) => {
    const path = Array.isArray(schedule.cron) ? `cron.${index}` : 'cron';
    const problem = cronProblem(fields);
    if (problem !== undefined) problems.push(`${path}: ${problem}`);
  });
  return problems;
}

function cronProblem(fields: string): string | undefined {
  try {
    parseCron(fields);
    if (nextWall(fields, new Date()) === null) return `"${fields}" never comes: there is no such day`;
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

// Said by the schedule itself.
const NOT_IN_INPUT: Record<string, string> = {
  startedBy: 'is the schedule itself: leave it out',
  mode: `stands beside the input: mode: ${modeSchema.options.join(' | ')}`,
  alert: 'belongs to runs that an alert started: leave it out',
};

/** What the run's own first step would refuse is refused now, while somebody is looking. */
function checkInput(config: Config & WithCatalogue, id: string, schedule: ScheduleConfig): string[] {
  const card = config.catalogue.cardOf(schedule.runbook);
  if (card === undefined) {
    const near = suggestion(
      schedule.runbook,
      config.catalogue.cards.map(({ name }) => name),
    );
    return [`runbook: there is no runbook "${schedule.runbook}"; known: ${config.catalogue.names}${near}`];
  }
  const misplaced = Object.entries(NOT_IN_INPUT).filter(([field]) => field in schedule.input);
  if (misplaced.length > 0) return misplaced.map(([field, why]) => `input.${field}: ${why}`);
  return inputProblems(card, config, startInput(id, schedule)).map((problem) => `input.${problem}`);
}
