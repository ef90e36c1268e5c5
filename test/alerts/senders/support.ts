import { createHmac } from 'node:crypto';
import { alertSchema } from '../../../src/catalogue/alert-schema';
import { readJson } from '../../../src/alerts/read-body';
import type { Delivery, Headers, ParseContext, Sender, Verified } from '../../../src/alerts/sender';
import type { AlertAuthConfig } from '../../../src/config/alert-schema';
import type { Alert } from '../../../src/contract/alert';

export const NOW_MS = Date.parse('2026-11-21T03:05:00Z');
export const NOW_SECONDS = NOW_MS / 1_000;
export const SKEW_SECONDS = 300;
export const OPTIONS = { skewMs: SKEW_SECONDS * 1_000, resolve: (text: string) => text };

/** Hex HMAC-SHA256 over the parts, one after the other. */
export function sign(secret: string, ...parts: (string | Buffer)[]): string {
  const mac = createHmac('sha256', secret);
  for (const part of parts) mac.update(part);
  return mac.digest('hex');
}

export function delivery(body: unknown, headers: Headers = {}, receivedAtMs = NOW_MS): Delivery {
  const raw = Buffer.isBuffer(body)
    ? body
    : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  return { headers, body: raw, receivedAtMs };
}

/** Reads a body as the intake does, and checks that what comes out is in the normal form. */
export function parse(
  sender: Sender,
  body: unknown,
  headers: Headers = {},
  context: Partial<ParseContext> = {},
): Alert[] {
  const alerts = sender.parse(readJson(delivery(body).body), headers, { source: 'monitoring', ...context });
  return alerts.map((alert) => alertSchema.parse(alert));
}

/** The only alert of a body. */
export function parseOne(...args: Parameters<typeof parse>): Alert {
  const alerts = parse(...args);
  expect(alerts).toHaveLength(1);
  return alerts[0]!;
}

export interface Proof {
  sender: Sender;
  auth: (secrets: string[]) => AlertAuthConfig;
  /** Headers that prove a delivery with this secret. */
  prove: (secret: string, body: Buffer, seconds?: number) => Record<string, string>;
  /** Name of the header with the proof, lower case. */
  header: string;
  /** Whether the proof is over the body. */
  signed?: boolean;
  /** Whether a time is signed. */
  timed?: boolean;
  /** Whether the header is a list, in which the same proof may stand twice. */
  list?: boolean;
}

const OLD = 'the-secret-until-yesterday';
const NEW = 'the-secret-from-tomorrow-on-which-is-longer';
const BODY = delivery({ hello: 'wörld' }).body;
const UNSIGNED_HEADERS = {
  'request-id': '1',
  'x-github-delivery': '2',
  'x-webhook-id': '3',
  'sentry-hook-timestamp': '4',
};

