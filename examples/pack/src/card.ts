import { card, z } from 'durable-runbooks';

export const rerunJobCard = card({
  name: 'rerunJob',
  title: 'Run a stopped job again',
  area: 'application',
  priority: 'P2',
  symptoms: ['a job has not run for longer than it should'],
  impact: 'pending bookings do not expire; slots stay reserved',
  diagnosis: ['read when the job ran last'],
  resolution: ['run the job once'],
  prevention: ['alert on the age of the last run'],
  escalation: ['a job that still does not run: where an alert started this, the first rung is called'],
  changes: 'whatever the job itself changes',
  input: {
    environment: z.string().default('production'),
    job: z
      .string()
      .regex(/^[a-z-]+$/)
      .default('expire-bookings'),
  },
  example: { service: 'booking', startedBy: 'ana' },
});
