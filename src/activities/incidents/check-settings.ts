import { patternProblem } from '../../config/pattern';
import { inputProblems } from '../../catalogue/input-problems';
import { suggestion } from '../../config/problem-text';
import type { WithCatalogue } from '../../catalogue/catalogue';
import type { Config } from '../../config/schema';
import { incidentOf } from './settings';

/** Problems of the runbooks that incidents start: unknown names, inputs they would refuse, patterns that are none. */
export function checkIncidents(config: Config & WithCatalogue): string[] {
  return Object.entries(config.services).flatMap(([service, settings]) =>
    incidentOf(settings).runbooks.flatMap(({ match, runbook, input }, index) => {
      const path = `services.${service}.incident.runbooks.${index}`;
      return [
        ...checkMatch(match, path),
        ...checkRunbook(config, runbook, { service, startedBy: 'incident', ...input }, path),
      ];
    }),
  );
}

function checkMatch(match: Record<string, string>, path: string): string[] {
  const entries = Object.entries(match);
  if (entries.length === 0)
    return [`${path}.match: a rule needs a label or \`finding\`, else it matches everything`];
  return entries.flatMap(([name, pattern]) => {
    const problem = patternProblem(pattern);
    return problem === undefined ? [] : [`${path}.match.${name}: ${problem}`];
  });
}

function checkRunbook(
  config: Config & WithCatalogue,
  name: string,
  input: Record<string, unknown>,
  path: string,
): string[] {
  const card = config.catalogue.cardOf(name);
  if (card === undefined) {
    const near = suggestion(
      name,
      config.catalogue.cards.map((one) => one.name),
    );
    return [`${path}.runbook: there is no runbook "${name}"; known: ${config.catalogue.names}${near}`];
  }
  if (card.coordinates === true) return [`${path}.runbook: an incident cannot start ${name}`];
  return inputProblems(card, config, input).map((problem) => `${path}.input.${problem}`);
}
