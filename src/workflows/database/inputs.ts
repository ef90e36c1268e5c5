import { z } from 'zod';

/** Input fields that several database runbooks share. Node side only. */
export const databaseEnvironment = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,30}$/, 'an environment of the service, e.g. "production"')
  .default('production')
  .describe('environment whose database is meant');

export const recoveryPoint = z
  .string()
  .min(1)
  .max(64)
  .default('latest')
  .describe(
    '"latest", "random", the ID of a backup, or an ISO time, in UTC where it names no zone: the newest snapshot not later than it',
  );
