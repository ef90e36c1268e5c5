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
  maxReplicaLagSeconds: number | null;
}

export interface Session {
  pid: number;
  application: string;
  user: string;
  state: string;
  ageSeconds: number;
  query: string;
}
