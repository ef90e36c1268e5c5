import type * as Made from '../activities/delivery';
import { deliverySettings } from '../activities/delivery/settings';
import { definePack } from '../doors/pack';
import { replayWebhookDeliveriesCard } from '../workflows/delivery/replay-webhook-deliveries/card';

/** What an application sends to others. */
export const deliveryPack = definePack({
  name: 'delivery',
  cards: [replayWebhookDeliveriesCard],
  workflows: require.resolve('../workflows/delivery'),
  activities: (deps) => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- half of what a command loads, for workers alone
    const { createDeliveryActivities } = require('../activities/delivery') as typeof Made;
    return createDeliveryActivities(deps);
  },
  settings: deliverySettings,
});
