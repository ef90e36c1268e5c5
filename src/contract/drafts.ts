/** Steps of repairs, as the change log of a database names them. */
export const SALVAGE_STEP = 'salvage-drafts';
export const DECIDED_STEP = 'salvage-decided-drafts';
