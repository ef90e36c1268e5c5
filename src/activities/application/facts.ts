import { environmentOf } from '../../config/load';
import { resolveSecrets } from '../../config/secrets';
import type { ActivityDeps } from '../support/deps';
import { ask, isOk, jsonOf, problemOf, type HttpAnswer } from '../support/http';
import { numberAt, shortened, type Json } from '../support/json';
import type { Place } from '../../contract/place';

export type ApplicationEndpoint =
  | 'detailedHealth'
  | 'connectionLimit'
  | 'slowQueries'
  | 'queryRecommendations'
  | 'queryStats'
  | 'rateLimitStatus';

/** What an endpoint of the application said about itself. */
export interface ApplicationAnswer {
  /** False: the configuration has no such endpoint, and nothing was asked. */
  configured: boolean;
  /** It answered 2xx with JSON in time. */
  ok: boolean;
  status: number | null;
  /** The JSON, also of a 5xx; long lists and texts are cut, secrets removed. Null where there was none. */
  body: Json;
  detail: string;
}

/** The application's own pool of connections. Null: the application does not say. */
export interface PoolFacts {
  max: number | null;
  used: number | null;
  waiting: number | null;
  detail: string;
  /** Whether the configuration has the commands. */
  canSetMax: boolean;
  canRestart: boolean;
}

/** Reads what the application says about itself. Changes nothing, so a retry is safe. */
export function createApplicationFactsActivities(deps: ActivityDeps) {
  const applicationOf = ({ service, environment }: Place) =>
    environmentOf(deps.config, service, environment).application;

  /**
   * Asks one configured endpoint. An application in trouble often answers late, or 5xx with the reason in the body: that
   * is a fact and no error, so this throws only InvalidInput (unknown names, a secret that is not set).
   */
  async function readApplication(input: Place & { what: ApplicationEndpoint }): Promise<ApplicationAnswer> {
    const endpoint = applicationOf(input)?.[input.what];
    const nothing = { ok: false, status: null, body: null };
    if (endpoint === undefined)
      return { ...nothing, configured: false, detail: `no ${input.what} configured` };
    const { directory } = deps.config;
    const url = resolveSecrets(endpoint.url, directory);
    const headers = Object.fromEntries(
      Object.entries(endpoint.headers).map(([name, value]) => [name, resolveSecrets(value, directory)]),
    );
    try {
      return { configured: true, ...(await read(url, headers, endpoint.timeoutMs)) };
    } catch (error) {
      return { ...nothing, configured: true, detail: problemOf(error) };
    }
  }

  return {
    readApplication,

    /** How full the application's own pool is, from its `connectionLimit` endpoint. Throws InvalidInput. */
    async readPool(place: Place): Promise<PoolFacts> {
      const application = applicationOf(place);
      const fields = application?.connectionLimit?.fields;
      const { body, detail } = await readApplication({ ...place, what: 'connectionLimit' });
      const read = (path: string | undefined) => (path === undefined ? null : numberAt(body, path));
      const [max, used] = [read(fields?.poolMax), read(fields?.poolUsed)];
      const known = max !== null && used !== null;
      const unknown = body === null ? detail : `${detail}, without numbers of a pool`;
      return {
        max,
        used,
        waiting: read(fields?.poolWaiting),
        detail: known ? `${used} of ${max} connections of the pool are in use` : unknown,
        canSetMax: application?.setPoolMax !== undefined,
        canRestart: application?.restart !== undefined,
      };
    },
  };
}

async function read(url: string, headers: Record<string, string>, timeoutMs: number) {
  const answer = await ask({ url, headers, timeoutMs });
  const json = parse(answer);
  const detail = `answered ${answer.status}${json === undefined ? ', but no JSON' : ''}`;
  const body = json === undefined ? null : shortened(json);
  return { ok: isOk(answer) && json !== undefined, status: answer.status, body, detail };
}

function parse(answer: HttpAnswer): Json | undefined {
  try {
    return jsonOf(answer);
  } catch {
    return undefined;
  }
}
