import { card, z } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

export const resolveDoubleBookingsCard = card({
  name: 'resolveDoubleBookings',
  title: 'Resolve double bookings',
  area: 'bookings',
  priority: 'P1',
  from: ['booking: Double Booking Alert'],
  symptoms: [
    'report or alert: more than one confirmed booking for the same slot',
    'violations of the index that allows one confirmed booking a slot',
  ],
  impact: 'two customers come for one slot; every further one that is sold twice is one more to disappoint',
  diagnosis: [
    'slots with more than one confirmed booking: nothing is done where there is none',
    'for each of them the bookings, when they were confirmed and created, and whose they are',
    'whether the unique index that forbids it is there and valid',
    'recent changes of the code that confirms bookings',
  ],
  resolution: [
    'keep the booking that was confirmed first, or ask which one, as configured',
    'cancel the others, void their links, put the slot right and write it into the audit trail, in one transaction',
    'a booking that somebody changed after the plan was made is left alone, with all others of its slot, and named',
    'build the unique index where it is missing, without stopping anybody; or a task for a person, as configured',
    'verify that no slot is sold twice, that the index is there, and that health checks and smoke test hold',
  ],
  prevention: [
    'one way only to a confirmed booking, and through the unique index',
    'review the changes that the run lists',
    'an alert on slots that are sold twice',
  ],
  escalation: [
    'more conflicts than the cap allows: nothing is cancelled, and the run fails; where an alert or a schedule started the run, the first rung is called',
    'the same alert again and again: the breaker calls the first rung, and from then on each run asks; something confirms bookings past the index',
  ],
  changes:
    'the state of bookings, their slots and links, rows of the audit trail, and the unique index; put back exactly where the run fails, but not over what somebody changed since',
  input: {
    environment: databaseEnvironment,
    keep: z
      .enum(['first-confirmed', 'ask'])
      .optional()
      .describe('which booking of a slot stays; default: as configured'),
  },
  example: { service: 'booking', environment: 'production', startedBy: 'ana' },
});
