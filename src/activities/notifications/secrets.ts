import { scrub } from '../../config/secrets';

const MIN_LENGTH = 4;

/**
 * A text about a channel without the channel's secrets, whole or in the parts in which servers and libraries repeat
 * them: the path of a webhook, a password decoded or in base64. Short secrets too, which `scrub` does not know.
 */
export function withoutSecrets(text: string, secrets: string[]): string {
  const parts = secrets.flatMap(partsOf).filter(({ length }) => length >= MIN_LENGTH);
  // The longest first: a part of it would leave the rest behind.
  parts.sort((a, b) => b.length - a.length);
  return scrub(parts.reduce((clean, part) => clean.replaceAll(part, '***'), text));
}

function partsOf(secret: string): string[] {
  if (!URL.canParse(secret)) return [secret, secret.replace(/^Bearer\s+/i, '')];
  const { username, password, pathname, search, searchParams } = new URL(secret);
  const user = decoded(username);
  const plain = decoded(password);
  const login = [password, plain, base64(plain), base64(`\0${user}\0${plain}`)];
  const segments = pathname.split('/').filter(({ length }) => length >= 8);
  return [
    secret,
    ...(password === '' ? [] : login),
    ...(pathname.length > 1 ? [pathname + search, pathname] : []),
    ...segments.flatMap((segment) => [segment, decoded(segment)]),
    ...searchParams.values(),
  ];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A percent sign that was meant as one.
    return text;
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
