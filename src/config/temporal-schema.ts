/** How Temporal is reached, and what it may read. */
import { z } from 'zod';
import { secretText } from './primitives';

const tlsSchema = z
  .strictObject({
    serverName: z
      .string()
      .min(1)
      .optional()
      .describe('name in the server’s certificate; default: the host of the address'),
    ca: secretText
      .optional()
      .describe(
        'PEM of the authority that signed the server’s certificate; default: those that the system trusts',
      ),
    certificate: secretText
      .optional()
      .describe('PEM of this client’s certificate, where the server wants one'),
    key: secretText.optional().describe('PEM of its private key'),
  })
  .refine(({ certificate, key }) => (certificate === undefined) === (key === undefined), {
    message: 'a certificate needs its key, and a key its certificate',
  });

const codecKeySchema = z.strictObject({
  id: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'letters, digits, dots, dashes and underscores')
    .describe('stands beside everything that this key encrypted; never give one to another key'),
  secret: secretText.describe('32 bytes in base64: `openssl rand -base64 32`'),
});

const codecServerSchema = z
  .strictObject({
    listen: z
      .string()
      .regex(/^[^\s:]+:\d{1,5}$/, 'host:port')
      .default('127.0.0.1:8081')
      .describe('host:port'),
    origins: z
      .array(
        z.string().regex(/^https?:\/\/[^/\s]+$/, 'scheme, host and port, e.g. https://cloud.temporal.io'),
      )
      .default([])
      .describe('where the Temporal UI is served: pages of no other origin may ask'),
    token: secretText
      .optional()
      .describe('whoever sends it as `Authorization: Bearer ...` may ask, e.g. `temporal --codec-auth`'),
    jwt: z
      .strictObject({
        jwks: z.url().describe('address of the keys that sign the tokens of the UI’s users'),
        audience: z.string().min(1),
        issuer: z.string().min(1).optional().describe('default: any whose key is among those'),
        claim: z.string().min(1).default('email').describe('where the token says who its user is'),
        users: z
          .array(z.string().min(1))
          .min(1)
          .describe('who may read everything; the keys of Temporal Cloud sign for all of its customers'),
      })
      .optional()
      .describe('the access tokens that the Temporal UI passes on of its users'),
  })
  .describe('`runbooks codec-server`: what the Temporal UI asks to show what is encrypted');

const codecSchema = z
  .strictObject({
    keys: z
      .array(codecKeySchema)
      .min(1)
      .refine((keys) => new Set(keys.map(({ id }) => id)).size === keys.length, {
        message: 'two keys have one id',
      })
      .describe('the first one encrypts; every one decrypts what bears its id'),
    server: codecServerSchema.prefault({}),
  })
  .describe(
    'encrypts (AES-256-GCM) what is sent to Temporal, the same for every worker, intake and command. Default: none',
  );

export const temporalSchema = z
  .strictObject({
    address: z
      .string()
      .optional()
      .describe('default: the Temporal environment configuration, else 127.0.0.1:7233'),
    namespace: z.string().optional(),
    apiKey: secretText.optional().describe('switches TLS on where `tls` does not say otherwise'),
    tls: z
      .union([z.boolean(), tlsSchema])
      .optional()
      .describe('true: as the system trusts; default: the Temporal environment configuration'),
    codec: codecSchema.optional(),
    taskQueue: z.string().default('runbooks'),
    uiUrl: z.string().optional().describe('base address of the Temporal UI, for links'),
  })
  .default({ taskQueue: 'runbooks' });

export type CodecConfig = z.infer<typeof codecSchema>;
