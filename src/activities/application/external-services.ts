import { environmentOf } from '../../config/load';
import { resolveSecrets, scrub } from '../../config/secrets';
import type { ApplicationConfig } from '../../config/operation-schema';
import type { ActivityDeps } from '../support/deps';
import { ask, jsonOf, problemOf } from '../support/http';
import { valueAt } from '../support/json';
import type { Place } from '../../contract/place';

/** What somebody else's status page says. */
export interface ExternalService {
  name: string;
  /** `unknown`: its page gave no answer that could be read, which says nothing about the service. */
  state: 'healthy' | 'unhealthy' | 'unknown';
  detail: string;
  /** Where its support is reached. */
  contact?: string;
}

type ServiceConfig = ApplicationConfig['externalServices'][number];

/** Asks the status pages of what the application needs from others. */
export function createExternalServiceActivities({ config }: ActivityDeps) {
  return {
    /** All of them at once. Reads only, so a retry is safe. Throws InvalidInput: unknown names, a secret that is not set. */
    async checkExternalServices({ service, environment }: Place): Promise<ExternalService[]> {
      const services = environmentOf(config, service, environment).application?.externalServices ?? [];
      return Promise.all(services.map((one) => check(one, resolveSecrets(one.url, config.directory))));
    },
  };
}

async function check(service: ServiceConfig, url: string): Promise<ExternalService> {
  const { name, contact, field, healthy, timeoutMs } = service;
  const found = { name, ...(contact === undefined ? {} : { contact }) };
  try {
    const answer = await ask({ url, timeoutMs, headers: { accept: 'application/json' } });
    // A page may answer 5xx and still say in its body what is wrong.
    const value = valueAt(jsonOf(answer), field);
    if (value === undefined || value === null || typeof value === 'object')
      return {
        ...found,
        state: 'unknown',
        detail: `answered ${answer.status} without a value at "${field}"`,
      };
    const status = scrub(String(value)).slice(0, 100);
    const ok = healthy.some((word) => word.toLowerCase() === status.toLowerCase());
    return { ...found, state: ok ? 'healthy' : 'unhealthy', detail: `says "${status}"` };
  } catch (error) {
    return { ...found, state: 'unknown', detail: `its status cannot be read: ${problemOf(error)}` };
  }
}
