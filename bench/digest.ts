import { DIGESTED_SERVICE, type Bench } from './environment';
import { alternate, median, ratios, round, say, spread, type Results } from './measure';
import { measureRun } from './runs';

interface Side {
  backups: number[];
  drills: number[];
}

/** A backup and its drill with digests of all contents, and without. */
export async function measureDigest(bench: Bench, rounds: number): Promise<Results> {
  const digested: Side = { backups: [], drills: [] };
  const counted: Side = { backups: [], drills: [] };
  const turn =
    (service: string, { backups, drills }: Side) =>
    async () => {
      backups.push((await measureRun(bench, 'backUpDatabase', { service })).seconds);
      drills.push((await measureRun(bench, 'drillRestore', { service })).seconds);
      say(`${service}: backup ${backups.at(-1)!.toFixed(2)} s, drill ${drills.at(-1)!.toFixed(2)} s`);
    };
  await alternate(rounds, [turn('booking', counted), turn(DIGESTED_SERVICE, digested)], bench.settle);
  const both = ({ backups, drills }: Side) => backups.map((seconds, index) => seconds + drills[index]!);
  const found = ratios(both(digested), both(counted));
  const backups = ratios(digested.backups, counted.backups);
  const drills = ratios(digested.drills, counted.drills);
  return {
    'drill.contentDigest': {
      value: round(median(found)),
      unit: 'times the time',
      baseline: 1,
      note: `whole runs of backUpDatabase and drillRestore with backups.contentDigest: ${spread(both(digested), 's')}, against the same without: ${spread(both(counted), 's')}; ratios ${spread(found, '')}; of the backups alone ${spread(backups, '')}, of the drills alone ${spread(drills, '')}`,
    },
  };
}
