/** What npm says about the packages of a repository. */

/** The worst first. */
export const VULNERABILITY_SEVERITIES = ['critical', 'high', 'moderate', 'low', 'info'] as const;
export type VulnerabilitySeverity = (typeof VULNERABILITY_SEVERITIES)[number];

export interface Vulnerability {
  name: string;
  severity: VulnerabilitySeverity;
  /** What is wrong, as far as it is this package's own. */
  titles: string[];
  /** Of the repository itself, and not of one of its packages. */
  direct: boolean;
  /** What mends it; null where nothing does yet. `version` is absent where it fits into the ranges of today. */
  fix: { name: string; version?: string; major: boolean } | null;
}

export interface Audit {
  total: number;
  bySeverity: Partial<Record<VulnerabilitySeverity, number>>;
  /** The worst first; not all where there are very many. */
  worst: Vulnerability[];
}

export interface Outdated {
  total: number;
  /** How many of them the ranges of today let in. */
  inRange: number;
  /** Not installed in that folder: how old they are is not known. */
  absent: number;
  /** Those within their range first; not all where there are very many. */
  packages: { name: string; current: string; wanted: string; latest: string }[];
}
