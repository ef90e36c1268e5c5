import type { Measured } from '../../../src/activities/observe/measure';
import type { Deployment } from '../../../src/activities/deployments/deployment-list';
import type { Offender } from '../../../src/activities/postgres/connections/connection-facts';
import { busyProcessors } from '../../../src/workflows/application/relieve-cpu-spike/busy-processors';
import { memoryPressure } from '../../../src/workflows/application/relieve-memory-pressure/memory-pressure';
import { slowResponses } from '../../../src/workflows/application/resolve-slow-responses/slow-responses';
import { isSameTry, labelOf, remediesOf } from '../../../src/workflows/application/strain/causes';
import type { StrainFacts } from '../../../src/workflows/application/strain/facts';
import { isBetter, type Strain } from '../../../src/workflows/application/strain/strain';

const MINUTE = 60_000;
const BEGAN = Date.parse('2026-11-22T10:00:00Z');

const measured = (name: string, band: Measured['band']): Measured => ({
  name,
  value: band === null ? null : 1,
  band,
  ok: band === 'objective',
  windowMs: 0,
  detail: `${name} is ${band}`,
});
const strain = (bands: Measured['band'][], errorRate: number | null = 0, failing: string[] = []): Strain => ({
  measured: bands.map((band, index) => measured(`number-${index}`, band)),
  isWell: false,
  isStrained: true,
  windowMs: 0,
  service: {
    ok: true,
    errorRate,
    health: ['ready', 'alive'].map((name) => ({ name, ok: !failing.includes(name), detail: '' })),
    detail: '',
  },
  detail: '',
});

describe('a remedy that was not enough', () => {
  it.each<[string, boolean, Strain, Strain]>([
    ['helped when one number is in a better band', true, strain(['critical']), strain(['warning'])],
    ['did not when the numbers are as bad', false, strain(['warning']), strain(['warning'])],
    [
      'did not when another number is worse',
      false,
      strain(['critical', 'info']),
      strain(['warning', 'warning']),
    ],
    ['did not when a number is no longer known', false, strain(['critical', 'info']), strain(['info', null])],
    ['did not when requests fail now', false, strain(['critical']), strain(['warning'], 0.1)],
    [
      'did not when nobody knows any longer what fails',
      false,
      strain(['critical']),
      strain(['warning'], null),
    ],
    ['did not when a check fails now', false, strain(['critical']), strain(['warning'], 0, ['ready'])],
    [
      'helped when what fails had failed before',
      true,
      strain(['critical'], 0.3, ['ready']),
      strain(['warning'], 0.3, ['ready']),
    ],
  ])('%s', (_, helped, before, now) => expect(isBetter(before, now)).toBe(helped));
});

const deployment = (id: string, minutes: number, current = false): Deployment => ({
  id,
  createdAt: new Date(BEGAN - minutes * MINUTE).toISOString(),
  state: 'ready',
  current,
});
const calm: StrainFacts = {
  trouble: 'slow responses',
  strain: strain(['warning']),
  beganAtMs: BEGAN,
  clues: [],
  remedies: {
    restart: true,
    features: [],
    adjustments: ['raiseCacheTtl', 'scaleUp'],
    raiseLimitsMs: null,
    suspectMs: 60 * MINUTE,
    maxUtilisation: 0.8,
  },
  adjustments: ['raiseCacheTtl', 'scaleUp'],
  pool: { max: 10, used: 2, waiting: 0, detail: '2 of 10', canSetMax: true, canRestart: true },
  connections: null,
  queries: null,
  deployments: [deployment('new', 600, true), deployment('old', 6_000)],
  unseen: [],
};
const offender = (offence: Offender['offence']): Offender => ({
  pid: 7,
  backendStart: '',
  since: '',
  application: '',
  user: '',
  state: '',
  offence,
  query: 'SELECT 1',
});
const connections = (offence: Offender['offence']) =>
  ({ offenders: [offender(offence)] }) as unknown as StrainFacts['connections'];
const found = (facts: Partial<StrainFacts>) =>
  slowResponses.causesOf({ ...calm, ...facts }).map(({ cause, remedy }) => [cause, labelOf(remedy)]);

