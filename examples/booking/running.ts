import { followVersion } from '../shared/deployments';
import { NEWEST_GOOD, releaseOf, type Release } from './releases';
import { DEFAULT_SWITCHES, followSwitches, type Switches } from './switches';

/** What the application runs with now. Replaced while it runs, as a restart would. */
export interface Running {
  version: string;
  release: Release;
  /** When this release began to serve, in milliseconds. */
  since: number;
  switches: Switches;
}

/** Follows what operators deploy and switch in a folder; without one the newest good release runs with the defaults. */
export function followOperators(directory?: string): { running: Running; stop: () => void } {
  const running: Running = {
    version: NEWEST_GOOD,
    release: releaseOf(NEWEST_GOOD),
    since: Date.now(),
    switches: DEFAULT_SWITCHES,
  };
  if (directory === undefined) return { running, stop: () => undefined };
  const stops = [
    followVersion(directory, (version) => {
      if (version !== running.version)
        Object.assign(running, { version, release: releaseOf(version), since: Date.now() });
    }),
    followSwitches(directory, (switches) => Object.assign(running, { switches })),
  ];
  return { running, stop: () => stops.forEach((stop) => stop()) };
}
