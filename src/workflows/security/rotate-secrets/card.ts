import { card, plainName, z } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

export const rotateSecretsCard = card({
  name: 'rotateSecrets',
  title: 'Rotate secrets',
  area: 'security',
  priority: 'P2',
  from: ['booking: Security Incident', 'travel: 8 Maintenance Tasks'],
  symptoms: [
    'a secret is older than its objective, e.g. a quarter',
    'a secret may be known to somebody who should not have it',
  ],
  impact: 'whoever has got an old secret can use it for as long as it is accepted',
  diagnosis: [
    'which secrets are older than configured; one whose age nobody knows is said, and is never well',
    'what is still accepted beside the version in use: left over by a rotation that did not end',
    'the probe itself: it must refuse a version that nobody made, and accept the one in use, before anything is changed',
  ],
  resolution: [
    'add a version under a name of this run; its value is made and kept outside of the history, and never made twice',
    'verify that the application accepts both, have it use the new one, verify both again, health checks and smoke test',
    'wait until what was issued with the former version has ended, then retire that, and verify that it is refused',
    'a new version that is not accepted: the former one is used again, and that is verified',
    'a secret of which only one version can be accepted is announced and asked for, then swapped, with a way back until the former one is retired',
  ],
  prevention: ['a schedule each quarter', 'two versions accepted at once, so that nobody has to stop'],
  escalation: [
    'a secret that could not be rotated, or a former version that is still accepted: the ladder is paged',
  ],
  changes: 'secrets of the application: what was issued with a former version ends after the grace time',
  input: {
    environment: databaseEnvironment.describe('environment whose secrets are meant'),
    secrets: z
      .array(plainName)
      .min(1)
      .max(50)
      .refine((names) => new Set(names).size === names.length, 'each of them once')
      .optional()
      .describe('which secrets, whatever their age; default: those that are due'),
    graceMinutes: z
      .number()
      .min(0)
      .max(129_600)
      .optional()
      .describe(
        'wait that long before former versions are retired; 0 where a secret has leaked; default: as configured',
      ),
  },
  example: { service: 'booking', secrets: ['session-signing'], startedBy: 'ana' },
});
