import { readableFact } from '../../../src/report/text/facts';

describe('measured facts', () => {
  it.each([
    ['rtoSeconds', 12.4, 'RTO', '12.4 s'],
    ['rpoMinutes', 90, 'RPO', '1 h 30 min'],
    ['longestBlockMs', 112, 'Longest block', '112 ms'],
    ['backupBytes', 365_211_904, 'Backup size', '365 MB'],
    ['rowsChecked', 2_481_220, 'Rows checked', '2 481 220'],
    ['canaryFound', true, 'Canary found', 'yes'],
    ['share', 0.123456, 'Share', '0.123'],
    ['Seconds', 3, 'Seconds', '3'],
  ])('%s: %p reads as %s, %s', (name, value, label, shown) => {
    expect(readableFact(name, value)).toEqual({ label, value: shown });
  });
});
