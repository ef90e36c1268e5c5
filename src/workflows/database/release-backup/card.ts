import { z } from 'zod';
import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../inputs';

export const releaseBackupCard = card({
  name: 'releaseBackup',
  title: 'Release a safety backup',
  area: 'database',
  priority: 'P3',
  from: ['booking: Backup and Restore', 'assistant: Backup & Restore', 'travel: 5 Daily and Shift Checklist'],
  symptoms: [
    'a restore is accepted, and nobody needs what was there before it',
    'safety backups fill the disk of the backups',
  ],
  impact: 'none for production; a safety backup is kept for ever until somebody lets go of it',
  diagnosis: ['that backup is a safety backup; when it was taken'],
  resolution: [
    'mark it as released: the next retention on the disk that it lies on deletes it, as after a backUpDatabase there',
  ],
  prevention: ['release it when the restore that made it was accepted'],
  escalation: ['doubt whether something in it is needed: restore it into a copy first, with drillRestore'],
  changes: 'a mark beside the backup; the next retention deletes the backup',
  // Nothing brings it back, and no schedule knows whether it is needed.
  capMode: () => ({ mode: 'propose', modeReason: 'only a person lets go of a safety backup' }),
  input: {
    environment: databaseEnvironment,
    backupId: z.string().min(1).max(120).describe('ID of the safety backup'),
  },
  example: {
    service: 'booking',
    environment: 'production',
    backupId: '20261121-035012-1a2b3c4d-before',
    startedBy: 'ana',
  },
});
