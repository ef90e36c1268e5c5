/** Small runbooks that exercise one part of the kit each. They run in the workflow sandbox like real ones. */
import { condition, defineUpdate, setHandler, sleep } from '@temporalio/workflow';
import type { Activities } from '../../../src/activities';
import { messages, runbook } from '../../../src/workflows/kit';
import { change, type FixtureCard, type World, world } from './acting';

export { guard, places } from '../../../src/workflows/guard';
export { cutOff, leaving } from './leaving';

/** Diagnose, gate, act, verify: the five movements in their plainest form. */
export const fiveMovements = runbook<FixtureCard>('fiveMovements', async (_, run) => {
  const seen = await run.step(
    'Look',
    world((act) => act.look()),
    { describe: ({ value }) => `value ${value}` },
  );
  await run.gate(async () => {
    const { value } = await run.step(
      'Look again',
      world((act) => act.look()),
    );
    return { actions: [{ action: 'change', target: 'a', count: value }] };
  });
  await change(run, 'a');
  await change(run, 'b');
  await run.verify(
    'It helped',
    world((act) => act.check({ what: 'after' })),
    (verdict) => verdict,
  );
  return `changed, starting from ${seen.value}`;
});

/** Looks, and finds nothing to do. */
export const looking = runbook<FixtureCard>('looking', async (_, run) => {
  await run.step(
    'Look',
    world((act) => act.look()),
    { kind: 'quick' },
  );
  return run.nothingToDo('all is well');
});

/** Acts under the lease of a target, and soaks. */
export const underLease = runbook<FixtureCard>('underLease', async (_, run) => {
  await run.gate(() => ({ actions: [{ action: 'change', target: 'leased' }] }));
  await run.exclusively('leased', async ({ token }) => {
    run.fact('token', token);
    await change(run, 'leased');
    await run.soak(
      'Soak',
      world((act) => act.check({ what: 'soak' })),
      { forMs: 60_000, everyMs: 10_000 },
    );
  });
  return 'held and released';
});

/** Holds a lease until it is told to stop. */
export const holder = runbook<FixtureCard>('holder', async (_, run) => {
  await run.exclusively('leased', async ({ token }) => {
    run.fact('token', token);
    await sleep('1 hour');
  });
  return 'released';
});

/** Rests before it acts. */
export const resting = runbook<FixtureCard>('resting', async (_, run) => {
  await run.gate(() => ({ actions: [{ action: 'change', target: 'a' }] }));
  await run.rest('Let it settle', 3_600_000);
  await change(run, 'a');
  return 'rested';
});

/** Asks, and gives a task. */
export const asking = runbook<FixtureCard>('asking', async (_, run) => {
  const choice = await run.ask('Left or right?', ['left', { harmless: 'right' }]);
  await run.task('Turn the key', {
    title: 'Is it turned?',
    call: world((act) => act.check({ what: 'key' })),
  });
  return `went ${choice}`;
});

/** Defers tidying up, then fails. */
export const tidying = runbook<FixtureCard>('tidying', async (_, run) => {
  run.defer(
    'Tidy up',
    world((act) => act.changeBack({ what: 'mess' })),
  );
  await change(run, 'a');
  await run.verify(
    'It helped',
    world((act) => act.check({ what: 'after' })),
    (verdict) => verdict,
  );
  return 'tidy';
});

/** A procedure with a bug in it. */
export const buggy = runbook<FixtureCard>('buggy', async () => {
  throw new TypeError('undefined is not a function');
});

/** Only announces. */
export const announcing = runbook<FixtureCard>('announcing', async (_, run) => {
  await run.announce('hello');
  return 'announced';
});

/** Says that it begins, and when it is done. */
export const maintaining = runbook<FixtureCard>('maintaining', async (_, run) => {
  await run.announce('no writes are taken until this is done');
  await run.exclusively('shop/production', async () => {
    await change(run, 'a');
    await run.verify(
      'It helped',
      world((act) => act.check({ what: 'after' })),
      (verdict) => verdict,
    );
  });
  await run.announce('writes are taken again');
  return 'maintained';
});

