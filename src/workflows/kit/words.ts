import { ApplicationFailure } from '@temporalio/workflow';

const MAX_TEXT = 2_000;

/** Refuses words that are no object of texts, or lack one of `fields`. */
export function need(words: unknown, fields: string[]): void {
  if (words === null || typeof words !== 'object')
    throw refused(`expected a JSON object with ${fields.join(', ')}`);
  for (const [field, value] of Object.entries(words)) {
    if (typeof value !== 'string') throw refused(`"${field}" must be text, got ${typeof value}`);
    if (value.length > MAX_TEXT) throw refused(`"${field}" is longer than ${MAX_TEXT} characters`);
  }
  for (const field of fields) {
    const value = (words as Record<string, string>)[field];
    if (value === undefined || value.trim() === '')
      throw refused(`"${field}" is missing; expected ${fields.join(', ')}`);
    if (/^<.*>$/.test(value)) throw refused(`replace ${value} in "${field}" by your own`);
  }
}

/** Thrown by a validator of an Update: the answer was not taken, and why. */
export function refused(message: string): ApplicationFailure {
  const failure = ApplicationFailure.nonRetryable(message, 'Refused');
  // The UI prints the stack under the message, and whoever answers needs only the message.
  failure.stack = '';
  return failure;
}
