import { activityInfo } from '@temporalio/activity';
import type { SecretsFound, SecretStatus } from '../../../src/activities/security/secrets';
import { fail } from '../../../src/activities/support/failure';
import { startTestEnvironment, type TestEnvironment } from '../../../src/doors/testing';
import { databaseOfNobody } from '../database-of-nobody';

type State = 'active' | 'accepted' | 'retired';

/** One secret of an application, by the names of its versions. */
export interface FakeSecret {
  versions: Record<string, State>;
  overlap: boolean;
  graceMs: number;
  canRestore: boolean;
}

export interface FakeSecrets {
  secrets: Record<string, FakeSecret>;
  unknown: SecretsFound['unknown'];
  /** What the application makes of a version; undefined: what it should. */
  probe: (secret: string, version: string | null, did: string[]) => boolean | null | undefined;
  /** Before the versions of one secret are read. */
  onRead: (world: FakeSecrets) => void;
  smoke: () => boolean;
  retires: boolean;
  /** Changes in their order, and when they were made. */
  did: string[];
  at: Record<string, number>;
  said: string[];
}

export const secret = (more: Partial<FakeSecret> = {}): FakeSecret => ({
  ...{ versions: { old: 'active' }, overlap: true, graceMs: 1_800_000, canRestore: true, ...more },
});

export const fakeSecrets = (): FakeSecrets => ({
  ...{ secrets: { key: secret() }, unknown: [], probe: () => undefined, onRead: () => undefined },
  ...{ smoke: () => true, retires: true, did: [], at: {}, said: [] },
});

/** One for each test: what a run holds that hangs keeps no other one waiting. */
export const SERVICES = Array.from({ length: 60 }, (_, index) => `shop-${index}`);
const service = { mode: 'auto', environments: { production: { database: databaseOfNobody } } };

interface Change {
  secret: string;
  version: string;
}

/** The runbook with a store and an application of this process, whose time is skipped. */
export async function startFakeSecrets(world: () => FakeSecrets): Promise<TestEnvironment> {
  const nowMs = () => activityInfo().currentAttemptScheduledTimestampMs;
  /** Versions of the run have a day in their names. */
  const shown = (version: string) => (/^\d{8}-/.test(version) ? 'new' : version);
  const did = (what: string, { secret: name, version }: Change) => {
    const line = `${what} ${shown(version)} of ${name}`;
    world().did.push(line);
    world().at[line] = nowMs();
    return { detail: line };
  };
  const versionsOf = ({ secret: name }: Change) => world().secrets[name]!.versions;
  const statusOf = (name: string): SecretStatus => {
    const { versions, overlap, graceMs, canRestore } = world().secrets[name]!;
    const active = Object.keys(versions).find((one) => versions[one] === 'active')!;
    return {
      ...{ secret: name, ageMs: 100 * 86_400_000, maxAgeMs: 90 * 86_400_000, settleMs: 1_000 },
      ...{ overlap, graceMs, canRestore },
      active: { version: active, createdAt: '2026-01-01T00:00:00.000Z', state: 'active' },
      accepted: Object.keys(versions).filter((one) => versions[one] === 'accepted'),
    };
  };
  return startTestEnvironment({
    packs: [],
    timeSkipping: true,
    config: { services: Object.fromEntries(SERVICES.map((name) => [name, service])) },
    activities: {
      readSecrets: async ({ secrets }: { secrets?: string[] }): Promise<SecretsFound> => {
        if (secrets !== undefined) world().onRead(world());
        const known = (secrets ?? Object.keys(world().secrets)).map(statusOf);
        return { known, unknown: secrets === undefined ? world().unknown : [] };
      },
      addSecretVersion: async (change: Change) => {
        did('add', change);
        versionsOf(change)[change.version] = 'accepted';
        return { existed: false };
      },
      activateSecretVersion: async (change: Change) => {
        const versions = versionsOf(change);
        for (const one of Object.keys(versions)) if (versions[one] === 'active') versions[one] = 'accepted';
        versions[change.version] = 'active';
        return did('use', change);
      },
      retireSecretVersion: async (change: Change) => {
        if (world().retires) versionsOf(change)[change.version] = 'retired';
        return did('retire', change);
      },
      restoreSecretVersion: async (change: Change) => {
        versionsOf(change)[change.version] = 'accepted';
        return did('restore', change);
      },
      probeSecretVersion: async ({ secret: name, version }: { secret: string; version: string | null }) => {
        const { versions, overlap } = world().secrets[name]!;
        const state = version === null ? undefined : versions[version];
        const said = world().probe(name, version === null ? null : shown(version), world().did);
        const accepted = said === undefined ? state === 'active' || (overlap && state === 'accepted') : said;
        return { accepted, detail: accepted === null ? 'not known' : accepted ? 'accepted' : 'refused' };
      },
      listChecks: async () => ({ health: 0, errorRate: false, smoke: true }),
      checkHealth: async () => [],
      runServiceCommand: async () => {
        if (!world().smoke()) throw fail('CommandFailed', 'the smoke test failed');
        return { ran: true, detail: 'well', durationMs: 1 };
      },
      announce: async ({ text }: { text: string }) => {
        world().said.push(text);
        return { told: ['chat'], problems: [] };
      },
    },
  });
}
