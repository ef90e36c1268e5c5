import { definePack } from 'durable-runbooks';
import { createActivities } from './activities';
import { rerunJobCard } from './card';
import { cronSettings } from './settings';

export default definePack({
  name: 'cron',
  cards: [rerunJobCard],
  workflows: require.resolve('./rerun-job'),
  activities: createActivities,
  settings: cronSettings,
});
