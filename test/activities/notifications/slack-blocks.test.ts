import fc from 'fast-check';
import type { Message } from '../../../src/activities/notifications/message';
import { slackMessage } from '../../../src/activities/notifications/slack-blocks';

const message = (changed: Partial<Message> = {}): Message => ({
  kind: 'page',
  service: 'booking',
  title: 'Respond to an incident',
  text: 'Approve plan ab2e: roll back dep_8f3 on booking/production?',
  workflowId: 'respondToIncident/booking/1',
  rung: 'on-call',
  incident: 'respondToIncident/booking/1',
  severity: 'P1',
  at: '2026-11-21T03:50:12.123Z',
  link: 'https://ui.example.com/namespaces/default/workflows/respondToIncident%2Fbooking%2F1',
  id: 'r#1',
  ...changed,
});

interface Block {
  text: { text: string; verbatim?: boolean };
  elements: [{ text: string }];
}

const parts = (changed: Partial<Message> = {}) => {
  const { text, blocks } = slackMessage(message(changed), false) as { text: string; blocks: Block[] };
  const [header, section, context] = blocks as [Block, Block, Block];
  return {
    text,
    header: header.text.text,
    section: section.text.text,
    context: context.elements[0].text,
  };
};

describe('a message in Slack', () => {
  it('says first what it is and about what, then what to do, then where and when', () => {
    expect(parts()).toEqual({
      text: '🚨 P1 page · booking: Approve plan ab2e: roll back dep_8f3 on booking/production?',
      header: '🚨 P1 page · booking · Respond to an incident',
      section: 'Approve plan ab2e: roll back dep_8f3 on booking/production?',
      context:
        '*<https://ui.example.com/namespaces/default/workflows/respondToIncident%2Fbooking%2F1|Open the run>*  ·  2026-11-21 03:50:12 UTC  ·  to on-call  ·  `respondToIncident/booking/1`',
    });
  });

  it.each([
    ['page', '🚨 P1 page'],
    ['acknowledged', '👀 P1 acknowledged'],
    ['resolved', '✅ P1 resolved'],
    ['status', '📣 P1 status'],
  ] as const)('tells a %s from the others at a glance', (kind, mark) => {
    expect(parts({ kind }).header.startsWith(`${mark} · `)).toBe(true);
  });

  it('names the run also where the address of the UI is not known', () => {
    expect(parts({ link: undefined, rung: null }).context).toBe(
      '2026-11-21 03:50:12 UTC  ·  `respondToIncident/booking/1`',
    );
  });

  it('cannot call anybody, or hide an address, with text from outside', () => {
    const { text, section } = parts({ text: '<!channel> <https://evil|ok> & @here' });
    expect(section).toBe('&lt;!channel&gt; &lt;<https://evil>|ok&gt; &amp; @here');
    expect(text).toContain('&lt;!channel&gt;');
    const { blocks } = slackMessage(message(), false) as { blocks: Block[] };
    expect(blocks[1]?.text.verbatim).toBe(true);
  });

  it('makes an address in the text one to click, without the full stop after it', () => {
    expect(parts({ text: 'See https://sentry.io/x?a=1&b=2.' }).section).toBe(
      'See <https://sentry.io/x?a=1&amp;b=2>.',
    );
  });

  it("keeps to Slack's limits, with no half character and no half escape, whatever the text", () => {
    const nasty = fc.stringMatching(/^([&<>]|😀|https:\/\/a |x{1,40}|\n){0,600}$/);
    fc.assert(
      fc.property(nasty, fc.string({ maxLength: 400 }), (text, title) => {
        const { text: plain, header, section, context } = parts({ text, title, workflowId: text });
        expect(header.length).toBeLessThanOrEqual(150);
        expect(section.length).toBeLessThanOrEqual(3_000);
        expect(plain.length).toBeLessThanOrEqual(4_000);
        expect(context.length).toBeLessThanOrEqual(2_000);
        for (const one of [plain, section]) {
          expect(one).not.toMatch(/\p{Surrogate}/u);
          expect(one.replace(/&(amp|lt|gt);/g, '')).not.toContain('&');
        }
        expect(section.trim()).not.toBe('');
      }),
      { numRuns: 300 },
    );
  });

  it.each([0, 1, 2, 3, 4])('cuts between two escapes, wherever the limit falls: %i', (shift) => {
    const { section } = parts({ text: 'x'.repeat(shift) + '&'.repeat(10_000) });
    expect(section).toMatch(/&amp; …$/);
    expect(section.length).toBeLessThanOrEqual(3_000);
    expect(section.length).toBeGreaterThan(2_990);
  });

  it('shows a text full of addresses without links where those would be too long', () => {
    const { section } = parts({ text: 'https://a '.repeat(1_000) });
    expect(section.length).toBeLessThanOrEqual(3_000);
    expect(section).toMatch(/^https:\/\/a https/);
  });
});
