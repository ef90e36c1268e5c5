import { z } from 'zod';
import { changeSchema } from '../../../config/change-schema';
import { operationSchema, operationWith } from '../../../config/http-operation-schema';
import { patternProblem } from '../../../config/pattern';
import { plainName } from '../../../config/primitives';
import { checkSource, sourceShape } from '../../../config/source-schema';

const PLACE = ['service', 'environment'];

/**
 * Why a task of a worker fails, in the order in which their patterns are tried. `credentials` is what only a person can
 * mend: a key or a quota; `input` what fails the same way whoever is asked.
 */
export const FAILURE_KINDS = ['credentials', 'rateLimit', 'input', 'timeout', 'outage'] as const;
export type FailureKind = (typeof FAILURE_KINDS)[number];

/** Failures that are the provider's, and not the task's own: what failed so may be tried again. */
export const PROVIDER_KINDS = ['credentials', 'rateLimit', 'timeout', 'outage'] as const;
export type ProviderKind = (typeof PROVIDER_KINDS)[number];

/** A status at the beginning, as clients of providers word it, or behind a word that says so: elsewhere it is any number. */
const status = (codes: string): string => `(?:^|\\b(?:status|code|http|answered)\\D{0,10})(?:${codes})\\b`;

const pattern = (usual: string) =>
  z
    .string()
    .min(1)
    .max(1_000)
    .refine((text) => patternProblem(text) === undefined, { message: 'no regular expression of RE2' })
    .default(usual);

const failuresSchema = z
  .strictObject({
    credentials: pattern(
      `${status('401|403')}|invalid.api.key|authentication_error|permission_error|insufficient_quota|billing`,
    ).describe('a refused key, a right or a quota: only a person can mend it'),
    rateLimit: pattern(`${status('429')}|rate.?limit|too many requests`),
    input: pattern(
      `${status('400|404|413|422')}|invalid_request|context.length|content.(?:policy|filter)|too long`,
    ).describe('fails the same way whenever it is tried: never put back'),
    timeout: pattern(`time(?:d)?.?out|deadline|${status('408|504')}`),
    outage: pattern(
      `${status('5\\d\\d')}|overloaded|api_error|server_error|unavailable|ECONN|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|socket hang up|connection error|fetch failed`,
    ),
  })
  .describe(
    'by which text a failed task is told what it is, in this order; RE2, whatever the case. What fits none is left alone',
  );

const providerSchema = z
  .strictObject({
    name: plainName,
    status: operationWith(PLACE, {
      field: z.string().min(1).default('status.indicator').describe('dot path of the word for everything'),
      healthy: z.array(z.string()).min(1).default(['none', 'operational', 'ok']),
      components: z
        .array(z.string().min(1))
        .max(20)
        .default([])
        .describe(
          'names in the list `components`, e.g. of /api/v2/summary.json: these count, and `field` does not',
        ),
    })
      .optional()
      .describe('its status page as JSON, e.g. https://status.openai.com/api/v2/status.json'),
    trial: operationSchema(PLACE)
      .optional()
      .describe('the smallest call that there is: it costs money, so a run makes one at most'),
    contact: z.string().max(200).optional().describe('where its support is reached'),
  })
  .describe('who generates');

const switchSchema = z
  .strictObject({
    change: changeSchema([...PLACE, 'provider']).describe(
      'has {provider}, or PROVIDER, generate from now on; doing it twice is harmless, and its earlier value takes it back',
    ),
    on: z
      .array(z.enum(PROVIDER_KINDS))
      .min(1)
      .default(['outage', 'timeout'])
      .describe('what is a reason to switch; refused credentials are none unless they are named'),
  })
  .describe('how the workers get to another provider; the next one of `providers` that is well is taken');

const slowerSchema = z
  .strictObject({
    apply: changeSchema(PLACE).describe('fewer at once, or less often; doing it twice is harmless'),
    restore: changeSchema(PLACE).describe('as usual; harmless where nothing was applied'),
  })
  .describe('lets the workers ask less often; without it the queue is paused for a while instead');

export const aiWorkersSchema = z
  .strictObject({
    queue: z.string().min(1).describe('the queue of these tasks, one of `queues.names`'),
    providers: z
      .array(providerSchema)
      .min(1)
      .max(10)
      .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, 'each provider once'),
    current: z
      .strictObject(sourceShape(PLACE))
      .superRefine(checkSource)
      .optional()
      .describe('the name of the provider that the workers use now; needless where there is one only'),
    switch: switchSchema.optional(),
    slower: slowerSchema.optional(),
    failures: failuresSchema.prefault({}),
    windowMinutes: z
      .number()
      .positive()
      .max(1_440)
      .default(15)
      .describe('how far back failures count as the trouble of now; older ones are only put back'),
    leaveAloneSeconds: z
      .number()
      .positive()
      .max(3_600)
      .default(60)
      .describe('how long a provider that wants fewer requests is left alone, unless it says longer'),
    waitMinutes: z
      .number()
      .positive()
      .max(1_380)
      .default(60)
      .describe('how long a run waits for a provider before that is a task for a person'),
    settleSeconds: z
      .number()
      .min(0)
      .max(900)
      .default(60)
      .describe('how long after a switch the former provider may still be read'),
    measures: z
      .array(z.string().min(1))
      .max(10)
      .default([])
      .describe(
        'of observe.measures, e.g. the duration of generations: in the end they keep their objectives',
      ),
  })
  .superRefine(({ switch: how, current, providers }, context) => {
    if (how !== undefined && (current === undefined || providers.length < 2))
      context.addIssue({
        code: 'custom',
        path: ['switch'],
        message: 'with `current`, by which it is read back, and two `providers` at least',
      });
  })
  .describe('workers that have others generate: texts, pictures');

export type AiWorkersConfig = z.infer<typeof aiWorkersSchema>;
export type AiProviderConfig = AiWorkersConfig['providers'][number];
