import { alertSchema } from '../../src/catalogue/alert-schema';
import { toAlert, type RawAlert } from '../../src/alerts/normal-form';

const normal = (raw: Partial<RawAlert>) =>
  alertSchema.parse(toAlert({ source: 'monitoring', fingerprint: 'f', status: 'firing', ...raw }));
const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`l${at}`, 'x']));

describe('the normal form of an alert', () => {
  it('is whole when a sender says nothing but what the alert is', () => {
    expect(normal({})).toEqual({
      source: 'monitoring',
      fingerprint: 'f',
      startsAt: null,
      status: 'firing',
      severity: '',
      title: 'f',
      labels: {},
      annotations: {},
      link: null,
    });
  });

  it('cuts long texts with an ellipsis, and not through the middle of a character', () => {
    const alert = normal({
      title: 'a'.repeat(501),
      severity: 'S'.repeat(100),
      labels: { long: 'b'.repeat(2_000), ['k'.repeat(300)]: 'x' },
      annotations: { long: `${'c'.repeat(3_998)}🚨🚨` },
    });
    expect(alert.title).toBe(`${'a'.repeat(499)}…`);
    expect(alert.severity).toBe(`${'s'.repeat(39)}…`);
    expect(alert.labels).toEqual({ long: `${'b'.repeat(999)}…`, [`${'k'.repeat(127)}…`]: 'x' });
    expect(alert.annotations['long']).toBe(`${'c'.repeat(3_998)}…`);
    expect(normal({ title: 'a'.repeat(500) }).title).toBe('a'.repeat(500));
  });

  it('keeps long fingerprints apart that differ only where they are cut', () => {
    const [one, same, other] = ['1', '1', '2'].map(
      (end) => normal({ fingerprint: 'f'.repeat(300) + end }).fingerprint,
    );
    expect(one!.length).toBeLessThanOrEqual(256);
    expect(same).toBe(one);
    expect(other).not.toBe(one);
    expect(normal({ fingerprint: 'f'.repeat(256) }).fingerprint).toBe('f'.repeat(256));
  });

  it('keeps long annotations only as long as all together stay small', () => {
    const long = Object.fromEntries(
      Array.from({ length: 64 }, (_, index) => [`text-${index}`, 'x'.repeat(4_000)]),
    );
    const alert = toAlert({ source: 'test', fingerprint: 'f', status: 'firing', annotations: long });
    expect(Object.keys(alert.annotations)).toHaveLength(8);
    expect(JSON.stringify(alert).length).toBeLessThan(40_000);
  });

  it('keeps at most 64 labels and 64 annotations, the first ones', () => {
    const { labels, annotations } = normal({ labels: many(65), annotations: many(1_000) });
    expect(Object.keys(labels)).toEqual(Object.keys(many(64)));
    expect(Object.keys(annotations)).toHaveLength(64);
  });

  it('removes control characters and what turns the direction of a line', () => {
    const alert = normal({
      title: ' \u001b[31mred\u0000\r\nnext\u2028line\u202eelif.exe\ud800 ',
      labels: { 'na\nme\u0007': 'a\tb' },
      annotations: { text: 'one\r\ntwo\tthree\u0085\u009b' },
    });
    expect(alert.title).toBe('red next lineelif.exe');
    expect(alert.labels).toEqual({ 'na me': 'a b' });
    expect(alert.annotations).toEqual({ text: 'one\ntwo\tthree' });
  });

  it('leaves out empty labels, nameless ones, and names of prototypes', () => {
    const labels = JSON.parse(
      '{"__proto__":"x","constructor":"kept","":"x"," ":"x","a":"","b":" ","c":null}',
    );
    const alert = toAlert({ source: 'monitoring', fingerprint: 'f', status: 'firing', labels });
    expect(Object.entries(alert.labels)).toEqual([['constructor', 'kept']]);
  });

  it('leaves out what is named like a secret, and hides passwords in addresses', () => {
    const alert = normal({
      labels: {
        Authorization: 'x',
        'x-api-key': 'x',
        db_password: 'x',
        clientSecret: 'x',
        session_cookie: 'x',
        access_token: 'x',
        secretName: 'kept',
        token_type: 'kept',
      },
      annotations: {
        url: 'cannot reach postgres://booking:hunter2@db/booking and redis://:hunter2@cache',
        dsn: 'host=db password=hunter2 user=booking',
        header: `sent Bearer ${'hunter2'.repeat(4)}.x`,
        words: 'the bearer failed: see http://a:80/x@y',
      },
    });
    expect(Object.keys(alert.labels)).toEqual(['secretName', 'token_type']);
    expect(JSON.stringify(alert)).not.toContain('hunter2');
    expect(alert.annotations['url']).toBe(
      'cannot reach postgres://booking:***@db/booking and redis://:***@cache',
    );
    expect(alert.annotations['words']).toBe('the bearer failed: see http://a:80/x@y');
    const cut = normal({ title: `${'x'.repeat(480)} postgres://booking:${'hunter2'.repeat(9)}@db` }).title;
    expect(cut).not.toContain('hunter2');
  });

  it('is done with hostile texts at once', () => {
    const texts = [
      'a'.repeat(400_000),
      '://'.repeat(100_000),
      "password='".repeat(40_000),
      ' '.repeat(400_000),
    ];
    const from = process.cpuUsage().user;
    for (const text of texts) {
      normal({ title: text, fingerprint: `f${text}`, severity: text, link: text, annotations: { text } });
    }
    expect(process.cpuUsage().user - from).toBeLessThan(2_000_000);
  });

  it.each([
    ['https://example.com/a?b=c#d', 'https://example.com/a?b=c#d'],
    [' http://example.com ', 'http://example.com/'],
    ['https://user:hunter2@example.com/x', 'https://example.com/x'],
    ['javascript:alert(1)', null],
    ['data:text/html,x', null],
    ['file:///etc/passwd', null],
    ['//example.com', null],
    ['example.com', null],
    ['', null],
    [null, null],
    [`https://example.com/${'a'.repeat(2_000)}`, null],
    [`https://example.com/${'ü'.repeat(700)}`, null],
  ])('links to %j as %j', (link, expected) => {
    expect(normal({ link }).link).toBe(expected);
  });

  it('is refused when nothing is left of the fingerprint', () => {
    expect(() => normal({ fingerprint: ' \u0000\n' })).toThrow('fingerprint: got an empty text');
  });
});
