import { card } from '../../../doors/pack';

export const reviewDependenciesCard = card({
  name: 'reviewDependencies',
  title: 'Review the dependencies',
  area: 'maintenance',
  priority: 'P3',
  from: ['travel: 8 Maintenance Tasks'],
  symptoms: ['a month has passed since the last review', 'an advisory about a package that is used'],
  impact: 'known vulnerabilities stay open; updates that wait become larger',
  diagnosis: [
    'npm audit of the configured repository: vulnerable packages, the worst first, and what mends each; no answer of the registry is a failure and never "none"',
    'npm outdated, where it is configured: what the ranges of today let in, and what lies beyond them',
  ],
  resolution: [
    'wait for an approval of exactly this list, security fixes first',
    'open a pull request or an issue with the configured command or request; without one it is a task for a person. Nothing is installed by the run',
    'audit again after the task, and say what is left',
  ],
  prevention: ['a monthly schedule; advisories that open issues by themselves'],
  escalation: ['vulnerabilities without a fix: they are named in the report, for the lead to decide about'],
  changes: 'an issue or a pull request; no package',
  input: {},
  example: { service: 'booking', startedBy: 'ana' },
});
