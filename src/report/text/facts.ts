import { bytes, duration, capitalised } from '../../contract/text';

const UNITS: [suffix: string, show: (value: number) => string][] = [
  ['Milliseconds', duration],
  ['Ms', duration],
  ['Seconds', (value) => duration(value * 1_000)],
  ['Minutes', (value) => duration(value * 60_000)],
  ['Hours', (value) => duration(value * 3_600_000)],
  ['Bytes', bytes],
  ['Percent', (value) => `${value} %`],
];

const ACRONYMS = /\b(rto|rpo|wal|lsn|sql|id|url|api|sha256)\b/gi;

/** A measured fact for people: `rtoSeconds: 12.4` becomes `RTO: 12.4 s`. The suffix of the name is the unit. */
export function readableFact(
  name: string,
  value: string | number | boolean,
): { label: string; value: string } {
  if (typeof value === 'boolean') return { label: words(name), value: value ? 'yes' : 'no' };
  if (typeof value === 'string') return { label: words(name), value };
  const unit = UNITS.find(([suffix]) => name.length > suffix.length && name.endsWith(suffix));
  if (unit === undefined) return { label: words(name), value: readableNumber(value) };
  const label = words(name.slice(0, -unit[0].length));
  // `backupSeconds` and `backupBytes` are both "Backup" otherwise.
  return {
    label: unit[0] === 'Bytes' && !/\bsize\b/i.test(label) ? `${label} size` : label,
    value: unit[1](value),
  };
}

function words(name: string): string {
  const spaced = name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/[._-]+/g, ' ')
    .toLowerCase()
    .replace(ACRONYMS, (word) => word.toUpperCase());
  return capitalised(spaced);
}

function readableNumber(value: number): string {
  if (!Number.isInteger(value)) return String(Math.round(value * 1_000) / 1_000);
  // Not toLocaleString: reports read the same on every machine.
  return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, ' ');
}
