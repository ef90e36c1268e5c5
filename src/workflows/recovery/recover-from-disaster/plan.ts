import { applicationIn } from '../../application/serving';
import { type Place, targetOf } from '../../../contract/place';
import type { PlanDraft } from '../../kit';
import { newestOf } from '../../database/choose-backup';
import {
  backupsText,
  isDatabaseWell,
  isMeasured,
  othersText,
  recoveryPoints,
  variablesText,
  whyRestore,
  type Reading,
  type Situation,
} from './assess';

/** What is wrong, part by part, in words; empty where nothing is that is known. */
export function wrongIn(situation: Situation): string[] {
  const { live, symptoms, variables } = situation;
  const restore = whyRestore(situation);
  return [
    ...(live.found === undefined ? [`the database cannot be looked at: ${live.why}`] : []),
    ...(restore === undefined ? [] : [`the database: ${restore}`]),
    ...(symptoms.found === undefined || symptoms.found.ok
      ? []
      : [`the application: ${symptoms.found.detail}`]),
    ...((variables.found?.missing.length ?? 0) === 0
      ? []
      : [`environment variables: ${variablesText(variables.found!)}`]),
  ];
}

/** What is well, and so is left alone. */
export function wellIn(situation: Situation): string[] {
  const { symptoms, variables } = situation;
  const { found: seen } = symptoms;
  return [
    ...(isDatabaseWell(situation) ? ['the database'] : []),
    ...(seen?.ok === true && isMeasured(seen) ? ['the application'] : []),
    ...(variables.found?.configured === true && variables.found.missing.length === 0
      ? ['the environment variables']
      : []),
  ];
}

export function draftOf(
  run: { mode: string },
  place: Place,
  situation: Situation,
  unchecked: string[],
): PlanDraft {
  const target = targetOf(place);
  const asks = run.mode === 'propose' ? ', which asks for its approval in its own run' : '';
  const restore = whyRestore(situation);
  const [first, proven] = recoveryPoints(situation);
  const { live, symptoms, variables } = situation;
  const missing = variables.found?.missing ?? [];
  return {
    actions: [
      { action: 'open an incident of P0, or add to the one that is open', target },
      ...(live.found === undefined
        ? [{ action: 'a task for a person: have the server of the database answer', target }]
        : []),
      ...(restore === undefined
        ? []
        : [
            first === undefined
              ? { action: 'call people: there is no backup to restore from', target }
              : {
                  action: `restore from ${first.backupId}`,
                  target,
                  detail: `by restoreDatabase${asks}${proven === undefined ? '' : `; where that fails, from ${proven.backupId}, which was proven`}`,
                },
          ]),
      ...(missing.length === 0
        ? []
        : [{ action: 'a task for a person: set environment variables', target, detail: missing.join(', ') }]),
      ...(symptoms.found?.ok === false
        ? [
            {
              action: 'roll back to the last good deployment, where it does not serve by then',
              target: applicationIn(place),
              detail: `by rollBackDeployment${asks}`,
            },
          ]
        : []),
      ...(symptoms.found === undefined || isMeasured(symptoms.found)
        ? []
        : [{ action: 'a task for a person: see that the application serves', target: applicationIn(place) }]),
      { action: 'verify what customers need, and tell the clients', target },
    ],
    warnings: [...warningsOf(situation), ...unchecked],
    facts: { well: wellIn(situation).join(', ') || 'nothing that is known' },
  };
}

/** What nobody looks at is no good news. */
function warningsOf(situation: Situation): string[] {
  const { live, backups, symptoms, deployments, others, variables } = situation;
  const newest = newestOf(backups.found ?? []);
  const say = <T>(what: string, reading: Reading<T>, warn: (found: T) => string[]): string[] =>
    reading.why === undefined ? warn(reading.found) : [`${what}: not known: ${reading.why}`];
  return [
    ...wellIn(situation).map((part) => `${part}: well, and left alone`),
    ...say('the database', live, ({ readOnlySetting, unseenTables }) => [
      ...(readOnlySetting === 'on'
        ? ['the database is set to be read-only; where no other run has done so, somebody has to reset it']
        : []),
      ...(unseenTables > 0 ? ['some tables were not looked at for damage'] : []),
      ...(newest === undefined && whyRestore(situation) === undefined
        ? [
            'the database answers; whether rows are missing is not known: there is no backup to compare it with',
          ]
        : []),
    ]),
    ...say('the backups', backups, (found) => [
      backupsText(found),
      ...(newest !== undefined && !newest.where.includes('offsite')
        ? [`${newest.backupId} has no copy off site`]
        : []),
    ]),
    ...say('the application', symptoms, (found) =>
      isMeasured(found)
        ? []
        : ['no health check and no error rate is configured: nothing tells whether the application serves'],
    ),
    ...say('the deployments', deployments, () => []),
    ...say('services of others', others, (found) =>
      found.every(({ state }) => state === 'healthy') && found.length > 0
        ? []
        : [`services of others: ${othersText(found)}`],
    ),
    ...say('the environment variables', variables, (found) =>
      found.configured ? [] : [`the environment variables: ${variablesText(found)}`],
    ),
  ];
}
