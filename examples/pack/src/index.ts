import { definePack } from 'durable-runbooks';
import { createActivities } from './activities';
import { recoverCronCard } from './card';
import { cronSettings } from './settings';

export default definePack({
  name: 'cron',
  cards: [recoverCronCard],
  workflows: require.resolve('./recover-cron'),
  activities: createActivities,
  settings: cronSettings,
});
