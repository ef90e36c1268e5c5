/** Stands for what `beforeAll` makes, from the beginning of a file on: it is looked up each time it is used. */
export function standIn<T extends object>(made: () => T): T {
  return new Proxy({} as T, {
    get: (_, name) => Reflect.get(made(), name) as unknown,
    set: (_, name, value) => Reflect.set(made(), name, value),
  });
}

/** What `start` makes, from the first test of a file or a group to its last. */
export function duringTests<T extends { stop(): unknown }>(start: () => Promise<T>): T {
  let made: T | undefined;
  beforeAll(async () => {
    made = await start();
  });
  afterAll(async () => {
    await made?.stop();
  });
  return standIn(() => made!);
}
