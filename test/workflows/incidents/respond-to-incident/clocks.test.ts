import type { IncidentRecord } from '../../../../src/contract/incident';
import {
  climb,
  nextClock,
  startClocks,
  updateEveryMs,
  type Clocks,
} from '../../../../src/workflows/incidents/respond-to-incident/clocks';
import { HOUR, INCIDENT_POLICY, MINUTE } from './harness';

const record = (part: Partial<IncidentRecord> = {}) => ({ severity: 'P0', ...part }) as IncidentRecord;
const acknowledged = { by: 'ben', at: '2026-11-21T03:00:00Z' };

/** The moments, in minutes, at which a P0 rings within `hours` when nobody does anything. */
function ringsOf(name: string, hours: number, incident: IncidentRecord): number[] {
  const clocks = startClocks(0);
  const rings: number[] = [];
  for (;;) {
    const { name: rang, at } = nextClock(INCIDENT_POLICY, incident, clocks);
    if (at > hours * HOUR) return rings;
    if (rang === name) rings.push(at / MINUTE);
    if (rang === 'update')
      Object.assign(clocks, { updatedAt: at, automaticUpdates: clocks.automaticUpdates + 1 });
    else if (rang !== 'check') {
      climb(clocks, rang, 3, at);
      if (rang === 'escalate') clocks.escalatedAt = at;
    }
  }
}

describe('the clocks of an incident', () => {
  it('ring for the acknowledgement, the ladder and the updates, whatever comes first', () => {
    expect(nextClock(INCIDENT_POLICY, record(), startClocks(0))).toEqual({
      name: 'acknowledge',
      at: 5 * MINUTE,
    });
    expect(nextClock(INCIDENT_POLICY, record({ acknowledged }), startClocks(0))).toEqual({
      name: 'update',
      at: 15 * MINUTE,
    });
    const clocks: Clocks = { ...startClocks(0), updatedAt: 29 * MINUTE, checkAt: 31 * MINUTE };
    expect(nextClock(INCIDENT_POLICY, record({ acknowledged }), clocks)).toEqual({
      name: 'escalate',
      at: 30 * MINUTE,
    });
    expect(nextClock(INCIDENT_POLICY, record({ acknowledged, severity: 'P1' }), clocks).name).toBe('check');
  });

  it('escalate P0 after 30 minutes and P1 after 2 hours, whoever has acknowledged', () => {
    expect(ringsOf('escalate', 2, record({ acknowledged }))).toEqual([30, 60, 90]);
    expect(ringsOf('escalate', 5, record({ acknowledged, severity: 'P1' }))).toEqual([120, 240]);
  });

  it('call the last rung at growing distances, at least once a day', () => {
    const rings = ringsOf('escalate', 24 * 14, record({ acknowledged }));
    expect(rings.length).toBeLessThan(25);
    expect(rings.at(-1)).toBeGreaterThan(24 * 60 * 12);
  });

  it('tell of a P0 every 15 minutes for two days, then every four hours, so that an open incident cannot fill its history', () => {
    const updates = ringsOf('update', 24 * 42, record({ acknowledged }));
    expect(updates.filter((at) => at <= 48 * 60)).toHaveLength(192);
    expect(updates.length).toBeLessThan(192 + 41 * 6);
    const many = { ...startClocks(0), automaticUpdates: 10_000 };
    expect(updateEveryMs(INCIDENT_POLICY, record({ severity: 'P3' }), many)).toBe(
      INCIDENT_POLICY.updateMs.P3,
    );
  });
});
