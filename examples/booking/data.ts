/**
 * The statements that fill a booking database, in order. Every "random" value is a hash of a row's number or
 * key and the seed, so the same seed, size and time give the same rows.
 */
import { childSteps, type DataStep } from './data-children';

export interface DataPlan {
  bookings: number;
  seed: number;
  /** How far back the bookings reach. */
  historyDays: number;
  /** The moment the data is "as of"; later slots are in the future. */
  now: Date;
}

const FIRST_NAMES = 'Ada,Amara,Anita,Björn,Carlos,Chen,Chloé,Diego,Elena,Emeka,Fatima,Finn,Grace,Hana,Ivan,Jonas,Kofi,Lea,Lucía,Mateo,Mira,Noah,Olga,Priya,Ravi,Sofia,Tomás,Yuki,Zoë'; // prettier-ignore
const LAST_NAMES = 'Andersson,Bauer,Costa,Diallo,Evans,Fischer,García,Haddad,Ito,Jensen,Kowalski,Larsen,Mbeki,Nguyen,Okafor,Patel,Quispe,Rossi,Sato,Tanaka,Ueda,Varga,Weber,Xu,Yılmaz,Zhang'; // prettier-ignore
const SLOTS_PER_DAY = 9;

/** The statements for a plan. They expect empty tables. */
export function dataSteps(plan: DataPlan): DataStep[] {
  const shape = shapeOf(plan);
  const hash = (key: string, salt: number): string => `hashint8extended(${key}, ${plan.seed * 1000 + salt})`;
  const share = (key: string, salt: number): string =>
    `((${hash(key, salt)} & 2147483647) / 2147483648.0::float8)`;
  const now = `timestamptz '${plan.now.toISOString()}'`;
  // Every fifth booking is an earlier attempt at the slot of the one before it, so it never lives.
  const statusOf = (j: string, past: string): string => `CASE
    WHEN ${j} % 5 = 0 THEN CASE WHEN ${share(j, 1)} < 0.6 THEN 'expired' ELSE 'cancelled' END
    WHEN ${share(j, 1)} < 0.80 THEN 'confirmed'
    WHEN ${share(j, 1)} < 0.84 THEN CASE WHEN ${past} THEN 'no_show' ELSE 'held' END
    WHEN ${share(j, 1)} < 0.94 THEN 'cancelled' ELSE 'expired' END`;
  const pick = (list: string, row: string, salt: number): string => {
    const names = list.split(',');
    return `(ARRAY['${names.join("','")}'])[1 + floor(${share(row, salt)} * ${names.length})::int]`;
  };
  return [
    {
      table: 'providers',
      sql: `INSERT INTO providers (id, name, status, decided_at, country, created_at) OVERRIDING SYSTEM VALUE
        SELECT i, ${pick(LAST_NAMES, 'i', 20)} || ' Studio ' || i, CASE WHEN i % 40 = 0 THEN 'SUSPENDED' ELSE 'APPROVED' END,
          ${now} - interval '3 years' + i * interval '1 hour',
          (ARRAY['DE', 'ES', 'FR', 'GB', 'IN', 'PT', 'SE'])[1 + i % 7], ${now} - interval '3 years' + i * interval '1 hour'
        FROM generate_series(1, ${shape.providers}) i`,
    },
    {
      table: 'listings',
      sql: `INSERT INTO listings (id, provider_id, title, status, property_status, price_cents, published_at, created_at) OVERRIDING SYSTEM VALUE
        SELECT i, 1 + (i - 1) / 3, (ARRAY['Consultation', 'Studio hour', 'Table by the window', 'Lesson', 'Treatment'])[1 + i % 5] || ' ' || i,
          CASE WHEN (1 + (i - 1) / 3) % 40 = 0 THEN 'suspended' ELSE 'published' END, 'APPROVED',
          1500 + 500 * (${hash('i', 21)} & 15)::int, ${now} - interval '3 years' + i * interval '20 minutes' + interval '1 day',
          ${now} - interval '3 years' + i * interval '20 minutes'
        FROM generate_series(1, ${shape.resources}) i`,
    },
    {
      table: 'resources',
      sql: `INSERT INTO resources (id, listing_id, name, capacity, hourly_cost_cents) OVERRIDING SYSTEM VALUE
        SELECT i, i, 'Room ' || i, 2 + (${hash('i', 22)} & 3)::int, 400 + 50 * (${hash('i', 23)} & 7)::int
        FROM generate_series(1, ${shape.resources}) i`,
    },
    {
      table: 'slots',
      sql: `INSERT INTO slots (id, resource_id, starts_at, ends_at, capacity, status) OVERRIDING SYSTEM VALUE
        SELECT s, resource_id, starts_at, starts_at + interval '30 minutes', 2 + (${hash('resource_id', 22)} & 3)::int,
          CASE WHEN s > ${shape.booked} THEN CASE WHEN ${share('s', 24)} < 0.02 THEN 'blocked' ELSE 'open' END
            WHEN ${statusOf('(s + (s - 1) / 4)', `starts_at < ${now}`)} IN ('held', 'confirmed') THEN 'reserved' ELSE 'open' END
        FROM (
          SELECT s, CASE WHEN s <= ${shape.booked} THEN 1 + (s - 1) % ${shape.resources} ELSE 1 + (s - ${shape.booked} - 1) % ${shape.resources} END AS resource_id, ${startOf('s', shape, now)} AS starts_at
          FROM generate_series(1::bigint, ${shape.booked + shape.open}) s
        ) calendar`,
    },
    {
      table: 'customers',
      sql: `INSERT INTO customers (id, email, full_name, phone, locale, created_at) OVERRIDING SYSTEM VALUE
        SELECT i, lower(first_name || '.' || last_name) || i || '@example.' || (ARRAY['com', 'org', 'net'])[1 + i % 3],
          first_name || ' ' || last_name, '+1555' || lpad((${hash('i', 27)} & 9999999)::text, 7, '0'),
          (ARRAY['en', 'de', 'es', 'fr', 'pt'])[1 + i % 5], ${now} - interval '2 years' * (1 - i::float8 / ${shape.customers}) - interval '1 day'
        FROM (
          SELECT i, ${pick(FIRST_NAMES, 'i', 25)} AS first_name, ${pick(LAST_NAMES, 'i', 26)} AS last_name
          FROM generate_series(1::bigint, ${shape.customers}) i
        ) people`,
    },
    {
      table: 'bookings',
      sql: `INSERT INTO bookings (id, customer_id, slot_id, status, party_size, price_cents, source, expires_at, confirmed_at, created_at, updated_at)
        SELECT (lpad(to_hex((extract(epoch FROM created_at) * 1000)::bigint), 12, '0') || '7' || substr(digest, 1, 3) || '8' || substr(digest, 4, 15))::uuid,
          1 + floor(power(${share('j', 3)}, 2) * ${shape.customers})::bigint, slot_id, status, 1 + floor(${share('j', 4)} * 1.99)::smallint, price_cents,
          CASE WHEN ${share('j', 5)} < 0.7 THEN 'web' WHEN ${share('j', 5)} < 0.85 THEN 'phone' WHEN ${share('j', 5)} < 0.97 THEN 'api' ELSE 'walk_in' END,
          CASE WHEN status IN ('held', 'expired') THEN created_at + interval '15 minutes' END,
          CASE WHEN status IN ('confirmed', 'no_show') THEN created_at + interval '12 minutes' * ${share('j', 6)} END,
          created_at, created_at + interval '12 minutes' * ${share('j', 6)}
        FROM (
          SELECT j, slot_id, price_cents, status, md5(j || '/${plan.seed}') AS digest,
            CASE WHEN status = 'held' THEN ${now} - interval '10 minutes' * ${share('j', 7)}
              ELSE least(starts_at - interval '1 hour' - interval '20 days' * power(${share('j', 7)}, 3), ${now} - interval '1 hour' - interval '3 days' * ${share('j', 8)}) END AS created_at
          FROM (
            SELECT j, slots.id AS slot_id, slots.starts_at, listings.price_cents, ${statusOf('j', `slots.starts_at < ${now}`)} AS status
            FROM generate_series(1::bigint, ${plan.bookings}) j
            JOIN slots ON slots.id = j - j / 5
            JOIN resources ON resources.id = slots.resource_id
            JOIN listings ON listings.id = resources.listing_id
          ) sold
        ) dated`,
    },
    ...childSteps(plan.seed, now),
    ...['providers', 'listings', 'resources', 'slots', 'customers'].map((table) => ({
      table,
      sql: `SELECT setval(pg_get_serial_sequence('${table}', 'id'), (SELECT max(id) FROM ${table}))`,
    })),
  ];
}

