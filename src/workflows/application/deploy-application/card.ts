import { z } from 'zod';
import { card } from '../../../doors/pack';

export const deployApplicationCard = card({
  name: 'deployApplication',
  title: 'Deploy the application',
  area: 'application',
  priority: 'P2',
  from: ['booking: Application Deployment', 'travel: 9 Change Management'],
  symptoms: ['a version is reviewed, merged and due'],
  impact: 'customers get the new version; the one before stays beside it as the way back',
  diagnosis: [
    'which deployment is in front; nothing is done where it is this version already',
    'the commit is reviewed and its checks are green, it is on the branch that is deployed, production has the environment variables that it needs, and the changelog has an entry: what is configured and does not hold refuses the deployment, what is not configured is a warning',
    'the commits that it brings, migrations that are pending, health and error rate of what runs',
  ],
  resolution: [
    'deploy it to staging where there is one; health and smoke test there',
    'wait for an approval of exactly this version and this way back; announce the window and the way back',
    'deploy it beside the one in front, without traffic, and run the smoke test at its own address',
    'put it in front; run the smoke test, watch health, error rate and the measured times of answers, and run the smoke test again',
    'going back: the deployment before is put in front again, and verified as after a rollback; the new one is taken away, or stays beside without traffic',
  ],
  prevention: [
    'expand and contract in separate migrations: both versions must work with the database of today',
    'a deploy command that makes no second deployment of a commit, and refuses a RUNBOOKS_FENCING_TOKEN lower than one it has seen: the worker cannot check a fence for it',
  ],
  escalation: ['a way back that fails or would be unsafe: NEEDS_HUMAN pages the ladder'],
  changes: 'which version staging and production run',
  input: {
    version: z
      .string()
      .regex(/^[\w.+-]{1,100}$/, 'letters, digits, dots, dashes, plus and underscores')
      .describe('what it is called, e.g. 1.5.0'),
    commit: z
      .string()
      .regex(/^[0-9a-f]{7,64}$/, 'at least seven hexadecimal digits of a commit')
      .describe('what is deployed'),
  },
  example: { service: 'booking', startedBy: 'ana', version: '1.5.0', commit: '9be2f0c' },
});
