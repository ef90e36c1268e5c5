/** `durable-runbooks/activity`: what activities are written with. */
export { numberAt, shortened, valueAt, type Json } from '../../activities/support/json';
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
export {
  ask,
  askJson,
  hostOf,
  isOk,
  jsonOf,
  problemOf,
  requireOk,
  type HttpAnswer,
  type HttpRequest,
} from '../../activities/support/http';
export { withClient, type ConnectionOptions } from '../../activities/postgres/session/connection';
export { underFence } from '../../activities/postgres/session/fence';
export { runFencedCommand } from '../../activities/postgres/session/fenced-change';
export { environmentOf, serviceOf, UnknownName } from '../../config/load';
export { MissingSecret, resolveSecrets, scrub } from '../../config/secrets';
export type { Check, DatabaseRef, Fence, Place } from '../../contract/place';
