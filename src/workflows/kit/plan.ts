import { sha256 } from '@noble/hashes/sha2';
import { bytesToHex } from '@noble/hashes/utils';
import type { Plan, PlannedAction } from '../../contract/report';

/** A plan before it has a hash. `facts` are bound by the hash too, e.g. the SHA-256 of a migration file. */
export interface PlanDraft {
  actions: PlannedAction[];
  warnings?: string[];
  facts?: Record<string, string | number | boolean>;
}

/** Gives a plan its hash. */
export function hashPlan(draft: PlanDraft): Plan {
  const { actions, warnings = [], facts = {} } = draft;
  return { hash: digest({ actions, warnings, facts }), actions, warnings };
}

/** A plan with all that its hash is made of: one that people can compare is too short to keep two apart on purpose. */
export interface ExactPlan {
  plan: Plan;
  text: string;
}

/** Of this moment, whatever becomes of the draft. */
export function exactly({ actions, warnings = [], facts = {} }: PlanDraft): ExactPlan {
  return { plan: hashPlan({ actions, warnings, facts }), text: canonicalJson({ actions, warnings, facts }) };
}

/** 12 hex digits of the SHA-256 over the canonical JSON of `value`: equal for equal values, whoever wrote them. */
export function digest(value: unknown): string {
  return bytesToHex(sha256(new TextEncoder().encode(canonicalJson(value)))).slice(0, 12);
}

/** JSON with sorted keys, so that equal plans have equal hashes whoever wrote them. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
}
