import { sqlStateOf } from '../../support/failure';

/**
 * The server can be spoken to and the data cannot be read: internal errors, damaged pages, lost files, and rows or tables
 * that are hidden from our role. https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function isDamage(error: unknown): boolean {
  const [details] = (error as { details?: { sqlState?: string }[] } | null)?.details ?? [];
  const code = sqlStateOf(error) ?? details?.sqlState ?? '';
  return /^(XX|58|22|42)/.test(code) || code === '0LP01' || code === '25006';
}
