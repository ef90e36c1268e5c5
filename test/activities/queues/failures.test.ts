import { reasonOf } from '../../../src/activities/queues/failures';

it('why a job failed is what its worker wrote, without what would act on whoever reads it', () => {
  expect(reasonOf('\u001b[2Jcard\u0007 \u202erefused\u200f\nby 4242')).toBe('card refused by #');
  expect(reasonOf(' \n')).toBe('nobody says why');
});
