import type * as Made from '../activities/delivery';
import { calendarSettings } from '../activities/calendar/settings';
import { deliverySettings } from '../activities/delivery/settings';
import { definePack } from '../doors/pack';
import { recoverCalendarSyncCard } from '../workflows/delivery/recover-calendar-sync/card';
import { replayWebhookDeliveriesCard } from '../workflows/delivery/replay-webhook-deliveries/card';

/** What an application sends to others, and keeps in step with them. */
export const deliveryPack = definePack({
  name: 'delivery',
  cards: [replayWebhookDeliveriesCard, recoverCalendarSyncCard],
  workflows: require.resolve('../workflows/delivery'),
  activities: (deps) => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- half of what a command loads, for workers alone
    const { createDeliveryActivities } = require('../activities/delivery') as typeof Made;
    return createDeliveryActivities(deps);
  },
  settings: {
    environment: deliverySettings.environment.extend(calendarSettings.environment.shape),
  },
});
