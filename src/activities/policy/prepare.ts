import { environmentOf, serviceOf, UnknownName, type LoadedConfig } from '../../config/load';
import type { CommandConfig, ServiceConfig } from '../../config/schema';
import type { WithCatalogue } from '../../catalogue/catalogue';
import { shardsFor } from '../../contract/places';
import { parsePublicKey } from '../../config/ssh-key';
import type { SignerKey } from '../../contract/answer';
import type { Policy, Prepared } from '../../contract/policy';
import type { Card } from '../../catalogue/card';
import { describeInput } from '../../catalogue/input-problems';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { VERSION } from '../../config/version';
import { lower, type Mode } from '../../contract/modes';

/** The first step of every run. Reads only the configuration, so a retry is safe. */
export function createPrepareActivities({ config, catalogue }: ActivityDeps & WithCatalogue) {
  return {
    /** Parses the input of a run and resolves what the configuration says about it. Throws InvalidInput. */
    async prepare({
      runbook,
      input,
    }: {
      runbook: string;
      input: unknown;
    }): Promise<Prepared<Record<string, unknown>>> {
      const card = catalogue.cardOf(runbook);
      if (card === undefined) throw fail('InvalidInput', `this worker has no runbook called ${runbook}`);
      const parsed = parseInput(card, input);
      try {
        const {
          service: name,
          mode,
          startedBy,
        } = parsed as { service: string; mode?: Mode; startedBy: string };
        const service = serviceOf(config, name);
        const { environment } = parsed as { environment?: string };
        if (environment !== undefined) environmentOf(config, name, environment);
        const policy = {
          ...policyOf(card, name, service, mode),
          ...limitsOf(config),
          hostLostMs: config.worker.hostLostSeconds * 1_000,
        };
        if (policy.fourEyes && startedBy === 'unknown') {
          throw fail(
            'InvalidInput',
            `startedBy is missing: ${name} demands four eyes, so the run must know who started it`,
          );
        }
        return { title: card.title, input: parsed, policy };
      } catch (error) {
        if (error instanceof UnknownName) throw fail('InvalidInput', error.message);
        throw error;
      }
    },
  };
}

/** Parses an input with a runbook's schema. The message names every field with what it got and what was wanted. */
export function parseInput(card: Card, input: unknown): Record<string, unknown> {
  const parsed = card.input.safeParse(input ?? {});
  if (parsed.success) return parsed.data;
  const problems = describeInput(card, parsed.error.issues, input ?? {});
  throw fail('InvalidInput', `bad input for ${card.name}: ${problems.join('; ')}`);
}

type Limits = Pick<Policy, 'places' | 'sickServices'>;

function limitsOf({ limits, services }: LoadedConfig): Limits {
  const { maxConcurrent: alerts, maxConcurrentScheduled: schedules, sickServices } = limits;
  const shards = shardsFor(Object.keys(services).length, alerts, schedules);
  return { places: { alerts, schedules, shards }, sickServices };
}

function policyOf(
  card: Card,
  name: string,
  service: ServiceConfig,
  asked: Mode | undefined,
): Omit<Policy, keyof Limits> {
  const { approval, restore, environments, breaker } = service;
  const application = environments['production']?.application;
  return {
    service: name,
    ...lowestMode(card, service, asked),
    fourEyes: approval.fourEyes,
    approvers: approval.approvers,
    proof: approval.proof,
    signers: signersOf(approval),
    approvalExpiresMs: approval.expiresAfterMinutes * 60_000,
    escalateAfterMs: approval.escalateAfterMinutes * 60_000,
    humanWaitMs: approval.humanWaitHours * 3_600_000,
    priority: card.priority,
    ladder: service.escalation.map((rung) => rung.name),
    environments: Object.keys(environments),
    soakMs: application === undefined ? 0 : application.soakSeconds * 1_000,
    soakEveryMs: (application?.soakEverySeconds ?? 10) * 1_000,
    objectives: {
      rtoSeconds: restore.rtoMinutes * 60,
      rpoSeconds: restore.rpoMinutes * 60,
      backupMaxAgeSeconds: (service.backups?.maxAgeHours ?? 26) * 3_600,
      ...(service.backups?.provenMaxAgeHours === undefined
        ? {}
        : { provenMaxAgeSeconds: service.backups.provenMaxAgeHours * 3_600 }),
    },
    breaker: {
      windowMs: breaker.windowMinutes * 60_000,
      maxRecurrences: breaker.maxRecurrences,
      cooldownMs: breaker.cooldownMinutes * 60_000,
      flapLimit: breaker.flapLimit,
      maxConcurrent: breaker.maxConcurrent,
    },
    permittedMs: permittedMs(service),
    takesPlace: card.coordinates !== true,
    workerVersion: VERSION,
  };
}

function signersOf({ keys }: ServiceConfig['approval']): SignerKey[] {
  return Object.entries(keys).flatMap(([name, own]) =>
    own.map((one) => {
      const { key, expires } = typeof one === 'string' ? { key: one, expires: undefined } : one;
      const { raw, fingerprint } = parsePublicKey(key);
      return {
        name,
        fingerprint,
        publicKey: raw.toString('hex'),
        ...(expires === undefined ? {} : { expiresAt: new Date(expires).toISOString() }),
      };
    }),
  );
}

/** Twice the longest command: an attempt waits for the one before it. */
function permittedMs(section: unknown): number {
  if (section === null || typeof section !== 'object') return 0;
  const { run, timeoutSeconds } = section as Partial<CommandConfig>;
  if (Array.isArray(run) && timeoutSeconds !== undefined) return 2 * timeoutSeconds * 1_000;
  return Math.max(0, ...Object.values(section).map(permittedMs));
}

/** The lowest of what the input asks, what the configuration allows, and what the runbook itself allows here. */
function lowestMode(
  card: Card,
  service: ServiceConfig,
  asked: Mode | undefined,
): { mode: Mode; modeReason: string } {
  const allowed = service.modes[card.name];
  const candidates: { mode: Mode; modeReason: string }[] = [
    {
      mode: allowed ?? service.mode,
      modeReason: allowed === undefined ? "the service's highest mode" : 'configured for this runbook',
    },
  ];
  if (asked !== undefined) candidates.push({ mode: asked, modeReason: 'asked for by the input' });
  const cap = card.capMode?.(service);
  if (cap !== undefined) candidates.push(cap);
  return candidates.reduce((low, one) => (lower(one.mode, low.mode) === low.mode ? low : one));
}
