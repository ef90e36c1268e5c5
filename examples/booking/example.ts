import type { Example, ExampleParts, RunningExample } from '../example';
import { startBookingApp, type BookingApp } from './app';
import { sampleProgram } from './files';
import { setUpBooking, type BookingSetUp } from './setup';

export interface RunningBooking extends RunningExample {
  app: BookingApp;
  booking: BookingSetUp;
}

const BOOKINGS = 20_000;

/** The sample at a size of one's own. */
export function bookingOf(bookings: number) {
  return {
    name: 'booking',
    title: `Booking sample with ${bookings.toLocaleString('en-US')} bookings`,
    needs: [],
    start: (parts: ExampleParts) => start(parts, bookings),
  } satisfies Example;
}

export const example: Example = bookingOf(BOOKINGS);

async function start(
  { adminUrl, directory, inboxUrl, progress }: ExampleParts,
  bookings: number,
): Promise<RunningBooking> {
  const booking = await setUpBooking({ adminUrl, directory, inboxUrl, bookings, onProgress: progress });
  const app = await startBookingApp({
    databaseUrl: booking.urls.production.app,
    traffic: true,
    directory,
    operationsToken: booking.environment['BOOKING_OPERATIONS_TOKEN'],
    cronSecret: booking.environment['BOOKING_CRON_SECRET'],
    paymentsKey: booking.environment['BOOKING_PAYMENTS_KEY'],
  });
  return {
    app,
    booking,
    configFile: booking.configFile,
    environment: {
      ...booking.environment,
      BOOKING_APP_URL: app.url,
      // Of the application: what makes trouble connects as it does.
      DATABASE_URL: booking.urls.production.app,
    },
    addresses: { Application: `${app.url}/health/ready` },
    trouble: sampleProgram('trouble.js'),
    firstSteps: FIRST_STEPS,
    stop: () => app.stop(),
  };
}

const INDEX_MIGRATION = '2026_11_02_index_deliveries_concurrently.sql';
const UNSAFE_MIGRATION = '2026_11_04_unsafe_type_change.sql';

const FIRST_STEPS = [
  `runbooks start migrateDatabase --service booking --files ${INDEX_MIGRATION} \\`,
  `  --mode propose --watch`,
  `runbooks start migrateDatabase --service booking --files ${UNSAFE_MIGRATION} --watch`,
  '',
  '# Make trouble, and send the alert that starts the run which ends it:',
  'trouble idle-transactions --count 34 --background',
  'curl -sS $RUNBOOKS_ALERTS_URL/monitor \\',
  `  -H "Authorization: Bearer $BOOKING_ALERTS_TOKEN" \\`,
  `  -H 'Content-Type: application/json' \\`,
  `  -d '{"id":"pool-1","state":"firing","name":"BookingConnectionsHigh",`,
  `    "severity":"critical","title":"Too many connections"}'`,
  'runbooks status',
];
