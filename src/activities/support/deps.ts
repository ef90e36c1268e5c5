import type { Client } from '@temporalio/client';
import type { ConfigWith, PackSettings } from '../../config/settings';

/** What activities need from the outside. Tests pass others. With the settings of a pack, its sections are typed. */
export interface ActivityDeps<Settings extends PackSettings = object> {
  config: ConfigWith<Settings>;
  /** For the guard and for reading runs. Absent in tests of activities that need no Temporal. */
  client?: Client;
}