describe('the causes of slow responses', () => {
  it('are none where nothing speaks for any: what is configured is for a person to choose from', () => {
    expect(found({})).toEqual([]);
    expect(remediesOf(calm).map(labelOf)).toEqual([
      'roll back new to old',
      'keep answers longer in the cache',
      'scale up',
      'restart the application',
      'tune the slow queries',
      'relieve the connection pool',
    ]);
  });

  it.each<[string, Partial<StrainFacts>, [string, string][]]>([
    [
      'a pool at its limit of 80 %',
      { pool: { ...calm.pool!, used: 8 } },
      [['the connections are exhausted', 'relieve the connection pool']],
    ],
    [
      'transactions that were forgotten',
      { connections: connections('idle in transaction') },
      [['forgotten transactions hold their locks', 'relieve the connection pool']],
    ],
    [
      'a query that runs for too long',
      { connections: connections('long query') },
      [['queries are slow', 'tune the slow queries']],
    ],
    [
      'a young deployment',
      { deployments: [deployment('new', 10, true), deployment('old', 6_000)] },
      [['the deployment of new', 'roll back new to old']],
    ],
    [
      'a young deployment with none before it',
      { deployments: [deployment('new', 10, true)] },
      [['the deployment of new', 'by hand']],
    ],
    [
      'busy processors that nothing is configured for',
      {
        clues: [measured('cpu-utilisation', 'warning')],
        remedies: { ...calm.remedies, adjustments: [] },
      },
      [['the processors are busy', 'by hand']],
    ],
    [
      'several at once, the quick ones first',
      {
        clues: ['cpu-utilisation', 'slow-query', 'cache-hit-rate', 'pool-utilisation'].map((name) =>
          measured(name, 'warning'),
        ),
        deployments: [deployment('new', 10, true), deployment('old', 6_000)],
      },
      [
        ['the connections are exhausted', 'relieve the connection pool'],
        ['the deployment of new', 'roll back new to old'],
        ['the cache is hardly used', 'keep answers longer in the cache'],
        ['queries are slow', 'tune the slow queries'],
        ['the processors are busy', 'scale up'],
      ],
    ],
    [
      'nothing that is not known, or only above its objective',
      { clues: [measured('cpu-utilisation', null), measured('cache-hit-rate', 'info')] },
      [],
    ],
  ])('%s', (_, facts, causes) => expect(found(facts)).toEqual(causes));
});

describe('the causes of memory pressure and of busy processors', () => {
  const suffering = (...names: string[]) => ({
    ...calm,
    strain: { ...strain([]), measured: names.map((name) => measured(name, 'warning')) },
  });
  const causes = (procedure: typeof slowResponses, facts: StrainFacts) =>
    procedure.causesOf(facts).map(({ cause, remedy }) => [cause, labelOf(remedy)]);
  const room = { ...calm.remedies, adjustments: ['raiseMemoryLimit' as const, 'scaleUp' as const] };

  it('a leak goes before a limit, and a cache is for people', () => {
    const facts = suffering('memory-utilisation', 'memory-growth');
    const clues = [measured('cache-utilisation', 'warning')];
    expect(causes(memoryPressure, { ...facts, clues, remedies: room })).toEqual([
      ['memory leaks', 'restart the application'],
      ['the memory is too small for what the application does', 'raise the memory limit'],
      ['a cache has reached its limit, or has none', 'by hand'],
    ]);
  });

  it('what is not configured is for people, and says which setting', () => {
    const remedies = { ...calm.remedies, restart: false, adjustments: [] };
    const found = memoryPressure.causesOf({
      ...suffering('memory-utilisation', 'memory-growth'),
      remedies,
    });
    expect(found.map(({ remedy }) => (remedy.kind === 'byHand' ? remedy.task : remedy.kind))).toEqual([
      expect.stringContaining('application.restart is not configured: restart the application by hand.'),
      expect.stringContaining('application.raiseMemoryLimit is not configured'),
    ]);
  });

  it('a loop, a log and slow queries go before more instances', () => {
    const clues = ['log-rate', 'event-loop-utilisation', 'slow-query'].map((name) =>
      measured(name, 'warning'),
    );
    expect(causes(busyProcessors, { ...suffering('cpu-utilisation'), clues, remedies: room })).toEqual([
      ['a loop does not end', 'restart the application'],
      ['too much is logged', 'by hand'],
      ['queries are slow', 'tune the slow queries'],
      ['there is more to do than the processors can', 'scale up'],
    ]);
  });

  it('tasks with other numbers are the same one where their cause is the same', () => {
    const task = (cause: string, text: string) => ({
      cause,
      evidence: '',
      remedy: { kind: 'byHand' as const, task: text },
    });
    expect(isSameTry(task('logs', '5,000 lines'), task('logs', '6,000 lines'))).toBe(true);
    expect(isSameTry(task('logs', ''), task('caches', ''))).toBe(false);
  });
});
