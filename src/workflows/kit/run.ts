import type { Activities } from '../../activities';
import type { Movement, Plan } from '../../contract/report';
import type { Fence } from '../../contract/place';
import type { Policy } from '../../contract/policy';
import type { Severity } from '../../contract/modes';
import type { PlanDraft } from './plan';
import type { WayBack } from './way-back';

/** What a step does: activities of `A`, by name. Their retries and timeouts are the step's. */
export type Call<T, A = Activities> = (act: A) => Promise<T>;

/** Whether something holds, and what was seen. */
export interface Verdict {
  ok: boolean;
  detail: string;
}

/**
 * `read`: under a minute and changes nothing. `quick`: the same, mostly a tenth of a second and about nothing on a host's disk; it
 * costs the server less, and what takes longer becomes a `read`. `mutate`: changes something, up to two hours. `long`: up to a day, whichever
 * of the two it is. What the configuration permits a command of the service to take is added to both. A step that changes
 * something says what becomes of it when the run fails.
 */
export type StepOptions<T> = {
  /** One line about the result for the timeline. */
  describe?: (result: T) => string;
  /** What the configuration permits this very step to take, where that may be longer. */
  permittedMs?: number;
} & (
  | { kind?: 'read' | 'quick'; undo?: never }
  | { kind: 'mutate'; undo: WayBack<T> }
  | { kind: 'long'; undo: WayBack<T> | 'read-only' }
);

/** A choice of a question. One that is not said to be harmless, which stops or changes nothing, is for approvers alone. */
export type Choice = string | { harmless: string };

/** Looks whether a task is done, or a question has become needless. */
export interface TaskCheck<A = Activities> {
  title: string;
  call: Call<Verdict, A>;
  /** Look this often, less often in the course of hours, and when the alert is resolved, whether the work is done: not everybody says so. */
  everyMs?: number;
}

/** What became of a runbook that this run started. */
export interface ChildRun {
  runbook: string;
  workflowId: string;
  /** An outcome of a run, or the type of the failure that kept it from having one, e.g. InvalidInput. */
  outcome: string;
  summary: string;
  /** Of a run that ended as PARTIAL: what it would have ended as, had nothing stayed. */
  instead?: string;
}

/** A runbook that goes on when this run has ended. */
export interface Launched {
  workflowId: string;
  /** False where it ran already. */
  isNew: boolean;
}

export interface PageOptions {
  /** Of the ladder; 0, the default, is the first. Past its end the last one is paged again. */
  rung?: number;
  /** Default: the runbook's priority. */
  severity?: Severity;
}

/** What came of a page. */
export interface Paged {
  /** Channels that took it; empty where nobody could be reached. */
  told: string[];
  /** Of the ladder, whose channels these are; absent without a ladder, and where nobody could be reached. */
  rung?: string | undefined;
  /** False where the service has no channel at all. */
  wanted: boolean;
}

/** What the sender of the alert that started the run has said since. */
export interface Sender {
  /** Deliveries after the first. */
  repeats: number;
  /** Times that it fired again after it had been resolved. */
  refires: number;
  /** ISO time; absent while it fires, or where no alert started the run. */
  resolvedAt?: string;
  /** ISO time at which the newest of what came since began; absent where nothing did, or its sender does not say. */
  startsAt?: string;
  /** What the newest of it is, where a run says so. */
  news?: string;
}

/** What a runbook shows of its own, beside what every run shows. */
export interface Sections {
  /** Markdown for Current Details, above plan and timeline. Called at every change, so it reads and does nothing else. */
  details?: () => string[];
  /** Fields of its own in the answer of `status`, in the memo and in the report. Names of the kit are refused. */
  fields?: Record<string, unknown>;
}

/**
 * What a procedure works with. One per run; `A` are the activities that it may call. Every method that waits can throw a
 * cancellation, which a procedure lets through.
 */
export interface Run<A = Activities> {
  /** The workflow ID. @example `runbooks report ${run.id}` */
  readonly id: string;

