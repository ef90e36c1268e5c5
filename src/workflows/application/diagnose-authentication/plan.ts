import type { AuthCheck, AuthExamination, AuthRemedy, AuthTopic } from '../../../activities/auth/auth';
import type { Place } from '../../../contract/place';
import { targetOf } from '../../../contract/place';
import type { PlanDraft } from '../../kit';
import { applicationIn } from '../serving';

/** While one of these is wrong, nothing else is worth trying, and what else is wrong may come of it. */
const ROOTS: AuthTopic[] = ['clock', 'provider', 'callbacks', 'credentials', 'limits'];

export const LABELS: Record<AuthRemedy, string> = {
  clearCache: 'clear what the application remembers of logins',
  redeploy: 'put the configuration of the application in place again',
};

export function failedOf({ checks }: AuthExamination): AuthCheck[] {
  return checks.filter(({ verdict }) => verdict === 'failed');
}

/** What may help against what was found, in this order. After people changed something, all of it may. */
export function remediesFor(found: AuthExamination, isAfterTask: boolean): AuthRemedy[] {
  const failed = failedOf(found);
  if (failed.length === 0 || failed.some(({ topic }) => ROOTS.includes(topic))) return [];
  if (isAfterTask) return found.remedies;
  const helps = failed.flatMap(({ topic, refused }): AuthRemedy[] => {
    // The token is well, or its keys are: what is remembered of them may be old.
    if (topic === 'access' || topic === 'keys') return ['clearCache', 'redeploy'];
    return topic === 'login' && refused !== true ? ['redeploy'] : [];
  });
  return found.remedies.filter((remedy) => helps.includes(remedy));
}

/** What people are asked for first. */
export function forPeople(found: AuthExamination): AuthCheck[] {
  const failed = failedOf(found);
  const roots = failed.filter(({ topic }) => ROOTS.includes(topic));
  return roots.length > 0 ? roots : failed;
}

export function adviceFor({ topic, refused }: AuthCheck, { service }: Place): string {
  switch (topic) {
    case 'provider':
      return 'look at its status page, and ask its support; this goes on when it says that it is well';
    case 'callbacks':
      return 'add them to the allowed callback URLs of the provider, exactly so';
    case 'credentials':
      return 'set them for the application, from where your secrets are kept, and nowhere in a message';
    case 'limits':
      return `find out who is refused, by adjustRateLimits of ${service}`;
    case 'clock':
      return 'correct it, e.g. its NTP client: tokens are judged by clocks';
    case 'token':
      return 'correct lifetime, issuer and audience where tokens are issued';
    case 'keys':
      return 'publish the key that signs, or sign with one that is published and has not expired';
    case 'access':
      return 'compare issuer, audience and keys of the application with those of the token, and look at its logs';
    case 'login':
      return refused === true
        ? 'correct the test account in authentication.login, or unlock it, and look whether others can log in'
        : 'look at the logs of the application, and at its provider';
  }
}

export function findingText(check: AuthCheck, place: Place): string {
  return `${check.topic}: ${check.detail.replace(/\.$/, '')}: ${adviceFor(check, place)}`;
}

export function examinationText({ checks }: AuthExamination): string {
  return checks
    .map(({ topic, verdict, detail }) => `${topic} ${verdict}: ${detail.replace(/\.$/, '')}`)
    .join('; ');
}

export function planFor(place: Place, found: AuthExamination, unchecked: string[]): PlanDraft {
  const remedies = remediesFor(found, false);
  const failed = failedOf(found);
  return {
    actions: [
      ...remedies.map((remedy) => ({
        action: LABELS[remedy],
        target: applicationIn(place),
        detail: 'then a test login',
      })),
      {
        action: 'a task for people',
        target: targetOf(place),
        detail: `${remedies.length > 0 ? 'where that does not help: ' : ''}${[...new Set(failed.map(({ topic }) => topic))].join(', ')}`,
      },
      ...(remedies.length < found.remedies.length
        ? [
            {
              action: 'after that, what else is configured',
              target: applicationIn(place),
              detail: found.remedies.map((one) => LABELS[one]).join(', then '),
            },
          ]
        : []),
    ],
    warnings: [
      'each look logs the test account in, which makes a new session of it',
      ...(found.remedies.includes('clearCache')
        ? ['where sessions are in the cache, clearing it logs people out']
        : []),
      ...found.checks
        .filter(({ verdict }) => verdict === 'unknown')
        .map(({ topic }) => `${topic}: nobody can tell`),
      ...found.unconfigured,
      ...unchecked,
    ],
    // Not their words: those have times in them, which go on while the plan waits.
    facts: {
      failed: failed
        .map(({ topic }) => topic)
        .sort()
        .join(', '),
    },
  };
}
