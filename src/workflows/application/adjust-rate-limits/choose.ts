import { ApplicationFailure } from '@temporalio/workflow';
import type { Blocked, LimitFacts } from '../../../activities/application/blocked';
import type { InputOf } from '../../../catalogue/card';
import { ONE_CALLER } from '../../../contract/rate-limits';
import { targetOf, type Place } from '../../../contract/place';
import type { Run, TaskCheck } from '../../kit';
import type { adjustRateLimitsCard } from './card';

export type Input = InputOf<typeof adjustRateLimitsCard>;

/** What is done, and for how long. */
export interface Remedy {
  /** Names of those who are exempted; none: the limits of all are raised. */
  who: string[];
  exception: string;
  forMs: number;
  why: string;
  /** A person has said that they are customers. */
  decided: boolean;
}

const RAISE = 'raise the limits of all';
const LEAVE = 'leave them as they are';
const ATTACK = 'it is an attack: call for help';
/** Neither changes anything. */
const NO = [{ harmless: LEAVE }, { harmless: ATTACK }];
const MAX_CHOICES = 3;

export function isWanted({ tooMany, blocked, exceptions }: LimitFacts, { who }: Pick<Input, 'who'>): boolean {
  return tooMany || who !== undefined || (exceptions.length > 0 && blocked.some(({ trusted }) => trusted));
}

/** The one who is named, those who are trusted, or what a person says: only people can tell customers from an attack. */
export async function chooseRemedy(run: Run, input: Input, facts: LimitFacts): Promise<Remedy> {
  const { exceptions } = facts;
  const exception = input.exception ?? exceptions[0] ?? '';
  if (input.exception !== undefined && !exceptions.includes(input.exception))
    throw invalid(input, `has no exception "${input.exception}"; known: ${exceptions.join(', ') || 'none'}`);
  const forMs = (ms: number) => (input.minutes === undefined ? ms : input.minutes * 60_000);
  const exempt = (who: string[], why: string, decided: boolean): Remedy => ({
    who,
    exception,
    forMs: forMs(facts.exceptionMs),
    why,
    decided,
  });
  if (input.who !== undefined) {
    if (exception === '') throw invalid(input, 'has no exceptions; add application.rateLimits.exceptions');
    return exempt([input.who], `named by ${input.startedBy}`, await isCustomer(run, input, input.who, facts));
  }
  const trusted = facts.blocked.filter((one) => one.trusted);
  if (exception !== '' && mostOf(trusted, facts))
    return exempt(
      trusted.map(({ who }) => who),
      'trusted by configuration',
      false,
    );

  const choices = choicesOf(facts, exception);
  const target = targetOf(input);
  if (choices.length === 0) throw invalid(input, 'can neither raise its limits nor exempt anybody');
  await run.plan({
    actions: [{ action: 'ask what to do', target, detail: [...choices, LEAVE, ATTACK].join(', ') }],
    warnings: facts.unconfigured,
  });
  const choice = await run.askUnless(overCheck(input), questionFor(input, facts), [...choices, ...NO]);
  if (choice === undefined) return run.nothingToDo('it went away before anybody decided');
  if (!choices.includes(choice)) return leave(run, input, facts, choice);
  if (choice !== RAISE) return exempt([choice.slice('exempt '.length)], 'a person has said so', true);
  return { who: [], exception: '', forMs: forMs(facts.raiseMs!), why: 'a person has said so', decided: true };
}

/** Who is named may be named by an alert, and so by whoever causes it. True where a person has said yes. */
async function isCustomer(run: Run, input: Input, who: string, facts: LimitFacts): Promise<boolean> {
  const { blocked, blockedDetail } = facts;
  if (run.policy.mode !== 'auto' || blocked.some((one) => one.who === who && one.trusted)) return false;
  const question = `Shall ${who} be exempted from the rate limits? ${limitText(facts)}. Refused: ${blockedDetail}. Is it a customer, and no attack?`;
  const exempt = `exempt ${who}`;
  const choice = await run.ask(question, [exempt, ...NO]);
  return choice === exempt || leave(run, input, facts, choice);
}

async function leave(run: Run, { service }: Input, facts: LimitFacts, choice: string): Promise<never> {
  const decision = `the limits stay as they are, as decided: "${choice}"`;
  if (choice !== ATTACK) return run.reject(decision);
  await run.page(
    `${service}: somebody says that this is an attack: ${limitText(facts)}; refused: ${facts.blockedDetail}. The limits stay as they are. Lead it as an incident.`,
  );
  // Not as rejected: that would say to whoever was paged that it is over.
  throw ApplicationFailure.nonRetryable(decision, 'Attack');
}

/** For questions and tasks: people need not say that it is over. */
export function overCheck(place: Place): TaskCheck {
  return {
    title: 'Are fewer refused?',
    everyMs: 60_000,
    call: async (act) => {
      const { refusedShare, tooMany, detail } = await act.readRateLimits(place);
      return { ok: refusedShare !== null && !tooMany, detail };
    },
  };
}

/** Exempting them ends most of it; where only few are refused at all, it is they who are to be helped. */
function mostOf(trusted: Blocked[], { refusedRequests, tooMany }: LimitFacts): boolean {
  if (trusted.length === 0) return false;
  return !tooMany || trusted.reduce((sum, { refused }) => sum + refused, 0) >= refusedRequests / 2;
}

function choicesOf({ blocked, raiseMs }: LimitFacts, exception: string): string[] {
  const callers = blocked.map(({ who }) => who).filter((who) => ONE_CALLER.test(who));
  return [
    ...(raiseMs === null ? [] : [RAISE]),
    ...(exception === '' ? [] : callers.slice(0, MAX_CHOICES).map((who) => `exempt ${who}`)),
  ];
}

export function limitText({ detail, limit }: LimitFacts): string {
  return limit === null ? detail : `${detail}, with a limit of ${limit}`;
}

function questionFor({ service }: Input, facts: LimitFacts): string {
  const { blockedDetail, blocked } = facts;
  const customers = blocked.filter(({ known }) => known === true).length;
  const known = blocked.some((one) => one.known !== null)
    ? ` ${customers} of the ${blocked.length} are known as customers.`
    : '';
  return `${service}: ${limitText(facts)}. Refused: ${blockedDetail}.${known} Are these customers, and not an attack? What shall be done?`;
}

function invalid(place: Place, text: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `${targetOf(place)} ${text}. Correct it, then start again`,
    'InvalidInput',
  );
}
