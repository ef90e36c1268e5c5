/** `durable-runbooks`: what a pack is made of, on the side of Node. */
export { z } from 'zod';
export { card, type Area, type Card, type InputOf } from '../../catalogue/card';
export type { Catalogue, Project } from '../../catalogue/catalogue';
export {
  commandSchema,
  modeSchema,
  plainName,
  secretText,
  serviceName,
  severitySchema,
} from '../../config/primitives';
export { suggestion } from '../../config/problem-text';
export type { CommandConfig } from '../../config/schema';
export type { ConfigWith, EnvironmentWith, PackSettings, ServiceWith } from '../../config/settings';
export type { Mode, Severity } from '../../contract/modes';
export {
  definePack,
  PackError,
  type ActivityFunctions,
  type Pack,
  type PackDeps,
} from '../../packs/definition/pack';
