import { type Place, targetOf } from '../../../contract/place';
import { fail } from '../../support/failure';

/** What a plan has named to be changed, in words. */
export interface Selection {
  count: number;
  /** E.g. `listing`. */
  one: string;
  many: string;
  /** What would become of them, e.g. `suspended`. */
  become: string;
  most: number;
  /** Who says so, e.g. `maxDestructive allows`. */
  limit: string;
}

/** Throws EmptySelection where nothing was named, TooManyTargets where it is more than the limit. */
export function checkSelection(place: Place, { count, one, many, become, most, limit }: Selection): void {
  const where = targetOf(place);
  if (count === 0)
    throw fail(
      'EmptySelection',
      `No ${one} of ${where} was named, and that never means all. Nothing was changed.`,
    );
  if (count > most)
    throw fail(
      'TooManyTargets',
      `${count} ${many} of ${where} would be ${become}, more than ${limit} (${most}). Nothing was changed.`,
    );
}
