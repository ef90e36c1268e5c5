import type { Outdated } from '../../../contract/dependencies';
import { countOf, digest, type PlanDraft, type Run, runbook } from '../../kit';
import type { reviewDependenciesCard } from './card';
import { auditText, fixLines, outdatedText, unfixable, updateLines } from './lists';

interface Review {
  audit: Awaited<ReturnType<typeof auditNow>>;
  outdated: Outdated | null;
}

/** Finds out which packages are vulnerable or outdated, and has people told. It installs nothing. */
export const reviewDependencies = runbook<typeof reviewDependenciesCard>(
  'reviewDependencies',
  async ({ service }, run) => {
    let found = await look(run, service);
    let fresh = true;
    await run.gate(async () => {
      if (!fresh) found = await look(run, service);
      fresh = false;
      return planFor(run, service, found);
    });
    const { audit } = found;
    const words = wordsOf(service, found);
    if (audit.opens) {
      const { detail } = await run.exclusively(targetOf(service), (fence) =>
        run.step('Open it', (act) => act.openDependencyUpdate({ service, ...words, fence }), {
          kind: 'mutate',
          undo: { irreversible: `a pull request or an issue is open: ${words.title}` },
          describe: (opened) => opened.detail,
        }),
      );
      const mends = fixLines(audit).length > 0;
      const until = mends ? '. They stay vulnerable until that is merged and deployed' : '';
      return `${auditText(audit)}; opened: ${detail}${until}`;
    }
    await run.task(`${words.title}\n${words.body}`);
    const after = await auditNow(run, service, 'Audit again');
    run.fact('vulnerableAfter', after.total);
    return `done, as was said; now ${auditText(after)}`;
  },
);

function targetOf(service: string): string {
  return `${service}/dependencies`;
}

async function auditNow(run: Run, service: string, title: string) {
  return run.step(title, (act) => act.auditDependencies({ service }), {
    kind: 'long',
    undo: 'read-only',
    describe: auditText,
  });
}

async function look(run: Run, service: string): Promise<Review> {
  const audit = await auditNow(run, service, 'Audit the packages');
  const outdated = await run.step('Which are outdated?', (act) => act.listOutdated({ service }), {
    kind: 'long',
    undo: 'read-only',
    describe: outdatedText,
  });
  run.fact('vulnerable', audit.total);
  if (outdated !== null) run.fact('outdated', outdated.total);
  return { audit, outdated };
}

function planFor(run: Run, service: string, { audit, outdated }: Review): PlanDraft {
  const fixes = fixLines(audit);
  const updates = updateLines(outdated);
  const open = unfixable(audit);
  if (fixes.length === 0 && updates.length === 0)
    return run.nothingToDo(
      `${auditText(audit)}${open.length === 0 ? '' : `, none with a fix yet (${open.slice(0, 10).join(', ')})`}; ${outdatedText(outdated)}`,
    );
  const how = audit.opens ? 'open a pull request or an issue' : 'a task for a person';
  const about = (action: string, lines: string[]) =>
    lines.length === 0
      ? []
      : [{ action: `${how}: ${action}`, target: targetOf(service), detail: lines.join('\n') }];
  return {
    actions: [...about('security fixes', fixes), ...about('updates within their ranges', updates)],
    warnings: [
      ...(open.length === 0 ? [] : [`no fix yet for: ${open.slice(0, 20).join(', ')}`]),
      ...((outdated?.absent ?? 0) === 0
        ? []
        : [
            `${countOf(outdated?.absent ?? 0, 'package')} not installed in that folder: whether they are outdated is not known`,
          ]),
      ...(outdated === null ? ['no `outdated` is configured: only vulnerabilities were looked for'] : []),
    ],
  };
}

/** The key is that of the list: a run that finds the same asks for the same issue. */
function wordsOf(service: string, { audit, outdated }: Review): { title: string; body: string; key: string } {
  const fixes = fixLines(audit);
  const updates = updateLines(outdated);
  const part = (heading: string, lines: string[]): string[] =>
    lines.length === 0 ? [] : [heading, ...lines.map((line) => `- ${line}`)];
  const body = [
    ...part('Security fixes, the worst first:', fixes),
    ...part('Updates within their ranges:', updates),
    ...part('Without a fix yet:', unfixable(audit).slice(0, 20)),
  ].join('\n');
  return { title: `Update the packages of ${service}: ${auditText(audit)}`, body, key: digest(body) };
}
