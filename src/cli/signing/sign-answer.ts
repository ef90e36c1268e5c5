import { isSameName, statementBytes, SUBJECT_FIELDS } from '../../contract/answer';
import type { RunStatus } from '../../contract/report';
import { CliError, EXIT } from '../errors';
import { keyIn, userKeys, type Keys, type Signer } from './signer';

type Words = Record<string, string>;

export interface Answer {
  namespace: string;
  /** Name of the Update. */
  verb: string;
  words: Words;
  /** File of the key to sign with; default: whichever the run knows for that name. */
  keyFile: string | undefined;
}

/**
 * The words of an answer with a signature, where the run knows a key of that name and this user has it. Throws CliError where
 * the run takes no other answer and it cannot be signed.
 */
export async function signAnswer(status: RunStatus, answer: Answer): Promise<Words> {
  const { verb, words, keyFile } = answer;
  const known = (status.signers ?? []).filter(({ name }) => isSameName(name, words['by'] ?? ''));
  const { signers, problems } = await candidates(
    known.map(({ fingerprint }) => fingerprint),
    keyFile,
  );
  const unable: string[] = [];
  for (const signer of signers) {
    try {
      return { ...words, ...(await signatureOf(status, answer, signer)) };
    } catch (error) {
      // An encrypted file may be in ssh-agent as well.
      unable.push((error as Error).message);
    }
  }
  if (keyFile === undefined && !mustBeSigned(status, verb, words)) return words;
  const why = unable.length > 0 ? [...unable, ...problems].join('; ') : noneOf(status, words, problems);
  throw new CliError(
    EXIT.usage,
    `Nothing was sent: it could not be signed for ${status.workflowId}: ${why}.`,
  );
}

async function candidates(fingerprints: string[], keyFile: string | undefined): Promise<Keys> {
  if (keyFile !== undefined) return { signers: [await keyIn(keyFile)], problems: [] };
  if (fingerprints.length === 0) return { signers: [], problems: [] };
  const { signers, problems } = await userKeys();
  return { signers: signers.filter(({ fingerprint }) => fingerprints.includes(fingerprint)), problems };
}

function mustBeSigned({ waiting }: RunStatus, verb: string, words: Words): boolean {
  const asked = waiting.find(({ id }) => id === words[SUBJECT_FIELDS[verb] ?? '']);
  const harmless = verb === 'reject' || asked?.harmless?.includes(words['choice'] ?? '') === true;
  return asked?.mustBeSigned === true && !harmless;
}

async function signatureOf(
  { workflowId, runId }: RunStatus,
  { namespace, verb, words }: Answer,
  signer: Signer,
): Promise<Words> {
  const { by = '', choice, note } = words;
  const subject = words[SUBJECT_FIELDS[verb] ?? ''] ?? '';
  const signedAt = new Date().toISOString();
  const bytes = statementBytes({ namespace, workflowId, runId, verb, subject, choice, note, by, signedAt });
  const signature = await signer.sign(bytes);
  return { key: signer.fingerprint, signedAt, signature: signature.toString('hex') };
}

/** Why this user has no key that the run would take. */
function noneOf({ signers = [], service }: RunStatus, words: Words, problems: string[]): string {
  const by = words['by'] ?? '';
  const own = signers.filter(({ name }) => isSameName(name, by)).map(({ fingerprint }) => fingerprint);
  const names = [...new Set(signers.map(({ name }) => name))].join(', ');
  const more = problems.length === 0 ? '' : ` (${problems.join('; ')})`;
  return own.length === 0
    ? `it knows no key of ${by}, only of: ${names || 'nobody'}. Give your name there with --by; or make a key with \`runbooks keys create\`, have it entered under approval.keys of ${service}, and start again: a run keeps the keys that it began with${more}`
    : `none of the keys that it knows of ${by} (${own.join(', ')}) is in your files or in ssh-agent. Look with \`runbooks keys list\`, or name a file with --key${more}`;
}