/** What holds for every way of proving who one is. */
export function itBelievesOnlyProofs(name: string, proof: Proof): void {
  const { sender, auth, prove, header } = proof;
  const verify = (headers: Headers, secrets = [OLD, NEW], body = BODY): Verified =>
    sender.verify(delivery(body, headers), auth(secrets), OPTIONS);
  const refused = (status = 401) => ({ ok: false, status, why: expect.not.stringMatching(/the-secret/) });
  const proven = prove(OLD, BODY);
  const changed = (change: (value: string) => string): Headers => ({
    ...proven,
    [header]: change(proven[header]!),
  });

  describe(`proved by ${name}`, () => {
    it('is believed with each of the secrets while one is being replaced, and not with a retired one', () => {
      expect(verify(prove(OLD, BODY))).toMatchObject({ ok: true });
      expect(verify(prove(NEW, BODY))).toMatchObject({ ok: true });
      expect(verify(prove(OLD, BODY), [NEW])).toEqual(refused());
    });

    it('is refused without a proof, and with a wrong one', () => {
      expect(verify({})).toEqual(refused());
      expect(verify({ ...proven, [header]: undefined })).toEqual(refused());
      expect(verify({ ...proven, [header]: '' })).toEqual(refused());
      expect(verify(prove('some-other-secret', BODY))).toEqual(refused());
    });

    it('is refused with a proof of another length', () => {
      expect(verify(changed((value) => value.slice(0, -1)))).toEqual(refused());
      expect(verify(changed((value) => `${value}0`))).toEqual(refused());
      expect(verify(changed((value) => `${value}${value.slice(-2)}`))).toEqual(refused());
      expect(verify(changed((value) => 'x'.repeat(value.length)))).toEqual(refused());
    });

    it('is refused with characters beyond ASCII in the proof', () => {
      expect(verify(changed((value) => `${value}é`))).toEqual(refused());
      expect(verify(changed((value) => `${value.slice(0, -1)}é`))).toEqual(refused());
      // Cut to one byte each of these is the right character.
      const shifted = (text: string) =>
        text.replace(/[^=]/g, (character) => String.fromCharCode(character.charCodeAt(0) + 0x100));
      expect(verify(changed((value) => value.replace(/[^ =]+=*$/, shifted)))).toEqual(refused());
    });

    it(`${proof.list ? 'may have' : 'is refused with'} its header twice`, () => {
      const twice = verify(changed((value) => `${value}, ${value}`));
      expect(twice).toEqual(proof.list ? expect.objectContaining({ ok: true }) : refused());
      expect(verify(changed((value) => `${value}, ${prove('other', BODY)[header]}`)).ok).toBe(
        proof.list === true,
      );
    });

    it('is refused when a secret of the configuration is empty, whatever it proves', () => {
      const empty = { ...OPTIONS, resolve: () => '' };
      expect(() => sender.verify(delivery(BODY, prove('', BODY)), auth(['${file:empty}']), empty)).toThrow(
        '${file:empty} cannot be resolved: it is empty',
      );
    });

    it('is refused under an authentication that this kind of source does not have', () => {
      const other: AlertAuthConfig =
        auth([OLD]).kind === 'signature'
          ? { kind: 'bearer', tokens: [OLD] }
          : { kind: 'signature', secrets: [OLD] };
      expect(sender.verify(delivery(BODY, proven), other, OPTIONS)).toEqual(refused());
    });

    if (proof.signed) itIsBoundToTheBody(proof);
    else {
      it('asks for no memory of its deliveries: the same body may rightly come again', () => {
        expect(verify(proven)).toEqual({ ok: true, deliveryId: null });
      });
    }
    if (proof.timed) itIsBoundToTheTime(proof);
  });
}

function itIsBoundToTheBody({ sender, auth, prove }: Proof): void {
  const verify = (headers: Headers, body: Buffer) =>
    sender.verify(delivery(body, headers), auth([OLD, NEW]), OPTIONS);

  it('is refused with the proof of another body, also of one that reads the same', () => {
    const spaced = Buffer.from(JSON.stringify(JSON.parse(BODY.toString()), null, 1));
    expect(verify(prove(OLD, BODY), spaced)).toMatchObject({ ok: false, status: 401 });
    expect(verify(prove(OLD, BODY), Buffer.concat([BODY, Buffer.from(' ')]))).toMatchObject({ ok: false });
    expect(verify(prove(OLD, BODY), Buffer.alloc(0))).toMatchObject({ ok: false });
  });

  it('is recognised when it comes again, with whatever headers that are not signed', () => {
    const first = verify({ ...prove(OLD, BODY), ...UNSIGNED_HEADERS }, BODY);
    const again = verify(
      { ...prove(OLD, BODY), 'request-id': 'another', 'x-github-delivery': 'another' },
      BODY,
    );
    const other = Buffer.from('{"hello":"moon"}');
    const another = verify({ ...prove(OLD, other), ...UNSIGNED_HEADERS }, other);
    expect(first).toEqual({ ok: true, deliveryId: expect.stringMatching(/^[\w-]{43}$/) });
    expect(again).toEqual(first);
    expect(another).not.toEqual(first);
  });
}