  /** What the configuration allows here, as it was when the run began. @example run.policy.mode === 'auto' */
  readonly policy: Readonly<Policy>;

  /** What the sender of the alert has said since. @example run.sender.resolvedAt !== undefined */
  readonly sender: Readonly<Sender>;

  /** An objective of the service by its name; throws NoObjective. @example run.objective('rtoSeconds') */
  objective(name: string): number;

  /**
   * One activity, or several that belong together, as one line of the timeline. Retried; throws what made it fail.
   * @example await run.step('Swap', (act) => act.swap(names), { kind: 'mutate', undo: { title: 'Swap back', back } })
   */
  step<T>(title: string, call: Call<T, A>, options?: StepOptions<T>): Promise<T>;

  /** An activity without a line of the timeline, for what is read again and again. @example await run.look('Load', (act) => act.readLoad()) */
  look<T>(title: string, call: Call<T, A>): Promise<T>;

  /**
   * A step whose result must hold: otherwise it throws VerificationFailed, and so undoes what was done.
   * @example await run.verify('It answers', (act) => act.checkHealth(place), allHold)
   */
  verify<T>(title: string, call: Call<T, A>, holds: (result: T) => Verdict): Promise<T>;

  /** A look whose answer may be no: a failed line of the timeline, and no error. @example const { ok } = await run.check('Is it over?', isOver) */
  check(title: string, call: Call<Verdict, A>): Promise<Verdict>;

  /**
   * Watches for `forMs`, until the alert is resolved; what does not hold throws VerificationFailed.
   * @example await run.soak('It stays up', (act) => act.readErrorRate(place), { forMs: 600_000, everyMs: 10_000 })
   */
  soak(title: string, call: Call<Verdict, A>, times: { forMs: number; everyMs: number }): Promise<void>;

  /**
   * Says what is going to happen, and asks nobody; ends the run in mode `observe`. What changes nothing goes on `alsoWhilePaused`.
   * @example await run.plan({ actions: [{ action: 'restore', target: 'a copy' }] })
   */
  plan(draft: PlanDraft, options?: { alsoWhilePaused?: boolean }): Promise<Plan>;

  /**
   * Waits that long, for hours or days, and lets others have its place meanwhile; one line of the timeline. Not under a lease.
   * @example await run.rest('Tokens of the former key end', 3_600_000)
   */
  rest(title: string, forMs: number): Promise<void>;

  /**
   * Lets the run act on exactly this plan: ends it in mode `observe`, asks for an approval in `propose`. `make` is called
   * again after waiting, and an approval of another plan is void. Ends the run as REJECTED when nobody approves.
   * @example await run.gate(async () => ({ actions: [{ action: 'restart', target }], facts: { version } }))
   */
  gate(make: () => Promise<PlanDraft> | PlanDraft): Promise<Plan>;

  /** A decision that only a person can take. No answer in time ends the run as REJECTED. @example if ((await run.ask('Swap back?', ['yes', { harmless: 'no' }])) === 'yes') */
  ask(question: string, choices: Choice[]): Promise<string>;

  /** The same; undefined when `check` holds before anybody answered. @example await run.askUnless(overCheck(place), question, choices) */
  askUnless(
    check: TaskCheck<A> | undefined,
    question: string,
    choices: Choice[],
  ): Promise<string | undefined>;

  /** Work that only a person can do; done when somebody says so and `check` holds. Without it that is for approvers to say. @example await run.task('Reconnect the calendar of room 4', check) */
  task(instructions: string, check?: TaskCheck<A>): Promise<void>;

  /** How long questions, plans and tasks have stood open before people so far. @example const machineMs = tookMs - run.waitedForAnswersMs() */
  waitedForAnswersMs(): number;

  /**
   * Holds the lease of `target` while `body` runs. What `body` did is undone before the lease goes back, or stays for good.
   * `atLeast` is the highest fencing token found at the target. Every change of it passes `fence` on.
   * @example await run.exclusively('booking/production', (fence) => change(run, fence))
   */
  exclusively<T>(target: string, body: (fence: Fence) => Promise<T>, atLeast?: number): Promise<T>;

