import type { Approval } from '../../contract/report';
import type { MessageRecord } from '../../contract/run-history';

/** How it is known who approved: a signature proves the name, a principal is the server's word, an identity the client's own. */
export function proofText(approval: Approval): string {
  const { key } = approval;
  return [key === undefined ? 'claimed' : `signed by key ${key}`, ...senderOf(approval)].join(', ');
}

/** The name that a message gives itself, and what is known beside it. */
export function senderText(message: MessageRecord): string {
  const known = senderOf(message).filter((one) => one !== `identity ${message.by}`);
  return known.length === 0 ? message.by : `${message.by} (${known.join(', ')})`;
}

function senderOf({ identity = '', principal }: Pick<MessageRecord, 'identity' | 'principal'>): string[] {
  return [
    ...(principal === undefined ? [] : [`principal ${principal}`]),
    ...(identity === '' ? [] : [`identity ${identity}`]),
  ];
}
