import { z } from 'zod';
import { environmentOf, serviceOf } from '../../config/load';
import type { EnvironmentConfig, ServiceConfig } from '../../config/schema';
import { checkSource, sourceShape } from '../../config/source-schema';
import type { Place } from '../../contract/place';
import { auditTable, column, identifier, state, tableOf } from '../postgres/repair/mapping-settings';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';

const tablesSchema = z
  .strictObject({
    listings: tableOf('listings', {
      status: column('status'),
      provider: column('provider_id'),
      profile: identifier.optional().describe('key of its property profile, where `profiles` has those'),
      profileStatus: identifier
        .optional()
        .describe('state of its property profile, where that stands in the row itself'),
      publishedAt: identifier.optional().describe('when it was published last; without it nothing is recent'),
    }).prefault({}),
    providers: tableOf('providers', {
      status: column('status'),
      decidedAt: identifier.optional().describe('when its state was decided last'),
    }).prefault({}),
    profiles: tableOf('properties', { status: column('status') }).optional(),
    audit: auditTable.optional(),
  })
  .refine(({ listings, profiles }) => (listings.columns.profile === undefined) === (profiles === undefined), {
    path: ['profiles'],
    message: 'together with listings.columns.profile, or neither',
  })
  .refine(
    ({ listings: { columns } }) => columns.profile === undefined || columns.profileStatus === undefined,
    {
      path: ['listings', 'columns', 'profileStatus'],
      message: 'not beside `profile`: the state of a profile stands in one place',
    },
  )
  .describe('tables and columns of the application');

const statesSchema = z
  .strictObject({
    published: state('published'),
    suspended: state('suspended'),
    approved: state('APPROVED').describe('of a provider'),
    profileApproved: state('APPROVED').describe('of a property profile'),
  })
  .describe('what the application calls its states');

const auditSchema = z.strictObject({
  entityType: z.string().default('listing'),
  source: z.string().default('system'),
  suspended: z.string().default('listing_suspended'),
  restored: z.string().default('listing_restored').describe('an undo; what it takes back stays written down'),
});

export const listingsSchema = z
  .strictObject({
    role: identifier
      .optional()
      .describe(
        'rows are changed as this role, of which that of the runbooks is a member and which can write nothing else',
      ),
    batchRows: z.number().int().min(1).max(5_000).default(100).describe('rows of one transaction'),
    tables: tablesSchema.prefault({}),
    states: statesSchema.prefault({}),
    audit: auditSchema.prefault({}).describe('what its rows say'),
    recentDays: z.number().positive().max(365).default(7).describe('how far back publishing is recent'),
  })
  .describe('what providers offer, and who may publish it');

const PLACE = ['service', 'environment'];

export const environmentListingsSchema = z
  .strictObject({
    publishingGate: z
      .strictObject({
        ...sourceShape(PLACE),
        expected: z.string().min(1).default('on').describe('what it says while the gate is in force'),
      })
      .superRefine(checkSource)
      .optional()
      .describe('whether the application lets only approved providers publish'),
  })
  .describe('how the listings of this environment are published');

export type ListingsConfig = z.infer<typeof listingsSchema>;
export type GateConfig = NonNullable<z.infer<typeof environmentListingsSchema>['publishingGate']>;

export const listingsSettings = {
  service: z.object({ listings: listingsSchema.optional() }),
  environment: z.object({ listings: environmentListingsSchema.optional() }),
};

/** The section of a service. Throws InvalidInput where there is none: nobody may guess whose rows are listings. */
export function listingsOf({ config }: ActivityDeps, service: string): ListingsConfig {
  const { listings } = serviceOf(config, service) as ServiceConfig & { listings?: ListingsConfig };
  if (listings !== undefined) return listings;
  throw fail(
    'InvalidInput',
    `services.${service}.listings is missing in runbooks.yaml: it names the tables of listings and providers. Add it, then start again.`,
  );
}

/** How to find out about the gate of an environment; undefined where nobody has said. */
export function gateOf({ config }: ActivityDeps, { service, environment }: Place): GateConfig | undefined {
  const { listings } = environmentOf(config, service, environment) as EnvironmentConfig & {
    listings?: z.infer<typeof environmentListingsSchema>;
  };
  return listings?.publishingGate;
}
