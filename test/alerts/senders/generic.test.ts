import { generic } from '../../../src/alerts/senders/generic';
import type { GenericMapping } from '../../../src/config/alert-schema';
import { genericBody, genericMapping } from './bodies';
import {
  basic,
  bearer,
  hmac,
  itBelievesOnlyProofs,
  ownHeader,
  parse as parseWith,
  timedHmac,
} from './support';

const monitor = genericBody.data.monitors[0]!;
const bodyOf = (...monitors: unknown[]) => ({ ...genericBody, data: { monitors } });
const parse = (body: unknown, mapping: Partial<GenericMapping> = {}) =>
  parseWith(generic, body, {}, { mapping: { ...genericMapping, ...mapping } });
/** Where the body is the alert. */
const flat = { items: undefined, startsAt: undefined, status: undefined, fingerprint: 'id' };

describe('A generic source', () => {
  itBelievesOnlyProofs('a bearer token', bearer(generic));
  itBelievesOnlyProofs('a user name and a password', basic(generic));
  itBelievesOnlyProofs('a secret in a header', ownHeader(generic));
  itBelievesOnlyProofs('a signature', hmac(generic));
  itBelievesOnlyProofs('a signature with a time', timedHmac(generic));

  it('reads what the configuration says where', () => {
    expect(parse(genericBody)).toEqual([
      {
        source: 'monitoring',
        fingerprint: '81',
        startsAt: new Date(1_795_230_246_000).toISOString(),
        status: 'firing',
        severity: 'major',
        title: 'Booking page',
        labels: { region: 'eu', code: '503' },
        annotations: { name: 'Booking page' },
        link: 'https://uptime.example.com/81',
      },
    ]);
  });

  it('knows the words for resolved in any case, and several alerts in one body', () => {
    const of = (word: string) => ({ ...monitor, state: { ...monitor.state, word } });
    const statuses = parse(bodyOf(of('UP'), of('ok '), of('DOWN'), of('Upper'))).map(({ status }) => status);
    expect(statuses).toEqual(['resolved', 'resolved', 'firing', 'firing']);
  });

  it('reads a body that is one alert, with nothing but a fingerprint', () => {
    const bare = { ...flat, labels: {}, annotations: {} };
    expect(parse({ id: 'a' }, bare)).toEqual([
      expect.objectContaining({ fingerprint: 'a', status: 'firing', startsAt: null, title: 'a', link: null }),
    ]);
  });

  it('goes into arrays by number, and into nothing that every object inherits', () => {
    const body = { id: 'a', list: [{ name: 'first' }] };
    const labels = {
      first: 'list.0.name',
      how: 'constructor.name',
      who: '__proto__.constructor',
      size: 'list.9',
    };
    expect(parse(body, { ...flat, labels })[0]!.labels).toEqual({ first: 'first' });
  });

  it.each([
    [{}, {}, 'data.monitors: got nothing, wanted an array'],
    [{ data: { monitors: {} } }, {}, 'data.monitors: got an object, wanted an array'],
    [bodyOf({}), {}, 'state.word: got nothing, wanted a text that is not empty'],
    [bodyOf({ ...monitor, monitor: {} }), {}, 'monitor.id: got nothing, wanted a text that is not empty'],
    [
      bodyOf({ ...monitor, monitor: { id: ' ' } }),
      {},
      'monitor.id: got " ", wanted a text that is not empty',
    ],
    [bodyOf({ ...monitor, region: ['eu'] }), {}, 'region: got an array of 1, wanted a text'],
    [
      bodyOf({ ...monitor, state: { word: 'DOWN', since: true } }),
      {},
      'state.since: got true, wanted an ISO or Unix time',
    ],
    [{ id: 'x' }, { ...flat, fingerprint: 'constructor' }, 'constructor: got nothing'],
    [[], flat, 'id: got nothing, wanted a text'],
  ])('refuses %j and names the path', (body, mapping, message) => {
    expect(() => parse(body, mapping)).toThrow(expect.objectContaining({ name: 'BadAlert' }));
    expect(() => parse(body, mapping)).toThrow(message);
  });
});
