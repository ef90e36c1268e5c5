/** Steps of repairs, as the change log of a database names them. */
export const SUSPEND_STEP = 'suspend-listings';
