import type { Look } from '../../../../src/workflows/database/relieve-connection-pool/limits';
import { settle } from '../../../../src/workflows/database/relieve-connection-pool/settle';

/** `used` connections of ten, of which nine are too many. */
const lookWith = (used: number): Look => ({
  connections: {
    database: 'shop',
    fenceToken: 0,
    limits: [{ name: 'server', used, limit: 10 }],
    groups: [],
    offenders: [],
    leftAlone: [],
    preparedTransactions: 0,
    settings: {
      maxUtilisation: 0.9,
      idleInTransactionSeconds: 60,
      longQuerySeconds: 300,
      graceSeconds: 10,
      poolStep: 5,
      reserve: 1,
      maxDestructive: 3,
    },
  },
  pool: { max: null, used: null, waiting: 0, detail: '', canSetMax: true, canRestart: true },
});
const FULL = 9;
const EASY = 3;

/** What was decided on, of these looks, and how many were needed. */
async function decided(used: number[], steady?: number): Promise<[number, number]> {
  let looks = 0;
  const look = async (): Promise<Look> => lookWith(used[Math.min(looks++, used.length - 1)]!);
  const last = await settle(look, async () => {}, { steady });
  return [last.connections.limits[0]!.used, looks];
}

it.each<[string, number[], [number, number]]>([
  ['well twice in a row is well', [EASY], [EASY, 2]],
  ['full all the time is full', [FULL], [FULL, 6]],
  ['a wave is waited for', [FULL, EASY, FULL, EASY, EASY], [EASY, 5]],
  [
    'well in the last look only, and then full again, is full',
    [FULL, FULL, FULL, FULL, FULL, EASY, FULL],
    [FULL, 7],
  ],
  ['well in the last look, and after it, is well', [FULL, FULL, FULL, FULL, FULL, EASY, EASY], [EASY, 7]],
])('%s', async (_, used, wanted) => {
  expect(await decided(used)).toEqual(wanted);
});

it('one look is enough where that was asked for', async () => {
  expect(await decided([EASY], 1)).toEqual([EASY, 1]);
});
