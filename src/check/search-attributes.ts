import type { Client } from '@temporalio/client';
import { searchAttributes } from '../contract/search-attributes';

const WANTED: readonly string[] = Object.values(searchAttributes).map(({ name }) => name);

// gRPC status codes.
const INVALID_ARGUMENT = 3;

/**
 * Search attributes of runs that the namespace does not have. Asks with a query that uses them, which whoever may read
 * runs may ask: the list of attributes is a matter for operators, and Temporal Cloud gives it to nobody.
 */
export async function missingSearchAttributes(client: Client): Promise<string[]> {
  if (await isKnown(client, WANTED)) return [];
  const known = await Promise.all(WANTED.map((name) => isKnown(client, [name])));
  return WANTED.filter((_, index) => !known[index]);
}

async function isKnown({ workflow }: Client, names: readonly string[]): Promise<boolean> {
  try {
    await workflow.count(names.map((name) => `${name} = 'none'`).join(' AND '));
    return true;
  } catch (error) {
    if (codeOf(error) === INVALID_ARGUMENT) return false;
    throw error;
  }
}

const codeOf = (error: unknown): unknown =>
  ((error as { cause?: { code?: unknown } }).cause ?? (error as { code?: unknown })).code;

/** What whoever may do it runs to register them. */
export function registration(missing: readonly string[], namespace: string): string {
  const flags = missing.map((name) => ` --name ${name} --type Keyword`).join('');
  const cloud = missing.map((name) => ` --search-attribute "${name}=Keyword"`).join('');
  return `\`temporal operator search-attribute create --namespace ${namespace}${flags}\`; on Temporal Cloud \`tcld namespace search-attributes add --namespace ${namespace}${cloud}\``;
}