interface Shape {
  /** Slots with at least one booking, on the hour; they reach a twentieth of their days into the future. */
  booked: number;
  /** Slots nobody booked, at half past; most of them are in the future. */
  open: number;
  /** Few bookings are spread over the same history: there are slots every so many days only. */
  everyDays: number;
  resources: number;
  providers: number;
  customers: number;
}

function shapeOf({ bookings, historyDays }: DataPlan): Shape {
  const booked = bookings - Math.floor(bookings / 5);
  const spanDays = Math.ceil(historyDays / 0.95);
  const resources = Math.max(1, Math.round(booked / SLOTS_PER_DAY / spanDays));
  return {
    booked,
    open: Math.max(60, Math.round(bookings / 5)),
    everyDays: Math.max(1, spanDays / Math.ceil(booked / resources / SLOTS_PER_DAY)),
    resources,
    providers: Math.ceil(resources / 3),
    customers: Math.max(10, Math.round(bookings / 4)),
  };
}

/** Nine slots a day and resource, from nine o'clock, in the order of their numbers. */
function startOf(slot: string, { booked, open, resources, everyDays }: Shape, now: string): string {
  const days = (slots: number): number => Math.ceil(slots / resources / SLOTS_PER_DAY);
  const at = (place: string, firstDay: number, gap: number, minutes: number): string =>
    `(date_trunc('day', ${now}, 'UTC') + interval '1 day' * (${firstDay} + floor(${place} / ${SLOTS_PER_DAY} * ${gap.toFixed(3)}))
      + interval '1 hour' * (9 + ${place} % ${SLOTS_PER_DAY}) + interval '${minutes} minutes')`;
  const bookedFrom = -Math.floor(days(booked) * everyDays * 0.95);
  const openFrom = -Math.floor(days(open) * 0.2);
  return `CASE WHEN ${slot} <= ${booked} THEN ${at(`((${slot} - 1) / ${resources})`, bookedFrom, everyDays, 0)}
    ELSE ${at(`((${slot} - ${booked} - 1) / ${resources})`, openFrom, 1, 30)} END`;
}
