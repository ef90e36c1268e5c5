import type { ValidationReport } from '../../contract/backup';
import type { InvariantResult } from '../../contract/migration';
import { type Check, type Place, targetOf } from '../../contract/place';
import { countOf } from '../../contract/text';
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
  if (results.length === 0) return { ok: true, detail: 'not checked: none is configured' };
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
      checks.length === 0 ? { ok: true, detail: 'not checked: none is configured' } : allHold(checks),
  );
}

/** The service's own smoke test against an environment, where one is configured. */
export async function verifySmoke(run: Run, place: Place): Promise<void> {
  await run.verify(
    `Smoke test of ${targetOf(place)}`,
    (act) => act.runServiceCommand({ ...place, command: 'smoke' }),
    ({ ran, detail }) => ({ ok: true, detail: ran ? detail : 'not run: none is configured' }),
  );
}

/** What nothing will look at after a change: a warning for the plan, or nothing. The `log` is for those who compare it. */
export async function uncheckedOf(run: Run, place: Place, compared = { log: false }): Promise<string[]> {
  const where = targetOf(place);
  const { health, errorRate, smoke, logs } = await run.step(
    `What looks at ${where}?`,
    (act) => act.listChecks(place),
    {
      describe: (found) =>
        [
          countOf(found.health, 'health check'),
          found.errorRate ? 'the error rate' : 'no error rate',
          found.smoke ? 'a smoke test' : 'no smoke test',
        ].join(', '),
    },
  );
  const missing = [
    ...(health === 0 ? ['health check'] : []),
    ...(errorRate ? [] : ['error rate']),
    ...(smoke ? [] : ['smoke test']),
    ...(compared.log && logs === false ? ['errors in the log'] : []),
  ];
  if (missing.length === 0) return [];
  run.fact(`notConfiguredFor ${where}`, missing.join(', '));
  return [`nothing is configured to notice that ${where} broke by: ${missing.join(', ')}`];
}
