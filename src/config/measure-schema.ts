/** What is measured at a service, and from where on it is too much. */
import { z } from 'zod';
import { logsSchema } from './log-schema';
import { plainName } from './primitives';
import { checkSource, prometheusServerSchema, sourceShape } from './source-schema';

/** Filled into the requests of measures, and in the environment of their commands as RUNBOOKS_SERVICE and the like. */
const DECLARED = ['service', 'environment'];

interface Usual {
  is?: 'above' | 'below';
  unit?: 'share' | 'seconds' | 'bytes';
  critical?: number;
  warning?: number;
  info?: number;
}

/** The usual bands by the name of the measure. */
export const USUAL_BANDS: Record<string, Usual> = {
  'error-rate': { unit: 'share', info: 0.01, warning: 0.05, critical: 0.1 },
  'latency-p95': { unit: 'seconds', info: 0.2, warning: 0.5, critical: 2 },
  'latency-p99': { unit: 'seconds', info: 0.4, critical: 2 },
  'pool-utilisation': { unit: 'share', warning: 0.8 },
  'cache-hit-rate': { unit: 'share', is: 'below', warning: 0.7 },
  'cpu-utilisation': { unit: 'share', warning: 0.8 },
  'event-loop-utilisation': { unit: 'share', warning: 0.9 },
  'memory-utilisation': { unit: 'share', warning: 0.8, critical: 0.95 },
  'cache-utilisation': { unit: 'share', warning: 0.9 },
  availability: { unit: 'share', is: 'below', info: 0.999, warning: 0.995 },
  'queue-delay': { unit: 'seconds', warning: 30 },
  'queue-failed-share': { unit: 'share', warning: 0.005 },
  'search-lag': { unit: 'seconds', warning: 120 },
  'slow-query': { unit: 'seconds', warning: 1 },
};

const threshold = z.number().optional();

const measureSchema = z
  .strictObject({
    ...sourceShape(DECLARED),
    is: z
      .enum(['above', 'below'])
      .optional()
      .describe('which side of the bands is bad; default: the usual one of that name, else above'),
    critical: threshold,
    warning: threshold,
    info: threshold,
    unit: z.enum(['share', 'seconds', 'bytes', 'number']).optional().describe('for people'),
    windowSeconds: z
      .number()
      .min(0)
      .max(86_400)
      .default(60)
      .describe('how far back it looks: a remedy is judged after that time'),
  })
  .superRefine(checkSource)
  .describe(
    'a number with its bands; those that many know have usual ones, which stand in docs/observing.md',
  );

const measuresSchema = z
  .record(plainName, measureSchema)
  .transform((given) =>
    Object.fromEntries(
      Object.entries(given).map(([name, measure]) => [name, { ...USUAL_BANDS[name], ...defined(measure) }]),
    ),
  )
  .superRefine((measures, context) => {
    for (const [name, measure] of Object.entries(measures)) {
      const problem = problemOfBands(measure);
      if (problem !== undefined) context.addIssue({ code: 'custom', path: [name], message: problem });
    }
  });

export const observeSchema = z
  .strictObject({
    prometheus: prometheusServerSchema.optional(),
    measures: measuresSchema.default({}).describe('numbers that are looked at, by their names'),
    logs: logsSchema.optional(),
  })
  .superRefine(({ prometheus, measures }, context) => {
    for (const [name, measure] of Object.entries(measures))
      if (measure.prometheus !== undefined && prometheus === undefined)
        context.addIssue({
          code: 'custom',
          path: ['measures', name],
          message: 'the server beside it, at observe.prometheus',
        });
  })
  .describe('where the numbers of an environment come from, and when they are bad');

/** Given as `undefined` is not given: the usual stays. */
function defined<T extends object>(given: T): T {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as T;
}

function problemOfBands({ is = 'above', info, warning, critical }: Omit<Usual, 'unit'>): string | undefined {
  const bands = [info, warning, critical].filter((one) => one !== undefined);
  if (bands.length === 0)
    return 'a critical, warning or info from which on it is bad: this name has no usual one';
  const sorted = [...bands].sort((a, b) => (is === 'above' ? a - b : b - a));
  return sorted.every((one, index) => one === bands[index])
    ? undefined
    : `bands in their order: where ${is} is bad, critical is the ${is === 'above' ? 'highest' : 'lowest'}`;
}

export type ObserveConfig = z.infer<typeof observeSchema>;
export type MeasureConfig = ObserveConfig['measures'][string];

/** Name of the measure that stands for `application.errorRate` where that is not configured. */
export const ERROR_RATE = 'error-rate';

/** The bands of an environment's error rate, wherever it comes from; undefined where there is none. */
export function errorRateBands({
  application,
  observe,
}: {
  application?: { errorRate?: { max: number; warning: number; critical: number } | undefined } | undefined;
  observe?: ObserveConfig | undefined;
}): { max: number; warning: number; critical: number } | undefined {
  if (application?.errorRate !== undefined) return application.errorRate;
  const measure: MeasureConfig | undefined = observe?.measures[ERROR_RATE];
  if (measure === undefined) return undefined;
  const { critical = 1, warning = critical, info = warning } = measure;
  return { max: info, warning, critical };
}
