import { ApplicationFailure, sleep } from '@temporalio/workflow';
import type { Activities } from '../../../activities';
import type { Measurement } from '../../../activities/application/measure';
import type { Measured } from '../../../activities/observe/measure';
import { targetOf, type Place } from '../../../contract/place';
import type { Run, TaskCheck, Verdict } from '../../kit';

/** What an application suffers from, seen by measures. */
export interface Symptom {
  /** In the plural, e.g. `slow responses`. */
  trouble: string;
  /** Measures; one of them must be configured, the others may be. */
  measures: string[];
}

/** How much it suffers, at one moment. */
export interface Strain {
  /** Those of the symptom that are configured. */
  measured: Measured[];
  /** Every one is known, and none is worse than information. */
  isWell: boolean;
  /** One is, whatever the others are. */
  isStrained: boolean;
  /** How far back they look. */
  windowMs: number;
  /** What a remedy must not break. */
  service: Measurement;
  detail: string;
}

export async function readStrain(act: Activities, place: Place, { measures }: Symptom): Promise<Strain> {
  const [all, service] = await Promise.all([
    act.measure({ ...place, names: measures }),
    act.measureService(place),
  ]);
  const measured = all.filter(({ unknown }) => unknown !== 'not-configured');
  const isStrained = measured.some(isBad);
  return {
    measured,
    isStrained,
    isWell: !isStrained && measured.length > 0 && measured.every(({ value }) => value !== null),
    windowMs: Math.max(0, ...measured.map(({ windowMs }) => windowMs)),
    service,
    detail: measured.map(({ detail }) => detail).join('; '),
  };
}

/** Known, and worse than information. */
export function isBad({ band }: Measured): boolean {
  return band === 'warning' || band === 'critical';
}

const MAX_LOOKS = 3;

/** Throws NoMeasure and MeasureUnknown: on what nobody knows, nobody acts. */
export async function look(run: Run, place: Place, symptom: Symptom): Promise<Strain> {
  const strain = await run.step('Measure', (act) => untilKnown(act, run, place, symptom), {
    describe: ({ detail }) => detail,
  });
  if (strain.measured.length === 0)
    throw ApplicationFailure.nonRetryable(
      `nobody measures ${symptom.trouble} of ${targetOf(place)}: set one of ${symptom.measures.join(', ')} under observe.measures in the configuration, then start again`,
      'NoMeasure',
    );
  if (!strain.isStrained && !strain.isWell)
    throw ApplicationFailure.nonRetryable(
      `whether ${targetOf(place)} suffers from ${symptom.trouble} is not known: ${strain.detail}. Mend what measures it, then start again`,
      'MeasureUnknown',
    );
  return strain;
}

/** A look that fails may do so by chance. */
async function untilKnown(act: Activities, run: Run, place: Place, symptom: Symptom): Promise<Strain> {
  for (let looks = 1; ; looks += 1) {
    const now = await readStrain(act, place, symptom);
    if (now.isStrained || now.isWell || now.measured.length === 0 || looks >= MAX_LOOKS) return now;
    await sleep(run.policy.soakEveryMs);
  }
}

// What was measured last may come with a delay.
const GRACE_MS = 5_000;

/**
 * Waits until nothing of what was before counts any longer, e.g. in a trend, looks whether all is well, and watches that it
 * stays so. What does not hold fails the run, and so undoes what was done.
 */
export async function verifyRelieved(
  run: Run,
  place: Place,
  symptom: Symptom,
  before: Strain,
): Promise<void> {
  const { soakMs, soakEveryMs } = run.policy;
  await run.verify(
    `No more ${symptom.trouble}`,
    (act) => untilWell(act, run, place, symptom, before),
    (now) => verdictOf(before, now),
  );
  await run.soak('It stays so', async (act) => verdictOf(before, await readStrain(act, place, symptom)), {
    forMs: soakMs,
    everyMs: soakEveryMs,
  });
}

async function untilWell(
  act: Activities,
  run: Run,
  place: Place,
  symptom: Symptom,
  before: Strain,
): Promise<Strain> {
  await sleep(before.windowMs);
  let now = await readStrain(act, place, symptom);
  for (const deadline = Date.now() + GRACE_MS; !verdictOf(before, now).ok && Date.now() < deadline;) {
    await sleep(Math.min(run.policy.soakEveryMs, GRACE_MS));
    now = await readStrain(act, place, symptom);
  }
  return now;
}

/** For questions and tasks: people need not say that it is over. */
export function overCheck(place: Place, symptom: Symptom): TaskCheck {
  return {
    title: 'Is it over?',
    everyMs: 60_000,
    call: async (act) => {
      const { isWell, detail } = await readStrain(act, place, symptom);
      return { ok: isWell, detail };
    },
  };
}

// More requests that fail than chance explains.
const MORE_ERRORS = 0.05;

/** Well, and nothing that worked before is broken now. */
function verdictOf(before: Strain, { isWell, service, detail }: Strain): Verdict {
  const failedBefore = failingIn(before.service);
  const broken = failingIn(service).filter((name) => !failedBefore.includes(name));
  const more = (service.errorRate ?? 0) > (before.service.errorRate ?? 0) + MORE_ERRORS;
  // A remedy may also have ended whoever says it.
  const silent = service.errorRate === null && before.service.errorRate !== null;
  const said = [
    detail,
    ...(broken.length === 0 ? [] : [`health fails now and did not before: ${broken.join(', ')}`]),
    ...(more ? [`more requests fail than before: ${service.detail}`] : []),
    ...(silent ? [`the error rate is no longer known: ${service.detail}`] : []),
  ];
  return { ok: isWell && broken.length === 0 && !more && !silent, detail: said.join('; ') };
}

function failingIn({ health }: Measurement): string[] {
  return health.filter(({ ok }) => !ok).map(({ name }) => name);
}

/** One number is in a better band, none in a worse, and nothing broke: taking that back would bring it all back. */
export function isBetter(before: Strain, now: Strain): boolean {
  const steps = before.measured.map((one) => {
    const after = now.measured.find(({ name }) => name === one.name);
    return rankOf(one) - rankOf(after);
  });
  const healthy = verdictOf(before, { ...now, isWell: true }).ok;
  return healthy && steps.some((step) => step > 0) && steps.every((step) => step >= 0);
}

const BANDS = ['objective', 'info', 'warning', 'critical'];

/** What is not known is the worst. */
function rankOf(measured: Measured | undefined): number {
  return measured?.band == null ? BANDS.length : BANDS.indexOf(measured.band);
}

/** `latencyP95Before` of `latency-p95`. */
export function measuredFacts(run: Run, { measured }: Strain, when: 'Before' | 'After'): void {
  for (const { name, value } of measured)
    if (value !== null)
      run.fact(`${name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())}${when}`, value);
}
