import type { Activities } from '../../../activities';
import type { Probe } from '../../../activities/security/probe';
import type { SecretStatus } from '../../../activities/security/secrets';
import type { SecretRef } from '../../../activities/security/versions';
import { verificationFailed, type Run, type Verdict } from '../../kit';
import { untilSettled } from '../until-settled';

/** A secret, and how long the application may take to notice what becomes of it. */
export type Settling = SecretRef & Pick<SecretStatus, 'settleMs'>;

/** A probe that cannot tell a version from one that nobody made would prove nothing afterwards. Before anything is changed. */
export async function trustProbe(run: Run, ref: Settling, active: string): Promise<void> {
  const { secret } = ref;
  await run.verify(
    `The probe of ${secret} refuses what nobody made`,
    (act) => act.probeSecretVersion({ ...nameOf(ref), version: null }),
    (probe) => mustBe(probe, false),
  );
  await run.verify(
    `The version of ${secret} in use is accepted`,
    (act) => act.probeSecretVersion({ ...nameOf(ref), version: active }),
    (probe) => mustBe(probe, true),
  );
}

/** Waits for as long as the application may take. */
export async function verifyProbe(
  run: Run,
  ref: Settling,
  version: string,
  accepted: boolean,
): Promise<void> {
  await run.verify(
    `${ref.secret}: ${version} is ${accepted ? 'accepted' : 'refused'}`,
    (act) => untilProbe(act, ref, version, accepted),
    (probe) => mustBe(probe, accepted),
  );
}

/** The same for a way back, which fails where it does not hold. */
export async function needAccepted(act: Activities, ref: Settling, version: string): Promise<Probe> {
  const probe = await untilProbe(act, ref, version, true);
  if (probe.accepted !== true)
    throw verificationFailed(`${ref.secret}: ${version} is accepted: ${probe.detail}`);
  return probe;
}

function untilProbe(act: Activities, ref: Settling, version: string, accepted: boolean): Promise<Probe> {
  return untilSettled(
    () => act.probeSecretVersion({ ...nameOf(ref), version }),
    (probe) => probe.accepted === accepted,
    ref.settleMs,
  );
}

function mustBe({ accepted, detail }: Probe, wanted: boolean): Verdict {
  return {
    ok: accepted === wanted,
    detail: accepted === wanted ? detail : `${detail}, and should be ${wanted ? 'accepted' : 'refused'}`,
  };
}

export function nameOf({ service, environment, secret }: SecretRef): SecretRef {
  return { service, environment, secret };
}
