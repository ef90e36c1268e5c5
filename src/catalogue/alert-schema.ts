import { z } from 'zod';
import type { Alert } from '../contract/alert';

const MAX_LABELS = 64;
const text = (max: number) => z.string().max(max);

/**
 * One alert in the normal form that every sender's body is parsed to. It becomes part of a run's input, so it is
 * bounded, and holds nothing of the request that came with it.
 */
export const alertSchema = z
  .strictObject({
    /** Name of the source in the configuration. */
    source: text(64),
    /** What stays the same while it is the same problem. */
    fingerprint: text(256).min(1),
    /** ISO time at which this episode began; null where the sender does not say. */
    startsAt: text(40).nullable(),
    status: z.enum(['firing', 'resolved']),
    /** The sender's word, lower case; empty when it has none. */
    severity: text(40),
    title: text(500),
    labels: z.record(text(128), text(1_000)).refine((all) => Object.keys(all).length <= MAX_LABELS),
    annotations: z.record(text(128), text(4_000)).refine((all) => Object.keys(all).length <= MAX_LABELS),
    link: text(2_000).nullable(),
  })
  .describe('the alert that started the run') satisfies z.ZodType<Alert>;
