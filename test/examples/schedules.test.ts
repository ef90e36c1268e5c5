/** A year of what the examples start by themselves, against their own objectives. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { scheduleSchema, type ScheduleConfig } from '../../src/config/schedule-schema';
import { jitterMs, timesOf } from '../../src/schedules/input';
import { nextStarts, wallClock } from '../../src/schedules/times';

interface Example {
  services: Record<string, Service>;
  schedules: Record<string, unknown>;
}

interface Service {
  environments: Record<string, { secrets?: Record<string, { maxAgeDays: number }> }>;
  backups: { maxAgeHours: number };
  restore: { rpoMinutes: number };
  vacuum?: { offPeak: { from: string; to: string; timeZone: string } };
  approval: { expiresAfterMinutes?: number };
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const BEGIN = Date.parse('2027-01-01T00:00:00Z');
const END = BEGIN + 370 * DAY;

describe.each(['appointments', 'assistant', 'booking', 'studio', 'travel'])('%s', (name) => {
  const file = join(__dirname, '../../examples', name, 'runbooks.yaml');
  const config = parse(readFileSync(file, 'utf8')) as Example;
  const service = config.services[name]!;
  const schedules = Object.values(config.schedules).map((one) => scheduleSchema.parse(one));
  const of = (runbook: string): ScheduleConfig[] => schedules.filter((one) => one.runbook === runbook);

  const backups = of('backUpDatabase').flatMap(startsOf);
  const lateBy = Math.max(...of('backUpDatabase').map(jitterMs));
  /** The newest backup that there is then, where the one before it failed or still goes on. */
  const before = (at: number): number => backups.filter((start) => start < at).at(-2) ?? Infinity;

  test('a backup is never too old before the next one begins', () => {
    const gaps = gapsOf(backups);
    expect(Math.max(...gaps) + lateBy).toBeLessThan(service.backups.maxAgeHours * HOUR);
  });

  test('a backup that is missing is known on the same morning', () => {
    const checks = of('checkBackups').flatMap(startsOf).slice(3);
    const youngest = Math.min(...checks.map((at) => at - before(at) - lateBy));
    expect(youngest).toBeGreaterThan(service.backups.maxAgeHours * HOUR);
  });

  test('a drill holds while the backup of its night still goes on', () => {
    for (const drill of of('drillRestore')) {
      const oldest = Math.max(
        ...startsOf(drill)
          .slice(1)
          .map((at) => at + jitterMs(drill) - before(at)),
      );
      expect(oldest).toBeLessThan(service.restore.rpoMinutes * 60_000);
    }
  });

  test('a restore is checked more often than RunbooksNoVerifiedRestore asks for', () => {
    const drills = of('drillRestore');
    expect(drills).not.toEqual([]);
    const longest = Math.max(
      ...drills.map((drill) => Math.max(...gapsOf(startsOf(drill))) + jitterMs(drill)),
    );
    expect(longest).toBeLessThan(8 * DAY);
  });

  test('each scheduled rotation finds the secrets due that the one before has made', () => {
    const { expiresAfterMinutes = 240 } = service.approval;
    const made = expiresAfterMinutes * 60_000;
    for (const rotation of of('rotateSecrets')) {
      const shortest = Math.min(...gapsOf(startsOf(rotation))) - jitterMs(rotation) - made;
      for (const { maxAgeDays } of Object.values(service.environments['production']!.secrets!))
        expect(shortest).toBeGreaterThan(maxAgeDays * DAY);
    }
  });

  test('what comes less often than daily and asks people starts on a working day, every month or quarter', () => {
    const asking = schedules.filter((one) => one.mode === 'propose');
    for (const one of asking) {
      const starts = startsOf(one);
      const gaps = gapsOf(starts);
      if (Math.max(...gaps) < 2 * DAY) continue;
      const days = starts.map((at) => wallClock(new Date(at), one.timeZone).getUTCDay());
      expect(days.filter((day) => day === 0 || day === 6)).toEqual([]);
      expect(Math.max(...gaps)).toBeLessThan(Math.min(...gaps) * 1.3);
    }
  });

  test('a vacuum starts off-peak', () => {
    for (const vacuum of of('vacuumBloatedTables')) {
      const { from, to, timeZone } = service.vacuum!.offPeak;
      const times = startsOf(vacuum).flatMap((at) => [at, at + jitterMs(vacuum)]);
      const clock = times.map((at) => wallClock(new Date(at), timeZone).toISOString().slice(11, 16));
      expect(clock.filter((time) => time < from || time >= to)).toEqual([]);
    }
  });
});

/** A few at a time: what comes each quarter has few, and decades of it say nothing. */
function startsOf(schedule: ScheduleConfig): number[] {
  const found: number[] = [];
  for (let from = BEGIN; from < END; from = found.at(-1)!)
    found.push(...nextStarts(timesOf(schedule), new Date(from), 20).map((at) => at.getTime()));
  return found.filter((at) => at < END);
}

function gapsOf(starts: number[]): number[] {
  return starts.slice(1).map((at, index) => at - starts[index]!);
}
