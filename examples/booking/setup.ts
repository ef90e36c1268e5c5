import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { writeConfig } from '../shared/config';
import { newSecret } from '../shared/secrets';
import { setUpDeployments } from './deployments';
import { sampleFile } from './files';
import { createBookingDatabase, type BookingSize } from './generate';
import { setUpKeys } from './keys';
import { createBookingRoles, type BookingUrls } from './roles';

export type SetUpOptions = BookingSize & {
  /** URL of a superuser of the cluster that carries both databases. */
  adminUrl: string;
  /** Gets runbooks.yaml, migrations/, deployments.json and later backups/. The application follows what is in it. */
  directory: string;
  /** Where the production application answers, if that is known already; else set BOOKING_APP_URL later. */
  appUrl?: string;
  /** Where people are told, if that is known already; else set BOOKING_INBOX_URL later. */
  inboxUrl?: string;
  seed?: number;
  onProgress?: (doing: string) => void;
};

export interface BookingSetUp {
  configFile: string;
  /** What the worker needs in its environment. Secrets. */
  environment: Record<string, string>;
  urls: { production: BookingUrls; staging: BookingUrls };
}

const STAGING_SHARE = 0.1;
const STAGING_HISTORY_DAYS = 60;

/**
 * Creates `booking_production` and a tenth of it as `booking_staging` (kept where they exist; the passwords are new
 * each time) and writes a complete runbooks.yaml. Starts nothing. Running it again is safe.
 */
export async function setUpBooking(options: SetUpOptions): Promise<BookingSetUp> {
  const { adminUrl, directory, appUrl, inboxUrl, seed, onProgress } = options;
  const credentials = await createBookingRoles(adminUrl);
  const create = async (
    environment: string,
    size: BookingSize,
    historyDays?: number,
  ): Promise<BookingUrls> => {
    const name = `booking_${environment}`;
    const tell = (doing: string): void => onProgress?.(`${environment}: ${doing}`);
    const { urls } = await createBookingDatabase({
      adminUrl,
      name,
      size,
      credentials,
      seed,
      historyDays,
      onProgress: tell,
    });
    return urls;
  };
  const production = await create('production', options);
  const staging = await create('staging', shareOf(options), STAGING_HISTORY_DAYS);
  const environment: Record<string, string> = {
    BOOKING_PRODUCTION_URL: production.migrator,
    BOOKING_STAGING_URL: staging.migrator,
    // The application's own, which is tried out where its connections fail.
    BOOKING_APP_DATABASE_URL: production.app,
    // The application gets it too.
    BOOKING_OPERATIONS_TOKEN: newSecret(),
    // So does the scheduler that has holds expire.
    BOOKING_CRON_SECRET: newSecret(),
    // Of the provider that takes the money.
    BOOKING_PAYMENTS_KEY: newSecret(),
    // Of those who send alerts.
    BOOKING_ALERTS_TOKEN: newSecret(),
  };
  if (appUrl !== undefined) environment['BOOKING_APP_URL'] = appUrl;
  if (inboxUrl !== undefined) environment['BOOKING_INBOX_URL'] = inboxUrl;
  const configFile = await setUpFolder(directory, adminUrl);
  return { configFile, environment, urls: { production, staging } };
}

function shareOf(size: BookingSize): BookingSize {
  if ('bookings' in size) return { bookings: Math.max(200, Math.round(size.bookings * STAGING_SHARE)) };
  return { megabytes: size.megabytes * STAGING_SHARE };
}

/** Beside runbooks.yaml, what the sample keeps in its folder. */
async function setUpFolder(directory: string, adminUrl: string): Promise<string> {
  const file = await writeConfig({ example: 'booking', adminUrl, directory });
  // Copies, so that one can change a migration and see what becomes of it.
  cpSync(sampleFile('migrations'), join(directory, 'migrations'), { recursive: true });
  setUpDeployments(directory);
  setUpKeys(directory);
  return file;
}
