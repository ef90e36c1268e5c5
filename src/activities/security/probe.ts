import { randomBytes } from 'node:crypto';
import type { AuthenticationConfig } from '../../config/http-operation-schema';
import { targetOf } from '../../contract/place';
import { readConfiguredCommand } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';
import { problemOf } from '../support/http';
import { mapTexts } from '../support/json';
import { performOperation } from '../support/operation/perform';
import { hushed, statusOf } from './hushed';
import { secretOf } from './settings';
import { variablesOf, type SecretRef } from './versions';

/** What the application makes of a version. */
export interface Probe {
  /** Null: nobody knows, which is neither of the two. */
  accepted: boolean | null;
  detail: string;
}

const REFUSED = [401, 403];

/** Asks the application with a version, or with one that nobody made. That it cannot be asked is an answer. Changes nothing. */
export async function probeVersion(
  deps: ActivityDeps,
  { version, ...ref }: SecretRef & { version: string | null },
): Promise<Probe> {
  const { operation, command } = secretOf(deps, ref).probe;
  const action = `probe ${ref.secret} on ${targetOf(ref)}`;
  const asked = version ?? `made-up-${randomBytes(6).toString('hex')}`;
  try {
    if (command !== undefined) {
      const variables = variablesOf(ref, asked);
      const printed = await hushed(action, () => readConfiguredCommand(deps, command, variables));
      return probeOf(printed.trimEnd().split('\n').at(-1)?.trim());
    }
    const auth = authWith(operation!.auth!, version);
    await hushed(action, () =>
      performOperation(
        { ...operation!, auth },
        {
          action,
          parameters: {
            service: ref.service,
            environment: ref.environment,
            secret: ref.secret,
            version: asked,
          },
          directory: deps.config.directory,
        },
      ),
    );
    return probeOf('accepted');
  } catch (error) {
    const status = statusOf(error);
    if (operation !== undefined && status !== undefined && REFUSED.includes(status))
      return probeOf('refused');
    return { accepted: null, detail: `not known: ${problemOf(error)}` };
  }
}

function probeOf(word: string | undefined): Probe {
  if (word === 'accepted') return { accepted: true, detail: 'accepted' };
  if (word === 'refused') return { accepted: false, detail: 'refused' };
  return { accepted: null, detail: 'not known: the probe printed neither "accepted" nor "refused"' };
}

/** What names the version becomes its name; of a version that nobody made it becomes a value that nobody knows. */
function authWith(auth: AuthenticationConfig, version: string | null): AuthenticationConfig {
  const fill = (text: string): string => {
    if (!text.includes('{version}')) return text;
    return version === null ? randomBytes(24).toString('base64url') : text.replaceAll('{version}', version);
  };
  return mapTexts(auth, fill) as unknown as AuthenticationConfig;
}
