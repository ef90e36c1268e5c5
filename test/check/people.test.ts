import { checkAll } from '../../src/check/connections';
import { configSchema } from '../../src/config/schema';

const away = (): Promise<never> => Promise.reject(new Error('no Temporal here'));

/** What `check` says of the people of a service. */
async function saysOf(service: object): Promise<(string | undefined)[]> {
  const production = {
    database: {
      url: 'postgresql://127.0.0.1:1/shop',
      identity: { systemIdentifier: '7300000000000000001', database: 'shop' },
    },
  };
  const shop = { environments: { production }, ...service };
  const config = { ...configSchema.parse({ services: { shop } }), file: '', directory: '' };
  const line = (await checkAll(config, away)).find(({ what }) => what === 'shop people');
  return [line?.state, line?.detail];
}

const notify = [{ kind: 'webhook', name: 'chat', url: 'http://127.0.0.1:1/' }];

it('a service without a channel, or without a ladder, is warned of: nobody would hear of an approval', async () => {
  expect(await saysOf({})).toEqual(['warning', expect.stringMatching(/^no channel .*: nobody is told/)]);
  expect(await saysOf({ notify })).toEqual(['warning', expect.stringMatching(/^no ladder .* every channel/)]);
  const escalation = [{ name: 'on call', notify: ['chat'] }];
  expect(await saysOf({ notify, escalation })).toEqual([undefined, undefined]);
});
