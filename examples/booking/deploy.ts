/**
 * The sample's deployment tool, in the folder of its state: what ../shared/deploy.ts does, and
 *
 *   deploy schedule                      the schedule that the platform has for the job that has holds expire
 *   deploy again                         what is in front once more: the platform takes its schedules anew
 */
import { deploy, runDeploy } from '../shared/deploy';
import { DEFAULT_SWITCHES, readSwitches, setSwitches } from './switches';

runDeploy((directory, args) => {
  if (args[0] === 'schedule') return readSwitches(directory).cronSchedule || 'none';
  if (args[0] === 'again') {
    setSwitches(directory, { cronSchedule: DEFAULT_SWITCHES.cronSchedule });
    return 'deployed again, with its schedules';
  }
  return deploy(directory, args);
});
