import type { Deployment } from '../../../src/activities/deployments/deployment-list';
import { chooseDeployment } from '../../../src/workflows/application/choose-deployment';

const made = (id: string, day: number, more: Partial<Deployment> = {}): Deployment => ({
  id,
  createdAt: `2026-11-${String(day).padStart(2, '0')}T08:00:00.000Z`,
  state: 'ready',
  current: false,
  ...more,
});
const target = (deployments: Deployment[], wanted?: string) =>
  chooseDeployment(deployments, wanted).target.id;

describe('the deployment to go back to', () => {
  it('is the newest that is older than the one in front, whatever the order of the list', () => {
    const all = [made('a', 1), made('c', 3, { current: true }), made('d', 4), made('b', 2)];
    expect(target(all)).toBe('b');
  });

  it.each([
    ['failed', { state: 'failed' as const }],
    ['is still building', { state: 'building' as const }],
    ['was itself rolled back', { rolledBackAt: '2026-11-02T09:00:00.000Z' }],
  ])('is none that %s', (_, more) => {
    expect(target([made('c', 3, { current: true }), made('b', 2, more), made('a', 1)])).toBe('a');
  });

  it('is the one that is named, also one that was rolled back before', () => {
    const all = [made('c', 3, { current: true }), made('b', 2, { rolledBackAt: 'x' }), made('a', 1)];
    expect(target(all, 'b')).toBe('b');
  });
});

describe('where there is none', () => {
  it.each([
    [
      'nothing is older',
      [made('c', 3, { current: true }), made('d', 4)],
      undefined,
      /nothing to go back to: no good deployment is older than c/,
    ],
    ['nothing is in front', [made('c', 3)], undefined, /names none that is in front/],
    ['the list is empty', [], undefined, /names none that is in front.*Deployments: none/],
    [
      'the named one does not exist',
      [made('c', 3, { current: true })],
      'x',
      /there is no deployment "x"\. Deployments: c/,
    ],
    [
      'the named one is broken',
      [made('c', 3, { current: true }), made('b', 2, { state: 'failed' })],
      'b',
      /deployment b is failed, not ready/,
    ],
  ])('because %s, the failure says so and names what there is', (_, all, wanted, message) => {
    expect(() => chooseDeployment(all, wanted)).toThrow(message);
  });
});
