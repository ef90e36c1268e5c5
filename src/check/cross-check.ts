import { checkRoutes } from './routes';
import { checkSchedules } from './schedules';
import type { WithCatalogue } from '../catalogue/catalogue';
import { suggestion } from '../config/problem-text';
import type { Config } from '../config/schema';

/** Problems that are not within one value: names that refer to each other, inputs that a runbook would refuse. */
export function crossCheck(config: Config & WithCatalogue): string[] {
  return [...checkChannels(config), ...checkRoutes(config), ...checkSchedules(config)];
}

function checkChannels({ services }: Config): string[] {
  return Object.entries(services).flatMap(([service, { notify, escalation }]) => {
    const names = notify.map(({ name }) => name);
    const known = `known: ${names.join(', ') || 'none'}`;
    const path = `services.${service}`;
    const twice = names.filter((name, index) => names.indexOf(name) !== index);
    return [
      ...twice.map((name) => `${path}.notify: two channels are called "${name}"; a name must be its own`),
      ...notify
        .filter(({ fallback }) => fallback !== undefined && !names.includes(fallback))
        .map(
          ({ name, fallback }) =>
            `${path}.notify.${name}.fallback: no channel "${fallback}"; ${known}${suggestion(fallback ?? '', names)}`,
        ),
      ...escalation.flatMap((rung) =>
        rung.notify
          .filter((name) => !names.includes(name))
          .map(
            (name) =>
              `${path}.escalation.${rung.name}: no channel "${name}"; ${known}${suggestion(name, names)}`,
          ),
      ),
    ];
  });
}
