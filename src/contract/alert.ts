/**
 * One alert in the normal form that every sender's body is parsed to. It is part of a run's input, so it is bounded, and
 * holds nothing of the request that came with it.
 */
export interface Alert {
  /** Name of the source in the configuration. */
  source: string;
  /** What stays the same while it is the same problem. */
  fingerprint: string;
  /** ISO time at which this episode began; null where the sender does not say. */
  startsAt: string | null;
  status: 'firing' | 'resolved';
  /** The sender's word, lower case; empty when it has none. */
  severity: string;
  title: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  link: string | null;
}

/** What the intake tells a run about its alert, at most once a minute. */
export interface AlertNotice {
  status: 'firing' | 'resolved';
  /** Deliveries since the last notice. */
  count: number;
  /** ISO time at which the newest of what fires began, where a sender says so. */
  startsAt?: string;
  /** What is new about it in words, where a run says so. */
  news?: string;
  /** ISO time. */
  at: string;
}
