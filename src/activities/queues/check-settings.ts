import { suggestion } from '../../config/problem-text';
import type { Config } from '../../config/schema';
import type { Environment } from './settings';

/** Sections that are about one queue, which `queues` must have. */
const OF_ONE_QUEUE = ['search', 'aiWorkers'] as const;

/** Problems of the queues that other sections name. */
export function checkQueues({ services }: Config): string[] {
  return Object.entries(services).flatMap(([service, { environments }]) =>
    Object.entries(environments).flatMap(([name, environment]) =>
      checkEnvironment(environment as Environment, `services.${service}.environments.${name}`),
    ),
  );
}

function checkEnvironment(environment: Environment, path: string): string[] {
  const names = environment.queues?.names.map(({ name }) => name);
  const wantedBy = [
    ...OF_ONE_QUEUE.map((section) => [section, environment[section]?.queue] as const),
    ['queues.holds', environment.queues?.holds?.queue] as const,
  ];
  return wantedBy.flatMap(([section, wanted]) => {
    if (wanted === undefined || names?.includes(wanted) === true) return [];
    const known =
      names === undefined
        ? `${path}.queues is missing, which says where it is`
        : `known: ${names.join(', ')}${suggestion(wanted, names)}`;
    return [`${path}.${section}.queue: no queue "${wanted}" in queues.names; ${known}`];
  });
}
