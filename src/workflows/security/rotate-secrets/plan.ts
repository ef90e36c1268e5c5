import type { SecretsFound, SecretStatus } from '../../../activities/security/secrets';
import { targetOf, type Place } from '../../../contract/place';
import { duration, utc, type PlanDraft } from '../../kit';

/** A secret that is dealt with, and how. */
export interface Wanted extends SecretStatus {
  /** Its rotation is over but for former versions that are still accepted. */
  onlyRetire: boolean;
}

/** A rotation of somebody else, which waits for its grace to end, is left alone for that long. */
const LEFT_OVER_MS = 86_400_000;

/** Whoever names secrets wants them rotated; otherwise those that are due. */
export function wantedOf({ known }: SecretsFound, named: boolean): Wanted[] {
  return known.flatMap((one): Wanted[] => {
    if (named || one.ageMs > one.maxAgeMs) return [{ ...one, onlyRetire: false }];
    const leftOver = one.accepted.length > 0 && one.ageMs > one.graceMs + LEFT_OVER_MS;
    return leftOver ? [{ ...one, onlyRetire: true }] : [];
  });
}

/** For as long as it may take to notice the new one, the application still issues with the former one. */
export function untilRetired({ settleMs }: SecretStatus, graceMs: number): number {
  return settleMs + graceMs;
}

export function agesText({ known, unknown }: SecretsFound): string {
  return [
    ...known.map(
      ({ secret, ageMs, maxAgeMs, accepted }) =>
        `${secret}: ${daysOf(ageMs)} old, ${daysOf(maxAgeMs)} at most${accepted.length === 0 ? '' : `, beside it ${accepted.join(', ')} accepted`}`,
    ),
    ...unknown.map(({ secret, detail }) => `${secret}: not known: ${detail}`),
  ].join('; ');
}

function daysOf(ms: number): string {
  return ms < 2 * 86_400_000 ? duration(ms) : `${Math.floor(ms / 86_400_000)} days`;
}

/** No age is in it, so that an approval lasts. */
export function planFor(
  place: Place,
  wanted: Wanted[],
  { unknown }: SecretsFound,
  { graceMs, unchecked }: { graceMs: number | undefined; unchecked: string[] },
): PlanDraft {
  return {
    actions: wanted.map((one) => ({
      action: actionOf(one),
      target: `${targetOf(place)}/${one.secret}`,
      detail: detailOf(one, graceMs ?? one.graceMs),
    })),
    warnings: [
      ...wanted.flatMap((one) => warningsOf(one)),
      ...unknown.map(({ secret, detail }) => `${secret} is left alone, and may be due: ${detail}`),
      ...unchecked,
    ],
    facts: { versions: wanted.map(({ active }) => active.version).join(', ') },
  };
}

function actionOf({ onlyRetire, overlap }: Wanted): string {
  if (onlyRetire) return 'retire former versions';
  return overlap ? 'rotate' : 'swap, with an interruption';
}

function detailOf(one: Wanted, graceMs: number): string {
  const { onlyRetire, active, accepted, overlap } = one;
  const inUse = `${active.version} of ${utc(active.createdAt)} is in use`;
  if (onlyRetire) return `${inUse}; retire ${accepted.join(', ')}`;
  const formers = [active.version, ...accepted].join(', ');
  return `${inUse}; retire ${formers} ${overlap ? `${duration(untilRetired(one, graceMs))} later` : 'at once'}`;
}

function warningsOf({ secret, onlyRetire, overlap, canRestore }: Wanted): string[] {
  return [
    ...(overlap || onlyRetire
      ? [`what was issued with a former version of ${secret} is refused from its retirement on`]
      : [
          `${secret}: the application accepts one version at a time, so whoever still has the former one is refused`,
        ]),
    ...(canRestore
      ? []
      : [`secrets.${secret}.restore is not configured: a version that is retired does not come back`]),
  ];
}
