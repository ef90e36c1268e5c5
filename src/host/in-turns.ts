/**
 * Like Promise.all, but also when one fails it waits for all of them: the client goes on trying a call that failed,
 * and if its connection is closed meanwhile that ends the process.
 */
export async function together<T extends readonly unknown[]>(
  promises: readonly [...T],
): Promise<{ [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

/** Does the same for each item, at most `atOnce` at a time; results in the order of the items. */
export async function inTurns<T, R>(
  items: readonly T[],
  atOnce: number,
  body: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++)
      results[index] = await body(items[index] as T);
  };
  await together(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  return results;
}