/** Pages, tells how it goes, and says who has it. */
export const paging = runbook<FixtureCard>('paging', async (_, run) => {
  await run.announce('it looks bad');
  await run.page('the site is down', { severity: 'P0' });
  await run.acknowledgePage('ana has it');
  await change(run, 'a');
  await run.verify(
    'It helped',
    world((act) => act.check({ what: 'after' })),
    (verdict) => verdict,
  );
  return 'up again';
});

/** Pages three times for the same, as one does while nobody answers. */
export const pagingAgain = runbook<FixtureCard>('pagingAgain', async (_, run) => {
  for (const rung of [0, 1, 2]) await run.page('the site is down', { rung });
  return 'paged';
});

/** Pages before it knows anything. */
export const pagingAndLooking = runbook<FixtureCard>('pagingAndLooking', async (_, run) => {
  await run.page('the site is down');
  await run.step(
    'Look',
    world((act) => act.look()),
  );
  return 'seen';
});

/** A kit with a bug in a message handler. */
export const exploding = runbook<FixtureCard>('exploding', async (_, run) => {
  setHandler(defineUpdate('explode'), () => {
    throw new TypeError('a bug in a handler');
  });
  await run.task('Wait');
  return 'survived';
});

/** Finishes its work under a lease, then has something left to do that can be interrupted. */
export const finishing = runbook<FixtureCard>('finishing', async (_, run) => {
  await run.exclusively('finishing', () => change(run, 'a'));
  await sleep('1 hour');
  return 'done';
});

/** Leaves work to people, and looks every minute whether it is done. */
export const watching = runbook<FixtureCard>('watching', async (_, run) => {
  const check = { title: 'Is it over?', everyMs: 60_000, call: world((act) => act.check({ what: 'over' })) };
  const choice = await run.askUnless(check, 'Left or right?', ['left', 'right']);
  if (choice === undefined) return run.nothingToDo('it is over');
  await run.task('Turn the key', check);
  return `went ${choice}, and it is over`;
});

/** Takes a message and a signal of its own, and shows what it was told. */
export const telling = runbook<FixtureCard, Activities & World, { told: string[] }>(
  'telling',
  async (_, run, shared) => {
    run.show({ details: () => [`## Told\n\n${shared.told.join(', ')}`], fields: { told: shared.told } });
    const { value } = await run.step('Look', (act) => act.look());
    await condition(() => shared.told.length >= value + 1);
    return `told ${shared.told.join(' and ')}`;
  },
  {
    inbox: messages(
      () => ({ told: [] as string[] }),
      (shared) => [
        {
          name: 'tell',
          what: 'Tell it something',
          fields: { text: '<what>' },
          refuse: ({ text }) => (text === 'lies' ? 'it does not listen to lies' : undefined),
          take: ({ text = '', by }, run) => {
            shared.told.push(text);
            run.note(`Told by ${by}`, text);
            return `heard: ${text}`;
          },
        },
        {
          name: 'whisper',
          kind: 'signal',
          what: 'Tell it something in passing',
          fields: { text: '<what>' },
          take: ({ text = '' }) => {
            shared.told.push(text);
            return '';
          },
        },
      ],
    ),
  },
);

/** Lets another runbook do the work. */
export const leading = runbook<FixtureCard>('leading', async (input, run) => {
  const { outcome } = await run.child('Five movements', 'fiveMovements', { ...input });
  return `the other one ended as ${outcome}`;
});

/** Under its lease it finds that only a person can go on. */
export const givingUp = runbook<FixtureCard>('givingUp', async (_, run) =>
  run.exclusively('leased', async () => run.needsHuman('the copy stays live, as decided')),
);
