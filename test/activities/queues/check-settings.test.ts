import { checkQueues } from '../../../src/activities/queues/check-settings';
import { ownConfigSchema, ownPacks } from '../../../src/packs/own';

const database = {
  url: 'postgresql://x/y',
  identity: { systemIdentifier: '7000000000000000000', database: 'y' },
};
const queues = { redis: { url: 'redis://x' }, names: [{ name: 'texts' }, { name: 'index' }] };
const workers = (queue: string) => ({ aiWorkers: { queue, providers: [{ name: 'one' }] } });
const problems = (sections: object): string[] =>
  checkQueues(
    ownConfigSchema.parse({
      services: { shop: { environments: { production: { database, ...sections } } } },
    }),
  );

it('finds queues that other sections name and nobody has', () => {
  const search = { queue: 'index', url: 'http://x' };
  expect(problems({ queues, ...workers('texts'), search })).toEqual([]);
  expect(problems({ queues })).toEqual([]);
  expect(problems({})).toEqual([]);
  const path = 'services.shop.environments.production';
  expect(problems({ queues, ...workers('text'), search: { ...search, queue: 'idx' } })).toEqual([
    expect.stringContaining(`${path}.search.queue: no queue "idx" in queues.names; known: texts, index`),
    expect.stringMatching(/aiWorkers\.queue: no queue "text" in queues\.names; known: texts, index.*texts/),
  ]);
  expect(problems({ queues: { ...queues, holds: { queue: 'text' } } })).toEqual([
    expect.stringContaining(`${path}.queues.holds.queue: no queue "text" in queues.names; known: texts`),
  ]);
  expect(problems(workers('texts'))).toEqual([
    `${path}.aiWorkers.queue: no queue "texts" in queues.names; ${path}.queues is missing, which says where it is`,
  ]);
});

it('is part of what `runbooks check` looks at', () => {
  expect(ownPacks.find(({ name }) => name === 'queues')?.check).toBe(checkQueues);
});
