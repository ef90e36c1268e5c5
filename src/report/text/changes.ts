import type { Change, Outcome } from '../../contract/report';

/** Heading over what a run changed; of one that did not reach its end it is what nobody wanted to stay. */
export function changesTitle(outcome: Outcome | undefined): string {
  return outcome === undefined || outcome === 'SUCCEEDED' ? 'What it changed' : 'Changed and not undone';
}

/** `perhaps` where it is not known how far the step came. */
export function changeText({ what, done }: Change): string {
  return done ? what : `perhaps: ${what}`;
}
