/** Steps of repairs, as the change log of a database names them. */
export const CANCEL_STEP = 'cancel-double-bookings';
export const RELEASE_STEP = 'release-stuck-holds';
