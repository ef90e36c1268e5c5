/** One request to an endpoint, as the configuration describes it: what is asked, how it is proven, what an answer means. */
import { z } from 'zod';
import { placeholdersOf } from './placeholders';
import { secretText } from './primitives';

export const headerName = z
  .string()
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'the name of a header has no spaces and no colon');

const SIGNED = ['timestamp', 'method', 'path', 'body'];

export const authenticationSchema = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('bearer'), token: secretText }),
    z.strictObject({ kind: z.literal('basic'), user: secretText, password: secretText }),
    z.strictObject({ kind: z.literal('header'), name: headerName, value: secretText }),
    z.strictObject({ kind: z.literal('cookie'), name: headerName, value: secretText }),
    z.strictObject({
      kind: z.literal('hmac'),
      secret: secretText,
      header: headerName.default('X-Signature'),
      algorithm: z.enum(['sha256', 'sha512']).default('sha256'),
      encoding: z.enum(['hex', 'base64']).default('hex'),
      prefix: z
        .string()
        .default('')
        .refine((text) => placeholdersOf(text).every((name) => name === 'timestamp'), {
          message: 'a text of {timestamp} alone',
        })
        .describe('before the signature, e.g. sha256= or t={timestamp},v1= as Stripe has it'),
      signs: z
        .string()
        .default('{body}')
        .refine((text) => placeholdersOf(text).every((name) => SIGNED.includes(name)), {
          message: 'a text of {timestamp}, {method}, {path} and {body}',
        })
        .describe('what is signed: {timestamp} in seconds, {method}, {path} with its query, {body}'),
      timestampHeader: headerName.optional().describe('gets {timestamp}'),
    }),
  ])
  .describe('how a request proves who sends it');

const pollSchema = z
  .strictObject({
    addressField: z
      .string()
      .optional()
      .describe('dot path of the address in the answer, on the same server; default: the header Location'),
    field: z
      .string()
      .optional()
      .describe('dot path of the state; default: done with the first answer that is no 202'),
    done: z.array(z.string()).default(['succeeded', 'done', 'finished']),
    failed: z.array(z.string()).default(['failed', 'canceled', 'cancelled', 'error']),
    everySeconds: z.number().positive().max(300).default(2),
    forSeconds: z.number().positive().max(3_600).default(300),
  })
  .describe('for an answer 202: asks until what was begun is over, and judges that answer');

const successSchema = z
  .strictObject({
    status: z.array(z.number().int().min(100).max(599)).min(1).optional().describe('default: every 2xx'),
    field: z.string().optional().describe('dot path of what must be there'),
    equals: z
      .array(z.union([z.string(), z.number(), z.boolean()]))
      .min(1)
      .optional()
      .describe('and be one of these'),
  })
  .refine(({ field, equals }) => equals === undefined || field !== undefined, {
    message: '"equals" with the "field" that it is about',
  });

const shape = {
  method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']).default('GET'),
  url: secretText.describe('http(s) address; what stands in {braces} is filled in, encoded'),
  query: z.record(z.string(), secretText).default({}),
  headers: z.record(headerName, secretText).default({}),
  auth: authenticationSchema.optional(),
  body: z.record(z.string(), z.unknown()).optional().describe('sent as JSON; "{name}" alone keeps its type'),
  form: z.record(z.string(), secretText).optional().describe('sent as a form, instead of `body`'),
  idempotencyKey: headerName
    .optional()
    .describe('header for a key that every attempt of one step has, e.g. Idempotency-Key'),
  success: successSchema.prefault({}),
  poll: pollSchema.optional(),
  timeoutMs: z.number().positive().max(60_000).default(10_000).describe('of one request'),
};

type Shape = typeof shape;

const mapping = {
  fields: z
    .record(z.string(), z.string())
    .default({})
    .describe('what is read from the answer: a name, and its dot path'),
};

/** A request in which only the `declared` names may be filled in. */
export function operationSchema(declared: readonly string[]) {
  return operationWith(declared, mapping);
}

/** The same with other fields than those that are read from the answer. */
export function operationWith<More extends z.ZodRawShape>(declared: readonly string[], more: More) {
  return z
    .strictObject({ ...shape, ...more })
    .superRefine((given, context) => checkOperation(given, declared, context))
    .describe(
      `a request over HTTP; retried, so sending it twice must be harmless, or have an idempotencyKey. Filled in: ${declared.map((name) => `{${name}}`).join(', ')}`,
    );
}

function checkOperation(given: object, declared: readonly string[], context: z.RefinementCtx): void {
  const { method, url, query, headers, body, form } = given as RequestConfig;
  const report = (path: string, message: string) =>
    context.addIssue({ code: 'custom', path: [path], message });
  for (const [path, value] of Object.entries({ url, query, headers, body, form })) {
    const unknown = placeholdersOf(value).filter((name) => !declared.includes(name));
    if (unknown.length > 0)
      report(path, `only ${listed(declared)} in braces, and not {${unknown.join('}, {')}}`);
  }
  if (/^\w+:\/\/[^/?#]*(?<!\$)\{/.test(url)) report('url', 'placeholders in the path or behind it only');
  if (body !== undefined && form !== undefined) report('form', 'one of body and form');
  if (method === 'GET' && (body !== undefined || form !== undefined))
    report('method', 'a method that may have a body');
}

function listed(declared: readonly string[]): string {
  return declared.length === 0 ? 'nothing' : declared.map((name) => `{${name}}`).join(', ');
}

/** A request, whatever is read from its answer. */
export type RequestConfig = z.infer<z.ZodObject<Shape>>;
export type OperationConfig = RequestConfig & z.infer<z.ZodObject<typeof mapping>>;
export type AuthenticationConfig = z.infer<typeof authenticationSchema>;
