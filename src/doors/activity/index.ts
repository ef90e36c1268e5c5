/** `durable-runbooks/activity`: what activities are written with. */
export type { Json } from '../../activities/support/json';
export { numberAt, shortened, valueAt } from '../../activities/support/json';
export {
  readConfiguredCommand,
  runConfiguredCommand,
  type CommandResult,
} from '../../activities/support/configured-command';
export type { ActivityDeps } from '../../activities/support/deps';
export {
  fail,
  mapError,
  type ErrorContext,
  type FailOptions,
  type FailureType,
} from '../../activities/support/failure';
export { currentActivity, withProgress, type Progress } from '../../activities/support/heartbeat';
export { runFencedCommand } from '../../activities/postgres/session/fenced-command';
export { environmentOf, serviceOf, UnknownName } from '../../config/load';
export { resolveSecrets, scrub } from '../../config/secrets';
export type { Check, Fence, Place } from '../../contract/place';
