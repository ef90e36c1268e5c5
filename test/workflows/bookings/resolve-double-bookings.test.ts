import { ApplicationFailure } from '@temporalio/common';
import type { Conflict, DoubleBookingFacts } from '../../../src/activities/bookings/double-bookings';
import type { UniqueIndex } from '../../../src/activities/bookings/unique-index';
import { startTestEnvironment, type TestEnvironment } from '../../../src/doors/testing';
import { quietTemporal } from '../../support/quiet';
import { databaseOfNobody } from '../database-of-nobody';

quietTemporal();

const indexIn = (state: UniqueIndex['state'], detail: string): UniqueIndex => ({
  ...{ state, detail, name: 'one_sale' },
  statement: 'CREATE UNIQUE INDEX CONCURRENTLY one_sale',
});
const MISSING = indexIn('missing', 'there is no index one_sale');
const PRESENT = indexIn('present', 'index one_sale is there');
const conflict = (slot: string): Conflict => ({
  slot,
  bookings: ['a', 'b'].map((name) => ({
    ...{ id: `${slot}${name}`, version: '1', confirmedAt: null, createdAt: null, customer: null },
  })),
});

let environment: TestEnvironment;
/** Of the application, as a run finds it. */
let conflicts: Conflict[];
let index: UniqueIndex;
let build: () => UniqueIndex;
let soldAgain: Conflict[];
let undone: string[];
beforeEach(() => {
  [conflicts, soldAgain, index, undone] = [[conflict('7')], [], MISSING, []];
});
beforeAll(async () => {
  environment = await startTestEnvironment({
    packs: [],
    timeSkipping: true,
    config: {
      services: { booking: { mode: 'auto', environments: { production: { database: databaseOfNobody } } } },
    },
    activities: {
      findDoubleBookings: async (): Promise<DoubleBookingFacts> => ({
        ...{ conflicts, index, keep: 'first-confirmed', createIndex: true, maxDestructive: 10 },
        ...{ unconfigured: [], fenceToken: 0 },
      }),
      readRecentChanges: async () => ({ configured: true, lines: [], more: 0 }),
      cancelDoubleBookings: async () => {
        conflicts = soldAgain;
        return { done: 1, left: [] };
      },
      buildUniqueIndex: async () => build(),
      dropUniqueIndex: async () => MISSING,
      undoBookingRepair: async ({ step }: { step: string }) => {
        undone.push(step);
        return { done: 1, left: [] };
      },
      readUniqueIndex: async () => (index = PRESENT),
    },
  });
});
afterAll(() => environment?.stop());

const run = () => environment.run('resolveDoubleBookings', { service: 'booking', environment: 'production' });

describe('a unique index that cannot be built brings no cancelled booking back', () => {
  it('because a slot was sold twice again: the run says so at its end', async () => {
    build = () => {
      conflicts = [conflict('9')];
      return { ...MISSING, detail: 'a slot was sold twice again' };
    };
    const report = await run();
    expect([report.outcome, undone]).toEqual(['PARTIAL', []]);
    expect(report.summary).toMatch(/1 slot sold more than once: slot 9 2 times; there is no index one_sale/);
  });

  it('for whatever reason: that is a task for a person, and ends with the index', async () => {
    build = () => {
      throw ApplicationFailure.nonRetryable('must be owner of table bookings', 'MissingPrivilege');
    };
    const report = await run();
    expect([report.outcome, undone]).toEqual(['SUCCEEDED', []]);
    expect(report.timeline.map(({ title }) => title)).toEqual(
      expect.arrayContaining(['Drop the unique index', 'Task for a person', 'Is the unique index there?']),
    );
  });

  it('because somebody else is at it for too long', async () => {
    build = () => indexIn('building', 'index one_sale is being built by somebody');
    const report = await run();
    expect([report.outcome, undone]).toEqual(['SUCCEEDED', []]);
  });
});

it('a slot that is sold again meanwhile brings no cancelled booking back either', async () => {
  index = PRESENT;
  soldAgain = [
    {
      ...conflict('7'),
      bookings: [...conflict('7').bookings.slice(0, 1), ...conflict('8').bookings.slice(0, 1)],
    },
  ];
  const report = await run();
  expect([report.outcome, undone]).toEqual(['PARTIAL', []]);
  expect(report.summary).toMatch(/1 slot sold more than once: slot 7 2 times/);
});
