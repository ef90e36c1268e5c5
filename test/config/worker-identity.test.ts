import type { LoadedConfig } from '../../src/config/load';
import { configSchema } from '../../src/config/schema';
import { configDigest, digestIn, workerIdentity } from '../../src/config/worker-identity';

const KEYS = ['a', 'b'].map((letter) => Buffer.from(letter.repeat(32)).toString('base64'));
const [one, other] = KEYS as [string, string];

const withKeys = (...keys: { id: string; secret: string }[]): LoadedConfig => ({
  ...configSchema.parse({ temporal: { codec: { keys } }, services: {} }),
  file: '',
  directory: '',
});
const without: LoadedConfig = { ...configSchema.parse({ services: {} }), file: '', directory: '' };

afterEach(() => {
  delete process.env['CODEC_KEY'];
});

test('workers are told apart by the keys that they encrypt and decrypt with', () => {
  const configs = [
    without,
    withKeys({ id: 'k1', secret: one }),
    withKeys({ id: 'k1', secret: other }),
    withKeys({ id: 'k2', secret: one }),
    withKeys({ id: 'k1', secret: one }, { id: 'k2', secret: other }),
    withKeys({ id: 'k2', secret: other }, { id: 'k1', secret: one }),
  ];
  expect(new Set(configs.map(configDigest)).size).toBe(configs.length);
});

test('where a key comes from makes no difference, and what it is does', () => {
  const named = withKeys({ id: 'k1', secret: '${env:CODEC_KEY}' });
  const lacking = configDigest(named);
  process.env['CODEC_KEY'] = one;
  expect(configDigest(named)).toBe(configDigest(withKeys({ id: 'k1', secret: one })));
  process.env['CODEC_KEY'] = other;
  expect(configDigest(named)).toBe(configDigest(withKeys({ id: 'k1', secret: other })));
  expect(configDigest(named)).not.toBe(lacking);
  expect(digestIn(workerIdentity(named))).toBe(configDigest(named));
});
