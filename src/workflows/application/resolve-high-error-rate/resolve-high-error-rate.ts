import { ApplicationFailure } from '@temporalio/workflow';
import type { Symptoms } from '../../../activities/application/symptoms';
import type { InputOf } from '../../../catalogue/card';
import { duration, percent, type Run, runbook } from '../../kit';
import { cluesOf, failingChecks, readErrorFacts, type ErrorFacts } from './facts';
import { findingsOf, labelOf, remediesOf, type Cause, type Remedy } from './findings';
import { withClues } from './people';
import { tryRemedy } from './remedies';
import type { resolveHighErrorRateCard } from './card';
import { overCheck, rateFact } from '../serving';
import { effectTexts, mayDecide } from '../trial';
import type { Place } from '../../../contract/place';

type Input = InputOf<typeof resolveHighErrorRateCard>;

interface ChosenCause extends Cause {
  /** A person chose it. */
  chosen: boolean;
}

/** More than anybody configures. Errors that come and go for days must not fill a history. */
const MAX_TRIES = 20;

/** Finds the cause of failing requests and tries the remedies that speak to it, one at a time. */
export const resolveHighErrorRate = runbook<typeof resolveHighErrorRateCard>(
  'resolveHighErrorRate',
  async (input, run) => {
    const place = { service: input.service, environment: input.environment };
    const startedAt = Date.now();
    const beganAtMs = input.alert?.startsAt == null ? startedAt : Date.parse(input.alert.startsAt);
    const before = await look(run, place);
    if (before.rate === null) throw noErrorRate(place);
    rateFact(run, 'errorRateBeforePercent', before);
    run.fact('errorRateBand', before.band ?? 'unknown');

    const tried: Remedy[] = [];
    const stays: Remedy[] = [];
    let facts: ErrorFacts | undefined;
    for (let now = before; tried.length < MAX_TRIES; now = await look(run, place)) {
      if (now.ok)
        return run.nothingToDo(tried.length === 0 ? now.detail : `${howItEnded(stays)}: ${now.detail}`);
      facts = await readErrorFacts(run, place, { symptoms: now, beganAtMs, before: facts });
      const clues = cluesOf(facts);
      const finding = await choose(run, input, facts, { tried, stays });
      run.note(`Finding: ${finding.cause}`, finding.evidence);
      run.fact('cause', finding.cause);
      run.fact('evidence', finding.evidence);
      const effect = await tryRemedy({
        run,
        place,
        finding,
        symptoms: now,
        clues,
        startedBy: input.startedBy,
        alert: input.alert,
        decided: finding.chosen && mayDecide(run),
      });
      tried.push(finding.remedy);
      if (effect === 'partly') stays.push(finding.remedy);
      if (effect === 'helped') return conclude(run, place, finding, { tried, stays }, startedAt);
    }
    return run.needsHuman(`the errors come back whatever is tried: ${tried.map(labelOf).join(', ')}`);
  },
);

function look(run: Run, place: Place): Promise<Symptoms> {
  return run.step('Health and error rate', (act) => act.readSymptoms(place), {
    describe: ({ detail, band }) => `${detail}${band === null || band === 'objective' ? '' : ` (${band})`}`,
  });
}

interface Tried {
  tried: Remedy[];
  /** Those of them that helped, though not enough. */
  stays: Remedy[];
}

function howItEnded(stays: Remedy[]): string {
  const helped = stays.map(labelOf).join(', ');
  return stays.length === 0
    ? 'it went away by itself'
    : `it is over, after this helped, and stays: ${helped}`;
}

/** The first cause whose remedy was not tried, or what a person chooses. */
async function choose(run: Run, input: Input, facts: ErrorFacts, before: Tried): Promise<ChosenCause> {
  const { tried } = before;
  const untried = (remedy: Remedy) => !tried.some((one) => labelOf(one) === labelOf(remedy));
  const finding = findingsOf(facts).find(({ remedy }) => untried(remedy));
  if (finding !== undefined) return { ...finding, chosen: false };
  const evidence = evidenceOfNothing(facts, before);
  const task = `${input.service}: ${facts.symptoms.detail}. ${evidence}. Find the cause and mend it by hand; this run goes on by itself when that has helped.`;
  const byHand: Remedy = { kind: 'byHand', task };
  // The first one is what a hurried person pastes.
  const choices = [byHand, ...remediesOf(facts).filter(untried)];
  const unknown = { cause: 'unknown', evidence, chosen: true };
  if (choices.length === 1) return { ...unknown, remedy: byHand };
  run.note('Finding: unknown', evidence);
  const target = `${input.service}/${input.environment}`;
  await run.plan({
    actions: [{ action: 'ask what to do', target, detail: choices.map(labelOf).join(', ') }],
  });
  const question = withClues(
    `${input.service}: ${facts.symptoms.detail}. ${evidence}. What shall be tried?`,
    cluesOf(facts),
  );
  const choice = await run.askUnless(
    overCheck(input),
    question,
    choices.map((one) => (one === byHand ? { harmless: labelOf(one) } : labelOf(one))),
  );
  if (choice === undefined) return run.nothingToDo('it went away before anybody decided');
  const remedy = choices.find((one) => labelOf(one) === choice) ?? byHand;
  return { ...unknown, evidence: `${evidence}; a person chose to ${choice}`, remedy };
}

function evidenceOfNothing({ detailed }: ErrorFacts, before: Tried): string {
  const failing = failingChecks(detailed?.body).map(({ name, detail }) => `${name} (${detail})`);
  const parts = [
    'nothing that was looked at explains it',
    failing.length === 0 ? '' : `failing checks: ${failing.join('; ')}`,
    ...triedTexts(before),
  ];
  return parts.filter((part) => part !== '').join('; ');
}

function triedTexts({ tried, stays }: Tried): string[] {
  return effectTexts(tried.filter((one) => !stays.includes(one)).map(labelOf), stays.map(labelOf));
}

/** What a post-mortem needs, while everybody still remembers. */
async function conclude(
  run: Run,
  place: Place,
  { cause, evidence, remedy }: Cause,
  { tried, stays }: Tried,
  startedAt: number,
): Promise<string> {
  const after = await look(run, place);
  rateFact(run, 'errorRateAfterPercent', after);
  const took = Date.now() - startedAt;
  run.fact('resolvedAfterSeconds', Math.round(took / 1_000));
  const others = triedTexts({ tried: tried.slice(0, -1), stays });
  const done = [labelOf(remedy), ...others.map((one) => `before that ${one}`)].join('; ');
  run.fact('remedy', done);
  run.note(
    'Post-mortem draft',
    `Cause: ${cause}. Evidence: ${evidence}. Remedy: ${done}, after ${duration(took)}. Open: why it was not caught before customers saw it, and what prevents the next one.`,
  );
  const rate = after.rate === null ? after.detail : `error rate ${percent(after.rate)}`;
  await run.announce(`${place.service}: ${rate} again. Cause: ${cause}. Remedy: ${labelOf(remedy)}.`);
  return `${rate} again; cause: ${cause}; remedy: ${labelOf(remedy)}`;
}

function noErrorRate({ service, environment }: Place): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `${service}/${environment} has no error rate: set application.errorRate or observe.measures.error-rate in the configuration, then start again`,
    'NoErrorRate',
  );
}
