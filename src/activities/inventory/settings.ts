import { z } from 'zod';
import { changeSchema } from '../../config/change-schema';
import { environmentOf, serviceOf } from '../../config/load';
import type { EnvironmentConfig, ServiceConfig } from '../../config/schema';
import { checkSource, sourceShape } from '../../config/source-schema';
import type { Place } from '../../contract/place';
import { auditTable, column, identifier, tableOf } from '../postgres/repair/mapping-settings';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';

const tablesSchema = z
  .strictObject({
    units: tableOf('inventory_units', {
      capacity: column('capacity'),
      sold: column('sold').describe('the counter that is rebuilt'),
    })
      .prefault({})
      .describe('what is sold: a row each, with its capacity and how much of it is sold'),
    ledger: tableOf('inventory_ledger', {
      unit: column('unit_id'),
      quantity: column('quantity').describe('signed: more is sold by a positive one, less by a negative one'),
      booking: identifier.optional().describe('whose entry it is'),
      createdAt: identifier.optional().describe('without it nothing is recent'),
    })
      .prefault({})
      .describe('each sale and each return; counters are rebuilt from it, and it is never written'),
    bookings: tableOf('bookings', {
      unit: column('unit_id'),
      status: column('status'),
      quantity: identifier.optional().describe('how many units it takes; without it one'),
      createdAt: identifier.optional(),
    })
      .optional()
      .describe('what the ledger is compared with; never written'),
    audit: auditTable.optional(),
  })
  .describe('tables and columns of the application');

const auditSchema = z.strictObject({
  entityType: z.string().default('inventory'),
  source: z.string().default('system'),
  rebuilt: z.string().default('inventory_rebuilt'),
  restored: z
    .string()
    .default('inventory_restored')
    .describe('an undo; what it takes back stays written down'),
});

export const inventorySchema = z
  .strictObject({
    role: identifier
      .optional()
      .describe(
        'counters are changed as this role, of which that of the runbooks is a member and which can write nothing else',
      ),
    batchRows: z.number().int().min(1).max(5_000).default(100).describe('rows of one transaction'),
    tables: tablesSchema.prefault({}),
    counts: z
      .array(z.string().min(1))
      .min(1)
      .max(20)
      .default(['confirmed'])
      .describe('states of bookings that take up units'),
    audit: auditSchema.prefault({}).describe('what its rows say'),
    recentHours: z.number().positive().max(744).default(24).describe('how far back entries are recent'),
  })
  .describe('what there is to sell, and the ledger of what was sold');

const PLACE = ['service', 'environment'];

export const environmentInventorySchema = z
  .strictObject({
    confirmations: z
      .strictObject({
        stop: changeSchema(PLACE),
        resume: changeSchema(PLACE),
        state: z
          .strictObject({
            ...sourceShape(PLACE),
            stopped: z.string().min(1).default('off').describe('what it says while none are taken'),
            taken: z
              .string()
              .min(1)
              .default('on')
              .describe('what it says while they are; any other word is not known'),
          })
          .superRefine(checkSource)
          .refine(({ stopped, taken }) => stopped !== taken, {
            path: ['taken'],
            message: 'another word than `stopped`',
          })
          .optional()
          .describe('whether confirmations are taken'),
        settleSeconds: z
          .number()
          .min(0)
          .max(600)
          .default(10)
          .describe('how long the application may take to notice it: `state` is read again until then'),
        askMinutes: z
          .number()
          .positive()
          .max(240)
          .default(10)
          .describe('so long people can say that they stay stopped, where units are sold too often'),
      })
      .optional()
      .describe(
        'how confirmations are stopped while counters are rebuilt; both ways are run again by a retry',
      ),
    rejections: z
      .strictObject(sourceShape(PLACE))
      .superRefine(checkSource)
      .optional()
      .describe('how many updates were refused lately because there were not enough units'),
  })
  .describe('how what there is to sell is sold in this environment');

export type InventoryConfig = z.infer<typeof inventorySchema>;
export type EnvironmentInventory = z.infer<typeof environmentInventorySchema>;

export const inventorySettings = {
  service: z.object({ inventory: inventorySchema.optional() }),
  environment: z.object({ inventory: environmentInventorySchema.optional() }),
};

/** The section of a service. Throws InvalidInput where there is none: nobody may guess what the counters are. */
export function inventoryOf({ config }: ActivityDeps, service: string): InventoryConfig {
  const { inventory } = serviceOf(config, service) as ServiceConfig & { inventory?: InventoryConfig };
  if (inventory !== undefined) return inventory;
  throw fail(
    'InvalidInput',
    `services.${service}.inventory is missing in runbooks.yaml: it names the tables of units and of their ledger. Add it, then start again.`,
  );
}

/** The section of an environment; empty where nobody has written one. */
export function environmentInventoryOf(
  { config }: ActivityDeps,
  { service, environment }: Place,
): EnvironmentInventory {
  const { inventory } = environmentOf(config, service, environment) as EnvironmentConfig & {
    inventory?: EnvironmentInventory;
  };
  return inventory ?? {};
}
