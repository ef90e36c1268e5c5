import type { AlertAuthConfig, AlertSourceConfig, GenericMapping } from '../config/alert-schema';
import type { Alert } from '../contract/alert';

/** Lower-case names; a header that came several times is joined with ", ", as Node does. */
export type Headers = Readonly<Record<string, string | undefined>>;

/** One request as it came, before anything in it is believed. */
export interface Delivery {
  headers: Headers;
  /** The raw bytes: a signature is over these and not over what they were parsed to. */
  body: Buffer;
  receivedAtMs: number;
}

/** Whether a delivery comes from who it says. `why` is for our log and never names a secret. */
export type Verified =
  | {
      ok: true;
      /**
       * To look up in the replay store, and to remember there once the delivery is dealt with: a digest of what was
       * signed. Null where nothing is signed, and the same body may rightly come again.
       */
      deliveryId: string | null;
    }
  /** 401: no proof, or a wrong one. 403: the right proof at the wrong time. */
  | { ok: false; status: 401 | 403; why: string };

export interface VerifyOptions {
  /** How far a signed time may be off, to both sides. */
  skewMs: number;
  /** Resolves `${env:X}` and `${file:X}`; throws `MissingSecret`. */
  resolve: (text: string) => string;
}

export interface ParseContext {
  /** Name of the source in the configuration. */
  source: string;
  /** Of a generic source: where in the body the fields are. */
  mapping?: GenericMapping;
}

/** What is known of one kind of sender: how it proves itself, and how its bodies read. */
export interface Sender {
  /** Throws only `MissingSecret`. Until this says ok the body must not be parsed. */
  verify(delivery: Delivery, auth: AlertAuthConfig, options: VerifyOptions): Verified;
  /** The alerts in a body; none for pings and for what is no alert. Throws `BadAlert`. */
  parse(body: unknown, headers: Headers, context: ParseContext): Alert[];
}

export type SenderKind = AlertSourceConfig['kind'];

/** Thrown when a body cannot be read as the sender's alert; the message names field, got, wanted. */
export class BadAlert extends Error {
  /** HTTP status of the answer. */
  readonly status = 400;
  constructor(message: string) {
    super(message);
    this.name = 'BadAlert';
  }
}
