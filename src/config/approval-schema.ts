/** Who may say yes. */
import { z } from 'zod';
import { isSameName } from '../contract/answer';
import { parsePublicKey } from './ssh-key';

const publicKeySchema = z
  .string()
  .superRefine((line, context) => {
    try {
      parsePublicKey(line);
    } catch (error) {
      const message = `ssh-ed25519 AAAA... comment, as ssh-keygen -t ed25519 writes it; ${(error as Error).message}`;
      context.addIssue({ code: 'custom', message });
    }
  })
  .describe(
    'the line that `runbooks keys create` or `ssh-keygen -t ed25519` wrote: ssh-ed25519 AAAA... comment',
  );

const keySchema = z.union([
  publicKeySchema,
  z.strictObject({
    key: publicKeySchema,
    expires: z.iso.date().optional().describe('not taken from that day on, in UTC: 2027-01-31'),
  }),
]);

export const approvalSchema = z
  .strictObject({
    fourEyes: z
      .boolean()
      .default(false)
      .describe(
        'whoever started a run, or triggered its schedule with `runbooks schedules run`, may not say what lets it change something',
      ),
    approvers: z
      .array(z.string())
      .default([])
      .describe(
        'names that may say yes to a plan, choose what changes something, or say that a repair is done; empty: anyone. Capitals do not count. Orders to guards are for anybody',
      ),
    proof: z
      .enum(['none', 'signature'])
      .default('none')
      .describe('signature: such an answer counts only when it is signed with a key of its name'),
    keys: z
      .record(z.string().min(1), z.array(keySchema).min(1).max(10))
      .default({})
      .describe('by name: the keys with which it signs'),
    expiresAfterMinutes: z.number().positive().default(240).describe('an expired approval is a denied one'),
    escalateAfterMinutes: z
      .number()
      .positive()
      .default(15)
      .describe(
        'nobody has answered: then the next rung is paged; the last one again, at distances that grow up to eight hours',
      ),
    humanWaitHours: z
      .number()
      .positive()
      .default(24)
      .describe(
        'how long a task stands open; a repair is asked for anew after that, from the first rung of the ladder on, for as long as it takes',
      ),
  })
  .superRefine(({ approvers, proof, keys }, context) => {
    const refuse = (path: PropertyKey[], message: string) =>
      context.addIssue({ code: 'custom', path, message });
    const names = Object.keys(keys);
    const owners = new Map<string, string>();
    for (const [name, own] of Object.entries(keys))
      own.forEach((one, index) => {
        const fingerprint = fingerprintOf(typeof one === 'string' ? one : one.key);
        const owner = owners.get(fingerprint) ?? name;
        if (owner !== name)
          refuse(['keys', name, index], `a key that is not ${owner}'s as well: a key proves one name`);
        owners.set(fingerprint, owner);
      });
    if (proof === 'none') return;
    if (names.length === 0) refuse(['keys'], 'the keys of those who answer, which proof: signature demands');
    approvers.forEach((approver, index) => {
      if (!names.some((name) => isSameName(name, approver)))
        refuse(['approvers', index], 'a name with a key under keys, which proof: signature demands');
    });
  })
  .describe('who may say yes, how that is proven, and for how long the question stands');

/** What is no key has been refused already. */
function fingerprintOf(line: string): string {
  try {
    return parsePublicKey(line).fingerprint;
  } catch {
    return line;
  }
}

export type ApprovalConfig = z.infer<typeof approvalSchema>;
