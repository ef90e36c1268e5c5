/** An inventory with a ledger beside the sample's schema, and one of somebody else. */
import { createInventoryActivities } from '../../../src/activities/inventory';
import { environmentInventorySchema, inventorySchema } from '../../../src/activities/inventory/settings';
import { runActivity, type TestPostgres } from '../../support/postgres';
import { freshWorld, type World } from '../bookings/bookings-world';

export const INVENTORY = {
  role: 'runbooks_inventory',
  tables: {
    ledger: { columns: { booking: 'booking_id', createdAt: 'created_at' } },
    bookings: { table: 'sales', columns: { createdAt: 'created_at' } },
    audit: { table: 'trail', columns: { entityType: 'entity_type', source: 'source', details: 'details' } },
  },
};

/**
 * Unit 1 is well. Counters: 2 has one less than its ledger, 3 one more and so is over its capacity, 4 is sold too often, 5 has no
 * ledger, 6 a ledger that says something else than its bookings.
 */
export const SPOILT = `
  DO $$ BEGIN CREATE ROLE runbooks_inventory NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
  GRANT runbooks_inventory TO runbooks_migrator;
  SET ROLE booking_owner;
  CREATE TABLE inventory_units (id serial PRIMARY KEY, name text NOT NULL DEFAULT 'n', capacity int, sold int);
  CREATE TABLE sales (id serial PRIMARY KEY, unit_id int NOT NULL, status text NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE inventory_ledger (id serial PRIMARY KEY, unit_id int NOT NULL REFERENCES inventory_units, booking_id int, quantity int,
    created_at timestamptz NOT NULL DEFAULT now());
  CREATE INDEX ON inventory_ledger (unit_id); CREATE INDEX ON sales (unit_id);
  CREATE TABLE trail (id serial PRIMARY KEY, entity_type text, entity_id text, action text, source text, details jsonb);
  INSERT INTO inventory_units (capacity, sold) VALUES (4, 2), (4, 1), (2, 3), (2, 3), (4, 2), (4, 1);
  INSERT INTO sales (unit_id, status) SELECT u, 'confirmed' FROM (VALUES (1, 2), (2, 2), (3, 2), (4, 3), (5, 2), (6, 2)) v(u, n), generate_series(1, n);
  INSERT INTO sales (unit_id, status) VALUES (1, 'cancelled');
  INSERT INTO inventory_ledger (unit_id, booking_id, quantity)
    SELECT unit_id, id, 1 FROM sales WHERE unit_id NOT IN (5, 6) AND status = 'confirmed' UNION ALL SELECT 1, 13, 1 UNION ALL SELECT 1, 13, -1 UNION ALL SELECT 6, 11, 1;
  GRANT SELECT, UPDATE (sold) ON inventory_units TO runbooks_inventory;
  GRANT SELECT ON inventory_ledger, sales TO runbooks_inventory;
  GRANT INSERT ON trail TO runbooks_inventory; GRANT USAGE ON SEQUENCE trail_id_seq TO runbooks_inventory;
  RESET ROLE;`;

export type Stock = World & { stock: ReturnType<typeof createInventoryActivities> };

export async function freshStock(
  pg: TestPostgres,
  sql = SPOILT,
  inventory: object = INVENTORY,
  environment: object = {},
): Promise<Stock> {
  const world = await freshWorld(pg, {}, sql);
  const shop = world.db.deps.config.services['shop'] as unknown as Record<string, unknown>;
  shop['inventory'] = inventorySchema.parse(inventory);
  const { production } = shop['environments'] as { production: Record<string, unknown> };
  production['inventory'] = environmentInventorySchema.parse(environment);
  return { ...world, stock: createInventoryActivities(world.db.deps) };
}

export const compare = ({ stock, db }: Stock, among?: string[]) =>
  runActivity(stock.compareInventory, { ...db.place, ...(among === undefined ? {} : { among }) });
export const rebuild = (world: Stock, units: string[], attempt = 1) =>
  runActivity(world.stock.rebuildCounters, { ...world.repair, units }, { attempt });
export const undo = (world: Stock) => runActivity(world.stock.undoRebuild, world.repair, { activityId: '9' });
export const soldOf = async ({ db }: Stock) =>
  (await db.query<{ sold: number }>('SELECT sold FROM inventory_units ORDER BY id')).map(({ sold }) => sold);
