import type { ApprovalConfig } from '../config/approval-schema';
import { distinctNames, isSameName } from '../contract/answer';

/** Why nobody, or not everybody that is named, can say yes to a run that begins now; or nothing. */
export function approversProblem(
  { approvers, keys, proof, fourEyes }: ApprovalConfig,
  nowMs = Date.now(),
): string | undefined {
  const signed = proof === 'signature';
  if (!signed && approvers.length === 0) return undefined;
  const named = distinctNames(approvers.length === 0 ? Object.keys(keys) : approvers);
  const canSign = (name: string) =>
    Object.entries(keys).some(
      ([owner, own]) => isSameName(owner, name) && own.some((key) => counts(key, nowMs)),
    );
  const left = signed ? named.filter(canSign) : named;
  const expired = named.filter((name) => !left.includes(name));
  const problems = [
    ...(expired.length === 0 ? [] : [`the keys of ${expired.join(', ')} have expired`]),
    ...(left.length === 0 ? ['nobody can approve anything'] : []),
    ...(left.length === 1 && fourEyes ? [`with fourEyes nobody can approve what ${left[0]} starts`] : []),
  ];
  return problems.length === 0 ? undefined : problems.join('; ');
}

function counts(key: ApprovalConfig['keys'][string][number], nowMs: number): boolean {
  return typeof key === 'string' || key.expires === undefined || Date.parse(key.expires) > nowMs;
}
