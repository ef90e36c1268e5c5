import { createLogActivities } from '../../../src/activities/observe/logs';
import { parseLog } from '../../../src/activities/observe/log-events';
import { configSchema } from '../../../src/config/schema';

const database = {
  url: 'postgresql://x/y',
  identity: { systemIdentifier: '7000000000000000000', database: 'y' },
};
const readerOf = (script: string, watch: object[] = [], timeoutSeconds = 60) => {
  const command = { run: [process.execPath, '-e', script], timeoutSeconds };
  const production = { database, observe: { logs: { command, watch } } };
  const parsed = configSchema.parse({ services: { shop: { environments: { production } } } });
  const config = { ...parsed, file: 'runbooks.yaml', directory: process.cwd() };
  return createLogActivities({ config });
};
const AT = { service: 'shop', environment: 'production', since: '2026-01-01T00:00:00.000Z' };
const print = (lines: (string | object)[]) =>
  `console.log(${JSON.stringify(lines.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))).join('\n'))})`;

it('counts kinds of errors and warnings, whatever the numbers in them, with the top of a stack trace', async () => {
  const stack = 'Error: no slot\n    at hold (store.js:12:3)\n    at main (app.js:1:1)';
  const script = print([
    { level: 'error', message: 'booking 17: no slot', stack },
    { level: 50, msg: 'booking 18: no slot' },
    { level: 40, msg: 'Webhook of payment 7 came twice' },
    { level: 'info', message: 'ERROR in words only' },
    '2026-01-01 08:00:01 WARN webhook for payment 8 is late',
    '2026-01-01 08:00:02 ERROR cannot write',
    '    at write (disk.js:4:4)',
    'all is well',
    '{ half',
  ]);
  const found = await readerOf(script, [
    { name: 'payment webhooks', pattern: 'webhook.*payment' },
    { name: 'refunds', pattern: 'refund' },
  ]).readLogs(AT);
  expect(found).toEqual({
    errors: 3,
    warnings: 2,
    topErrors: [
      {
        level: 'error',
        message: 'booking #: no slot',
        count: 2,
        stack: 'at hold (store.js:12:3) < at main (app.js:1:1)',
      },
      {
        level: 'error',
        message: '#-#-# #:#:# ERROR cannot write',
        count: 1,
        stack: 'at write (disk.js:4:4)',
      },
    ],
    watched: [
      {
        name: 'payment webhooks',
        count: 2,
        top: { level: 'warning', message: 'Webhook of payment # came twice', count: 1, stack: '' },
      },
      { name: 'refunds', count: 0, top: null },
    ],
    cut: false,
  });
});

it('shows no secret of a log, and nobody by name', async () => {
  const script = print([
    { level: 'error', message: 'refused: Authorization: Bearer abcdefgh.ijklmnop for ana.b+c@example.com' },
    { level: 'error', message: 'cannot connect to postgres://app:hunter22@db/shop with api_key=topsecret9' },
    { level: 'error', message: 'pi_3OaBcDeFgHiJkLmN of {"token": "tok-verysecret"} failed' },
  ]);
  const text = JSON.stringify(await readerOf(script).readLogs(AT));
  expect(text).not.toMatch(/abcdefgh|ana\.b|hunter22|topsecret9|3OaBcDeFg|verysecret/);
  expect(text).toMatch(/refused: Authorization: \*\*\*/);
});

it('shows no secret that stands in quotes, in a cookie or alone', async () => {
  const script = print([
    '2026-01-01 ERROR body {\\"password\\":\\"hunter22 is mine\\"} refused',
    { level: 'error', message: 'login failed: passphrase="correct horse battery" pwd=letmein1' },
    { level: 'error', message: 'cookie: sid=abcabcabc; refresh=defdefdef' },
    { level: 'error', message: 'cannot verify eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJl' },
  ]);
  const text = JSON.stringify(await readerOf(script).readLogs(AT));
  expect(text).not.toMatch(/hunter|mine|horse|letmein|abcabc|defdef|hbGci|zdWIi|lnbmF/);
});

it('knows the levels of other loggers, and never takes a log without any for a sound one', async () => {
  const script = print([
    'ts=2026-01-01T08:00:00Z level=error msg="no slot"',
    '2026/01/01 08:00:00 [error] 7#7: upstream timed out',
    'ts=2026-01-01T08:00:00Z level=info msg="an error of a customer"',
    { levelname: 'WARNING', message: 'late' },
    { 'log.level': 'error', message: 'no disk' },
  ]);
  expect(await readerOf(script).readLogs(AT)).toMatchObject({ errors: 3, warnings: 1 });
  const mute = readerOf(print([{ log: 'Error: no slot', stream: 'stderr' }]));
  await expect(mute.readLogs(AT)).rejects.toThrow(
    /None of the 1 lines of JSON of the log of shop\/production says its level.* observe\.logs\.command/,
  );
});

