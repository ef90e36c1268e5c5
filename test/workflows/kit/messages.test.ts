import { handleMessages } from '../../../src/workflows/kit/messages';
import { createState, type Question } from '../../../src/workflows/kit/state';

type Handler = { handle: (words: unknown) => string; validator: (words: unknown) => void };
const handlers = new Map<string, Handler>();

// Two answers can only be validated before either is handled within one activation, which no server does on demand.
jest.mock('@temporalio/workflow', () => ({
  ...jest.requireActual<object>('@temporalio/workflow'),
  setCurrentDetails: () => undefined,
  workflowInfo: () => ({ namespace: 'n', workflowId: 'w', runId: 'r' }),
  setHandler: (
    definition: { name: string },
    handle: Handler['handle'],
    options?: { validator: Handler['validator'] },
  ) => handlers.set(definition.name, { handle, validator: options?.validator ?? (() => undefined) }),
}));

const question = (refuse: Question['refuse'] = () => undefined): Question => ({
  kind: 'approval',
  id: 'abc',
  question: 'Approve?',
  expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
  update: { name: 'approve', argument: {} },
  acts: () => false,
  refuse,
});

it('two answers that were both validated: the first one handled wins, the second is refused', () => {
  const state = createState('x');
  handleMessages(state);
  const open = question();
  state.questions.push(open);
  const [approve, reject] = [handlers.get('approve')!, handlers.get('reject')!];
  approve.validator({ plan: 'abc', by: 'ben' });
  reject.validator({ plan: 'abc', by: 'cleo' });
  expect(approve.handle({ plan: 'abc', by: 'ben' })).toBe('approve by ben taken');
  expect(() => reject.handle({ plan: 'abc', by: 'cleo' })).toThrow(/already answered: approve by ben/);
  expect(open.answer).toMatchObject({ verb: 'approve', by: 'ben' });
});

it('validators are synchronous: an asynchronous one would hang the Update', () => {
  const state = createState('x');
  handleMessages(state);
  state.questions.push(question());
  for (const { validator } of handlers.values()) {
    try {
      expect(validator({ plan: 'abc', by: 'ben', question: 'abc', task: 'abc', text: 'x' })).toBeUndefined();
    } catch (error) {
      expect((error as Error).message).toMatch(/does not wait/);
    }
  }
});

it('an answer that comes at the deadline is too late, whatever the timer has done', () => {
  const state = createState('x');
  handleMessages(state);
  const open = question();
  state.questions.push(open);
  const clock = jest.spyOn(Date, 'now');
  const [approve, reject] = [handlers.get('approve')!, handlers.get('reject')!];
  try {
    clock.mockReturnValue(Date.parse(open.expiresAt));
    for (const { validator } of [approve, reject])
      expect(() => validator({ plan: 'abc', by: 'ben' })).toThrow(
        `too late: it could be answered until ${open.expiresAt}`,
      );
    clock.mockReturnValue(Date.parse(open.expiresAt) - 1);
    expect(approve.validator({ plan: 'abc', by: 'ben' })).toBeUndefined();
  } finally {
    clock.mockRestore();
  }
});
