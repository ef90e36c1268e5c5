import { z } from 'zod';
import { changeSchema } from '../../config/change-schema';
import { operationWith } from '../../config/http-operation-schema';
import { secretText } from '../../config/primitives';

const PLACE = ['service', 'environment'];

const path = (name: string) => z.string().min(1).default(name);

export const authSchema = z
  .strictObject({
    login: operationWith(PLACE, {
      token: path('access_token').describe('dot path of the token in the answer; it never leaves the worker'),
    }).describe('logs a test account in, whose password is a secret; every look makes a new session of it'),
    access: operationWith([...PLACE, 'token'], {})
      .optional()
      .describe('asks the application for something that needs a login, with {token}, e.g. in a header'),
    token: z
      .enum(['jwt', 'opaque'])
      .default('jwt')
      .describe('opaque: a text that means something to its issuer alone, of which nothing is verified'),
    issuer: z.string().optional().describe('`iss` that a token must have'),
    audience: z.string().optional().describe('`aud` that a token must have'),
    jwks: operationWith(PLACE, { keys: path('keys').describe('dot path of the list of keys') })
      .optional()
      .describe('the published signing keys, e.g. /.well-known/jwks.json'),
    secret: secretText
      .optional()
      .describe('for HS256 and its like: what the application verifies tokens with'),
    maxSkewSeconds: z.number().positive().max(3_600).default(30).describe('how far clocks may be apart'),
    settleSeconds: z.number().min(0).max(1_800).default(60).describe('how long a change may take to be seen'),
    provider: operationWith(PLACE, {
      field: path('status.indicator'),
      healthy: z.array(z.string()).min(1).default(['none', 'operational', 'ok']),
    })
      .optional()
      .describe('status page of the provider as JSON'),
    configuration: operationWith(PLACE, {
      callbacks: z
        .string()
        .min(1)
        .optional()
        .describe('dot path of the list of callback URLs that are allowed'),
      credentials: z
        .string()
        .min(1)
        .optional()
        .describe(
          'dot path of a list of the names that are set, or of an object of names with true or false; never values',
        ),
    })
      .optional()
      .describe('what the provider, or the application, has at this moment'),
    callbackUrls: z.array(z.url()).max(50).default([]).describe('those that must be allowed, exactly so'),
    credentials: z
      .array(z.string().regex(/^\w{1,100}$/))
      .max(50)
      .default([])
      .describe('names of variables that must be set'),
    clearCache: changeSchema(PLACE)
      .optional()
      .describe('empties what the application remembers of keys and sessions; twice is harmless'),
    redeploy: changeSchema(PLACE)
      .optional()
      .describe(
        'puts the configuration of the application in place again, e.g. a restart or a redeploy; twice is harmless',
      ),
  })
  .describe('how people log in to the application');

export type AuthConfig = z.infer<typeof authSchema>;

/** Sections of an environment. */
export const authSettings = { environment: z.object({ authentication: authSchema.optional() }) };
