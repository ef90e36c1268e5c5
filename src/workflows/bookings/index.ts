export { resolveDoubleBookings } from './resolve-double-bookings/resolve-double-bookings';
export { releaseStuckHolds } from './release-stuck-holds/release-stuck-holds';
