import fc from 'fast-check';
import type { Headers, SenderKind } from '../../src/alerts/sender';
import { senders } from '../../src/alerts/senders';
import { samples } from './senders/bodies';
import { basic, bearer, hmac, NOW_SECONDS, ownHeader, sign, timedHmac, type Proof } from './senders/support';

type Way = Pick<Proof, 'auth' | 'prove'>;

const signature = (prove: Proof['prove']): Way[] => [
  { auth: (secrets) => ({ kind: 'signature', secrets }), prove },
];

/** Every way in which a kind of sender can prove itself. */
export const proofs: Record<SenderKind, Way[]> = {
  alertmanager: [bearer, basic].map((way) => way(senders.alertmanager)),
  grafana: [bearer, basic, hmac, timedHmac].map((way) => way(senders.grafana)),
  opsgenie: [ownHeader, bearer, basic].map((way) => way(senders.opsgenie)),
  datadog: [ownHeader, bearer, basic].map((way) => way(senders.datadog)),
  generic: [ownHeader, bearer, basic, hmac, timedHmac].map((way) => way(senders.generic)),
  sentry: signature((secret, body) => ({ 'sentry-hook-signature': sign(secret, body) })),
  pagerduty: signature((secret, body) => ({ 'x-pagerduty-signature': `v1=${sign(secret, body)}` })),
  github: signature((secret, body) => ({ 'x-hub-signature-256': `sha256=${sign(secret, body)}` })),
  stripe: signature((secret, body, seconds = NOW_SECONDS) => ({
    'stripe-signature': `t=${seconds},v1=${sign(secret, `${seconds}.`, body)}`,
  })),
};

const PROOF_HEADERS = [
  'authorization',
  'x-monitor-key',
  'x-signature',
  'x-grafana-alerting-signature',
  'x-grafana-alerting-timestamp',
  'sentry-hook-signature',
  'x-pagerduty-signature',
  'x-hub-signature-256',
  'stripe-signature',
];
const forgedValue = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.constantFrom(
    'Bearer ',
    'Bearer undefined',
    'Basic Og==',
    'v1=',
    'sha256=',
    `t=${NOW_SECONDS},v1=`,
    `t=${NOW_SECONDS},v1=${'0'.repeat(64)}`,
    `v1=${'0'.repeat(64)}`,
    '0'.repeat(64),
    String(NOW_SECONDS),
    '__proto__',
  ),
);

/** What the sender says a body is about, sometimes something else; with headers that prove nothing. */
export function headersOfSamples(kind: SenderKind): fc.Arbitrary<Headers> {
  const real = fc.constantFrom(
    ...samples.filter((sample) => sample.kind === kind).map(({ headers }) => headers),
  );
  const about = fc
    .constantFrom('issues', 'constructor', 'alerts', 'installation', 'star', 'length')
    .map((word): Headers => ({ 'x-github-event': word, 'sentry-hook-resource': word }));
  const forged = fc.dictionary(fc.constantFrom(...PROOF_HEADERS), forgedValue, { maxKeys: 3 });
  return fc
    .tuple(fc.oneof({ weight: 5, arbitrary: real }, { weight: 1, arbitrary: about }), forged)
    .map(([said, lies]): Headers => ({ ...lies, ...said }));
}
