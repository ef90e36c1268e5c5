/** Moments between two statements of an activity, at which somebody else does something. */
import { Client } from 'pg';

/** Calls back right before the session of an activity sends its statement number `at`. */
export function beforeStatement(at: number, hook: () => Promise<void>): void {
  let sent = 0;
  const driver = Client.prototype as unknown as { query: (...args: unknown[]) => Promise<unknown> };
  const { query } = driver;
  jest.spyOn(driver, 'query').mockImplementation(async function (this: unknown, ...args: unknown[]) {
    const { application_name: name } = (this as { connectionParameters: { application_name: string } })
      .connectionParameters;
    if (name.startsWith('dr:')) {
      sent += 1;
      if (sent === at) await hook();
    }
    return query.apply(this, args);
  });
}

/** Calls back right before the session of an activity sends the last of these, after all others in this order. */
export function beforeLastOf(patterns: RegExp[], hook: () => Promise<void>): void {
  const pending = [...patterns];
  const driver = Client.prototype as unknown as { query: (...args: unknown[]) => Promise<unknown> };
  const { query } = driver;
  jest.spyOn(driver, 'query').mockImplementation(async function (this: unknown, ...args: unknown[]) {
    if (typeof args[0] === 'string' && pending[0]?.test(args[0]) === true) {
      pending.shift();
      if (pending.length === 0) await hook();
    }
    return query.apply(this, args);
  });
}
