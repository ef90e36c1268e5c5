import type * as Made from '../activities/bookings';
import { bookingsSettings } from '../activities/bookings/settings';
import { definePack } from '../doors/pack';
import { releaseStuckHoldsCard } from '../workflows/bookings/release-stuck-holds/card';
import { resolveDoubleBookingsCard } from '../workflows/bookings/resolve-double-bookings/card';

/** Bookings, and the slots that they take. */
export const bookingsPack = definePack({
  name: 'bookings',
  cards: [resolveDoubleBookingsCard, releaseStuckHoldsCard],
  workflows: require.resolve('../workflows/bookings'),
  activities: (deps) => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- half of what a command loads, for workers alone
    const { createBookingActivities } = require('../activities/bookings') as typeof Made;
    return createBookingActivities(deps);
  },
  settings: bookingsSettings,
});
