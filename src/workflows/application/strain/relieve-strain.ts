import type { Alert } from '../../../contract/alert';
import type { Place } from '../../../contract/place';
import { duration, type Run } from '../../kit';
import { applicationIn } from '../serving';
import { effectTexts, mayDecide } from '../trial';
import { isSameTry, labelOf, remediesOf, type Cause, type Remedy } from './causes';
import { readFacts, type Procedure, type StrainFacts } from './facts';
import { tryRemedy } from './remedies';
import { look, measuredFacts, overCheck, readStrain } from './strain';

interface Input extends Place {
  startedBy: string;
  alert?: Alert | undefined;
}

interface ChosenCause extends Cause {
  /** A person chose it. */
  chosen: boolean;
}

/** More than anybody configures. What comes and goes for days must not fill a history. */
const MAX_TRIES = 20;

/** Finds what strains an application and tries the remedies that speak to it, one at a time. */
export async function relieveStrain(run: Run, input: Input, procedure: Procedure): Promise<string> {
  const place = { service: input.service, environment: input.environment };
  const startedAt = Date.now();
  const beganAtMs = input.alert?.startsAt == null ? startedAt : Date.parse(input.alert.startsAt);
  const before = await look(run, place, procedure);
  measuredFacts(run, before, 'Before');

  const tried: Cause[] = [];
  const stays: Cause[] = [];
  for (let strain = before; tried.length < MAX_TRIES; strain = await look(run, place, procedure)) {
    if (strain.isWell)
      return run.nothingToDo(
        tried.length === 0 ? strain.detail : `it is over, ${whatHelped(stays)}: ${strain.detail}`,
      );
    const facts = await readFacts(run, place, procedure, { strain, beganAtMs });
    const finding = await choose(run, place, procedure, facts, { tried, stays });
    run.note(`Finding: ${finding.cause}`, finding.evidence);
    run.fact('cause', finding.cause);
    run.fact('evidence', finding.evidence);
    const effect = await tryRemedy({
      run,
      place,
      procedure,
      finding,
      strain,
      unseen: facts.unseen,
      startedBy: input.startedBy,
      alert: input.alert,
      decided: finding.chosen && mayDecide(run),
    });
    tried.push(finding);
    if (effect === 'partly') stays.push(finding);
    if (effect === 'helped') return conclude(run, place, procedure, finding, tried, startedAt);
  }
  return run.needsHuman(`${procedure.trouble} come back whatever is tried: ${labelsOf(tried)}`);
}

/** The first cause whose remedy was not tried, or what a person chooses. */
async function choose(
  run: Run,
  place: Place,
  procedure: Procedure,
  facts: StrainFacts,
  { tried, stays }: { tried: Cause[]; stays: Cause[] },
): Promise<ChosenCause> {
  const untried = (cause: Cause) => !tried.some((one) => isSameTry(one, cause));
  const causes = procedure.causesOf(facts);
  for (const { cause, evidence } of causes.slice(1)) run.note(`Speaks for it too: ${cause}`, evidence);
  const finding = causes.find(untried);
  if (finding !== undefined) return { ...finding, chosen: false };
  const evidence = evidenceOfNothing(causes, tried, stays);
  const said = `${place.service}: ${facts.strain.detail}. ${evidence}.`;
  const task = `${said} Find the cause and mend it by hand; this run goes on by itself when that has helped.`;
  const byHand: Remedy = { kind: 'byHand', task };
  // The first one is what a hurried person pastes.
  const unknown = { cause: 'unknown', evidence, chosen: true };
  const choices = [byHand, ...remediesOf(facts).filter((remedy) => untried({ ...unknown, remedy }))];
  if (choices.length === 1) return { ...unknown, remedy: byHand };
  run.note('Finding: unknown', evidence);
  await run.plan({
    actions: [
      {
        action: 'ask what to do',
        target: applicationIn(place),
        detail: choices.map(labelOf).join(', '),
      },
    ],
    warnings: facts.unseen,
  });
  const choice = await run.askUnless(
    overCheck(place, procedure),
    `${said} What shall be tried?`,
    choices.map((one) => (one === byHand ? { harmless: labelOf(one) } : labelOf(one))),
  );
  if (choice === undefined) return run.nothingToDo('it was over before anybody decided');
  const remedy = choices.find((one) => labelOf(one) === choice) ?? byHand;
  return { ...unknown, evidence: `${evidence}; a person chose to ${choice}`, remedy };
}

function whatHelped(stays: Cause[]): string {
  return stays.length === 0 ? 'and no remedy was seen to help' : `after this helped: ${labelsOf(stays)}`;
}

function labelsOf(tried: Cause[]): string {
  return tried.map(({ remedy }) => labelOf(remedy)).join(', ');
}

function evidenceOfNothing(causes: Cause[], tried: Cause[], stays: Cause[]): string {
  const found = causes.map(({ cause, evidence }) => `${cause} (${evidence})`);
  const parts = [
    found.length === 0 ? 'nothing that was looked at explains it' : `found: ${found.join('; ')}`,
    ...effectTexts(
      tried.filter((one) => !stays.includes(one)).map(({ remedy }) => labelOf(remedy)),
      stays.map(({ remedy }) => labelOf(remedy)),
    ),
  ];
  return parts.filter((part) => part !== '').join('; ');
}

/** What a post-mortem needs, while everybody still remembers. */
async function conclude(
  run: Run,
  place: Place,
  procedure: Procedure,
  { cause, evidence, remedy }: Cause,
  tried: Cause[],
  startedAt: number,
): Promise<string> {
  // It has held: that it cannot be measured just now does not make it fail.
  const after = await run.step('Measure', (act) => readStrain(act, place, procedure), {
    describe: ({ detail }) => detail,
  });
  measuredFacts(run, after, 'After');
  const took = Date.now() - startedAt;
  run.fact('resolvedAfterSeconds', Math.round(took / 1_000));
  const others = labelsOf(tried.slice(0, -1));
  const done = `${labelOf(remedy)}${others === '' ? '' : `; before that: ${others}`}`;
  run.fact('remedy', done);
  run.note(
    'Post-mortem draft',
    `Cause: ${cause}. Evidence: ${evidence}. Remedy: ${done}, after ${duration(took)}. Open: why it came to that, and what prevents the next time.`,
  );
  await run.announce(`${place.service}: ${after.detail}. Cause: ${cause}. Remedy: ${labelOf(remedy)}.`);
  return `${after.detail}; cause: ${cause}; remedy: ${labelOf(remedy)}`;
}