it('reads the newest lines of a log of many short ones', () => {
  const printed = `${'ERROR old\n'.repeat(60_000)}${'ERROR new\n'.repeat(50_000)}`;
  const { events, cut } = parseLog(printed);
  expect([cut, new Set(events.map(({ message }) => message))]).toEqual([true, new Set(['ERROR new'])]);
});

it('names the newest requests of a kind, and takes nothing for one that may be a secret or somebody', async () => {
  const script = print([
    ...['r-1', 'r-2', 'r-3', 'r-2', 'r-4'].map((requestId) => ({
      level: 'error',
      message: 'no slot',
      requestId,
    })),
    { level: 'error', message: 'pino', req: { id: 7 }, id: 'booking-9' },
    { level: 'error', message: 'none', id: 'booking-9' },
    ...['eyJhbGciOiJIUzI1NiJ9', 'ana@example.com', 'sk_live_0123456789abcdef', 'x'.repeat(65), {}].map(
      (id) => ({
        level: 'error',
        message: 'strange',
        'x-request-id': id,
      }),
    ),
    'level=error msg="in words" request_id=9f-a1 took=3',
    'level=error msg="in words" request_id=ana.b@example.com',
  ]);
  const { topErrors } = await readerOf(script).readLogs(AT);
  expect(topErrors.map(({ message, requestIds }) => [message.slice(0, 11), requestIds])).toEqual([
    ['no slot', ['r-3', 'r-2', 'r-4']],
    ['strange', undefined],
    ['pino', ['7']],
    ['none', undefined],
    ['level=error', ['9f-a1']],
  ]);
});

it('tells errors of kinds that were not there before', async () => {
  const before = print([
    { level: 'error', message: 'no slot 17' },
    { level: 'warn', message: 'late' },
  ]);
  const known = await readerOf(before).readErrorKinds(AT);
  expect(known).toEqual({ kinds: [expect.stringMatching(/^[0-9a-f]{12}$/)], cut: false });
  const after = print([
    ...[18, 19].map((slot) => ({ level: 'error', message: `no slot ${slot}` })),
    ...[1, 2].map((id) => ({ level: 'error', message: `column notes of booking ${id} is missing` })),
    { level: 'error', message: 'late' },
  ]);
  expect(await readerOf(after).findNewErrors({ ...AT, known: known!.kinds })).toMatchObject({
    errors: 5,
    kinds: 2,
    top: [{ message: 'column notes of booking # is missing', count: 2 }, { message: 'late' }],
    cut: false,
  });
});

it('remembers 500 kinds at most, and says that there were more', async () => {
  const script = `for (let i = 0; i < 501; i += 1) console.log('ERROR ' + 'x'.repeat(1 + (i % 25)) + ' ' + 'y'.repeat(1 + i / 25))`;
  const { kinds, cut } = (await readerOf(script).readErrorKinds(AT))!;
  expect([kinds.length, cut]).toEqual([500, true]);
});

it('is no log without errors where none is configured', async () => {
  const parsed = configSchema.parse({ services: { shop: { environments: { production: { database } } } } });
  const logs = createLogActivities({
    config: { ...parsed, file: 'runbooks.yaml', directory: process.cwd() },
  });
  expect([await logs.readErrorLog(AT), await logs.readErrorKinds(AT)]).toEqual([null, null]);
  await expect(logs.readLogs(AT)).rejects.toThrow(/add observe\.logs to the configuration/);
});

it('gives the time since when, and fails where the command does', async () => {
  const since = await readerOf(
    'console.log("ERROR since " + (process.env.RUNBOOKS_SINCE === "2026-01-01T00:00:00.000Z"))',
  ).readLogs(AT);
  expect(since.topErrors[0]!.message).toBe('ERROR since true');
  await expect(readerOf('process.exit(3)').readLogs(AT)).rejects.toThrow(/ended with status 3/);
  await expect(readerOf('setInterval(() => {}, 1000)', [], 0.5).readLogs(AT)).rejects.toThrow(
    /ran longer than 0\.5 s and was stopped/,
  );
});

it('reads the end of a log that is too long, and no half line', () => {
  const line = `${JSON.stringify({ level: 'error', message: 'again' })}\n`;
  const long = `rror","message":"half"}\n${line.repeat(Math.ceil((4 * 1024 * 1024) / line.length))}`;
  const { events, cut } = parseLog(long);
  expect(cut).toBe(true);
  expect(events).toHaveLength(50_000);
  expect(new Set(events.map(({ message }) => message))).toEqual(new Set(['again']));
});
