import { targetOf } from '../../../contract/place';
import { countOf, type PlanDraft } from '../../kit';
import { describeDeployment, nameOf } from '../name-deployment';
import { applicationIn } from '../serving';
import type { Situation, Wanted } from './situation';

/** What will happen; of staging only while it is still to come. */
export function planFor(wanted: Wanted, found: Situation, withStaging: boolean): PlanDraft {
  const { place, staging, release } = wanted;
  const { current, beside, commits } = found;
  const target = applicationIn(place);
  const brings =
    commits.count === null ? [] : [`${countOf(commits.count, 'commit')} more than ${nameOf(current)}`];
  return {
    actions: [
      ...(withStaging && staging !== undefined
        ? [{ action: `deploy ${release.version} and try it`, target: targetOf(staging) }]
        : []),
      {
        action:
          beside === undefined
            ? `deploy ${release.version} beside ${nameOf(current)}`
            : `take ${describeDeployment(beside)}, which is there already`,
        target,
        detail: [`commit ${release.commit}`, ...brings, ...commits.titles].join('; '),
      },
      {
        action: `put ${release.version} in front`,
        target,
        detail: `way back: put ${describeDeployment(current)} in front again`,
      },
    ],
    warnings: warningsOf(wanted, found),
    facts: { from: current.id, version: release.version, commit: release.commit },
  };
}

/** Without figures: an approval would be void with each of them. */
function warningsOf({ staging, settings, release }: Wanted, found: Situation): string[] {
  const { current, beside, readiness, commits, migrations, symptoms, unchecked } = found;
  const { count, names, problem } = migrations;
  const more = (count ?? 0) > names.length ? ` and ${(count ?? 0) - names.length} more` : '';
  return [
    ...(symptoms.ok ? [] : ['the application is unwell already, before anything was done']),
    ...(readiness.missing.length === 0
      ? []
      : [`not configured, so nobody looked at: ${readiness.missing.join(', ')}`]),
    ...(commits.forward === false
      ? [`it lacks commits that ${nameOf(current)} has: they go away with it`]
      : []),
    ...(commits.forward === null && commits.count !== null
      ? [`whether it has every commit of ${nameOf(current)} is not known`]
      : []),
    ...(commits.count === null ? [`which commits it brings beside ${nameOf(current)} is not known`] : []),
    ...(count === null ? [`whether migrations are pending is not known: ${problem ?? 'no reason'}`] : []),
    ...(count === null || count === 0
      ? []
      : [
          `${countOf(count, 'migration')} not applied in production: ${names.join(', ')}${more}; this run applies none`,
        ]),
    ...(current.url === undefined
      ? ['the list of deployments prints no "url": nothing tries the new one before customers get it']
      : []),
    ...(staging === undefined ? ['no staging is configured: production is the first to get it'] : []),
    ...(settings.retires
      ? []
      : ['no `retire` is configured: where it fails it stays beside, without traffic']),
    ...(current.state === 'ready'
      ? []
      : [`${nameOf(current)} is ${current.state}: it may not go in front again`]),
    ...(beside?.rolledBackAt === undefined ? [] : [`${release.version} was itself rolled back before`]),
    ...unchecked,
  ];
}
