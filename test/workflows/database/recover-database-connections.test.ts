import type { ConnectionCause } from '../../../src/activities/postgres/connections/connection-cause';
import type { DatabaseDiagnosis } from '../../../src/activities/postgres/connections/diagnose-activities';
import { taskText } from '../../../src/workflows/database/recover-database-connections/advice';
import { poolFinding } from '../../../src/workflows/database/recover-database-connections/application';
import { keyOf, planFor, remedyFor } from '../../../src/workflows/database/recover-database-connections/plan';
import {
  findingsOf,
  movesOnFrom,
  situationText,
  type Situation,
} from '../../../src/workflows/database/recover-database-connections/situation';

const tried = (cause: ConnectionCause | null) => ({
  cause,
  detail: 'said',
  address: 'db:5432/x as y',
  limits: [],
});
const place = { service: 'booking', environment: 'production' };

/** As the runbooks meet it, and as the application does. */
function situation(
  runbooks: ConnectionCause | null,
  application: ConnectionCause | null = runbooks,
  more: Partial<DatabaseDiagnosis> = {},
): Situation {
  const diagnosis = {
    runbooks: tried(runbooks),
    application: tried(application),
    status: null,
    statusDetail: 'no database.server.status is configured',
    asksStatus: false,
    paused: false,
    canStart: true,
    settleMs: 1_000,
    ...more,
  };
  return { diagnosis, findings: findingsOf(diagnosis), failing: [], checks: 2 };
}
const remedy = (...given: Parameters<typeof situation>) => remedyFor(situation(...given), new Set());

it.each<[string, Parameters<typeof situation>, string | undefined]>([
  ['answers everybody', [null], undefined],
  ['does not run', ['refused'], 'start'],
  ['does not run, and cannot be started', ['refused', 'refused', { canStart: false }], 'task'],
  ['was paused, and does not even resolve', ['dns', 'dns', { paused: true }], 'start'],
  // Elsewhere than the runbooks look.
  ['runs, and refuses the application', [null, 'refused'], 'task'],
  ['starts', ['starting'], 'wait'],
  ['is full for the application', [null, 'too-many-connections'], 'relieve'],
  // Whoever gets no connection can end none.
  ['is full for everybody', ['too-many-connections'], 'task'],
  ['knows another password', [null, 'authentication'], 'task'],
])('a database that %s', (_, given, wanted) => {
  expect(remedy(...given)).toBe(wanted);
});

it('what was tried for a cause, and did not help, is a task the next time', () => {
  const now = situation('refused');
  expect(remedyFor(now, new Set([keyOf('start', 'refused')]))).toBe('task');
  expect(remedyFor(now, new Set([keyOf('wait', 'refused')]))).toBe('start');
  expect(taskText(place, now, 'the database server was started, and does not answer')).toMatch(
    /It was tried already: the database server was started, and does not answer\. This run goes on by itself/,
  );
});

it('what the application meets comes first, unless the server itself is away', () => {
  expect(situation('authentication', 'tls').findings.map(({ cause }) => cause)).toEqual([
    'tls',
    'authentication',
  ]);
  expect(situation('refused', 'dns').findings.map(({ cause }) => cause)).toEqual(['refused', 'dns']);
});

it('a task goes on with another cause, and not with a step on the way', () => {
  const before = situation('authentication');
  const movesOn = movesOnFrom(before);
  expect(movesOn(situation(null), 0)).toBe(true);
  expect(movesOn(situation('read-only'), 0)).toBe(true);
  expect(movesOn(situation('authentication'), 0)).toBe(false);
  // Somebody restarts the server.
  expect(movesOn(situation('refused'), 0)).toBe(false);
  expect(movesOn(situation('starting'), 999)).toBe(false);
  expect(movesOn(situation('authentication'), 1_500)).toBe(false);
  expect(movesOn(situation('refused'), 2_000)).toBe(false);
  expect(movesOn(situation('refused'), 2_999)).toBe(false);
  // It is down by now, and nothing is started before the run goes on.
  expect(movesOn(situation('refused'), 3_000)).toBe(true);
});

it('a plan says who restarts the application, also where nothing else is wrong', () => {
  const now = { ...situation(null), failing: [{ name: 'ready', ok: false, detail: 'answered 503' }] };
  const planned = { remedy: undefined, restart: false, unchecked: [] };
  expect(planFor(place, now, planned).actions.map(({ action }) => action)).toEqual([
    'if its health checks fail although the database answers, a task for a person: restart the application',
  ]);
});

it('a plan stays the same where what the provider answers comes and goes, and evidence has it', () => {
  const [one, other] = ['no answer from api.example within 10 s', 'answered 503'].map((said) =>
    situation('refused', 'refused', { asksStatus: true, statusDetail: `its status is not known: ${said}` }),
  );
  const planned = { remedy: 'task' as const, restart: false, unchecked: [] };
  expect(planFor(place, one!, planned)).toEqual(planFor(place, other!, planned));
  expect(situationText(other!)).toMatch(/its status is not known: answered 503/);
});

it('a plan is the same whatever was said, and warns of what is not configured', () => {
  const planned = { remedy: 'task' as const, restart: false, unchecked: [] };
  const now = situation(null, 'tls', { canStart: false });
  const other = structuredClone(now);
  other.findings[0]!.said = 'something else';
  expect(planFor(place, other, planned)).toEqual(planFor(place, now, planned));
  const blind = situation('tls', null, { application: null, canStart: false });
  expect(planFor(place, blind, planned).warnings).toEqual([
    expect.stringMatching(/^application\.databaseUrl is not configured/),
    'whether the server is paused is not known: no database.server.status is configured',
    expect.stringMatching(/^database\.server\.start is not configured/),
    expect.stringMatching(/^application\.restart is not configured/),
  ]);
});

it('a pool that may have more than it gets is found, by the least that it gets', () => {
  const limits = [
    { name: 'server', limit: 97 },
    { name: 'role app', limit: 40 },
  ];
  expect(poolFinding({ max: 40 }, limits)).toBeUndefined();
  expect(poolFinding({ max: null }, limits)).toBeUndefined();
  expect(poolFinding({ max: 120 }, limits)).toMatch(/^the pool may have 120 .* role app admits 40: make/);
});
