import type { ValidationReport } from '../../contract/backup';
import type { InvariantResult } from '../../contract/migration';
import { type Check, type Place, targetOf } from '../../contract/place';
import type { Run, Verdict } from '../kit';

/** All checks must hold, and there must be some: an empty report proves nothing. */
export function allHold(report: ValidationReport | Check[]): Verdict {
  const checks = Array.isArray(report) ? report : report.checks;
  const failed = checks.filter((check) => !check.ok);
  if (failed.length > 0)
    return { ok: false, detail: failed.map(({ name, detail }) => `${name}: ${detail}`).join('; ') };
  if (!Array.isArray(report) && checks.length === 0) return { ok: false, detail: 'nothing was checked' };
  return { ok: true, detail: `${checks.length} checks hold` };
}

export function invariantsHold(results: InvariantResult[]): Verdict {
  const broken = results.filter((result) => !result.ok);
  if (broken.length === 0) return { ok: true, detail: `${results.length} invariants hold` };
  return {
    ok: false,
    detail: broken
      .map(({ name, violations, sample }) => `${name}: ${violations} violations, e.g. ${sample}`)
      .join('; '),
  };
}

/** Health of the application in front of an environment, where one is configured. */
export async function verifyHealth(run: Run, place: Place): Promise<void> {
  await run.verify(
    `Health of ${targetOf(place)}`,
    (act) => act.checkHealth(place),
    (checks) =>
      checks.length === 0 ? { ok: true, detail: 'no health endpoint configured' } : allHold(checks),
  );
}
