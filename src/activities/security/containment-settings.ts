import { z } from 'zod';
import { changeSchema } from '../../config/change-schema';
import { operationSchema } from '../../config/http-operation-schema';
import { environmentOf } from '../../config/load';
import { commandSchema, plainName } from '../../config/primitives';
import type { EnvironmentConfig } from '../../config/schema';
import type { Place } from '../../contract/place';
import { column, identifier } from '../postgres/repair/mapping-settings';
import type { ActivityDeps } from '../support/deps';

/** In a command WHO, RUNBOOKS_SERVICE, RUNBOOKS_ENVIRONMENT, RUNBOOKS_FENCING_TOKEN. */
const DECLARED = ['service', 'environment', 'who'];

const isolationSchema = z
  .strictObject({
    does: z.string().min(1).max(200).describe('what it does, for people, e.g. "ends all sessions"'),
    per: z
      .enum(['address', 'actor'])
      .optional()
      .describe('once for each address or actor of the input; without it once'),
    asks: z
      .boolean()
      .default(false)
      .describe(
        'a person is asked first, also in mode auto: it interrupts customers, e.g. stops the application',
      ),
    apply: changeSchema(DECLARED),
    end: changeSchema(DECLARED)
      .optional()
      .describe('the way back; without it a person is asked first, because it cannot be taken back'),
    settleSeconds: z
      .number()
      .min(0)
      .max(3_600)
      .default(30)
      .describe('how long the application may take to notice it: the probe looks again until then'),
    probe: z
      .strictObject({
        operation: operationSchema(DECLARED).optional().describe('401, 403, 429 or 503: isolated; 2xx: not'),
        command: commandSchema.optional().describe('prints "isolated" or "open" as its last line'),
      })
      .refine(({ operation, command }) => (operation === undefined) !== (command === undefined), {
        message: 'one of operation, command',
      })
      .optional()
      .describe('whether it is isolated; without it nothing verifies that'),
  })
  .describe('one way to isolate; repeatable');

const auditSchema = z
  .strictObject({
    schema: identifier.default('public'),
    table: column('audit_logs'),
    columns: z
      .strictObject({
        id: column('id'),
        at: column('created_at').describe('when it was'),
        action: column('action'),
        actor: identifier.optional().describe('who did it'),
        address: identifier.optional().describe('from where'),
        person: identifier.optional().describe('whose data it was'),
      })
      .prefault({}),
  })
  .describe('the audit log of the application; it is only read, and only counted');

const hours = z.number().positive().max(2_160);

export const containmentSchema = z
  .strictObject({
    rung: z.string().min(1).optional().describe('of the ladder, that is called; default: the first'),
    preserveLogs: commandSchema
      .optional()
      .describe(
        'keeps the logs; prints the path of the file on its last line, or "<SHA-256>  <place>" as sha256sum does',
      ),
    isolations: z.record(plainName, isolationSchema).default({}),
    audit: auditSchema.optional(),
    notifyHours: z
      .strictObject({ authorities: hours.default(72), users: hours.default(72) })
      .prefault({})
      .describe('from the beginning of the run'),
    remindHours: hours.default(12).describe('so long before that, and then again, people are paged'),
  })
  .describe('what contains a security incident here');

export type ContainmentConfig = z.infer<typeof containmentSchema>;
export type IsolationConfig = ContainmentConfig['isolations'][string];

/** What is configured, which may be nothing. */
export function containmentOf({ config }: ActivityDeps, { service, environment }: Place): ContainmentConfig {
  const { security } = environmentOf(config, service, environment) as EnvironmentConfig & {
    security?: ContainmentConfig;
  };
  return security ?? containmentSchema.parse({});
}
