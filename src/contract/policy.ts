import type { SignerKey } from './answer';
import type { Mode, Severity } from './modes';
import type { BreakerLimits } from './guard';
import type { PlaceLimits } from './places';

/**
 * What the configuration says about this runbook on this service, recorded at the start of a run so that a
 * changed configuration cannot change a running one. Nothing in it is secret.
 */
export interface Policy {
  service: string;
  mode: Mode;
  /** Why the mode is what it is. */
  modeReason: string;
  fourEyes: boolean;
  approvers: string[];
  /** Whether answers that let something happen must be signed. Absent in runs that began before it was recorded. */
  proof?: 'none' | 'signature';
  /** Whose signatures are taken. */
  signers?: SignerKey[];
  approvalExpiresMs: number;
  escalateAfterMs: number;
  humanWaitMs: number;
  /** Of the runbook: severity of its pages. Absent in runs that began before it was recorded. */
  priority?: Severity;
  /** Names of the rungs of the escalation ladder, first told first. */
  ladder: string[];
  environments: string[];
  soakMs: number;
  soakEveryMs: number;
  /**
   * Objectives of the service by name, for the runbooks that know them, e.g. `rtoSeconds`. In runs that began before there
   * was this place they are fields of the policy itself; the kit reads both.
   */
  objectives?: Record<string, number>;
  /** For runs that nobody started by hand. */
  breaker: BreakerLimits;
  /** False for a runbook that only coordinates others, for hours or weeks. */
  takesPlace: boolean;
  /** Of all services together: how many runs that nobody started may work at once. */
  places?: PlaceLimits;
  sickServices: number;
  /** How long a step waits for a worker of the host that it needs. Absent in runs that began before it was recorded. */
  hostLostMs?: number;
  /** How long a configured command of the service may keep a step busy. Absent in runs that began before it was recorded. */
  permittedMs?: number;
  /** Statement of the worker's clock and version, for the report. */
  workerVersion: string;
}

/** Answer of the first step of each run. */
export interface Prepared<Input> {
  title: string;
  input: Input;
  policy: Policy;
}
