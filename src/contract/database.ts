import type { Replication } from './backup';

export interface DatabaseFacts {
  database: string;
  systemIdentifier: string;
  serverVersion: string;
  /** `server_version_num`, e.g. 150018. */
  serverVersionNum: number;
  /** Major version of the client tools on the worker, e.g. 15. */
  clientMajor: number;
  role: string;
  canSeeAllRows: boolean;
  readOnly: boolean;
  sizeBytes: number;
  tables: number;
  /** Highest fencing token found at the target, 0 if it was never fenced. */
  fenceToken: number;
  longTransactions: Session[];
  /** Transactions that were prepared a while ago and are open in it: they hold their locks, and no session shows them. */
  preparedTransactions?: PreparedTransaction[];
  /** Of the slowest physical replica; null where there is none, or none whose lag can be seen. */
  maxReplicaLagSeconds: number | null;
  /** Replicas whose lag the role may not see. */
  unseenReplicas?: number;
  /** Above it no migration begins here; absent for a copy. */
  replicaLagLimitSeconds?: number;
}

export interface PreparedTransaction {
  /** As COMMIT PREPARED and ROLLBACK PREPARED want it. */
  gid: string;
  owner: string;
  preparedAt: string;
}

export interface Session {
  pid: number;
  application: string;
  user: string;
  state: string;
  ageSeconds: number;
  query: string;
}

/** What there is of a live database and its server, as a restore needs to know it. */
export interface LiveState {
  database: string;
  /** Of the database; null where there is none. Another one of the same name has another. */
  oid: string | null;
  /** Of the server that answers. */
  systemIdentifier: string;
  /** It is the server that the configuration names; otherwise a new one that is empty. */
  registered: boolean;
  /**
   * there: it can be read, wholly or in part; missing: there is none of that name; closed: it lets nobody in
   * (ALLOW_CONNECTIONS false); unreadable: it is there, and no session in it can tell what it holds.
   */
  condition: 'there' | 'missing' | 'closed' | 'unreadable';
  /** Of a database that is unreadable: what the server says. */
  why: string | null;
  /** `default_transaction_read_only` as set for the database; null where it is not. */
  readOnlySetting: string | null;
  sizeBytes: number | null;
  tables: number;
  /** Of the tables that could be counted. */
  rows: number;
  /** Tables that cannot be read, at most 20, each with the reason; `unreadableTables` is how many there are. */
  unreadable: { table: string; why: string }[];
  unreadableTables: number;
  /** Tables that were not looked at, because it would have taken too long. */
  unseenTables: number;
  /** Client sessions in it. */
  sessions: number;
  /** Transactions that were prepared and are open: nobody can rename the database before they have ended. */
  preparedTransactions: string[];
  /** It stays with the former database. Absent where the server was asked by an earlier release. */
  replication?: Replication;
  /** Highest fencing token found in it and beside it. */
  fenceToken: number;
}
