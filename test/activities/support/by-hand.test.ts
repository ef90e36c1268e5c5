import type { z } from 'zod';
import { byHand } from '../../../src/activities/support/by-hand';
import { changeSchema } from '../../../src/config/change-schema';
import { remember } from '../../../src/config/secrets';

const place = { service: 'shop', environment: 'production' };
const said = (change: z.input<ReturnType<typeof changeSchema>>, who = '10.0.0.1') =>
  byHand(changeSchema(['service', 'environment', 'who']).parse(change), place, { who });
process.env['BY_HAND_TEST_TOKEN'] = 'resolved-by-hand';
remember('resolved-by-hand');
const reference = '${env:BY_HAND_TEST_TOKEN}';

it('names the request as it is sent, and what is secret in it only as the configuration does', () => {
  const operation = {
    method: 'POST' as const,
    url: 'https://wall/{who}',
    query: { of: '{service}', apiKey: reference, token: 'literal-in-the-query' },
    headers: { 'X-Api-Key': 'literal-in-a-header', Accept: 'text/plain' },
    auth: { kind: 'bearer' as const, token: 'literal-as-the-proof' },
    body: {
      ...{ free: '{who}', on: true, of: { password: 'literal-in-the-body', keep: ['plain'] } },
      ...{ secret: reference, header: `Bearer ${reference}`, copied: 'resolved-by-hand' },
    },
  };
  expect(said({ operation })).toBe(
    `POST https://wall/10.0.0.1?of=shop&apiKey=${reference}&token=*** with {"free":"10.0.0.1","on":true,` +
      `"of":{"password":"***","keep":["plain"]},"secret":"${reference}","header":"Bearer ${reference}","copied":"***"}` +
      ' (with X-Api-Key, Accept, bearer authentication as configured)',
  );
});

it('keeps secrets out of an address and of a form, also those that stand there in words', () => {
  const address = 'https://ops:literal-in-the-address@wall/x?access_token=literal-beside&of={who}';
  const form = { client_secret: 'literal-in-the-form', grant: 'all' };
  expect(said({ operation: { method: 'POST', url: address, form } })).toBe(
    'POST https://ops:***@wall/x?access_token=***&of=10.0.0.1 with {"client_secret":"***","grant":"all"}',
  );
});

it('fills in what a run says once, as text and nothing else', () => {
  const operation = { method: 'POST' as const, url: 'https://wall/', body: { free: '{who}' } };
  expect(said({ operation }, 'a"b {service}')).toBe('POST https://wall/ with {"free":"a\\"b {service}"}');
});

it('keeps what was resolved out of a command', () => {
  expect(
    said({ command: { run: ['tool', '--as', 'resolved-by-hand'], environment: { T: reference } } }),
  ).toBe(
    '`WHO=10.0.0.1 RUNBOOKS_SERVICE=shop RUNBOOKS_ENVIRONMENT=production tool --as ***` (with T as configured)',
  );
});