  /**
   * Registers a way back for what several steps do. `changed` says what stays where it is not gone.
   * @example run.undo('Switch it on again', () => switchOn(run), 'the search is switched off')
   */
  undo(title: string, back: () => Promise<unknown>, changed?: string): void;

  /**
   * Runs `body`; where it fails, undoes what it did and says why. A person's answer, a cancellation and a way back that
   * failed are nothing to go on from: they are thrown.
   * @example const { ok, why } = await run.attempt(() => restart(run))
   */
  attempt(body: () => Promise<unknown>): Promise<{ ok: boolean; why: string }>;

  /**
   * Tidies up when the run ends, whatever came of it; kept when a person is needed. `otherwise` says what becomes of it
   * where that fails.
   * @example run.defer('Drop the copy', (act) => act.dropScratch({ scratch }), 'Its time to live will remove it.')
   */
  defer(title: string, call: Call<unknown, A>, otherwise?: string): void;

  /**
   * Runs another runbook to its end, and takes over what it changed. A bad outcome of it is a result, no error. `began` is
   * told its workflow ID once it runs.
   * @example const { outcome } = await run.child('Roll back', 'rollBackDeployment', { service, startedBy })
   */
  child(
    title: string,
    runbook: string,
    input: Record<string, unknown>,
    began?: (workflowId: string) => void,
  ): Promise<ChildRun>;

  /**
   * Starts another runbook that outlives this run, where none with that key of the service is open. One that is hears that
   * there is more of it, as from an alert that fires again, with `news` in words.
   * @example await run.launch('Open an incident', 'respondToIncident', 'checklist', { service, title, startedBy })
   */
  launch(
    title: string,
    runbook: string,
    key: string,
    input: Record<string, unknown>,
    news?: string,
  ): Promise<Launched>;

  /** A status message, to a rung of the ladder or to every channel. Returns the channels that took it; never fails. @example await run.announce('Writes stop now.') */
  announce(text: string, to?: { rung?: string; severity?: Severity }): Promise<string[]>;

  /** Calls people: a rung of the ladder, and the next where nobody of it can be reached. Never fails. @example await run.page('Checkout is down', { severity: 'P0' }) */
  page(text: string, options?: PageOptions): Promise<Paged>;

  /** Says to those who were paged that somebody has it. @example await run.acknowledgePage('ana has it') */
  acknowledgePage(text: string): Promise<void>;

  /** Says to those who were paged that it is over. @example await run.resolvePage('it answers again') */
  resolvePage(text: string): Promise<void>;

  /** A line of the timeline. @example run.note('Snapshot of the sessions', text, { failed: true }) */
  note(title: string, detail?: string, options?: { failed?: boolean; movement?: Movement }): void;

  /** A measured fact for the report. @example run.fact('rtoSeconds', 12.4) */
  fact(name: string, value: string | number | boolean): void;

  /** Sections of its own in Current Details, status and report. @example run.show({ details: () => ['## Checkout'], fields: { incident } }) */
  show(sections: Sections): void;

  /** What the run is at, in one sentence, where it waits or leads for long. @example run.summary('open, led by ana') */
  summary(text: string): void;

  /** Lines of the timeline belong to that movement from here on; `plan`, `gate` and `verify` do it by themselves. @example run.movement('act') */
  movement(movement: Movement): void;

  /** Writes the report into the memo now, so that it can be read without a worker before the run ends. @example run.save() */
  save(): void;

  /** Ends the run well: the symptom is not there. @example return run.nothingToDo('last run 40 s ago') */
  nothingToDo(summary: string): never;

  /** Ends the run because a person said no. @example return run.reject('decided not to lose these writes') */
  reject(summary: string): never;

  /** Ends a way back that would be unsafe, or the run: everything is kept, and people are called. @example run.needsHuman('the copy stays live, as decided') */
  needsHuman(summary: string): never;
}