function itIsBoundToTheTime({ sender, auth, prove, header }: Proof): void {
  const verifyAt = (seconds: number) =>
    sender.verify(delivery(BODY, prove(OLD, BODY, seconds)), auth([OLD, NEW]), OPTIONS);

  it('is believed up to the edges of the window, and refused beyond them to both sides', () => {
    expect(verifyAt(NOW_SECONDS - SKEW_SECONDS)).toMatchObject({ ok: true });
    expect(verifyAt(NOW_SECONDS + SKEW_SECONDS)).toMatchObject({ ok: true });
    expect(verifyAt(NOW_SECONDS - SKEW_SECONDS - 1)).toEqual({
      ok: false,
      status: 403,
      why: expect.stringMatching(/301 s in the past/),
    });
    expect(verifyAt(NOW_SECONDS + SKEW_SECONDS + 1)).toEqual({
      ok: false,
      status: 403,
      why: expect.stringMatching(/301 s in the future/),
    });
  });

  it('is refused when its time was changed, or is no time', () => {
    const old = prove(OLD, BODY, NOW_SECONDS - 3_600);
    const refreshed = Object.fromEntries(
      Object.entries(old).map(([name, value]) => [
        name,
        value.replace(String(NOW_SECONDS - 3_600), String(NOW_SECONDS)),
      ]),
    );
    expect(refreshed).not.toEqual(old);
    const verify = (headers: Headers) => sender.verify(delivery(BODY, headers), auth([OLD]), OPTIONS);
    expect(verify(refreshed)).toMatchObject({ ok: false, status: 401 });
    // Right signatures over what is no time: Infinity would be in every window of a careless comparison.
    for (const seconds of [NaN, Infinity, -NOW_SECONDS, NOW_SECONDS + 0.5, NOW_MS * 1_000]) {
      expect(verify(prove(OLD, BODY, seconds))).toMatchObject({ ok: false, status: 403 });
    }
    expect(verify({ [header]: prove(OLD, BODY)[header]!.replace(/t=\d+,/, '') })).toMatchObject({
      ok: false,
      status: 401,
    });
  });

  it('has another identity when the sender signs the same body anew', () => {
    const [one, other] = [verifyAt(NOW_SECONDS), verifyAt(NOW_SECONDS + 1)];
    expect(one).toMatchObject({ ok: true });
    expect(other).toMatchObject({ ok: true });
    expect(one).not.toEqual(other);
  });
}

export const bearer = (sender: Sender): Proof => ({
  sender,
  auth: (tokens) => ({ kind: 'bearer', tokens }),
  prove: (token) => ({ authorization: `Bearer ${token}` }),
  header: 'authorization',
});

export const basic = (sender: Sender): Proof => ({
  sender,
  auth: (passwords) => ({ kind: 'basic', username: 'monitor', passwords }),
  prove: (password) => ({
    authorization: `Basic ${Buffer.from(`monitor:${password}`).toString('base64')}`,
  }),
  header: 'authorization',
});

export const ownHeader = (sender: Sender): Proof => ({
  sender,
  auth: (values) => ({ kind: 'header', name: 'X-Monitor-Key', values }),
  prove: (value) => ({ 'x-monitor-key': value }),
  header: 'x-monitor-key',
});

export const hmac = (sender: Sender): Proof => ({
  sender,
  auth: (secrets) => ({ kind: 'hmac', secrets, header: 'X-Signature', prefix: 'sha256=' }),
  prove: (secret, body) => ({ 'x-signature': `sha256=${sign(secret, body)}` }),
  header: 'x-signature',
  signed: true,
});

export const timedHmac = (sender: Sender): Proof => ({
  sender,
  auth: (secrets) => ({
    kind: 'hmac',
    secrets,
    header: 'X-Grafana-Alerting-Signature',
    prefix: '',
    timestampHeader: 'X-Grafana-Alerting-Timestamp',
  }),
  prove: (secret, body, seconds = NOW_SECONDS) => ({
    'x-grafana-alerting-timestamp': String(seconds),
    'x-grafana-alerting-signature': sign(secret, `${seconds}:`, body),
  }),
  header: 'x-grafana-alerting-signature',
  signed: true,
  timed: true,
});
