/** Steps of repairs, as the change log of a database names them. */
export const CANCEL_STEP = 'cancel-double-bookings';
export const RELEASE_STEP = 'release-stuck-holds';

/** The request that a hold was made for, by which its idempotency key is found. */
export interface HoldRequest {
  booking: string;
  /** ISO time. */
  createdAt: string;
  /** As the row has it; null where it has none, or no column for it is configured. */
  key: string | null;
}
