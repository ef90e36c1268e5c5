import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

export const recoverAutosaveCard = card({
  name: 'recoverAutosave',
  title: 'Recover autosave',
  area: 'drafts',
  priority: 'P0',
  from: ['studio: Autosave Incidents'],
  symptoms: [
    'alert: more saves fail than the objective bears, or editors overwrite each other',
    'people say that what they wrote is gone',
  ],
  impact: 'what people write is lost as soon as they close what they wrote it in',
  diagnosis: [
    'the share of saves that failed within the window, by kind of error: their text is not shown, it may quote a draft',
    'of each editor of a draft the newest attempt, where it was not stored: what was lost, by ID, version, time and size',
    'conflicts: two editors who had the same version, or one whose version is not the stored one any more',
    'a deployment that came shortly before; a read-only database, a full disk or a limit of sizes, as the errors say',
  ],
  resolution: [
    'while saves fail, and where it is configured: edits stay where they are made; saved as usual again once saves succeed, before anything is salvaged',
    'a young deployment: rollBackDeployment; otherwise, and where that did not help, a task for a person, which ends by itself where a probe save is configured or saves can be counted',
    'an attempt becomes its draft only where that still has the version that was edited, looked at when its row is locked; the journal says so in the same transaction',
    'conflicts by the configured rule: the newest, all of them as drafts of their own, or a question that names draft, times and sizes',
    'owners are told by the configured operation; those who were not are a task with their IDs',
    'verify health checks and smoke test, that saves succeed, and in the end that every attempt is stored or named',
  ],
  prevention: [
    'an alert on the share of saves that fail; a limit of sizes that the editor knows as well',
    'a key for every attempt and the version that was edited with it, so that a conflict is refused and not overwritten',
  ],
  escalation: [
    'saves that still fail after a rollback, or for another reason: whoever has the task is called again along the ladder',
    'edits that cannot be saved as usual again: the ladder is paged, with the exact way to do it by hand',
  ],
  changes:
    'drafts, the states of attempts in the journal, rows of the audit trail; put back exactly where health or smoke test fail, but not over what somebody changed since',
  input: { environment: databaseEnvironment },
  example: { service: 'booking', environment: 'production', startedBy: 'ana' },
});
