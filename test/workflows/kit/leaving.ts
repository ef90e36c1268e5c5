/** A small runbook that leaves of what it does what each part of it leaves. */
import { sleep, TerminatedFailure } from '@temporalio/workflow';
import { type Run, runbook, type WayBack } from '../../../src/workflows/kit';
import { change, type FixtureCard, type Input, world } from './acting';

type Part = (run: Run, input: Input) => Promise<unknown>;

const spared = (result: string) => (result === 'none, again' ? 'unknown' : result === 'none');

const sessions = (run: Run) =>
  run.step(
    'End sessions',
    world((act) => act.change({ what: 'sessions' })),
    { kind: 'mutate', undo: { irreversible: 'sessions were ended', unless: spared } },
  );

const add = (run: Run, undo: WayBack, what: string) =>
  run.step(
    `Add ${what}`,
    world((act) => act.change({ what })),
    { kind: 'mutate', undo },
  );

/** Of one run: each has a sandbox of its own. */
let resumed = false;

const PARTS: Record<string, Part> = {
  sessions,
  backup: (run) => add(run, { harmless: 'backup b-1' }, 'backup'),
  atomic: (run) => add(run, 'atomic', 'column'),
  copy: (run) => add(run, 'disposable', 'copy'),
  covered: (run) => add(run, { coveredBy: 'Change a back' }, 'traffic'),
  undo: (run) => change(run, 'a'),
  kept: (run) => run.exclusively('leaving', () => change(run, 'a')),
  back: (run) => add(run, { takesBack: 'Change a' }, 'way back'),
  deferred: async (run) => run.defer('Tidy up', () => add(run, { takesBack: 'Change a' }, 'way back')),
  leased: (run) =>
    run.exclusively('leaving', async () => {
      await sessions(run);
      await change(run, 'a');
      throw new Error('ill');
    }),
  attempt: async (run) =>
    run.fact(
      'attempt',
      (
        await run.attempt(async () => {
          await change(run, 'a');
          throw new Error('it did not help');
        })
      ).why,
    ),
  cutOff: (run, input) => run.child('Another', 'cutOff', { ...input }),
  // Its way back changes something for good.
  restored: (run) =>
    run.step(
      'Change b',
      world((act) => act.change({ what: 'b' })),
      {
        kind: 'mutate',
        undo: {
          title: 'Restore b',
          back: async () => {
            await add(run, { irreversible: 'b was restored; writes since noon are lost' }, 'restored b');
            await add(run, { takesBack: 'Change b' }, 'b back');
          },
        },
      },
    ),
  stopped: (run) => {
    resumed = false;
    return add(
      run,
      {
        title: 'Resume writes',
        back: () => add(run, { takesBack: 'Add stop' }, 'resume'),
        offer: async () => (resumed ? undefined : 'Writes are stopped'),
      },
      'stop',
    );
  },
  resumed: (run) => {
    resumed = true;
    return add(run, { takesBack: 'Add stop' }, 'resume');
  },
  stuck: async (run) => {
    run.undo('Restore c', async () => {
      await add(run, { irreversible: 'c was restored' }, 'restored c');
      run.needsHuman('c is half restored');
    });
  },
  nested: async (run) =>
    run.undo('Outer', async () => {
      await add(run, { takesBack: 'Change a' }, 'outer back');
      run.undo('Inner', () => add(run, { takesBack: 'Change a' }, 'inner back'));
    }),
  plan: (run) => run.plan({ actions: [{ action: 'change', target: 'a' }] }),
  planAlsoWhilePaused: (run) =>
    run.plan({ actions: [{ action: 'tell', target: 'a' }] }, { alsoWhilePaused: true }),
  broken: async (run) =>
    run.show({
      details: () => {
        throw new TypeError('a bug in what is shown');
      },
    }),
  child: (run, input) => run.child('Another', 'leaving', { ...input, parts: 'sessions fail' }),
  launch: (run, { service, startedBy }) =>
    run.launch('Another', 'holder', 'other', { service, startedBy }, 'once more'),
  wait: () => sleep('1 hour'),
  fail: async () => {
    throw new Error('ill');
  },
  refuse: async (run) => run.reject('a person said no'),
  well: async (run) => run.nothingToDo('it went away'),
  human: async (run) => run.needsHuman('nobody may go back'),
};

/** Does one part after the other, and leaves of it what each leaves. */
export const leaving = runbook<FixtureCard>('leaving', async (input, run) => {
  for (const part of (input.parts ?? '').split(' ')) await PARTS[part]?.(run, input);
  return 'done';
});

/** What its parent hears of it is what it hears of a run that somebody terminated. */
export async function cutOff(): Promise<void> {
  throw new TerminatedFailure('terminated by hand');
}
