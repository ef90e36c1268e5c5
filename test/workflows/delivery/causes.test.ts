import {
  adviceFor,
  causeOfFailure,
  faultsOf,
  isLasting,
  type Cause,
} from '../../../src/workflows/delivery/replay-webhook-deliveries/causes';

test.each<[Cause, number | null, string | null]>([
  ['secret', 401, null],
  ['secret', 403, 'connect ETIMEDOUT'],
  ['secret', null, 'signature mismatch'],
  ['gone', null, 'HTTP 410 Gone'],
  ['address', null, 'status code 404'],
  ['address', null, '301 Moved Permanently'],
  ['payload', null, 'HTTP/1.1 422 Unprocessable Entity'],
  ['busy', null, 'HTTP 429'],
  ['away', 408, null],
  ['receiver', 503, 'down'],
  ['dns', null, 'getaddrinfo ENOTFOUND hooks.shop.example'],
  ['dns', null, 'lookup hooks.shop.example: no such host'],
  ['tls', null, 'unable to verify the first certificate'],
  ['tls', null, 'x509: certificate has expired'],
  ['away', null, 'connect ECONNREFUSED 10.0.0.7:443'],
  ['away', null, 'timeout after 5000 ms'],
  ['away', null, 'connect ETIMEDOUT 10.0.4.10:443'],
  [
    'away',
    null,
    'ECONNRESET Client network socket disconnected before secure TLS connection was established',
  ],
  ['away', null, 'net/http: TLS handshake timeout'],
  ['away', null, '300 ms timeout exceeded'],
  ['resolver', null, 'getaddrinfo EAI_AGAIN hooks.shop.example'],
  ['unknown', null, null],
  ['unknown', null, 'it has failed'],
])('%s: %s %s', (cause, status, error) => {
  expect(causeOfFailure({ status, error })).toBe(cause);
});

test('what only passes is tried again; every cause has something to look at', () => {
  const causes: Cause[] = [
    'secret',
    'gone',
    'address',
    'dns',
    'resolver',
    'tls',
    'payload',
    'busy',
    'away',
    'receiver',
    'later',
    'unknown',
  ];
  expect(causes.filter((cause) => !isLasting(cause))).toEqual([
    'resolver',
    'busy',
    'away',
    'receiver',
    'later',
    'unknown',
  ]);
  const advice = causes.map((cause) =>
    adviceFor({ endpoint: '7', target: 'a', cause, said: '', count: 1 }, null),
  );
  expect(new Set(advice).size).toBe(causes.length);
});

test('faults are told apart by endpoint and cause, the most frequent ones first', () => {
  const delivery = { id: '1', endpoint: '7', target: 'a', attempts: 2, status: null, dueAt: null };
  const faults = faultsOf([
    { ...delivery, error: 'HTTP 401' },
    { ...delivery, error: 'HTTP 503' },
    { ...delivery, error: 'HTTP 500' },
    { ...delivery, endpoint: '8', error: 'HTTP 503' },
  ]);
  expect(faults.map(({ endpoint, cause, count, said }) => [endpoint, cause, count, said])).toEqual([
    ['7', 'receiver', 2, 'HTTP 503'],
    ['7', 'secret', 1, 'HTTP 401'],
    ['8', 'receiver', 1, 'HTTP 503'],
  ]);
});
