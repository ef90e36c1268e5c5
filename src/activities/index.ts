import type { createServingActivities } from './application';
import type { createBookingActivities } from './bookings';
import type { createDatabaseActivities } from './database';
import type { createDeliveryActivities } from './delivery';
import type { createDependencyActivities } from './dependencies';
import type { createDraftActivities } from './drafts';
import type { createIncidentActivities } from './incidents/incident-activities';
import type { createInventoryActivities } from './inventory';
import type { createListingActivities } from './listings';
import type { createPaymentActivities } from './payments';
import type { createPlatformActivities } from './platform';
import type { createRecoveryActivities } from './recovery';
import type { createQueueActivities } from './queues';
import type { createSecurityActivities } from './security';

/** Everything that our own packs can do to the outside world, as our procedures see it. */
export type Activities = ReturnType<typeof createPlatformActivities> &
  ReturnType<typeof createDatabaseActivities> &
  ReturnType<typeof createServingActivities> &
  ReturnType<typeof createBookingActivities> &
  ReturnType<typeof createListingActivities> &
  ReturnType<typeof createInventoryActivities> &
  ReturnType<typeof createPaymentActivities> &
  ReturnType<typeof createDraftActivities> &
  ReturnType<typeof createDeliveryActivities> &
  ReturnType<typeof createRecoveryActivities> &
  ReturnType<typeof createQueueActivities> &
  ReturnType<typeof createSecurityActivities> &
  ReturnType<typeof createDependencyActivities> &
  ReturnType<typeof createIncidentActivities>;
