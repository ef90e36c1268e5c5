import { setTimeout as sleep } from 'node:timers/promises';
import { scrub } from '../../../config/secrets';
import { targetOf, type Place } from '../../../contract/place';
import { readSource } from '../../observe/source';
import type { ActivityDeps } from '../../support/deps';
import { fail } from '../../support/failure';
import { currentActivity, withProgress } from '../../support/heartbeat';
import { isHttpFailure, jsonOf, problemOf } from '../../support/http';
import { valueAt, type Json } from '../../support/json';
import { exchange } from '../../support/operation/exchange';
import { performOperation } from '../../support/operation/perform';
import { aiWorkersOf } from '../settings';
import type { AiProviderConfig, AiWorkersConfig } from './schema';

/** What the status page of a provider says. `unknown`: nothing that could be read, which says nothing about it. */
export interface ProviderHealth {
  state: 'well' | 'unwell' | 'unknown';
  detail: string;
}

export interface Trial {
  ok: boolean;
  detail: string;
}

const POLL_MS = 5_000;

export function createAiProviderActivities(deps: ActivityDeps) {
  return {
    /**
     * Waits until `notBeforeMs`, and then until its status page says that it is well, in one event of the history however
     * long that takes. Reads only, so a retry is safe.
     */
    async awaitAiProvider({
      provider: name,
      notBeforeMs,
      untilMs,
      ...place
    }: Place & { provider: string; notBeforeMs: number; untilMs: number }): Promise<ProviderHealth> {
      const provider = providerOf(aiWorkersOf(deps, place), name);
      const { signal } = currentActivity();
      const progress = { phase: `wait for ${name}`, done: 0, total: 0, unit: 'statements' as const };
      return withProgress(progress, async (report) => {
        for (let looks = 1; ; looks += 1) {
          const left = notBeforeMs - Date.now();
          if (left > 0) await sleep(left, undefined, { signal });
          const health = await readHealth(deps, place, provider);
          if (health.state === 'well' || provider.status === undefined || Date.now() >= untilMs)
            return health;
          report({ done: looks });
          await sleep(Math.min(POLL_MS, Math.max(0, untilMs - Date.now())), undefined, { signal });
        }
      });
    },

    /**
     * The configured call, once, which costs money; a worker that is lost in the middle of it makes it again. That it fails
     * is a fact. Throws InvalidInput.
     */
    async tryAiProvider({ provider: name, ...place }: Place & { provider: string }): Promise<Trial> {
      const { trial } = providerOf(aiWorkersOf(deps, place), name);
      if (trial === undefined)
        throw fail('InvalidInput', `aiWorkers.providers has no trial for ${name}. Add it, then start again.`);
      try {
        const { detail } = await performOperation(trial, {
          action: `make a trial call at ${name} for ${targetOf(place)}`,
          parameters: { service: place.service, environment: place.environment },
          directory: deps.config.directory,
        });
        return { ok: true, detail: `${name} ${detail}` };
      } catch (error) {
        if (!isHttpFailure(error)) throw error;
        return { ok: false, detail: problemOf(error) };
      }
    },
  };
}

/** One of them. Throws InvalidInput. */
export function providerOf({ providers }: AiWorkersConfig, name: string): AiProviderConfig {
  const found = providers.find((one) => one.name === name);
  if (found !== undefined) return found;
  throw fail('InvalidInput', `"${name}" is none of aiWorkers.providers. Correct runbooks.yaml.`);
}

export async function readHealth(
  deps: ActivityDeps,
  place: Place,
  { name, status }: AiProviderConfig,
): Promise<ProviderHealth> {
  if (status === undefined) return { state: 'unknown', detail: 'no status page is configured' };
  try {
    return await exchange(
      status,
      {
        action: `read the status page of ${name}`,
        parameters: { service: place.service, environment: place.environment },
        directory: deps.config.directory,
      },
      // A page may answer 5xx and still say in its body what is wrong.
      (answer) => healthIn(status, jsonOf(answer)),
    );
  } catch (error) {
    if (!isHttpFailure(error)) throw error;
    return { state: 'unknown', detail: problemOf(error) };
  }
}

type StatusConfig = NonNullable<AiProviderConfig['status']>;

function healthIn({ field, healthy, components }: StatusConfig, json: Json): ProviderHealth {
  const said =
    components.length === 0
      ? [{ name: 'its status page', word: valueAt(json, field) }]
      : components.map((name) => ({ name, word: componentIn(json, name) }));
  const isHealthy = (word: string) => healthy.some((one) => one.toLowerCase() === word.toLowerCase());
  const known = said.flatMap(({ name, word }) => (typeof word === 'string' ? [{ name, word }] : []));
  const shown = (all: typeof known) =>
    all.map(({ name, word }) => `${name} says "${scrub(word).slice(0, 100)}"`).join('; ');
  const bad = known.filter(({ word }) => !isHealthy(word));
  if (bad.length > 0) return { state: 'unwell', detail: shown(bad) };
  if (known.length === said.length) return { state: 'well', detail: shown(known) };
  const missing = said.filter(({ word }) => typeof word !== 'string').map(({ name }) => name);
  return { state: 'unknown', detail: `its status page has no word for ${missing.join(', ')}` };
}

function componentIn(json: Json, name: string): Json | undefined {
  const list = valueAt(json, 'components');
  const found = Array.isArray(list) ? list.find((one) => valueAt(one, 'name') === name) : undefined;
  return found === undefined ? undefined : valueAt(found, 'status');
}

/** Which provider the workers use; null where nobody can tell. */
export interface Current {
  name: string | null;
  detail: string;
}

export async function readCurrent(
  deps: ActivityDeps,
  place: Place,
  { current, providers }: AiWorkersConfig,
): Promise<Current> {
  const [only, ...others] = providers;
  if (current === undefined)
    return others.length === 0
      ? { name: only!.name, detail: 'the only one' }
      : { name: null, detail: 'aiWorkers.current is not configured' };
  const action = `read the provider of ${targetOf(place)}`;
  const reading = await readSource(deps, place, current, { action });
  if (!reading.known) return { name: null, detail: reading.detail };
  const said = String(reading.value).trim();
  const name = providers.find((one) => one.name === said)?.name ?? null;
  return { name, detail: name === null ? `"${said.slice(0, 100)}" is none of aiWorkers.providers` : 'read' };
}
