import { isoTime } from '../../src/alerts/time';

describe('normalising a time', () => {
  it.each([
    ['2026-11-21T03:04:05Z', '2026-11-21T03:04:05.000Z'],
    ['2026-11-21T03:04:05.123456789Z', '2026-11-21T03:04:05.123Z'],
    ['2026-11-21T04:04:05+01:00', '2026-11-21T03:04:05.000Z'],
    ['2026-11-21T04:04:05+0100', '2026-11-21T03:04:05.000Z'],
    ['2026-11-21 03:04:05 -00:30', '2026-11-21T03:34:05.000Z'],
    ['2026-11-21T03:04', '2026-11-21T03:04:00.000Z'],
    ['2026-11-21', '2026-11-21T00:00:00.000Z'],
    [' 2026-11-21t03:04:05z ', '2026-11-21T03:04:05.000Z'],
    [1_795_230_246, '2026-11-21T03:04:06.000Z'],
    ['1795230246', '2026-11-21T03:04:06.000Z'],
    [1_795_230_246.5, '2026-11-21T03:04:06.500Z'],
    [1_795_230_246_104, '2026-11-21T03:04:06.104Z'],
    [1_795_230_246_104_500, '2026-11-21T03:04:06.104Z'],
    [1_795_230_246_104_500_000, '2026-11-21T03:04:06.104Z'],
    ['1795230246104500000', '2026-11-21T03:04:06.104Z'],
  ])('reads %j', (value, iso) => {
    expect(isoTime(value)).toBe(iso);
  });

  it('reads a time without a zone as UTC, wherever this runs', () => {
    const zone = process.env['TZ'];
    process.env['TZ'] = 'America/New_York';
    try {
      expect(isoTime('2026-11-21T03:04:05')).toBe('2026-11-21T03:04:05.000Z');
    } finally {
      if (zone === undefined) delete process.env['TZ'];
      else process.env['TZ'] = zone;
    }
  });

  it.each(['0001-01-01T00:00:00Z', '1970-01-01T00:00:00Z', 0, '0', -1])('reads %j as no time', (value) => {
    expect(isoTime(value)).toBeNull();
  });

  it.each([
    '',
    'yesterday',
    'Sat, 21 Nov 2026 03:04:05 GMT',
    '2026-13-01',
    '2026-11-21T25:00:00Z',
    '21.11.2026',
  ])('does not take %j for a time', (value) => {
    expect(isoTime(value)).toBeUndefined();
  });

  it.each([NaN, Infinity, 1e300, '99999999999999999999', '2026-11-21T03:04:05+99:99'])(
    'does not take %j for a time either',
    (value) => {
      expect(isoTime(value)).toBeUndefined();
    },
  );
});
