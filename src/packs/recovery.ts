import type * as Made from '../activities/recovery';
import { recoverySettings } from '../activities/recovery/settings';
import { definePack } from '../doors/pack';
import { recoverFromCorruptionCard } from '../workflows/recovery/recover-from-corruption/card';
import { recoverFromDisasterCard } from '../workflows/recovery/recover-from-disaster/card';

/** Bringing back a service as a whole, or the data that it has lost. */
export const recoveryPack = definePack({
  name: 'recovery',
  cards: [recoverFromDisasterCard, recoverFromCorruptionCard],
  workflows: require.resolve('../workflows/recovery'),
  activities: (deps) => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- half of what a command loads, for workers alone
    const { createRecoveryActivities } = require('../activities/recovery') as typeof Made;
    return createRecoveryActivities(deps);
  },
  settings: recoverySettings,
});
