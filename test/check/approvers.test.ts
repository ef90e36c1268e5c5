import { approversProblem } from '../../src/check/approvers';
import { approvalSchema } from '../../src/config/approval-schema';
import { isSameName } from '../../src/contract/answer';

const problemOf = (approval: object) => approversProblem(approvalSchema.parse(approval));

describe('who can say yes', () => {
  it('counts one person once, however the name is written', () => {
    expect(problemOf({ fourEyes: true, approvers: ['ana', 'ben'] })).toBeUndefined();
    for (const again of ['Ana', ' ana ', 'ANA'])
      expect(problemOf({ fourEyes: true, approvers: ['ana', again] })).toBe(
        'with fourEyes nobody can approve what ana starts',
      );
  });

  it.each([
    ['Ana', 'ana'],
    ['ana  lee', 'Ana Lee'],
    // One letter, and a letter with an accent beside it.
    ['Jos\u00e9', 'jose\u0301'],
  ])('%p is %p', (one, other) => {
    expect(isSameName(one, other)).toBe(true);
  });
});
