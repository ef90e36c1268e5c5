import type { Approval } from '../../contract/report';

/** How it is known who approved: a signature proves the name, a principal is the server's word, an identity the client's own. */
export function proofText({ key, identity, principal }: Approval): string {
  return [
    key === undefined ? 'claimed' : `signed by key ${key}`,
    ...(principal === undefined ? [] : [`principal ${principal}`]),
    ...(identity === undefined || identity === '' ? [] : [`identity ${identity}`]),
  ].join(', ');
}
