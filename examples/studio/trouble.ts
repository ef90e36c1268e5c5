/** Symptoms to practise on, made for real. Each says what ends it. */
import { withClient } from '../shared/database';
import { deployVersion } from '../shared/deployments';
import { needVariable, runTroubles, stackFolder, type Trouble } from '../shared/trouble';
import { BAD_RELEASE } from './drafts';
import { setSwitches } from './switches';

const STRIPE_ENDS = 'ends with trouble stripe-well, and replayStripeEvents for what is missing';
const AI_ENDS = 'ends with trouble ai-well';

export const TROUBLES: Record<string, Trouble> = {
  'bad-release': {
    usage: `recoverAutosave rolls it back. Release ${BAD_RELEASE} needs a column that no migration has added`,
    make: async () => {
      const { id, version } = deployVersion(stackFolder(), BAD_RELEASE);
      console.log(`${version} is in front as ${id}, and every save fails`);
    },
  },
  'autosave-fails': {
    usage: 'ends with trouble autosave-works, and recoverAutosave for what is lost',
    make: async () => {
      await asOwner('REVOKE UPDATE ON documents FROM studio_app');
      console.log('the application may not write documents any more, and every save fails');
    },
  },
  'autosave-works': {
    usage: 'ends autosave-fails',
    make: async () => {
      await asOwner('GRANT UPDATE ON documents TO studio_app');
      console.log('the application may write documents again');
    },
  },
  'conflicting-drafts': {
    usage: '--count 2; recoverAutosave ends it',
    make: async ({ count }) => {
      const documents = await conflict(Math.min(count, 20));
      console.log(
        `documents ${documents.join(', ')} were each written in two tabs, and one of them was refused`,
      );
    },
  },
  'lost-events': {
    usage: '--count 12; replayStripeEvents ends it',
    make: async ({ count }) => {
      const events = await atStripe<string[]>('POST', `/lose/${Math.min(count, 50)}`);
      console.log(`Stripe could not deliver ${events.length} events, and has given up`);
    },
  },
  'wrong-secret': {
    usage: STRIPE_ENDS,
    make: async () => {
      setSwitches(stackFolder(), { wrongWebhookSecret: true });
      console.log('the application refuses whatever Stripe sends: it has another signing secret');
    },
  },
  'endpoint-off': {
    usage: STRIPE_ENDS,
    make: async () => {
      await atStripe('PUT', '/endpoint/disabled');
      console.log('Stripe has switched the webhook endpoint off, and delivers nothing');
    },
  },
  'stripe-well': {
    usage: 'ends wrong-secret and endpoint-off',
    make: async () => {
      setSwitches(stackFolder(), { wrongWebhookSecret: false });
      await atStripe('PUT', '/endpoint/enabled');
      console.log('Stripe delivers, and the application takes it');
    },
  },
  'subscription-drift': {
    usage: '--count 3; replayStripeEvents ends it',
    make: async ({ count }) => {
      const renewed = await atStripe<string[]>('POST', `/renew/${Math.min(count, 50)}`);
      await asOwner(
        `UPDATE subscriptions SET current_period_end = now() - interval '1 day' WHERE stripe_subscription_id = ANY($1)`,
        [renewed],
      );
      console.log(
        `${renewed.join(', ')} began anew a day ago, and the application thinks that they are over`,
      );
    },
  },
  'ai-down': {
    usage: AI_ENDS,
    make: () => provider('down', 'openai answers 503, and its status page says so'),
  },
  'ai-limited': {
    usage: AI_ENDS,
    make: () => provider('limited', 'openai answers 429: too many requests'),
  },
  'ai-slow': {
    usage: AI_ENDS,
    make: () => provider('slow', 'openai takes a minute to answer, longer than a job may take'),
  },
  'ai-well': {
    usage: 'ends ai-down, ai-limited and ai-slow',
    make: async () => {
      setSwitches(stackFolder(), { provider: 'openai', slower: false });
      await provider('well', 'openai answers, and is asked again');
    },
  },
};

async function asOwner(statement: string, values: unknown[] = []): Promise<void> {
  await withClient(needVariable('STUDIO_PRODUCTION_URL'), (client) => client.query(statement, values));
}

/** Two tabs of one writer open the same version of a document; the second one to save is refused, and gives up. */
async function conflict(count: number): Promise<string[]> {
  const url = `${needVariable('STUDIO_APP_URL')}/api/documents`;
  const ids = await withClient(needVariable('STUDIO_PRODUCTION_URL'), async (client) => {
    const { rows } = await client.query<{ id: string }>(
      'SELECT id FROM documents ORDER BY updated_at LIMIT $1',
      [count],
    );
    return rows.map(({ id }) => id);
  });
  for (const id of ids) {
    const { content, version } = (await (await fetch(`${url}/${id}`)).json()) as {
      content: string;
      version: number;
    };
    for (const [session, expected] of [
      ['laptop', 200],
      ['phone', 409],
    ] as const) {
      const { status } = await fetch(`${url}/${id}/autosave`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ base: version, content: `${content} Written on the ${session}.`, session }),
      });
      if (status !== expected)
        throw new Error(`the save of the ${session} was answered with ${status}, expected ${expected}`);
    }
  }
  return ids;
}

async function atStripe<T>(method: string, path: string): Promise<T> {
  return ask<T>(
    method,
    `${needVariable('STUDIO_STRIPE_CONTROL_URL')}${path}`,
    needVariable('STUDIO_STRIPE_KEY'),
  );
}

async function provider(mood: string, what: string): Promise<void> {
  await ask(
    'PUT',
    `${needVariable('STUDIO_PROVIDERS_URL')}/moods/openai/${mood}`,
    needVariable('STUDIO_AI_KEY'),
  );
  console.log(what);
}

async function ask<T>(method: string, url: string, token: string): Promise<T> {
  const answer = await fetch(url, { method, headers: { authorization: `Bearer ${token}` } });
  if (!answer.ok) throw new Error(`${method} ${url} is answered with ${answer.status}`);
  return (await answer.json()) as T;
}

if (require.main === module) void runTroubles(TROUBLES);
