/** The way back of one step. `back` may use steps and questions, and calls `run.needsHuman` where it would be unsafe. */
export interface Undo {
  title: string;
  back: () => Promise<unknown>;
  /**
   * Says what stays changed at this moment, e.g. `Writes are stopped`, or undefined where nothing does. Where going back stops
   * before this one and a person is needed, people are asked at once whether to take it back, instead of when the repair is done.
   */
  offer?: () => Promise<string | undefined>;
}

/**
 * What becomes of a change when the run does not reach its end. Every step that changes something says one of:
 *
 * - an `Undo`, registered before the step starts because its outcome may stay unknown;
 * - `atomic`: all or nothing, as one transaction is: a step that was refused has changed nothing, one that was done stays, and of
 *   one that failed otherwise it is not known;
 * - `disposable`: it changes only what this run made for itself and drops at its end;
 * - `irreversible`: nothing brings it back; says what was done, e.g. `the application was restarted`. `unless` reads from
 *   the result that nothing was done after all. The result is that of the last attempt, so `unless` must consider earlier
 *   ones: an attempt that lost its connection may have done it, and then the answer is `unknown`, never `true`;
 * - `harmless`: it stays, beside what is there, and changes nothing of it, as a backup does; says what stays;
 * - `coveredBy`: the title of an undo that is registered already, and takes this back as well;
 * - `takesBack`: the title of the step that this one takes back. Steps of an undo say so.
 */
export type WayBack<T = unknown> =
  | Undo
  | 'atomic'
  | 'disposable'
  | { irreversible: string; unless?: (result: T) => boolean | 'unknown' }
  | { harmless: string }
  | { coveredBy: string }
  | { takesBack: string };
