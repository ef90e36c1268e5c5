import type { InventoryAudit } from '../../../src/activities/inventory/audit';
import type { Confirmations } from '../../../src/activities/inventory/confirmations';
import { startTestEnvironment, type TestEnvironment } from '../../../src/doors/testing';
import { quietTemporal } from '../../support/quiet';
import { databaseOfNobody } from '../database-of-nobody';

quietTemporal();
const audit: InventoryAudit = {
  countedAt: '2026-11-23T00:00:00Z',
  units: 2,
  soldOver: 0,
  rebuild: ['1'],
  sample: [],
  forPeople: [],
  named: [],
  recent: null,
  counter: { schema: 'public', relation: 'units', sold: 'taken', capacity: 'most' },
  unconfigured: [],
  fenceToken: 0,
};
const taken: Confirmations = {
  ...{ canStop: true, watched: true, stopped: false, detail: 'it says "on": taken' },
  ...{ askMinutes: 1, settleMs: 0, resumeByHand: '`./resume`' },
};
const odd = { ...taken, stopped: null, detail: 'not known: it says "maintenance"' };
/** What is read of confirmations, one after the other; the last one again and again. */
let said: Confirmations[];
let switched: string[];
let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startTestEnvironment({
    packs: [],
    timeSkipping: true,
    config: {
      services: { shop: { mode: 'auto', environments: { production: { database: databaseOfNobody } } } },
    },
    activities: {
      compareInventory: async () => audit,
      readRejections: async () => ({ count: 0, detail: '0 refused' }),
      findUnlockedStatements: async () => ({ statements: [], open: [] }),
      readConfirmations: async () => (said.length > 1 ? said.shift() : said[0]),
      stopConfirmations: async () => void switched.push('stop'),
      resumeConfirmations: async () => void switched.push('resume'),
      listChecks: async () => ({ health: 0, errorRate: false, smoke: false }),
      announce: async () => ({ told: ['chat'], problems: [] }),
    },
  });
});
beforeEach(() => {
  switched = [];
});
afterAll(() => environment?.stop());

it.each([
  ['from the beginning', [odd]],
  ['once it is approved', [taken, odd]],
])('changes nothing where nobody can tell whether confirmations are taken, %s', async (_, words) => {
  said = [...words];
  const report = await environment.run('auditInventory', { service: 'shop', environment: 'production' });
  expect([report.outcome, report.summary, switched]).toEqual([
    'FAILED',
    expect.stringMatching(
      /^Whether confirmations of shop\/production are taken is not known: it says "maintenance"\. Nothing was changed\./,
    ),
    [],
  ]);
  const warning = expect.stringMatching(/^whether confirmations are taken is not known.*Nothing is changed/);
  if (words.length === 1) expect(report.plan?.warnings).toContainEqual(warning);
});
