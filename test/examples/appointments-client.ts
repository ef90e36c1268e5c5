import type { RunningAppointments } from '../../examples/appointments/example';

export interface Slot {
  start: string;
  end: string;
}

interface Connection {
  id: string;
  provider: string;
  status: string;
  lastError: string | null;
  writebackPending: number;
}

const DAY_MS = 86_400_000;
/** So far away that no guest of the example books there, and near enough to be read from the calendars. */
const DAYS_AWAY = 18;

/** What guests and operators ask of the example. */
export function clientOf(example: () => RunningAppointments) {
  async function ask<T>(
    path: string,
    { token = true, ...init }: RequestInit & { token?: boolean } = {},
  ): Promise<{ status: number; body: T }> {
    const { environment, app } = example();
    const operator = { authorization: `Bearer ${environment['APPOINTMENTS_TOKEN']}` };
    const answer = await fetch(`${app.url}${path}`, {
      ...init,
      headers: { ...(token ? operator : {}), ...init.headers },
    });
    return { status: answer.status, body: (await answer.json()) as T };
  }
  return {
    ask,
    post: <T>(path: string) => ask<T>(path, { method: 'POST' }),
    book: (key: string, body: object) =>
      ask<{ id: string; actions: { cancel: string } }>('/v0/bookings', {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify(body),
      }),
    slotsOf: async (host: string): Promise<Slot[]> => {
      const from = Date.now() - (Date.now() % DAY_MS) + DAYS_AWAY * DAY_MS;
      const [first, last] = [from, from + DAY_MS].map((at) => new Date(at).toISOString());
      const path = `/v0/availability?host=${host}&from=${first}&to=${last}`;
      return (await ask<{ slots: Slot[] }>(path)).body.slots;
    },
    connections: async () =>
      (await ask<{ connections: Connection[] }>('/v0/calendar/sync/status')).body.connections,
  };
}
