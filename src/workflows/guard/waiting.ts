/** More wait elsewhere: they are told to ask again, with pauses that grow. */
const MAX_WAITING = 500;

/** Puts one among those who wait, the most urgent first. Returns whoever has to ask again, for lack of room. */
export function enqueue<T extends { rank: number }>(queue: T[], one: T): T | undefined {
  const at = queue.findIndex(({ rank }) => rank > one.rank);
  if (at === -1) queue.push(one);
  else queue.splice(at, 0, one);
  return queue.length > MAX_WAITING ? queue.pop() : undefined;
}
