import { judgeSeverity } from '../../../../src/workflows/incidents/respond-to-incident/severity';
import { ILL, INCIDENT_POLICY, WELL } from './harness';

const judge = (words: { given?: string; alert?: string }, measured = WELL, policy = {}) =>
  judgeSeverity({ ...INCIDENT_POLICY, ...policy }, words, measured);
const late = (band: 'info' | 'critical') => ({
  name: 'latency-p95',
  value: 3,
  band,
  ok: false,
  windowMs: 0,
  detail: `latency-p95 is ${band}`,
});
const down = { ...ILL, health: ILL.health.map((one) => ({ ...one, ok: false })), errorRate: null };

describe('the severity of a new incident', () => {
  it.each([
    [{ given: 'P3' }, WELL, 'P3', 'reported as P3'],
    [{ given: 'Critical' }, WELL, 'P0', 'reported as Critical'],
    [{ alert: 'warning' }, WELL, 'P2', 'the alert says warning'],
    [{ given: 'low', alert: 'critical' }, WELL, 'P3', 'reported as low, the alert says critical'],
    [{}, WELL, 'P2', 'nothing speaks for another one'],
    [{}, ILL, 'P1', '1 of 2 health checks fail'],
    [{}, down, 'P0', '2 of 2 health checks fail'],
    [{}, { ...WELL, errorRate: 0.2 }, 'P1', 'error rate 20.00 % is above the band "critical"'],
    [{}, { ...WELL, errorRate: 0.07 }, 'P2', 'error rate 7.00 % is above the band "warning"'],
    [{}, { ...WELL, measures: [late('critical')] }, 'P1', 'latency-p95 is critical'],
    [{}, { ...WELL, measures: [late('info')] }, 'P2', 'nothing speaks for another one'],
  ])('is, for %j, the worst of what was said and measured', (words, measured, severity, reason) => {
    expect(judge(words, measured)).toEqual({ severity, reason });
  });

  it('is never milder than what is measured, whatever was said', () => {
    expect(judge({ given: 'P3', alert: 'info' }, down).severity).toBe('P0');
  });

  it('turns nothing away because of an unknown word', () => {
    expect(judge({ given: 'sev-9' })).toEqual({
      severity: 'P2',
      reason: 'nothing speaks for another one; "sev-9" is no word of the scale of this service',
    });
  });

  it("takes the words of a service's own scale", () => {
    const severities = { ...INCIDENT_POLICY.severities, p1: 'P0' as const, 'booking-down': 'P0' as const };
    expect(judge({ given: 'p1' }, WELL, { severities }).severity).toBe('P0');
    // In capitals it is what is shown everywhere, and what the intake has made of a word already.
    expect(judge({ given: 'P1' }, WELL, { severities }).severity).toBe('P1');
    expect(judge({ alert: 'Booking-Down' }, WELL, { severities }).severity).toBe('P0');
  });
});
