import { join } from 'node:path';
import { followState, readState, writeState } from './state-file';

/** What can be switched while an example runs, in the folder of its state; what nobody has switched is as `defaults` say. */
export function switchesOf<Switches extends object>(defaults: Switches) {
  const fileIn = (directory: string): string => join(directory, 'switches.json');
  const read = (directory: string): Switches => ({
    ...defaults,
    ...readState<Partial<Switches>>(fileIn(directory)),
  });
  return {
    /** What is switched now. */
    read,
    /** Changes some of the switches; the application follows within a second. */
    set: (directory: string, changed: Partial<Switches>): Switches => {
      const now = { ...read(directory), ...changed };
      writeState(fileIn(directory), now);
      return now;
    },
    /** Calls back with the switches whenever they change. Returns how to stop it. */
    follow: (directory: string, changed: (switches: Switches) => void): (() => void) =>
      followState<Partial<Switches>>(fileIn(directory), (state) => changed({ ...defaults, ...state })),
  };
}
