/** What `runbooks up --example <name>` starts on the embedded stack: one service of its own, with its runbooks.yaml. */
export interface Example {
  /** Of its folder and of its service. */
  name: string;
  /** One line: what it is, e.g. `Travel: quotes, holds and bookings; queues in Redis, a search index`. */
  title: string;
  /** Servers that it needs beside PostgreSQL. */
  needs: readonly 'redis'[];
  /** Creates its databases, writes runbooks.yaml, starts its servers. What it has started when it throws, it stops. */
  start(parts: ExampleParts): Promise<RunningExample>;
}

export interface ExampleParts {
  /** Of a superuser of the cluster for all its databases. */
  adminUrl: string;
  /** Where `needs` names it. */
  redisUrl?: string;
  /** Gets runbooks.yaml, and all that the example keeps. */
  directory: string;
  /** Where its people are told: a channel is a webhook to `<inboxUrl>/<name>`. */
  inboxUrl: string;
  progress: (doing: string) => void;
}

export interface RunningExample {
  /** Complete but for where Temporal is and the port of the intake, which the stack sets. */
  configFile: string;
  /** What the worker and the example's own programs need. Secrets. */
  environment: Record<string, string>;
  /** What can be looked at with a browser or curl: label, URL. */
  addresses: Record<string, string>;
  /** Compiled program that makes symptoms for real: `trouble <name>` in the shell of whoever tries it. */
  trouble: string;
  /** Lines to paste: the first trouble, and the alert or the command that starts the run which ends it. `$RUNBOOKS_ALERTS_URL/<source>` takes alerts. */
  firstSteps: string[];
  stop(): Promise<void>;
}
