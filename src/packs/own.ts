import { applicationPack } from './application';
import { bookingsPack } from './bookings';
import { databasePack } from './database';
import { combinePacks } from './definition/combine';
import type { Pack } from './definition/pack';
import { deliveryPack } from './delivery';
import { dependenciesPack } from './dependencies';
import { draftsPack } from './drafts';
import { incidentsPack } from './incidents';
import { inventoryPack } from './inventory';
import { listingsPack } from './listings';
import { paymentsPack } from './payments';
import { platformPack } from './platform';
import { recoveryPack } from './recovery';
import { queuesPack } from './queues';
import { securityPack } from './security';

/** Our own packs, in the order of the catalogue. */
export const ownPacks: readonly Pack[] = [
  platformPack,
  databasePack,
  applicationPack,
  bookingsPack,
  listingsPack,
  inventoryPack,
  paymentsPack,
  draftsPack,
  deliveryPack,
  queuesPack,
  securityPack,
  dependenciesPack,
  incidentsPack,
  recoveryPack,
];

/** Our own runbooks, and the configuration that they alone need. */
export const { catalogue: ownCatalogue, schema: ownConfigSchema } = combinePacks(ownPacks);
