import type { Client } from '@temporalio/client';
import type { LoadedConfig } from '../../config/load';

/** What activities need from the outside. Tests pass others. */
export interface ActivityDeps {
  config: LoadedConfig;
  /** For the guard and for reading runs. Absent in tests of activities that need no Temporal. */
  client?: Client;
}
