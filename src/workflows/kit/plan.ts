import { sha256 } from '@noble/hashes/sha2';
import { bytesToHex } from '@noble/hashes/utils';
import type { Plan, PlannedAction } from '../../contract/report';

/** A plan before it has a hash. `facts` are bound by the hash too, e.g. the SHA-256 of a migration file. */
export interface PlanDraft {
  actions: PlannedAction[];
  warnings?: string[];
  facts?: Record<string, string | number | boolean>;
}

/** Gives a plan its hash: 12 hex digits of the SHA-256 over its canonical JSON. */
export function hashPlan(draft: PlanDraft): Plan {
  const { actions, warnings = [], facts = {} } = draft;
  const hash = bytesToHex(
    sha256(new TextEncoder().encode(canonicalJson({ actions, warnings, facts }))),
  ).slice(0, 12);
  return { hash, actions, warnings };
}

/** JSON with sorted keys, so that equal plans have equal hashes whoever wrote them. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
}
