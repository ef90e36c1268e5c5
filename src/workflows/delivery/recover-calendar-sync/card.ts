import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

export const recoverCalendarSyncCard = card({
  name: 'recoverCalendarSync',
  title: 'Bring calendars back in sync',
  area: 'delivery',
  priority: 'P2',
  from: ['appointments: 3 Calendar sync recovery'],
  symptoms: [
    'a connected calendar is expired or disconnected, or has not synced for long, e.g. in GET /v0/calendar/sync/status',
    'times that are taken in a calendar can be booked',
    'bookings do not appear in the calendars of those who gave them',
  ],
  impact:
    'people are booked twice: the application does not know when they are busy, or their calendar does not know of the booking',
  diagnosis: [
    'each connection: its state, when it synced last, what waits to be written back, what its last error was',
    'whether known busy windows can be booked: nothing is done where all of this is well',
    'after a sync, for what is still not in sync: the token, the provider (5xx, no answer, 429), our request (401, 403, 404), or a sync that answered well and did nothing',
  ],
  resolution: [
    'have the application sync each provider with connections that are out of sync, and not before a Retry-After within the configured patience is over',
    'write back what waits, in bounded rounds',
    'an expired or disconnected one is a task for a person, with the configured link; each that is connected again is synced at once, without anybody saying so, while others still wait',
    'verify that each connection synced since, that nothing waits to be written back, and that known busy windows cannot be booked',
    'verify health checks and smoke test',
  ],
  prevention: [
    'an alert on connections that have not synced for longer than usual, and on expired ones',
    'remind owners before their token expires',
    'an event of each day in a calendar of our own as a known busy window',
  ],
  escalation: [
    'what reconnecting does not mend, the provider or a sync that does nothing: the ladder is paged',
    'a task that nobody does goes up the ladder',
  ],
  changes:
    'busy times are read into the application, and changes that wait are written into calendars, which cannot be taken back',
  input: {
    environment: databaseEnvironment.describe('environment whose calendars are meant'),
  },
  example: { service: 'booking', environment: 'production', startedBy: 'ana' },
});
