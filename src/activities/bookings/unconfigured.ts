import type { Client } from 'pg';
import { canPassTriggers } from '../postgres/repair/undo';
import type { BookingsConfig } from './settings';
import type { BookingTables } from './tables';

/** Warnings for the plan: what nobody has configured is not done, and not silently. */
export async function unconfiguredOf(
  client: Client,
  config: BookingsConfig,
  tables: BookingTables,
): Promise<string[]> {
  return [
    ...(config.role === undefined
      ? ['rows are changed with every right of the runbooks: no role is configured for repairs']
      : []),
    ...(tables.audit === undefined ? ['nothing is written into an audit trail: none is configured'] : []),
    ...(tables.slots === undefined ? ['slots are not looked at: no table of them is configured'] : []),
    ...(tables.links === undefined ? ['links of customers stay good: no table of them is configured'] : []),
    ...((await canPassTriggers(client))
      ? []
      : [
          'going back passes through the triggers of the application, which may refuse it or change columns of their own: our role may not SET session_replication_role',
        ]),
  ];
}
