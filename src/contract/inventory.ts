/** Steps of repairs, as the change log of a database names them. */
export const REBUILD_STEP = 'rebuild-counters';
