import { createDoubleBookingActivities } from './bookings/double-bookings';
import { createExpiryWorkerActivities } from './bookings/expiry-worker';
import { createRecentChangeActivities } from './bookings/recent-changes';
import { createStuckHoldActivities } from './bookings/stuck-holds';
import { createBookingUndoActivities } from './bookings/undo-activities';
import { createUniqueIndexActivities } from './bookings/unique-index';
import type { ActivityDeps } from './support/deps';

/** What can be read from, and done to, the bookings of an application. */
export function createBookingActivities(deps: ActivityDeps) {
  return {
    ...createDoubleBookingActivities(deps),
    ...createStuckHoldActivities(deps),
    ...createBookingUndoActivities(deps),
    ...createUniqueIndexActivities(deps),
    ...createExpiryWorkerActivities(deps),
    ...createRecentChangeActivities(deps),
  };
}
