/** What people answer to a run, and how such an answer is signed. */

/** An answer as it is signed. */
export interface Statement {
  namespace: string;
  workflowId: string;
  runId: string;
  /** Name of the Update. */
  verb: string;
  /** Hash of the plan, or ID of the question or task. */
  subject: string;
  choice?: string | undefined;
  note?: string | undefined;
  by: string;
  /** ISO time. */
  signedAt: string;
}

/** A public key that may sign for a name. */
export interface SignerKey {
  name: string;
  /** As OpenSSH writes it: `SHA256:...`. */
  fingerprint: string;
  /** The 32 bytes as hex digits. */
  publicKey: string;
  /** ISO time; absent where it does not expire. */
  expiresAt?: string;
}

/** Fields of an Update that carry a signature, beside those of the answer. */
export const PROOF_FIELDS = ['key', 'signedAt', 'signature'] as const;

/** Which field of an Update's argument names what it answers. */
export const SUBJECT_FIELDS: Record<string, string> = {
  approve: 'plan',
  reject: 'plan',
  decide: 'question',
  done: 'task',
};

const FORMAT = 'durable-runbooks answer v1';

/**
 * The bytes that are signed: a JSON array of texts, so no two answers have the same ones. They begin like nothing else that
 * a key for SSH signs: a login begins with the length of its session ID, a signed file with SSHSIG.
 */
export function statementBytes(statement: Statement): Uint8Array {
  const { namespace, workflowId, runId, verb, subject, choice, note, by, signedAt } = statement;
  const fields = [FORMAT, namespace, workflowId, runId, verb, subject, choice ?? null, note ?? null, by];
  return new TextEncoder().encode(JSON.stringify([...fields, signedAt]));
}

/** Names are compared as people read them: not by capitals, nor by how a keyboard puts an accent on a letter. */
export function isSameName(one: string, other: string): boolean {
  return plainName(one) === plainName(other);
}

const plainName = (name: string): string => name.normalize('NFKC').trim().replace(/\s+/g, ' ').toLowerCase();

/** Each person once, as first written. */
export function distinctNames(names: readonly string[]): string[] {
  return names.filter((name, index) => names.findIndex((one) => isSameName(one, name)) === index);
}
