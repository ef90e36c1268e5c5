import { ApplicationFailure } from '@temporalio/workflow';
import type { SecretStatus } from '../../../activities/security/secrets';
import { targetOf, type Fence, type Place } from '../../../contract/place';
import { applicationIn } from '../../application/serving';
import { verifyHealth, verifySmoke } from '../../database/checks';
import type { Run } from '../../kit';
import { needAccepted, nameOf, trustProbe, verifyProbe, type Settling } from './probes';
import { untilRetired, type Wanted } from './plan';

/** A secret whose new version is in use, and what is still to be retired. */
export interface BroughtIn {
  status: SecretStatus;
  version: string;
  formers: string[];
  /** In milliseconds since 1970. */
  retireAt: number;
}

/** Has the application use a new version, or leaves it with the former one. Returns what is to be retired, and when. */
export async function bringIn(
  run: Run,
  place: Place,
  wanted: Wanted,
  { version, graceMs }: { version: string; graceMs: number },
): Promise<BroughtIn> {
  const { secret, active, accepted, overlap } = wanted;
  const ref: Settling = { ...place, secret, settleMs: wanted.settleMs };
  const formers = [active.version, ...accepted].filter((one) => one !== version);
  return run.exclusively(applicationIn(place), async (fence) => {
    await stillInUse(run, ref, active.version);
    await trustProbe(run, ref, active.version);
    await add(run, ref, version, fence);
    if (overlap) await verifyBoth(run, ref, version, active.version);
    await use(run, ref, version, active.version, fence);
    if (overlap) await verifyBoth(run, ref, version, active.version);
    else {
      await verifyProbe(run, ref, version, true);
      await verifyProbe(run, ref, active.version, false);
    }
    await stillInUse(run, ref, version);
    await verifyHealth(run, place);
    await verifySmoke(run, place);
    // Within the lease: after it there is no way back to a swap.
    if (!overlap) await retire(run, ref, formers, wanted, fence);
    const left = overlap ? formers : [];
    return {
      status: wanted,
      version,
      formers: left,
      retireAt: Date.now() + (overlap ? untilRetired(wanted, graceMs) : 0),
    };
  });
}

async function verifyBoth(run: Run, ref: Settling, version: string, former: string): Promise<void> {
  await verifyProbe(run, ref, version, true);
  await verifyProbe(run, ref, former, true);
}

/** Others may have rotated it while this run waited for people, for its lease, or for tokens to end. */
export async function stillInUse(run: Run, ref: Settling, version: string): Promise<SecretStatus> {
  const { secret } = ref;
  const { known, unknown } = await run.step(
    `Which version of ${secret} is in use?`,
    (act) => act.readSecrets({ service: ref.service, environment: ref.environment, secrets: [secret] }),
    { describe: ({ known: [one] }) => one?.active.version ?? 'not known' },
  );
  const [now] = known;
  if (now === undefined)
    throw ApplicationFailure.nonRetryable(unknown[0]?.detail ?? 'nobody knows', 'SecretUnknown');
  if (now.active.version === version) return now;
  throw ApplicationFailure.nonRetryable(
    `${secret} of ${targetOf(ref)}: ${now.active.version} is in use, and not ${version}; somebody else has changed it. Look who, then start again`,
    'SecretChanged',
  );
}

async function add(run: Run, ref: Settling, version: string, fence: Fence): Promise<void> {
  const { secret } = ref;
  const title = `Add a version of ${secret}`;
  const change = { ...nameOf(ref), version, fence };
  await run.step(title, (act) => act.addSecretVersion(change), {
    kind: 'mutate',
    undo: {
      title: `Retire ${version} of ${secret}`,
      back: () =>
        run.step(`Retire ${version} of ${secret}`, (act) => act.retireSecretVersion(change), {
          kind: 'mutate',
          undo: { takesBack: title },
          describe: ({ detail }) => detail,
        }),
    },
    describe: ({ existed }) => (existed ? `${version} is there already, and is used` : `${version} added`),
  });
}

async function use(run: Run, ref: Settling, version: string, former: string, fence: Fence): Promise<void> {
  const { secret } = ref;
  const title = `Use ${version} of ${secret}`;
  const back = async (): Promise<void> => {
    await run.step(
      `Use ${former} of ${secret} again`,
      (act) => act.activateSecretVersion({ ...nameOf(ref), version: former, fence }),
      { kind: 'mutate', undo: { takesBack: title }, describe: ({ detail }) => detail },
    );
    await seeAccepted(run, ref, former);
  };
  await run.step(title, (act) => act.activateSecretVersion({ ...nameOf(ref), version, fence }), {
    kind: 'mutate',
    undo: { title: `Use ${former} of ${secret} again`, back },
    describe: ({ detail }) => detail,
  });
}

/** Part of a way back. */
async function seeAccepted(run: Run, ref: Settling, former: string): Promise<void> {
  await run.step(`${ref.secret}: ${former} is accepted again`, (act) => needAccepted(act, ref, former), {
    describe: ({ detail }) => detail,
  });
}

/** Has the application refuse them, and makes sure of it. */
export async function retire(
  run: Run,
  ref: Settling,
  formers: string[],
  { canRestore }: Pick<SecretStatus, 'canRestore'>,
  fence: Fence,
): Promise<void> {
  for (const former of formers) {
    const change = { ...nameOf(ref), version: former, fence };
    const title = `Retire ${former} of ${ref.secret}`;
    const restore = `Accept ${former} of ${ref.secret} again`;
    const back = async (): Promise<void> => {
      await run.step(restore, (act) => act.restoreSecretVersion(change), {
        kind: 'mutate',
        undo: { takesBack: title },
        describe: ({ detail }) => detail,
      });
      await seeAccepted(run, ref, former);
    };
    await run.step(title, (act) => act.retireSecretVersion(change), {
      kind: 'mutate',
      undo: canRestore
        ? { title: restore, back }
        : { irreversible: `${former} of ${ref.secret} was retired` },
      describe: ({ detail }) => detail,
    });
    await verifyProbe(run, ref, former, false);
  }
}
