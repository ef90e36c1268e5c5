import { createHmac } from 'node:crypto';
import type { AuthenticationConfig } from '../../../config/http-operation-schema';
import { fillPlaceholders } from '../../../config/placeholders';

/** What a signature is about. */
export interface Signed {
  method: string;
  url: URL;
  /** Empty where nothing is sent. */
  body: string;
}

export interface Proof {
  headers: Record<string, string>;
  /** Every form in which the secret goes over the line: none of them may come back in a message. */
  secrets: string[];
}

/** The headers that prove who sends a request. `resolve` gives a text of the configuration its secrets. */
export function authenticate(
  auth: AuthenticationConfig | undefined,
  signed: Signed,
  resolve: (text: string) => string,
): Proof {
  if (auth === undefined) return { headers: {}, secrets: [] };
  switch (auth.kind) {
    case 'bearer': {
      const token = resolve(auth.token);
      return { headers: { authorization: `Bearer ${token}` }, secrets: [token] };
    }
    case 'basic': {
      const password = resolve(auth.password);
      const both = Buffer.from(`${resolve(auth.user)}:${password}`).toString('base64');
      return { headers: { authorization: `Basic ${both}` }, secrets: [both, password] };
    }
    case 'header': {
      const value = resolve(auth.value);
      return { headers: { [auth.name]: value }, secrets: [value] };
    }
    case 'cookie': {
      const value = resolve(auth.value);
      return { headers: { cookie: `${auth.name}=${value}` }, secrets: [value] };
    }
    case 'hmac':
      return sign(auth, signed, resolve(auth.secret));
  }
}

function sign(
  auth: Extract<AuthenticationConfig, { kind: 'hmac' }>,
  { method, url, body }: Signed,
  secret: string,
): Proof {
  const timestamp = String(Math.floor(Date.now() / 1_000));
  const parts: Record<string, string> = { timestamp, method, path: `${url.pathname}${url.search}`, body };
  const filled = (text: string): string =>
    fillPlaceholders(
      text,
      (literal) => literal,
      (name) => parts[name] ?? '',
    );
  const signature = createHmac(auth.algorithm, secret).update(filled(auth.signs)).digest(auth.encoding);
  return {
    headers: {
      [auth.header]: `${filled(auth.prefix)}${signature}`,
      ...(auth.timestampHeader === undefined ? {} : { [auth.timestampHeader]: timestamp }),
    },
    secrets: [secret, signature],
  };
}
